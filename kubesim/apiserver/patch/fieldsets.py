"""Sets of fields, the arithmetic of field ownership.

A set is a tree. A node's children are keyed as in FieldsV1: "f:spec" is a field, 'k:{"name":"x"}'
an item of a list with keys, 'v:"x"' an item of a list that is a set; the key "." says that the
node itself belongs to the set. It differs from FieldsV1 only in that a leaf carries its "." too.
The rules are those of sigs.k8s.io/structured-merge-diff/v6.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

from kubesim.api.schema import Type

Tree = dict[str, Any]
SELF = "."
NOTHING: Tree = {}
LEAF: Tree = {SELF: {}}  # shared by all leaves: no set is ever changed
ABSENT = object()
ANYTHING = Type("any")
KEY_DEFAULTS = {"protocol": "TCP"}  # a list key that may be left out
ALWAYS_THERE = frozenset(
    {
        *("metadata", "spec", "status", "template", "strategy", "containers", "loadBalancer"),
        *("nodeInfo", "daemonEndpoints", "kubeletEndpoint", "involvedObject", "source", "roleRef"),
    }
)  # what Go spells out even when it is empty: nobody adds it


def load(fields: Tree) -> Tree:
    """Return the set that FieldsV1 describes."""
    return _KNOWN.partner(fields, _load)


def _load(fields: Tree) -> Tree:
    return {key: _load(child) if key != SELF else {} for key, child in fields.items()} or LEAF


def dump(tree: Tree) -> Tree:
    """Return a set as FieldsV1."""
    return _KNOWN.partner(tree, _dump)


def _dump(tree: Tree) -> Tree:
    if tree.keys() == {SELF}:
        return {}
    return {key: _dump(tree[key]) if key != SELF else {} for key in sorted(tree)}


class _Pairs:
    """Sets and their FieldsV1, so that what nobody changed is not translated at every write.

    Both are told from others by what they are, not by what they say: they never change.
    """

    LIMIT = 20_000

    def __init__(self) -> None:
        self._pairs: dict[int, tuple[Tree, Tree]] = {}

    def partner(self, one: Tree, translate: Callable[[Tree], Tree]) -> Tree:
        """Return what a set or its FieldsV1 has been translated to, or translate it."""
        known = self._pairs.get(id(one))
        if known and known[0] is one:
            return known[1]
        other = translate(one)
        if len(self._pairs) >= self.LIMIT:
            self._pairs.clear()
        self._pairs[id(one)] = (one, other)
        self._pairs[id(other)] = (other, one)
        return other


_KNOWN = _Pairs()


def union(left: Tree, right: Tree) -> Tree:
    """Return what is in either set."""
    result = dict(left)
    for key, child in right.items():
        result[key] = union(result[key], child) if key in result else child
    return result


def difference(left: Tree, right: Tree) -> Tree:
    """Return what is in the left set and not in the right."""
    result: Tree = {}
    for key, child in left.items():
        if key not in right:
            result[key] = child
        elif rest := difference(child, right[key]):
            result[key] = rest
    return result


def intersection(left: Tree, right: Tree) -> Tree:
    """Return what is in both sets."""
    result: Tree = {}
    for key in left.keys() & right.keys():
        common = intersection(left[key], right[key])
        if common or key == SELF:
            result[key] = common
    return result


def paths(tree: Tree, prefix: str = "") -> Iterator[str]:
    """Yield the set's members as people read them: .spec.containers[name="web"].image."""
    for key in sorted(tree):
        if key == SELF:
            yield prefix
        else:
            yield from paths(tree[key], prefix + step(key))


def step(key: str) -> str:
    """Return one step of a path as people read it: .image, [name="web"], [="a"]."""
    kind, _, name = key.partition(":")
    if kind == "f":
        return f".{name}"
    if kind == "v":
        return f"[={name}]"
    keys = json.loads(name)
    return f"[{','.join(f'{field}={json.dumps(value)}' for field, value in keys.items())}]"


def child_type(of: Type, key: str) -> Type:
    """Return the type of a field or a map's value."""
    if of.kind == "map":
        return of.item or ANYTHING
    return of.fields.get(key) or of.item or ANYTHING


