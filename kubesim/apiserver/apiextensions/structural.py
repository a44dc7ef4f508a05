"""The rules that make a schema structural: every field is specified once, outside of the logic.

As k8s.io/apiextensions-apiserver/pkg/apiserver/schema/validation.go; see
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema.
"""

import re
from collections.abc import Iterator
from typing import Any

from kubesim.apiserver.apiextensions import rules, values
from kubesim.apiserver.apiextensions.objects import EMBEDDED, PRESERVE
from kubesim.apiserver.apiextensions.values import INT_OR_STRING
from kubesim.apiserver.patch.fields import (
    Cause,
    forbidden,
    invalid,
    not_supported,
    required,
)

Object = dict[str, Any]
ROOT, ITEM, FIELD = "at the root", "for specified array items", "for specified object fields"
TYPES = ("array", "boolean", "integer", "number", "object", "string")
EITHER = [{"type": "integer"}, {"type": "string"}]
UNSUPPORTED = (
    *("$ref", "additionalItems", "definitions", "dependencies", "id", "patternProperties"),
)
OUTSIDE_ONLY = {
    "type": "must be empty to be structural",
    "additionalProperties": "must be undefined to be structural",
    "default": "must be undefined to be structural",
    "title": "must be empty to be structural",
    "description": "must be empty to be structural",
    "nullable": "must be false to be structural",
    PRESERVE: "must be false to be structural",
    EMBEDDED: "must be false to be structural",
    INT_OR_STRING: "must be false to be structural",
    "x-kubernetes-list-map-keys": "must be empty to be structural",
    "x-kubernetes-list-type": "must be undefined to be structural",
    "x-kubernetes-map-type": "must be undefined to be structural",
    "x-kubernetes-validations": "must be empty to be structural",
}


def structural(schema: Object, path: str) -> list[Cause]:
    """Return what keeps a schema from being structural, in the order of the sentences."""
    causes = [*_invariants(schema, path, ROOT), *_completeness(schema, path)]
    return sorted(causes, key=lambda cause: (cause["field"], cause["message"]))


def _invariants(schema: Object, path: str, level: str) -> Iterator[Cause]:
    kind = schema.get("type", "")
    yield from _supported(schema, path)
    if kind == "array" and "items" not in schema:
        yield required(f"{path}.items", "must be specified")
    if isinstance(schema.get("items"), dict):
        yield from _invariants(schema["items"], f"{path}.items", ITEM)
    for name, each in (schema.get("properties") or {}).items():
        yield from _invariants(each, f"{path}.properties[{name}]", FIELD)
    additional = schema.get("additionalProperties")
    if additional and level == ROOT:
        yield forbidden(f"{path}.additionalProperties", "must not be used at the root")
    if isinstance(additional, dict):
        yield from _invariants(additional, f"{path}.additionalProperties", FIELD)
        if schema.get("properties"):
            why = "additionalProperties and properties are mutual exclusive"
            yield forbidden(f"{path}.additionalProperties", why)
    yield from _extensions(schema, path)
    yield from rules.check_rules(schema, path, root=level == ROOT)
    yield from _logic(schema, path, either=bool(schema.get(INT_OR_STRING)))
    yield from _typed(schema, path, level)
    if level == ROOT or schema.get(EMBEDDED):
        yield from _type_meta(schema, path, level)
    yield from _default(schema, path)


def _supported(schema: Object, path: str) -> Iterator[Cause]:
    for name in UNSUPPORTED:
        if name in schema:
            yield forbidden(f"{path}.{name}", f"{name} is not supported")
    kind = schema.get("type", "")
    if kind == "null":
        why = "type cannot be set to null, use nullable as an alternative"
        yield forbidden(f"{path}.type", why)
    elif kind and kind not in TYPES:
        yield not_supported(f"{path}.type", kind, TYPES)
    if schema.get("uniqueItems"):
        why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield forbidden(f"{path}.uniqueItems", why)
    if isinstance(schema.get("items"), list):
        yield forbidden(f"{path}.items", "items must be a schema object and not an array")
    yield from _list_type(schema, path)


def _list_type(schema: Object, path: str) -> Iterator[Cause]:
    given, kind = schema.get("x-kubernetes-list-type"), schema.get("type", "")
    keys = schema.get("x-kubernetes-list-map-keys") or ()
    if given is not None and kind != "array":
        why = "must be array if x-kubernetes-list-type is specified"
        yield invalid(f"{path}.type", kind, why) if kind else required(f"{path}.type", why)
    if given not in (None, "atomic", "set", "map"):
        yield not_supported(f"{path}.x-kubernetes-list-type", given, ("atomic", "set", "map"))
    at = f"{path}.x-kubernetes-list-map-keys"
    if given != "map":
        if keys:
            why = "must be map if x-kubernetes-list-map-keys is non-empty"
            yield invalid(f"{path}.x-kubernetes-list-type", given or "", why)
        return
    if not keys:
        yield required(at, "must not be empty if x-kubernetes-list-type is map")
    items = schema.get("items") or {}
    for index, key in enumerate(keys):
        described = (items.get("properties") or {}).get(key)
        if described is None:
            yield invalid(f"{at}[{index}]", key, "entries must all be names of item properties")
        elif key not in (items.get("required") or ()) and "default" not in described:
            why = "this property is in x-kubernetes-list-map-keys, so it must have a default or be "
            where = f"{path}.items.properties[{key}].default"
            yield required(where, f"{why}a required property")


