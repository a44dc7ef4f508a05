"""What one API server serves: the built-in resources, and those defined while it runs.

The table of `resources` never changes; CustomResourceDefinitions add to it and take away again.
Discovery, the OpenAPI documents, routing and the clients in this process all ask here.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

from kubesim.api.autoscaling import HorizontalPodAutoscalerV1
from kubesim.api.events import EVENTS
from kubesim.api.resources import RESOURCES, Resource, named

VERSION = re.compile(r"v([1-9]\d*)(?:(alpha|beta)([1-9]\d*))?")
_HPA = named("horizontalpodautoscalers.autoscaling")
OTHERWISE: tuple[Resource, ...] = (  # the same objects as others, seen otherwise
    EVENTS,
    HorizontalPodAutoscalerV1(
        _HPA.plural,
        _HPA.kind,
        _HPA.group,
        "v1",
        short_names=_HPA.short_names,
        categories=_HPA.categories,
        subresources=_HPA.subresources,
    ),
)
STABILITY = {"alpha": 0, "beta": 1, None: 2}


def version_priority(version: str) -> tuple[int, int, int, str]:
    """The key by which versions sort, the most preferred first: v10, v2, v1, v1beta1, foo.

    As k8s.io/apimachinery/pkg/version.CompareKubeAwareVersionStrings.
    """
    match = VERSION.fullmatch(version)
    if not match:
        return 1, 0, 0, version
    major, stability, minor = match.groups()
    return -STABILITY[stability], -int(major), -int(minor or 0), version


class Resources:
    """The resources of one API server, by path, by name and by group."""

    def __init__(self, built_in: Iterable[Resource] = (*RESOURCES, *OTHERWISE)) -> None:
        self._built_in = sorted(built_in, key=_order)
        self._defined: dict[str, tuple[Resource, ...]] = {}
        self._listeners: list[Callable[[], None]] = []
        self.generation = 0  # counts the changes, for those who keep what they made of the list
        self._index()

    def __iter__(self) -> Iterator[Resource]:
        """Every resource in each of its versions: built-in groups first, preferred versions first.

        kubectl takes the first one that fits a name.
        """
        return chain(self._built_in, self._added)

    def define(self, definition: str, versions: Sequence[Resource]) -> None:
        """Serve these versions of a resource for a definition, instead of what it had before."""
        self._defined[definition] = tuple(versions)
        self._index()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever the list has changed."""
        self._listeners.append(listener)

    def withdraw(self, definition: str) -> None:
        """Serve nothing any more for a definition."""
        if self._defined.pop(definition, None):
            self._index()

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """Return the resource at a path, if it is served."""
        return self._by_path.get((group, version, plural))

    def named(self, full_name: str) -> Resource:
        """Return the resource "plural[.group]" in its preferred version. Raises KeyError."""
        return self._by_name[full_name]

    def by_group(self) -> dict[str, dict[str, list[Resource]]]:
        """Every group's versions, the preferred one first, with their resources."""
        return self._by_group

    def group_versions(self) -> list[tuple[str, str]]:
        """Every (group, version) served, the core group first."""
        return [(group, version) for group in self._by_group for version in self._by_group[group]]

    def _index(self) -> None:
        self._added = sorted(chain.from_iterable(self._defined.values()), key=_order)
        self._by_path = {(r.group, r.version, r.plural): r for r in self}
        self._by_name: dict[str, Resource] = {}
        self._by_group: dict[str, dict[str, list[Resource]]] = {}
        for resource in self:
            self._by_name.setdefault(resource.full_name, resource)
            versions = self._by_group.setdefault(resource.group, {})
            versions.setdefault(resource.version, []).append(resource)
        self.generation += 1
        for listener in self._listeners:
            listener()


def _order(resource: Resource) -> tuple[str, tuple[int, int, int, str], str]:
    return resource.group, version_priority(resource.version), resource.plural
