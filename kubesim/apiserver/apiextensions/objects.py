"""What a structural schema does to an object before anybody judges it: pruning and defaulting.

As k8s.io/apiextensions-apiserver/pkg/apiserver/schema does: fields that the schema does not name
are dropped, unless it preserves them; nulls where null is not allowed count as absent; and absent
fields get their defaults, also in objects that were stored before the schema had them.
"""

import copy
from typing import Any

from kubesim.api import schema as published
from kubesim.apiserver.serialization.decoding import DecodeError, Decoder

Object = dict[str, Any]
TYPE_META = ("apiVersion", "kind", "metadata")
PRESERVE = "x-kubernetes-preserve-unknown-fields"
EMBEDDED = "x-kubernetes-embedded-resource"


def decode(data: Object, schema: Object) -> tuple[Object, list[str]]:
    """Return an object as a schema lets it be, and the paths of what it did not know.

    Raises DecodeError when the metadata are none.
    """
    unknown: list[str] = []
    obj: Object = _pruned(data, schema, "", unknown, root=True)
    obj["metadata"] = _metadata(data.get("metadata"), "metadata", unknown)
    return _defaulted_object(obj, schema), unknown


def read_stored(obj: Object, schema: Object) -> Object:
    """Return a stored object as a schema lets it be today."""
    return _defaulted_object(_pruned(obj, schema, "", [], root=True), schema)


def _pruned(
    value: Any, schema: Object, path: str, unknown: list[str], *, root: bool = False
) -> Any:
    if isinstance(value, list):
        items = schema.get("items") or {PRESERVE: schema.get(PRESERVE, False)}
        return [_pruned(v, items, f"{path}[{i}]", unknown) for i, v in enumerate(value)]
    if not isinstance(value, dict):
        return value
    kept: Object = {}
    for key, item in value.items():
        at = f"{path}.{key}" if path else key
        inner = _schema_of(key, schema)
        if (root or schema.get(EMBEDDED)) and key in TYPE_META:
            kept[key] = item
            if key == "metadata" and not root:
                kept[key] = _metadata(item, at, unknown)
        elif inner is not None:
            kept[key] = _pruned(item, inner, at, unknown)
        elif schema.get(PRESERVE):
            kept[key] = item
        else:
            unknown.append(at)
    return kept


def _schema_of(key: str, schema: Object) -> Object | None:
    """The schema of a field; None when there is none for it."""
    properties = schema.get("properties") or {}
    if key in properties:
        found: Object = properties[key]
        return found
    additional = schema.get("additionalProperties")
    if additional is True:
        return {PRESERVE: True}
    return additional if isinstance(additional, dict) else None


def _metadata(value: Any, path: str, unknown: list[str]) -> Object:
    decoder = Decoder()
    try:
        of = published.definition("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
        decoded: Object = decoder.decode(value or {}, of, path)
    except DecodeError as error:
        raise DecodeError(f"unable to decode into metadata: {error}") from None
    unknown += decoder.unknown
    return decoded


def _defaulted(value: Any, schema: Object) -> Any:
    """Return a value with the defaults of what it lacks, and without nulls that may not be."""
    if isinstance(value, list):
        items = schema.get("items") or {}
        return [_defaulted(item, items) for item in value]
    return _defaulted_object(value, schema) if isinstance(value, dict) else value


def _defaulted_object(value: Object, schema: Object) -> Object:
    result: Object = {}
    for key, item in value.items():
        inner = _schema_of(key, schema) or {}
        if item is None and inner and not _may_be_null(inner):
            continue
        result[key] = _defaulted(item, inner)
    for key, inner in (schema.get("properties") or {}).items():
        if key not in result and inner.get("default") is not None:
            result[key] = _defaulted(copy.deepcopy(inner["default"]), inner)
    return result


def _may_be_null(schema: Object) -> bool:
    return bool(schema.get("nullable") or ("type" not in schema and schema.get(PRESERVE)))