def _extensions(schema: Object, path: str) -> Iterator[Cause]:
    if schema.get(INT_OR_STRING):
        why = "must be false if x-kubernetes-int-or-string is true"
        for name in (PRESERVE, EMBEDDED):
            if schema.get(name):
                yield invalid(f"{path}.{name}", value=True, detail=why)
    if schema.get(EMBEDDED):
        if schema.get("additionalProperties"):
            why = "must not be used if x-kubernetes-embedded-resource is set"
            yield forbidden(f"{path}.additionalProperties", why)
        if not schema.get(PRESERVE) and not schema.get("properties"):
            why = (
                "must not be empty if x-kubernetes-embedded-resource is true without "
                "x-kubernetes-preserve-unknown-fields"
            )
            yield required(f"{path}.properties", why)


def _typed(schema: Object, path: str, level: str) -> Iterator[Cause]:
    kind = schema.get("type", "")
    if schema.get(EMBEDDED) and kind != "object":
        why = "must be object if x-kubernetes-embedded-resource is true"
        yield invalid(f"{path}.type", kind, why) if kind else required(f"{path}.type", why)
    elif not kind and not schema.get(INT_OR_STRING) and not schema.get(PRESERVE):
        yield required(f"{path}.type", f"must not be empty {level}")
    elif kind and kind != "object" and level == ROOT:
        yield invalid(f"{path}.type", kind, "must be object at the root")


def _type_meta(schema: Object, path: str, level: str) -> Iterator[Cause]:
    properties = schema.get("properties") or {}
    for name in ("kind", "apiVersion"):
        kind = properties.get(name, {}).get("type", "string")
        if kind != "string":
            yield invalid(f"{path}.properties[{name}].type", kind, "must be string")
    metadata = properties.get("metadata")
    if metadata is None:
        return
    at = f"{path}.properties[metadata]"
    if metadata.get("type", "") != "object":
        yield invalid(f"{at}.type", metadata.get("type", ""), "must be object")
    restricted = set(metadata.get("properties") or ()) <= {"name", "generateName"}
    if level == ROOT and (not restricted or set(metadata) - {"type", "properties", "description"}):
        why = (
            "must not specify anything other than name and generateName, "
            "but metadata is implicitly specified"
        )
        yield forbidden(at, why)


def _default(schema: Object, path: str) -> Iterator[Cause]:
    """A default must itself be valid."""
    if "default" not in schema:
        return
    at = f"{path}.default"
    for cause in values.check(schema["default"], schema, ""):
        inner = cause["field"]
        where = at if inner in ("", values.NOWHERE) else f"{at}.{inner}"
        yield cause | {"field": where}


def _logic(schema: Object, path: str, *, either: bool = False) -> Iterator[Cause]:
    """Check what stands under anyOf, allOf, oneOf and not, and the pattern."""
    for name in ("anyOf", "allOf", "oneOf"):
        for index, each in enumerate(schema.get(name) or ()):
            if not (either and name == "anyOf" and schema[name] == EITHER):
                first = either and name == "allOf" and not index
                yield from _nested(each, f"{path}.{name}[{index}]", either=first)
    if isinstance(schema.get("not"), dict):
        yield from _nested(schema["not"], f"{path}.not")
    pattern = schema.get("pattern")
    if pattern:
        try:
            re.compile(pattern)
        except re.error as error:
            why = f"must be a valid regular expression, but isn't: {error}"
            yield invalid(f"{path}.pattern", pattern, why)


def _nested(schema: Object, path: str, *, either: bool = False) -> Iterator[Cause]:
    yield from _logic(schema, path, either=either)
    if isinstance(schema.get("items"), dict):
        yield from _nested(schema["items"], f"{path}.items")
    for name, each in (schema.get("properties") or {}).items():
        yield from _nested(each, f"{path}.properties[{name}]")
        if name == "metadata":
            why = "must not be specified in a nested context"
            yield forbidden(f"{path}.properties[metadata]", why)
    for name, why in OUTSIDE_ONLY.items():
        if schema.get(name):
            yield forbidden(f"{path}.{name}", why)


def _completeness(schema: Object, path: str) -> Iterator[Cause]:
    """What the logic speaks of must be specified outside of it."""
    for name in ("anyOf", "allOf", "oneOf"):
        for index, each in enumerate(schema.get(name) or ()):
            yield from _specified(each, schema, f"{path}.{name}[{index}]", path)
    if isinstance(schema.get("not"), dict):
        yield from _specified(schema["not"], schema, f"{path}.not", path)
    if isinstance(schema.get("items"), dict):
        yield from _completeness(schema["items"], f"{path}.items")
    for name, each in (schema.get("properties") or {}).items():
        yield from _completeness(each, f"{path}.properties[{name}]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from _completeness(schema["additionalProperties"], f"{path}.additionalProperties")


def _specified(nested: Object, outside: Object, path: str, at: str) -> Iterator[Cause]:
    for name, each in (nested.get("properties") or {}).items():
        known = (outside.get("properties") or {}).get(name)
        where = f"{at}.properties[{name}]"
        if known is None:
            told = f"because it is defined in {path}.properties[{name}]"
            yield required(where, told)
        else:
            yield from _specified(each, known, f"{path}.properties[{name}]", where)
    if isinstance(nested.get("items"), dict):
        if isinstance(outside.get("items"), dict):
            items = outside["items"]
            yield from _specified(nested["items"], items, f"{path}.items", f"{at}.items")
        else:
            yield required(f"{at}.items", f"because it is defined in {path}.items")
    for name in ("anyOf", "allOf", "oneOf"):
        for index, each in enumerate(nested.get(name) or ()):
            yield from _specified(each, outside, f"{path}.{name}[{index}]", at)
    if isinstance(nested.get("not"), dict):
        yield from _specified(nested["not"], outside, f"{path}.not", at)