def is_leaf(value: Any, of: Type) -> bool:
    """Whether a value has one owner as a whole."""
    if of.kind in ("object", "map"):
        return of.atomic or not isinstance(value, dict)
    return of.kind != "array" or of.list_type not in ("map", "set") or not isinstance(value, list)


def items(value: Any, of: Type) -> dict[str, tuple[Any, Type]]:
    """Return the parts of a value that is not a leaf, each with its type."""
    if of.kind != "array":
        return {f"f:{key}": (part, child_type(of, key)) for key, part in value.items()}
    item = of.item or ANYTHING
    if of.list_type == "set":
        return {f"v:{compact(part)}": (part, ANYTHING) for part in value}
    return {f"k:{compact(list_keys(part, of))}": (part, item) for part in value}


def list_keys(part: Any, of: Type) -> dict[str, Any]:
    """Return what tells an item of a list with keys from the others."""
    return {
        key: part.get(key, KEY_DEFAULTS.get(key))
        for key in sorted(of.list_map_keys)
        if key in part or key in KEY_DEFAULTS
    }


def compact(value: Any) -> str:
    """Return the JSON by which an item of a set, or its keys, is known."""
    return json.dumps(value, separators=(",", ":"))


def given(value: Any, of: Type) -> Tree:
    """Return the fields that a client set: the leaves, list items and map keys of a value."""
    if is_leaf(value, of):
        return {SELF: {}}
    result: Tree = {}
    for key, (part, kind) in items(value, of).items():
        result[key] = given(part, kind)
        if part == {} or of.kind != "object":
            result[key] = result[key] | {SELF: {}}
    return result


def everything(value: Any, of: Type) -> Tree:
    """Return a value's every node."""
    if is_leaf(value, of):
        return LEAF
    result: Tree = {SELF: {}}
    if of.kind == "array":
        for key, (part, kind) in items(value, of).items():
            result[key] = everything(part, kind)
        return result
    for name, part in value.items():
        result[f"f:{name}"] = everything(part, child_type(of, name))
    return result


def compare(old: Any, new: Any, of: Type) -> tuple[Tree, Tree]:
    """Return the fields that were added or changed, and those that were removed."""
    if is_leaf(old, of) or is_leaf(new, of):
        return (NOTHING, NOTHING) if old == new else (LEAF, NOTHING)
    changed: Tree = {}
    removed: Tree = {}
    before, after = _parts(old, of), _parts(new, of)
    for key, part in after.items():
        known = before.get(key, ABSENT)
        if known is part:
            continue
        kind = _part_type(of, key)
        if known is ABSENT:
            changes, removals = _added(key, part, kind), NOTHING
        else:
            changes, removals = compare(known, part, kind)
        if changes:
            changed[_step_key(of, key)] = changes
        if removals:
            removed[_step_key(of, key)] = removals
    for key in before.keys() - after.keys():
        removed[_step_key(of, key)] = everything(before[key], _part_type(of, key))
    return changed, removed


def _parts(value: Any, of: Type) -> dict[str, Any]:
    """Return the parts of a value that is not a leaf, by name; of a list, by their step."""
    if of.kind != "array":
        return value  # type: ignore[no-any-return]
    return {key: part for key, (part, _) in items(value, of).items()}


def _part_type(of: Type, key: str) -> Type:
    if of.kind != "array":
        return child_type(of, key)
    return ANYTHING if of.list_type == "set" else of.item or ANYTHING


def _step_key(of: Type, key: str) -> str:
    return key if of.kind == "array" else f"f:{key}"


def _added(key: str, part: Any, kind: Type) -> Tree:
    """Return the nodes that came with a new part; what is always there is none."""
    if key not in ALWAYS_THERE or is_leaf(part, kind):
        return everything(part, kind)
    return compare({}, part, kind)[0]


def remove(value: Any, tree: Tree, of: Type, owned: Tree) -> Any:
    """Return a value without the parts that a set names and in which nobody owns anything."""
    if is_leaf(value, of):
        return value
    kept = {
        key: remove(part, tree[key], kind, owned[key]) if key in tree else part
        for key, (part, kind) in items(value, of).items()
        if key not in tree or key in owned
    }
    if of.kind == "array":
        return list(kept.values())
    return {key.removeprefix("f:"): part for key, part in kept.items()}
