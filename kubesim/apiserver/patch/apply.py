"""Server-side apply: a client declares fields, and owns what it declares.

The algorithm is that of sigs.k8s.io/structured-merge-diff/v6/merge/update.go: merge the
declaration into the object, remove what this manager declared before and nobody declares now,
and refuse to change what others own, unless forced.
"""

import json
from dataclasses import dataclass
from typing import Any

from kubesim.api.schema import Type
from kubesim.apiserver import errors
from kubesim.apiserver.patch import fieldsets
from kubesim.apiserver.patch.fieldsets import Tree, items
from kubesim.apiserver.patch.managedfields import (
    APPLY,
    Entries,
    Entry,
    Manager,
    read,
    tracked,
    write,
)

Object = dict[str, Any]
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True)
class Declaration:
    """What a client declares, by whom and how."""

    declared: Object  # decoded and without defaults
    of: Type
    manager: Manager
    now: str
    force: bool
    reset: tuple[str, ...]  # fields that this write cannot set


def apply(live: Object, declaration: Declaration) -> Object:
    """Return the live object with a declaration applied. Raises 409 for conflicts.

    An empty `live` is an object to be created.
    """
    of, manager, reset = declaration.of, declaration.manager, declaration.reset
    declared = declaration.declared
    entries = read(live)
    named = fieldsets.given(declared, of)
    fields = tracked(named, reset)
    before = next((e for m, e in entries.items() if _same_applier(m, manager)), Entry({}, ""))
    entries = {m: entry for m, entry in entries.items() if not _same_applier(m, manager)}
    merged = merge(live, declared, of)
    owned = named
    for entry in entries.values():
        owned = fieldsets.union(owned, entry.fields)
    result: Object = fieldsets.remove(merged, fieldsets.difference(before.fields, owned), of, owned)
    changed = tracked(fieldsets.compare(live, result, of)[0], reset)
    conflicts = _conflicts(entries, changed)
    if conflicts and not declaration.force and not _applied_before(live, conflicts, of, manager):
        raise conflict(conflicts)
    for other, common in conflicts.items():
        kept = fieldsets.difference(entries[other].fields, common)
        entries[other] = Entry(kept, entries[other].time)
    time = before.time if fields == before.fields else declaration.now
    entries[manager] = Entry(fields, time)
    result["metadata"] = dict(result["metadata"])
    write(result, entries)
    return result


def _same_applier(one: Manager, other: Manager) -> bool:
    return (one.name, one.operation, one.subresource) == (other.name, APPLY, other.subresource)


def merge(live: Any, declared: Any, of: Type) -> Any:
    """Return the live value with everything that is declared."""
    if fieldsets.is_leaf(declared, of) or fieldsets.is_leaf(live, of):
        return declared
    before, after = items(live, of), items(declared, of)
    merged = {key: part for key, (part, _) in before.items()}
    for key, (part, kind) in after.items():
        merged[key] = merge(merged[key], part, kind) if key in merged else part
    if of.kind == "array":
        return list(merged.values())
    return {key.removeprefix("f:"): part for key, part in merged.items()}


def _conflicts(entries: Entries, changed: Tree) -> dict[Manager, Tree]:
    found = {m: fieldsets.intersection(entry.fields, changed) for m, entry in entries.items()}
    return {manager: common for manager, common in found.items() if common}


def _applied_before(
    live: Object, conflicts: dict[Manager, Tree], of: Type, manager: Manager
) -> bool:
    """Whether all conflicts are with what kubectl itself applied client-side before.

    That is how an object moves from client-side to server-side apply.
    """
    text = live.get("metadata", {}).get("annotations", {}).get(LAST_APPLIED)
    if manager.name != "kubectl" or not text:
        return False
    before = fieldsets.given(json.loads(text), of)
    return not any(fieldsets.difference(common, before) for common in conflicts.values())


def conflict(conflicts: dict[Manager, Tree]) -> errors.StatusError:
    """Return the 409 that names every field and its owner."""
    told = {manager.describe(): list(fieldsets.paths(t)) for manager, t in conflicts.items()}
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {owner}", "field": path}
        for owner, paths in sorted(told.items())
        for path in paths
    ]
    if len(causes) == 1:
        message = f"1 conflict: {causes[0]['message']}: {causes[0]['field']}"
    else:
        lines = [
            line
            for owner, paths in sorted(told.items())
            for line in (f"conflicts with {owner}:", *(f"- {path}" for path in paths))
        ]
        message = f"{len(causes)} conflicts: " + "\n".join(lines)
    return errors.StatusError(409, f"Apply failed with {message}", details={"causes": causes})
