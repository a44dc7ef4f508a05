"""From a structural schema to the types by which server-side apply merges and owns fields."""

from typing import Any

from kubesim.api import schema as published
from kubesim.api.schema import Type
from kubesim.apiserver.apiextensions.objects import EMBEDDED, PRESERVE

Object = dict[str, Any]
DEDUCED = Type("map")  # without a schema, objects merge field by field and lists are one value
DEDUCED.item = DEDUCED
METADATA = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
SCALARS = {"string": "string", "integer": "integer", "boolean": "boolean", "number": "any"}


def type_of(schema: Object) -> Type:
    """Return the type of a whole custom resource."""
    compiled = _compile(schema)
    if compiled is DEDUCED:
        compiled = Type("object", item=DEDUCED)
    compiled.fields |= _type_meta()
    return compiled


def _type_meta() -> dict[str, Type]:
    return {
        "apiVersion": Type("string"),
        "kind": Type("string"),
        "metadata": published.definition(METADATA),
    }


def _compile(schema: Object) -> Type:
    atomic = schema.get("x-kubernetes-map-type") == "atomic"
    kind = schema.get("type")
    if kind == "array":
        return Type(
            "array",
            item=_compile(schema.get("items") or {PRESERVE: True}),
            list_type=schema.get("x-kubernetes-list-type", "atomic"),
            list_map_keys=tuple(schema.get("x-kubernetes-list-map-keys") or ()),
        )
    if schema.get("properties") or schema.get(EMBEDDED):
        fields = {name: _compile(each) for name, each in (schema.get("properties") or {}).items()}
        if schema.get(EMBEDDED):
            fields |= _type_meta()
        rest = DEDUCED if schema.get(PRESERVE) else None
        return Type("object", fields=fields, item=rest, atomic=atomic)
    additional = schema.get("additionalProperties")
    if isinstance(additional, dict):
        return Type("map", item=_compile(additional), atomic=atomic)
    if kind == "object" or schema.get(PRESERVE):
        return Type("map", item=DEDUCED, atomic=True) if atomic else DEDUCED
    return Type(SCALARS.get(kind or "", "any"))
