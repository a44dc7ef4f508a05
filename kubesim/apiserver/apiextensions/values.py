"""Whether a custom resource's values are what its schema says.

Causes and sentences are those of k8s.io/kube-openapi/pkg/validation/validate, as
apiextensions-apiserver turns them into field errors.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from kubesim.apiserver.apiextensions.formats import conforms
from kubesim.apiserver.patch.fields import (
    Cause,
    duplicate,
    invalid,
    not_supported,
    required,
    too_long,
    too_many,
    wrong_type,
)

Object = dict[str, Any]
INT_OR_STRING = "x-kubernetes-int-or-string"
NOWHERE = "<nil>"  # how Go prints the path of a cause that has none


def check(value: Any, schema: Object, path: str = "") -> Iterator[Cause]:
    """Yield what is wrong with a value and with everything in it."""
    if value is None and schema.get("nullable"):
        return
    yield from _type(value, schema, path)
    yield from _combinations(value, schema, path)
    if isinstance(value, str):
        yield from _string(value, schema, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _number(value, schema, path)
    elif isinstance(value, list):
        yield from _list(value, schema, path)
    if "enum" in schema and value not in schema["enum"]:
        known = [each if isinstance(each, str) else json.dumps(each) for each in schema["enum"]]
        yield not_supported(path, value, known)
    if isinstance(value, dict):
        yield from _object(value, schema, path)


def type_name(value: Any) -> str:
    """The JSON type of a value."""
    if isinstance(value, float):
        return "integer" if value.is_integer() else "number"
    names = {type(None): "null", bool: "boolean", int: "integer", str: "string", list: "array"}
    return names.get(type(value), "object")


def _type(value: Any, schema: Object, path: str) -> Iterator[Cause]:
    allowed = [schema["type"]] if schema.get("type") else []
    if schema.get(INT_OR_STRING):
        allowed = ["integer", "string"]
    found = type_name(value)
    if not allowed or found in allowed or (found == "integer" and "number" in allowed):
        return
    wanted = ",".join(allowed)
    told = f'{path or NOWHERE} in body must be of type {wanted}: "{found}"'
    yield wrong_type(path or NOWHERE, found, told)


def _combinations(value: Any, schema: Object, path: str) -> Iterator[Cause]:
    if any_of := schema.get("anyOf"):
        results = _each(value, any_of, path)
        if all(results):
            yield _overall(f'"{path}" must validate at least one schema (anyOf)')
            yield from results[0]
    if one_of := schema.get("oneOf"):
        results = _each(value, one_of, path)
        valid = sum(not failures for failures in results)
        if valid != 1:
            found = f"Found {valid} valid alternatives" if valid else "Found none valid"
            yield _overall(f'"{path}" must validate one and only one schema (oneOf). {found}')
            yield from results[0] if not valid else ()
    if all_of := schema.get("allOf"):
        results = _each(value, all_of, path)
        yield from (failure for failures in results for failure in failures)
        if any(results):
            none = ". None validated" if all(results) else ""
            yield _overall(f'"{path}" must validate all the schemas (allOf){none}')
    if "not" in schema and not list(check(value, schema["not"], path)):
        yield _overall(f'"{path}" must not validate the schema (not)')


def _each(value: Any, schemas: list[Object], path: str) -> list[list[Cause]]:
    return [list(check(value, schema, path)) for schema in schemas]


def _overall(told: str) -> Cause:
    return invalid(NOWHERE, "", told)


def _string(value: str, schema: Object, path: str) -> Iterator[Cause]:
    if len(value) > schema.get("maxLength", len(value)):
        yield too_long(path, schema["maxLength"])
    if len(value) < schema.get("minLength", 0):
        told = f"{path} in body should be at least {schema['minLength']} chars long"
        yield invalid(path, value, told)
    pattern = schema.get("pattern")
    if pattern and not re.search(pattern, value):
        yield invalid(path, value, f"{path} in body should match '{pattern}'")
    form = schema.get("format", "")
    if not conforms(value, form):
        yield wrong_type(path, value, f'{path} in body must be of type {form}: "{value}"')


def _number(value: float, schema: Object, path: str) -> Iterator[Cause]:
    factor = schema.get("multipleOf")
    if factor and not float(value / factor).is_integer():
        yield invalid(path, value, f"{path} in body should be a multiple of {factor:g}")
    limit = schema.get("maximum")
    if limit is not None:
        exclusive = schema.get("exclusiveMaximum", False)
        if value > limit or (exclusive and value == limit):
            than = "less than" if exclusive else "less than or equal to"
            yield invalid(path, value, f"{path} in body should be {than} {_digits(limit)}")
    limit = schema.get("minimum")
    if limit is not None:
        exclusive = schema.get("exclusiveMinimum", False)
        if value < limit or (exclusive and value == limit):
            than = "greater than" if exclusive else "greater than or equal to"
            yield invalid(path, value, f"{path} in body should be {than} {_digits(limit)}")


def _digits(limit: float) -> str:
    return str(int(limit)) if float(limit).is_integer() else str(limit)


def _list(value: list[Any], schema: Object, path: str) -> Iterator[Cause]:
    if len(value) > schema.get("maxItems", len(value)):
        yield too_many(path, len(value), schema["maxItems"])
    if len(value) < schema.get("minItems", 0):
        told = f"{path} in body should have at least {schema['minItems']} items"
        yield invalid(path, len(value), told)
    for index, item in enumerate(value):
        yield from check(item, schema.get("items") or {}, f"{path}[{index}]")
    yield from _duplicates(value, schema, path)


def _duplicates(value: list[Any], schema: Object, path: str) -> Iterator[Cause]:
    kind = schema.get("x-kubernetes-list-type")
    keys = schema.get("x-kubernetes-list-map-keys") or ()
    seen = []
    for index, item in enumerate(value):
        if kind == "set":
            identity = item
        elif kind == "map" and isinstance(item, dict):
            identity = {key: item[key] for key in keys if key in item}
        else:
            continue
        if identity in seen:
            yield duplicate(f"{path}[{index}]", identity)
        seen.append(identity)


def _object(value: Object, schema: Object, path: str) -> Iterator[Cause]:
    if len(value) > schema.get("maxProperties", len(value)):
        yield too_many(path, len(value), schema["maxProperties"])
    if len(value) < schema.get("minProperties", 0):
        least = schema["minProperties"]
        yield invalid(path, least, f"{path} in body should have at least {least} properties")
    for name in schema.get("required") or ():
        if name not in value:
            yield required(below(path, name))
    properties = schema.get("properties") or {}
    additional = schema.get("additionalProperties")
    for name, item in value.items():
        if name in properties:
            yield from check(item, properties[name], below(path, name))
        elif isinstance(additional, dict):
            yield from check(item, additional, below(path, name))


def below(path: str, name: str) -> str:
    """The path of a field."""
    return f"{path}.{name}" if path else name
