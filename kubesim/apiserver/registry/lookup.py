"""The server's own look at stored objects, for authentication and authorization.

It reads the store itself and not through the front door: deciding whether a request is allowed
must not need another request. What it returns is shared with all readers and must not be changed.
"""

from collections.abc import Iterator

from kubesim.api import resources
from kubesim.apiserver.registry.storage import Object, Storage


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
        named = resources.named(resource)
        prefix = f"{named.prefix}{namespace}/" if namespace else named.prefix
        for record in self._storage.store.range(prefix).records:
            yield self._storage.load(named, record).object
