"""The published OpenAPI schema, compiled once into types that are quick to walk."""

import gzip
import hashlib
import json
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Any

PREFIX = "#/definitions/"
SCALARS = {
    ("string", "int-or-string"): "int-or-string",
    ("string", "date-time"): "time",
    ("string", "byte"): "bytes",
}
SPECIAL = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "quantity",
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": "micro-time",
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": "any",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Patch": "any",
    "io.k8s.apimachinery.pkg.runtime.RawExtension": "any",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps": "json-schema",
}
ZEROS = {"string": "", "integer": 0, "boolean": False}


@dataclass(slots=True)
class Type:
    """The type of a value, with what the place it stands in says about merging it."""

    kind: str  # object, map, array, any, or a scalar: string, integer, boolean, quantity, time …
    name: str = ""  # of an object: its Go type, as "PodSpec"
    definition: str = ""  # of an object: its name in full
    format: str = ""
    fields: dict[str, "Type"] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    zeros: tuple[tuple[str, Any], ...] = ()  # required scalars and Go's value for an absent one
    by_value: bool = False  # Go has no absent value of it: what is not given is empty
    omit_zero: bool = False  # an empty value is as good as absent
    item: "Type | None" = None
    list_type: str = ""  # atomic, set or map
    list_map_keys: tuple[str, ...] = ()
    merge_key: str = ""
    strategies: tuple[str, ...] = ()  # of a strategic merge patch: merge, replace, retainKeys
    atomic: bool = False  # an object or map that has one owner as a whole


@cache
def digest() -> str:
    """Return what tells the published definitions from those of another release."""
    return hashlib.sha256((files("kubesim.api") / "definitions.json.gz").read_bytes()).hexdigest()


@cache
def definitions() -> dict[str, Any]:
    """Return the published definitions, by their full name."""
    packed = (files("kubesim.api") / "definitions.json.gz").read_bytes()
    loaded: dict[str, Any] = json.loads(gzip.decompress(packed))
    return loaded


@dataclass(frozen=True, slots=True)
class GoField:
    """What Go's types say of a field, and OpenAPI does not."""

    number: int  # in protobuf
    pointer: bool  # so that zero is a value, and not the same as absent
    omitempty: bool
    embedded: str = ""  # of a struct that is inlined in JSON: its definition


@cache
def _go_types() -> dict[str, dict[str, str]]:
    packed = (files("kubesim.api") / "go_fields.json.gz").read_bytes()
    loaded: dict[str, dict[str, str]] = json.loads(gzip.decompress(packed))
    return loaded


@cache
def go_fields(definition: str) -> dict[str, GoField]:
    """Return a type's fields by their JSON names, those of inlined structs as well.

    An inlined struct itself stands under "<" and its name.
    """
    package = definition.rpartition(".")[0]
    fields: dict[str, GoField] = {}
    for name, tag in _go_types().get(definition, {}).items():
        embedded = f"{package}.{name[1:]}" if name.startswith("<") else ""
        fields[name] = GoField(int(tag.rstrip("*?")), "*" in tag, "?" in tag, embedded)
        if embedded:
            fields = go_fields(embedded) | fields
    return fields


@cache
def definition_names() -> dict[tuple[str, str, str], str]:
    """Return each definition's name by its group, version and kind."""
    return {
        (gvk["group"], gvk["version"], gvk["kind"]): name
        for name, definition in definitions().items()
        for gvk in definition.get("x-kubernetes-group-version-kind", ())
    }


@cache
def type_of(group: str, version: str, kind: str) -> Type:
    """Return the type of a kind. Raises KeyError for a kind that is not served."""
    return definition(definition_names()[group, version, kind])


@cache
def definition(name: str) -> Type:
    """Return the type of a definition by its full name."""
    if name in SPECIAL:
        return Type(SPECIAL[name], name=name.rpartition(".")[2])
    return _compile(definitions()[name], name)


def _compile(schema: dict[str, Any], name: str = "") -> Type:
    if "$ref" in schema:
        return _placed(definition(schema["$ref"].removeprefix(PREFIX)), schema)
    kind, form = schema.get("type", "any"), schema.get("format", "")
    if (kind, form) in SCALARS:
        return Type(SCALARS[kind, form], name=name.rpartition(".")[2])
    if kind == "array":
        return _placed(Type("array", item=_compile(schema["items"])), schema)
    if kind != "object":
        return Type(kind, format=form)
    if "additionalProperties" in schema:
        return _placed(Type("map", item=_compile(schema["additionalProperties"])), schema)
    return _placed(_object(schema, name), schema)


def _object(schema: dict[str, Any], name: str) -> Type:
    short = name.rpartition(".")[2]
    fields = {key: _compile(value) for key, value in schema.get("properties", {}).items()}
    required = tuple(schema.get("required", ()))
    zeros = []
    known = go_fields(name)
    for key, compiled in fields.items():
        go = known.get(key)
        kept = key in required if go is None else not (go.pointer or go.omitempty)
        if compiled.kind in ZEROS and kept:
            zeros.append((key, ZEROS[compiled.kind]))
        compiled.omit_zero = _omits_zero(compiled.kind, go)
        compiled.by_value = compiled.kind == "object" and go is not None and not go.pointer
    return Type(
        "object",
        name=short,
        definition=name,
        fields=fields,
        required=required,
        zeros=tuple(zeros),
    )


def _omits_zero(kind: str, go: GoField | None) -> bool:
    """Whether Go writes no empty value of a field, as it holds it by value."""
    if kind in ("integer", "boolean"):
        return go is not None and go.omitempty and not go.pointer
    return kind in ("string", "array", "map") and not (go and go.pointer)


def _placed(compiled: Type, schema: dict[str, Any]) -> Type:
    """Add what a place says about the value in it."""
    return replace(
        compiled,
        list_type=schema.get("x-kubernetes-list-type", compiled.list_type),
        list_map_keys=tuple(schema.get("x-kubernetes-list-map-keys", compiled.list_map_keys)),
        merge_key=schema.get("x-kubernetes-patch-merge-key", ""),
        strategies=tuple(filter(None, schema.get("x-kubernetes-patch-strategy", "").split(","))),
        atomic=schema.get("x-kubernetes-map-type") == "atomic" or compiled.atomic,
    )
