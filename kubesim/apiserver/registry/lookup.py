"""The server's own look at stored objects, for authentication and authorization.

It reads the store itself and not through the front door: deciding whether a request is allowed
must not need another request. What it returns is shared with all readers and must not be changed.
"""

from collections.abc import Iterator

from kubesim.api import resources
from kubesim.apiserver.registry.storage import Object, Storage
from kubesim.etcd.store import Watch


class Lookup:
    """Reads objects by resource name, "plural[.group]"."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def get(self, resource: str, name: str, namespace: str = "") -> Object | None:
        """One object, or None."""
        stored = self._storage.get(resources.named(resource), namespace, name)
        return stored.object if stored else None

    def list(self, resource: str, namespace: str = "") -> Iterator[Object]:
        """All objects, or those of one namespace."""
        for stored in self._storage.list(resources.named(resource), namespace):
            yield stored.object

    def feed(self, resource: str) -> "Feed":
        """What changes of a resource from now on, for those who keep something made of it."""
        return Feed(self._storage, resource)


class Feed:
    """What has changed of a resource since somebody last asked, at that very moment."""

    def __init__(self, storage: Storage, resource: str) -> None:
        self._storage = storage
        self._resource = resources.named(resource)
        self._watch: Watch | None = None

    def take(self) -> tuple[bool, dict[str, Object | None]]:
        """The objects that have changed, by key; None is one that is gone.

        True with them says that they are all there are, so that one has to begin anew: the first
        time, and when nobody asked for so long that the store stopped counting.
        """
        store = self._storage.store
        if not self._watch or self._watch.closed:
            self._watch = store.watch(self._resource.prefix)
            found = store.range(self._resource.prefix).records
            return True, {
                record.key: self._storage.load(self._resource, record).object for record in found
            }
        latest = {event.record.key: event.record for event in self._watch.take()}
        return False, {
            key: None if record.deleted else self._storage.load(self._resource, record).object
            for key, record in latest.items()
        }
