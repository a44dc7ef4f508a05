"""metadata.managedFields: who owns which field, kept up to date by every write.

See https://kubernetes.io/docs/reference/using-api/server-side-apply/ and
k8s.io/apimachinery/pkg/util/managedfields.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kubesim.api.schema import Type
from kubesim.apiserver.patch import fieldsets
from kubesim.apiserver.patch.fieldsets import SELF, Tree

Object = dict[str, Any]
UNTRACKED = frozenset({SELF, "f:kind", "f:apiVersion"})
UNTRACKED_METADATA = frozenset(
    {
        *(SELF, "f:name", "f:namespace", "f:uid", "f:creationTimestamp", "f:generation"),
        *("f:resourceVersion", "f:managedFields", "f:deletionTimestamp"),
        "f:deletionGracePeriodSeconds",
    }
)
APPLY, UPDATE = "Apply", "Update"
ANCIENT = "ancient-changes"
MOST_UPDATES = 10


@dataclass(frozen=True)
class Manager:
    """What tells one entry of managedFields from another."""

    name: str
    operation: str
    api_version: str
    subresource: str = ""

    def describe(self) -> str:
        """Return the manager as a conflict names it."""
        told = f'"{self.name}"'
        if self.subresource:
            told += f' with subresource "{self.subresource}"'
        return f"{told} using {self.api_version}" if self.operation == UPDATE else told


@dataclass(frozen=True)
class Entry:
    """The fields that a manager owns, and when that last changed."""

    fields: Tree
    time: str


Entries = dict[Manager, Entry]


def read(obj: Object) -> Entries:
    """Return an object's managers."""
    return {
        Manager(
            entry.get("manager", ""),
            entry["operation"],
            entry["apiVersion"],
            entry.get("subresource", ""),
        ): Entry(fieldsets.load(entry.get("fieldsV1", {})), entry.get("time", ""))
        for entry in obj.get("metadata", {}).get("managedFields", ())
    }


def write(obj: Object, entries: Entries) -> None:
    """Put the managers into an object: appliers first, then by time and name."""
    ordered = sorted(
        (item for item in entries.items() if item[1].fields),
        key=lambda item: (item[0].operation, item[1].time, item[0].name, item[0].subresource),
    )
    obj["metadata"]["managedFields"] = [_encode(manager, entry) for manager, entry in ordered]
    if not ordered:
        del obj["metadata"]["managedFields"]


def _encode(manager: Manager, entry: Entry) -> Object:
    encoded = {
        "manager": manager.name,
        "operation": manager.operation,
        "apiVersion": manager.api_version,
        "time": entry.time,
        "fieldsType": "FieldsV1",
        "fieldsV1": fieldsets.dump(entry.fields),
    }
    if manager.subresource:
        encoded["subresource"] = manager.subresource
    return encoded


def tracked(tree: Tree, reset: Iterable[str]) -> Tree:
    """Return a set without what nobody owns: identity, the server's fields, and `reset` ones."""
    result = {key: child for key, child in tree.items() if key not in UNTRACKED}
    for name in reset:
        result.pop(f"f:{name}", None)
    metadata = result.pop("f:metadata", {})
    kept = {key: child for key, child in metadata.items() if key not in UNTRACKED_METADATA}
    return result | {"f:metadata": kept} if kept else result


def record_update(
    new: Object, old: Object, of: Type, manager: Manager, now: str, reset: Iterable[str]
) -> None:
    """Give an updating manager the fields that it changed, and take them from the others."""
    entries = _submitted(new, old, manager.subresource)
    changed, removed = fieldsets.compare(old, new, of)
    changed, removed = tracked(changed, reset), tracked(removed, reset)
    if changed or removed:
        touched = fieldsets.union(changed, removed)
        for other, entry in entries.items():
            lost = touched if other != manager else removed
            if fieldsets.intersection(entry.fields, lost):
                kept = fieldsets.difference(entry.fields, lost)
                entries[other] = Entry(kept, entry.time)
        if changed:
            owned = entries[manager].fields if manager in entries else {}
            entries[manager] = Entry(fieldsets.union(owned, changed), now)
    write(new, _capped(entries))


def _submitted(new: Object, old: Object, subresource: str) -> Entries:
    """Return the managers to go on from: those that the client sent, if it sent any.

    That is how a client hands over its fields, as kubectl does when it changes from client-side to
    server-side apply. One empty entry makes a new start; what cannot be read does not count, nor
    does what comes by way of a subresource.
    """
    given = new["metadata"].get("managedFields")
    if subresource or not given:
        return read(old)
    if list(given) == [{}]:
        return {}
    return read(new) if all(_is_readable(entry) for entry in given) else read(old)


def _is_readable(entry: Object) -> bool:
    return (
        entry.get("operation") in (APPLY, UPDATE)
        and bool(entry.get("apiVersion"))
        and entry.get("fieldsType") == "FieldsV1"
        and _is_field_set(entry.get("fieldsV1", {}))
    )


def _is_field_set(fields: Any) -> bool:
    if not isinstance(fields, dict):
        return False
    for key, below in fields.items():
        kind, _, name = key.partition(":")
        if key != SELF and kind not in ("f", "k", "v", "i"):
            return False
        if kind in ("k", "v"):
            try:
                named = json.loads(name)
            except ValueError:
                return False
            if kind == "k" and not isinstance(named, dict):
                return False
        if not _is_field_set(below):
            return False
    return True


def _capped(entries: Entries) -> Entries:
    """Return the managers with the oldest updates of too many put together, version by version."""
    updates = [manager for manager in entries if manager.operation == UPDATE]
    if len(updates) <= MOST_UPDATES:
        return entries
    kept = dict(entries)
    first: dict[str, Manager] = {}
    left = len(updates)
    for manager in sorted(updates, key=lambda each: (entries[each].time, each.name)):
        if left <= MOST_UPDATES:
            break
        version = manager.api_version
        if version not in first:
            first[version] = manager
            continue
        bucket = Manager(ANCIENT, UPDATE, version)
        if bucket not in kept:
            kept[bucket] = kept.pop(first[version])
        fields = fieldsets.union(kept[bucket].fields, kept.pop(manager).fields)
        kept[bucket] = Entry(fields, entries[manager].time)
        left -= 1
    return kept
