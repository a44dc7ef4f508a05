"""Grades architecture/own-controller: a controller that runs beside the grader's changes."""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from kubelab.grading import Exercise

exercise = Exercise(
    title="A controller of your own",
    answer="py",
    timeout=120,
    hints=[
        "Let reconcile() look at all ConfigMaps of the namespace each time: which are labelled, "
        "what should their mirrors be, and which of those are missing or different?",
        "Watch all ConfigMaps, not only the labelled ones: the mirrors change too, and they bear "
        "no label.",
        "A mirror whose metadata.ownerReferences name its source (apiVersion, kind, name, uid) is "
        "deleted by Kubernetes when the source is.",
        "Between looking and writing somebody may have been faster: a 404 or a 409 is no reason "
        "to die, since the next event makes you look again.",
    ],
)
LABELS = {"mirror": "yes"}
OLD, NEW = {"colour": "red"}, {"colour": "blue", "size": "2"}


@pytest.fixture(scope="module")
def scene(core: Any, namespace: str) -> None:
    """ConfigMaps that are there before the controller starts."""
    create(core, namespace, "early", OLD, LABELS)
    create(core, namespace, "plain", OLD, {"mirror": "no"})


def create(core: Any, namespace: str, name: str, data: dict[str, str], labels: Any) -> None:
    body = {"metadata": {"name": name, "labels": labels}, "data": data}
    core.create_namespaced_config_map(namespace, body)


@pytest.fixture(scope="module")
def controller(scene: None, answer: Any) -> Iterator[Any]:
    """The learner's controller, running until the last check is done."""
    with answer.start() as process:
        yield process


class Mirrors:
    """Sources and their mirrors, with checks that also notice when the controller has died."""

    def __init__(self, check: Any, core: Any, namespace: str, controller: Any) -> None:
        self.check, self.core, self.namespace = check, core, namespace
        self.controller = controller

    def source(self) -> str:
        """Create a labelled ConfigMap under a name that no answer can know; return the name."""
        name = f"page-{secrets.token_hex(2)}"
        create(self.core, self.namespace, name, OLD, LABELS)
        return name

    def data(self, name: str) -> dict[str, str] | None:
        """Return what a ConfigMap holds; None if it does not exist."""
        found = self.core.list_namespaced_config_map(
            self.namespace, field_selector=f"metadata.name={name}"
        )
        return (found.items[0].data or {}) if found.items else None

    def change(self, name: str, data: dict[str, str]) -> None:
        self.core.patch_namespaced_config_map(name, self.namespace, {"data": data})

    def delete(self, name: str) -> None:
        self.core.delete_namespaced_config_map(name, self.namespace)

    def expect(self, source: str, data: dict[str, str] | None, look: str) -> None:
        """Wait until the mirror of a source holds `data`; None: until there is no mirror."""
        mirror = f"{source}-mirror"

        def is_so() -> bool:
            if self.data(mirror) == data:
                return True
            if not self.controller.alive():
                self._tell_end()
            return False

        self.check.eventually(
            is_so,
            within=10,
            expected=f"{mirror} {told(data)}",
            look=look,
            observed=lambda: f"{mirror} {told(self.data(mirror))}",
        )

    def _tell_end(self) -> None:
        run = self.controller.finish()
        self.check.fail(
            f"the controller has ended, with exit code {run.exit_code}",
            "a controller that runs until it is stopped",
            look="a watch ends after a while: begin it again, for ever",
        )


def told(data: dict[str, str] | None) -> str:
    return "does not exist" if data is None else f"with the data {data}"


@pytest.fixture(scope="module")
def mirrors(check: Any, core: Any, namespace: str, controller: Any) -> Mirrors:
    """What the checks work with."""
    return Mirrors(check, core, namespace, controller)


def test_earlier_source(mirrors: Mirrors) -> None:
    """A source that was there before the controller gets its mirror"""
    mirrors.expect("early", OLD, "what does the controller do about ConfigMaps that exist already?")


def test_new_source(mirrors: Mirrors) -> None:
    """A new source gets its mirror"""
    mirrors.expect(mirrors.source(), OLD, "does the controller watch for new ConfigMaps?")


def test_changed_source(mirrors: Mirrors) -> None:
    """When a source changes, so does its mirror"""
    source = mirrors.source()
    mirrors.expect(source, OLD, "does the controller watch for new ConfigMaps?")
    mirrors.change(source, {**NEW})
    mirrors.expect(source, NEW, "what happens if the mirror exists, but with other data?")


def test_deleted_mirror(mirrors: Mirrors) -> None:
    """A mirror that was deleted is made again"""
    source = mirrors.source()
    mirrors.expect(source, OLD, "does the controller watch for new ConfigMaps?")
    mirrors.delete(f"{source}-mirror")
    mirrors.expect(source, OLD, "does the controller hear of changes to the mirrors, too?")


def test_edited_mirror(mirrors: Mirrors) -> None:
    """A mirror that was edited is put right"""
    source = mirrors.source()
    mirrors.expect(source, OLD, "does the controller watch for new ConfigMaps?")
    mirrors.change(f"{source}-mirror", {"colour": "green", "graffiti": "yes"})
    mirrors.expect(source, OLD, "does the controller compare the mirror's data, every entry of it?")


def test_deleted_source(mirrors: Mirrors) -> None:
    """When a source is deleted, its mirror goes too"""
    source = mirrors.source()
    mirrors.expect(source, OLD, "does the controller watch for new ConfigMaps?")
    mirrors.delete(source)
    mirrors.expect(source, None, "metadata.ownerReferences of the mirror")


def test_others(mirrors: Mirrors) -> None:
    """All other ConfigMaps are left alone"""
    mirrors.expect("early", OLD, "what does the controller do about ConfigMaps that exist already?")
    found = mirrors.core.list_namespaced_config_map(mirrors.namespace).items
    names = {one.metadata.name for one in found}
    sources = {"early", *(name for name in names if name.startswith("page-"))}
    copies = {name for name in names if name.endswith("-mirror")}
    strays = sorted(copies - {f"{name}-mirror" for name in sources - copies})
    mirrors.check.that(
        not strays,
        observed=f"there is also {', '.join(strays)}",
        expected='mirrors of ConfigMaps with the label mirror: "yes", and of no others',
        look="the label's value; and do your mirrors bear the label themselves?",
    )
    mirrors.check.equal(
        mirrors.data("plain"), OLD, what="the data of plain", look="which ConfigMaps do you write?"
    )
