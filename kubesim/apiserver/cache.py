"""The server's own view of one resource: decoded once, and never behind the store.

The real server keeps the same in its watch cache. Here the store is in the same process, so a read
first takes in what has changed since the last read: there is no moment at which it is stale.
"""

import json
from collections.abc import Iterable
from typing import Any

from kubesim.api import resources
from kubesim.etcd import Etcd, Watch

Object = dict[str, Any]


class Cache:
    """The objects of one resource ("plural[.group]"). Callers must not change what they get."""

    def __init__(self, store: Etcd, resource: str) -> None:
        self._store = store
        self._prefix = resources.named(resource).prefix
        self._objects: dict[str, Object] = {}
        self._watch: Watch | None = None

    def get(self, name: str, namespace: str = "") -> Object | None:
        """One object, or None."""
        self._catch_up()
        return self._objects.get(self._key(namespace) + name)

    def list(self, namespace: str = "") -> Iterable[Object]:
        """All objects, or those of one namespace."""
        self._catch_up()
        start = self._key(namespace)
        return [obj for key, obj in self._objects.items() if key.startswith(start)]

    def _key(self, namespace: str) -> str:
        return f"{self._prefix}{namespace}/" if namespace else self._prefix

    def _catch_up(self) -> None:
        if self._watch is None or self._watch.closed:
            self._read_all()
            return
        for event in self._watch.take():
            if event.record.value is None:
                self._objects.pop(event.record.key, None)
            else:
                self._objects[event.record.key] = json.loads(event.record.value)

    def _read_all(self) -> None:
        found = self._store.range(self._prefix)
        self._objects = {r.key: json.loads(r.value or b"null") for r in found.records}
        self._watch = self._store.watch(self._prefix, found.revision)


class Caches:
    """A cache of each resource that was asked for, made at the first question."""

    def __init__(self, store: Etcd) -> None:
        self._store = store
        self._caches: dict[str, Cache] = {}

    def get(self, resource: str, name: str, namespace: str = "") -> Object | None:
        """One object of a resource ("plural[.group]"), or None."""
        return self._of(resource).get(name, namespace)

    def list(self, resource: str, namespace: str = "") -> Iterable[Object]:
        """All objects of a resource, or those of one namespace."""
        return self._of(resource).list(namespace)

    def _of(self, resource: str) -> Cache:
        if resource not in self._caches:
            self._caches[resource] = Cache(self._store, resource)
        return self._caches[resource]
