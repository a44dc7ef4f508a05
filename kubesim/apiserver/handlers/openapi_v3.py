"""Definitions as OpenAPI v3 spells them, from the form in which they are published (v2).

A reference that says something of its own beside it is an `allOf`, values that Go never leaves out
have a default, and numbers or strings are one of the two: as
k8s.io/kube-openapi/pkg/openapiconv and the server's own documents have it. `kubectl explain` shows
a field's description only so.
"""

from typing import Any

from kubesim.api import schema

Object = dict[str, Any]
INT_OR_STRING = "int-or-string"
INT_OR_STRING_TEXT = (
    "IntOrString is a type that can hold an int32 or a string.  When used in JSON or YAML "
    "marshalling and unmarshalling, it produces or consumes the inner type.  This allows you to "
    "have, for example, a JSON field that can accept a name or number."
)
TYPE_META = ("apiVersion", "kind")
ZEROS: dict[str, Any] = {"string": "", "integer": 0, "boolean": False}


def definition(name: str, published: Object) -> Object:
    """Return a definition in its v3 form."""
    if published.get("format") == INT_OR_STRING:
        choices = [{"type": "integer"}, {"type": "string"}]
        return {"description": INT_OR_STRING_TEXT, "format": INT_OR_STRING, "oneOf": choices}
    if "properties" not in published:
        return published
    go = schema.go_fields(name)
    properties = {}
    for field, value in published["properties"].items():
        by_value = field in go and not go[field].pointer
        required = field in published.get("required", ())
        properties[field] = _property(value, by_value=by_value, required=required)
        if field in TYPE_META:
            properties[field].pop("enum", None)  # no part of what the API server publishes
    return {**published, "properties": properties}


def _property(value: Object, *, by_value: bool, required: bool) -> Object:
    result = dict(value)
    if "$ref" in result:
        result = _reference(result)
        if by_value:
            result["default"] = {}
    for inner in ("items", "additionalProperties"):
        if "$ref" in (result.get(inner) or {}):
            result[inner] = {**_reference(result[inner]), "default": {}}
    if by_value and required and result.get("type") in ZEROS:
        result["default"] = ZEROS[result["type"]]
    return result


def _reference(value: Object) -> Object:
    """Return a reference beside which something else may stand."""
    return {"allOf": [{"$ref": value["$ref"]}], **{k: v for k, v in value.items() if k != "$ref"}}
