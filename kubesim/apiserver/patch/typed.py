"""Whether a declaration fits its schema, as server-side apply checks it before all else.

The words are those of sigs.k8s.io/structured-merge-diff/v6/typed/validate.go, which names a field
by its path and knows no unknown ones.
"""

from collections.abc import Iterator
from typing import Any

from kubesim.api.schema import Type
from kubesim.apiserver import errors
from kubesim.apiserver.patch.fieldsets import KEY_DEFAULTS, compact, list_keys, step
from kubesim.apiserver.serialization.gotext import shown

GO_TYPES = {str: "string", bool: "bool", dict: "map[string]interface {}", list: "[]interface {}"}


def check(declared: dict[str, Any], of: Type) -> None:
    """Refuse a declaration that does not fit. Raises StatusError 500 as the real server does."""
    body = {key: value for key, value in declared.items() if key not in ("apiVersion", "kind")}
    problems = list(_problems(body, of, ""))
    if not problems:
        return
    metadata = declared.get("metadata")
    named = metadata if isinstance(metadata, dict) else {}
    name = "/".join(str(named[key]) for key in ("namespace", "name") if named.get(key))
    group, _, version = str(declared.get("apiVersion", "")).rpartition("/")
    about = f"{name}; {group}/{version}, Kind={declared.get('kind', '')}"
    told = problems[0] if len(problems) == 1 else "errors:" + "".join(f"\n  {p}" for p in problems)
    message = f"failed to create typed patch object ({about}): {told}"
    raise errors.StatusError(500, message, reason="")


def _problems(value: Any, of: Type, path: str) -> Iterator[str]:
    if value is None or of.kind in ("any", "json-schema"):
        return
    if of.kind in ("object", "map"):
        yield from _map_problems(value, of, path)
    elif of.kind == "array":
        yield from _list_problems(value, of, path)
    else:
        yield from (f"{path}: {problem}" for problem in _scalar_problems(value, of))


def _map_problems(value: Any, of: Type, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: expected map, got &{{{shown(value)}}}"
        return
    for key, part in value.items():
        kind = of.item if of.kind == "map" else of.fields.get(key)
        if kind is None:
            yield f"{path}.{key}: field not declared in schema"
        else:
            yield from _problems(part, kind, f"{path}.{key}")


def _list_problems(value: Any, of: Type, path: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{path}: expected list, got &{{{shown(value)}}}"
        return
    assert of.item
    seen: set[str] = set()
    for index, item in enumerate(value):
        place = f"[{index}]"
        if of.list_type == "map":
            missing = _missing_key(item, of)
            if missing:
                yield f"{path}: element {index}: {missing}"
                return
            place = step(f"k:{compact(list_keys(item, of))}")
        elif of.list_type == "set" and isinstance(item, str | int | bool):
            place = step(f"v:{compact(item)}")
        if of.list_type in ("map", "set") and place in seen:
            yield f"{path}: duplicate entries for key {place}"
        seen.add(place)
        yield from _problems(item, of.item, f"{path}{place}")


def _missing_key(item: Any, of: Type) -> str:
    if not isinstance(item, dict):
        return "associative list with keys may not have non-map elements"
    for key in of.list_map_keys:
        if item.get(key) is None and key not in KEY_DEFAULTS:
            return (
                f'associative list with keys has an element that omits key field "{key}" '
                "(and doesn't have default value)"
            )
    return ""


def _scalar_problems(value: Any, of: Type) -> Iterator[str]:
    if of.kind == "integer" and type(value) not in (int, float):
        yield f"expected numeric (int or float), got {GO_TYPES.get(type(value), 'nil')}"
    elif of.kind == "boolean" and type(value) is not bool:
        yield f"expected boolean, got &{{{shown(value)}}}"
    elif of.kind in ("int-or-string", "quantity") and isinstance(value, dict | list):
        yield f"expected any scalar, got &{{{shown(value)}}}"
    elif of.kind in ("string", "bytes", "time", "micro-time") and type(value) is not str:
        yield f"expected string, got &value.valueUnstructured{{Value:{shown(value)}}}"
