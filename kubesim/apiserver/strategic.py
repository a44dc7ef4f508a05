"""Strategic merge patch: lists of objects merge by a key that the schema names.

The directives ($patch, $retainKeys, $deleteFromPrimitiveList, $setElementOrder) are those of
https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
and the behaviour is that of k8s.io/apimachinery/pkg/util/strategicpatch.
"""

from typing import Any

from kubesim.api.schema import Type
from kubesim.apiserver import errors

ANYTHING = Type("any")
DIRECTIVE = "$patch"
RETAIN_KEYS = "$retainKeys"
DELETE_PREFIX = "$deleteFromPrimitiveList/"
ORDER_PREFIX = "$setElementOrder/"
Object = dict[str, Any]


def merge(target: Object, patch: Object, of: Type) -> Object:
    """Return the target changed by a patch of the given type. Raises 400 for a bad patch."""
    directive = patch.get(DIRECTIVE)
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != DIRECTIVE}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise _bad(f'Unknown patch type "{directive}" in map')
    result = _retained(target, patch)
    for key, value in patch.items():
        if key in (DIRECTIVE, RETAIN_KEYS):
            continue
        if key.startswith(DELETE_PREFIX):
            _delete_primitives(result, key.removeprefix(DELETE_PREFIX), value)
        elif key.startswith(ORDER_PREFIX):
            continue
        elif value is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), value, _child(of, key))
    for key, order in patch.items():
        if key.startswith(ORDER_PREFIX):
            name = key.removeprefix(ORDER_PREFIX)
            _reorder(result, name, order, patch.get(name, []), _child(of, name))
    return result


def _child(of: Type, key: str) -> Type:
    if of.kind == "map" and of.item:
        return of.item
    return of.fields.get(key, ANYTHING)


def _merged(current: Any, value: Any, of: Type) -> Any:
    if isinstance(value, dict):
        return merge(current if isinstance(current, dict) else {}, value, of)
    if isinstance(value, list) and "merge" in of.strategies:
        return _merge_list(current if isinstance(current, list) else [], value, of)
    if isinstance(value, list):
        return [item for item in value if not _is_directive(item)]
    return value


def _is_directive(item: Any) -> bool:
    return isinstance(item, dict) and DIRECTIVE in item


def _merge_list(current: list[Any], patch: list[Any], of: Type) -> list[Any]:
    if not of.merge_key:
        return current + [item for item in patch if item not in current]
    if any(_is_directive(i) and i[DIRECTIVE] == "replace" and len(i) == 1 for i in patch):
        return [item for item in patch if not _is_directive(item)]
    key, item_type = of.merge_key, of.item or ANYTHING
    result = list(current)
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise _bad(f"map: {item} does not contain declared merge key: {key}")
        position = _position(result, key, item[key])
        if item.get(DIRECTIVE) == "delete":
            result = [other for other in result if other.get(key) != item[key]]
        elif item.get(DIRECTIVE) == "replace":
            _put(result, position, {k: v for k, v in item.items() if k != DIRECTIVE})
        else:
            base = {} if position is None else result[position]
            _put(result, position, merge(base, item, item_type))
    return result


def _put(items: list[Any], position: int | None, item: Any) -> None:
    if position is None:
        items.append(item)
    else:
        items[position] = item


def _position(items: list[Any], key: str, value: Any) -> int | None:
    return next((i for i, item in enumerate(items) if item.get(key) == value), None)


def _retained(target: Object, patch: Object) -> Object:
    """Return the target without the keys that $retainKeys does not name."""
    keys = patch.get(RETAIN_KEYS)
    if keys is None:
        return dict(target)
    if not isinstance(keys, list):
        raise _bad(f"invalid patch format of {RETAIN_KEYS}")
    return {key: value for key, value in target.items() if key in keys}


def _delete_primitives(result: Object, key: str, values: Any) -> None:
    if not isinstance(values, list):
        raise _bad(f"invalid patch format of {DELETE_PREFIX}{key}")
    if key in result:
        result[key] = [item for item in result[key] if item not in values]


def _reorder(result: Object, name: str, order: Any, patched: Any, of: Type) -> None:
    """Sort a list as $setElementOrder says; elements that it does not name stay where they are.

    An unnamed element keeps its place after the named one that stood before it.
    """
    items = result.get(name)
    if not isinstance(items, list) or not isinstance(order, list):
        return
    key = of.merge_key
    wanted = [entry.get(key) if isinstance(entry, dict) else entry for entry in order]
    placed: dict[Any, list[Any]] = {None: []}
    anchor: Any = None
    for item in items:
        identity = item.get(key) if isinstance(item, dict) else item
        if identity in wanted:
            anchor = identity
            placed.setdefault(identity, []).insert(0, item)
        else:
            placed.setdefault(anchor, []).append(item)
    result[name] = placed[None] + [item for identity in wanted for item in placed.get(identity, ())]


def _bad(message: str) -> errors.StatusError:
    return errors.bad_request(message)
