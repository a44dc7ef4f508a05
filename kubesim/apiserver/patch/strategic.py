"""Strategic merge patch: lists of objects merge by a key that the schema names.

The directives ($patch, $retainKeys, $deleteFromPrimitiveList, $setElementOrder) are those of
https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
and the behaviour is that of k8s.io/apimachinery/pkg/util/strategicpatch.
"""

from typing import Any

from kubesim.api.schema import Type
from kubesim.apiserver import errors
from kubesim.apiserver.serialization import gotext

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
    _order_lists(result, target, patch, of)
    return result


def _order_lists(result: Object, target: Object, patch: Object, of: Type) -> None:
    """Bring every merged list into the order that the patch asks for or implies."""
    orders = {key: value for key, value in patch.items() if isinstance(value, list)}
    for name in {key.removeprefix(ORDER_PREFIX) for key in orders}:
        child = _child(of, name)
        if "merge" in child.strategies and name in result and name in target:
            wanted = orders.get(ORDER_PREFIX + name, orders.get(name, []))
            result[name] = _ordered(result[name], wanted, target[name], child.merge_key)


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
            message = f"map: {gotext.shown(item)} does not contain declared merge key: {key}"
            raise errors.StatusError(500, message, reason="")  # as the real server answers
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


def _ordered(items: list[Any], wanted: list[Any], before: list[Any], key: str) -> list[Any]:
    """Return a merged list in order: as the patch names its items, and as they were before.

    An item that the patch does not name goes before the first named one that it stood before.
    """
    named_order = [_identity(item, key) for item in wanted]
    live_order = [_identity(item, key) for item in before]
    named = [item for item in items if _identity(item, key) in named_order]
    named.sort(key=lambda item: named_order.index(_identity(item, key)))
    others = [item for item in items if _identity(item, key) not in named_order]
    result = []
    while named and others:
        first, other = _identity(named[0], key), _identity(others[0], key)
        stood_before = first in live_order and live_order.index(other) < live_order.index(first)
        result.append((others if stood_before else named).pop(0))
    return result + named + others


def _identity(item: Any, key: str) -> Any:
    return item.get(key) if isinstance(item, dict) else item


def _bad(message: str) -> errors.StatusError:
    return errors.bad_request(message)
