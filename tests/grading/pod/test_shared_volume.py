"""Grades pod/shared-volume: a page written by one container and served by another."""

import secrets
from typing import Any

import pytest

from kubelab.grading import Exercise

exercise = Exercise(
    title="A shared volume",
    answer="yaml",
    hints=[
        "spec.volumes names a volume, and each container names it again in volumeMounts, with "
        "the path at which it wants to see it.",
        "nginx serves what is in /usr/share/nginx/html. The writer may mount the same volume "
        "wherever it likes.",
        "A container lives as long as its first process: `while true; do …; sleep 1; done`. "
        "readOnly: true stands beside mountPath.",
    ],
)
pytestmark = pytest.mark.usefixtures("submission")
VISITOR = "graders-visitor"
ROOT = "/usr/share/nginx/html"


@pytest.fixture(scope="module")
def scene(core: Any, namespace: str) -> None:
    """A Pod from which the grader visits the learner's."""
    container = {"name": "main", "image": "busybox:1.36", "command": ["sleep", "3600"]}
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    core.create_namespaced_pod(namespace, {"metadata": {"name": VISITOR}, "spec": spec})


@pytest.fixture(scope="module")
def web(submission: Any, check: Any) -> Any:
    """The learner's Pod, once it is ready."""
    return check.ready("web")


class Visitor:
    """Fetches from the learner's Pod, from outside it."""

    def __init__(self, check: Any, address: str) -> None:
        self._check, self._address = check, address

    def fetch(self, path: str, **options: Any) -> str:
        text: str = self._check.http(VISITOR, "main", f"http://{self._address}{path}", **options)
        return text


@pytest.fixture(scope="module")
def visitor(check: Any, web: Any) -> Visitor:
    """What fetches pages."""
    check.ready(VISITOR)
    return Visitor(check, web.status.pod_ip)


def test_two_containers_run(check: Any, web: Any) -> None:
    """The containers writer and server run"""
    found = {c.name: c.image for c in web.spec.containers}
    wanted = {"writer": "busybox:1.36", "server": "nginx:1.27"}
    check.equal(found, wanted, what="the containers of Pod web", look="spec.containers")


@pytest.fixture(scope="module")
def page(visitor: Visitor) -> str:
    """The page that the server serves."""
    look = "is index.html on the volume, and is the volume mounted where nginx looks?"
    return visitor.fetch("/", within=8, look=look)


def test_page_is_served(check: Any, page: str) -> None:
    """The server serves a page"""
    check.that(
        page.strip(),
        observed="the page is empty",
        expected="a page with the time",
        look="what does the writer write?",
    )


def test_page_changes(check: Any, visitor: Visitor, page: str) -> None:
    """The page is written again and again"""
    check.eventually(
        lambda: visitor.fetch("/", within=1).strip() not in ("", page.strip()),
        within=8,
        expected="another page after a second or two",
        look="the writer's command: does it write once, or in a loop?",
        observed=lambda: f"the page stays as it was: {page.strip()[:60]!r}",
    )


def test_volume_is_shared(check: Any, web: Any, visitor: Visitor) -> None:
    """What the writer puts beside the page, the server finds"""
    token = secrets.token_hex(4)
    writer = next((c for c in web.spec.containers if c.name == "writer"), None)
    mounts = [mount.mount_path for mount in (writer and writer.volume_mounts) or []]
    for path in mounts:
        check.exec("web", "writer", ["sh", "-c", f"echo {token} > {path}/{token} || true"])
    check.eventually(
        lambda: token in visitor.fetch(f"/{token}", within=1),
        within=5,
        expected="that the server can serve a file that is put into the writer's volume",
        look="do the two containers mount the same volume?",
    )


def test_server_cannot_write(check: Any, web: Any) -> None:
    """The server cannot write to the volume"""
    attempt = f"touch {ROOT}/graffiti 2>/dev/null && echo written || echo refused"
    check.equal(
        check.exec("web", "server", ["sh", "-c", attempt]).strip(),
        "refused",
        what=f"an attempt to write to {ROOT} in the server",
        look="readOnly in the server's volumeMounts",
    )
