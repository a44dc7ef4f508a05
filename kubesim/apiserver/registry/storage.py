"""Objects in the store: their keys, their bytes, and the decoded form that reads share.

Like the real API server's storage layer, the resourceVersion is not stored but is the revision
at which the store last changed the key. Decoded objects are shared by all readers: nobody may
change one.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Any

from kubesim.api.resources import Resource
from kubesim.etcd.record import Record
from kubesim.etcd.store import Delete, Etcd, Put

Object = dict[str, Any]
CACHE_LIMIT = 50_000
REPLACED_LIMIT = 2_000
# Objects come from JSON or from a decoder, so they contain no circles to look for.
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False)


def dump(value: Any) -> bytes:
    """Return compact JSON."""
    return _ENCODER.encode(value).encode()


def storage_key(resource: Resource, namespace: str, name: str) -> str:
    """Return an object's key, the same as in the real etcd: /registry/pods/default/web."""
    if resource.namespaced:
        return f"{resource.prefix}{namespace}/{name}"
    return f"{resource.prefix}{name}"


@dataclass(frozen=True, eq=False)
class Stored:
    """An object as it is at one revision."""

    object: Object
    revision: int
    resource: Resource

    def at(self, revision: int) -> "Stored":
        """Return the same object as of another revision."""
        metadata = self.object["metadata"] | {"resourceVersion": str(revision)}
        return Stored(self.object | {"metadata": metadata}, revision, self.resource)

    @cached_property
    def json(self) -> bytes:
        """The object's compact JSON, made once for all who read this revision."""
        return dump(self.object)

    @cached_property
    def item_json(self) -> bytes:
        """The same without kind and apiVersion, as it stands in a list."""
        resource = self.resource
        head = f'{{"kind":"{resource.kind}","apiVersion":"{resource.api_version}",'
        return b"{" + self.json[len(head) :]


class Storage:
    """Reads and writes objects in the store, with optimistic concurrency."""

    def __init__(self, store: Etcd, random: Random) -> None:
        self.store = store
        self.random = random
        self._latest: dict[str, Stored] = {}
        self._replaced: dict[
            str, Stored
        ] = {}  # by the last writes, and Events: watches ask for them

    def get(self, resource: Resource, namespace: str, name: str) -> Stored | None:
        """Return the object as it is now, or None."""
        record = self.store.get(storage_key(resource, namespace, name))
        return self.load(resource, record) if record else None

    def list(self, resource: Resource, namespace: str = "") -> list[Stored]:
        """Return all objects, or those of one namespace."""
        prefix = f"{resource.prefix}{namespace}/" if namespace else resource.prefix
        return [self.load(resource, record) for record in self.store.range(prefix).records]

    def load(self, resource: Resource, record: Record) -> Stored:
        """Return a record's object, decoded once while it is recent."""
        latest = self._latest.get(record.key)
        for known in (latest, self._replaced.get(record.key)):
            if known and known.revision == record.revision and known.resource is resource:
                return known
        assert record.value is not None
        obj = json.loads(record.value)
        obj["metadata"]["resourceVersion"] = str(record.revision)
        stored = Stored(resource.from_storage(obj), record.revision, resource)
        if not latest or latest.revision < record.revision:
            self._keep(record.key, stored, leased=bool(record.lease))
        return stored

    def _keep(self, key: str, stored: Stored, *, leased: bool) -> None:
        """Keep a decoded object for the next reader; what was kept longest makes room.

        What expires by itself, an Event, is seldom read again after the watches have had it.
        """
        replaced = stored if leased else self._latest.get(key)
        if replaced:
            _put_last(self._replaced, key, replaced, REPLACED_LIMIT)
        if not leased:
            _put_last(self._latest, key, stored, CACHE_LIMIT)

    def create(self, resource: Resource, obj: Object, lease: int = 0) -> Stored | None:
        """Write a new object; None when the name is taken."""
        return self._write(resource, obj, 0, lease)

    def update(self, current: Stored, obj: Object) -> Stored | None:
        """Replace an object; None when it is no longer the current one."""
        record = self.store.get(self._key(current.resource, current.object))
        return self._write(current.resource, obj, current.revision, record.lease if record else 0)

    def delete(self, current: Stored) -> Stored | None:
        """Delete an object; None when it is no longer the current one."""
        key = self._key(current.resource, current.object)
        result = self.store.txn({key: current.revision}, [Delete(key)])
        if not result.succeeded:
            return None
        return current.at(result.revision)

    def _write(self, resource: Resource, obj: Object, expected: int, lease: int) -> Stored | None:
        key = self._key(resource, obj)
        obj["metadata"].pop("resourceVersion", None)
        result = self.store.txn({key: expected}, [Put(key, dump(resource.to_storage(obj)), lease)])
        if not result.succeeded:
            return None
        obj["metadata"]["resourceVersion"] = str(result.revision)
        stored = Stored(obj, result.revision, resource)
        self._keep(key, stored, leased=bool(lease))
        return stored

    @staticmethod
    def _key(resource: Resource, obj: Object) -> str:
        metadata = obj["metadata"]
        return storage_key(resource, metadata.get("namespace", ""), metadata["name"])


def _put_last(kept: dict[str, Stored], key: str, stored: Stored, limit: int) -> None:
    kept.pop(key, None)
    kept[key] = stored
    if len(kept) > limit:
        del kept[next(iter(kept))]


def list_json(resource: Resource, items: Sequence[Stored], metadata: dict[str, Any]) -> bytes:
    """Return the JSON of a list, put together from the items' own."""
    head = {"kind": resource.list_kind, "apiVersion": resource.api_version, "metadata": metadata}
    body = b",".join(item.item_json for item in items)
    return dump(head)[:-1] + b',"items":[' + body + b"]}"
