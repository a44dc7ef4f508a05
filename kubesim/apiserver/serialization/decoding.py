"""From a request's bytes to an object: parsing, types, unknown fields, canonical scalars.

The published schema drives the walk; the messages are those of Go's JSON decoder, which is what
the real API server answers with.
"""

import json
import re
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kubesim.api import quantities
from kubesim.api.schema import Type
from kubesim.apiserver import errors
from kubesim.apiserver.serialization import gojson, gotext, goyaml, protobuf

JSON = "application/json"
YAML = "application/yaml"
INDEX = re.compile(r"\[\d+\]")
GO_NAMES = {dict: "object", list: "array", str: "string", bool: "bool", int: "number"}
CANONICAL_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
CANONICAL_MICRO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
INTEGER_BITS = {"int32": 32, "int64": 64, "": 64}


class DecodeError(Exception):
    """The data cannot be read into the type; `restoring` says so as a strategic merge does."""

    def __init__(self, message: str, restoring: str = "") -> None:
        super().__init__(message)
        self.restoring = restoring or message


_NULLS: dict[str, Any] = {  # what Go makes of a null in a map
    "quantity": "0",
    "object": {},
    "map": {},
    "array": [],
    "integer": 0,
    "boolean": False,
}


@dataclass
class Decoder:
    """Reads a JSON value into a type, collecting what a strict reader would refuse."""

    unknown: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)

    @property
    def strict(self) -> list[str]:
        """What a strict reader says of it."""
        unknown = [f'unknown field "{path}"' for path in self.unknown]
        return unknown + [f'duplicate field "{path}"' for path in self.repeated]

    def decode(self, value: Any, of: Type, path: str = "", struct: str = "") -> Any:
        """Return the value in canonical form, without nulls. Raises DecodeError."""
        return _READERS[of.kind](self, value, of, path, struct)

    def object(self, value: Any, of: Type, path: str, struct: str) -> dict[str, Any]:
        """Read an object field by field."""
        if not isinstance(value, dict):
            raise _mismatch(value, path, struct, f"v1.{of.name}", "struct")
        if type(value) is gojson.Twice:
            self._report_twice(value, path)
        result: dict[str, Any] = {}
        for name, item in value.items():
            kind = of.fields.get(name)
            if kind is None:
                self.unknown.append(f"{path}.{name}" if path else name)
            elif item is not None:
                read = _READERS[kind.kind](
                    self, item, kind, f"{path}.{name}" if path else name, of.name
                )
                if read or not kind.omit_zero:
                    result[name] = read
        for name, zero in of.zeros:
            result.setdefault(name, zero)
        return result

    def array(self, value: Any, of: Type, path: str, struct: str) -> list[Any]:
        """Read every item of a list."""
        if not isinstance(value, list):
            raise _mismatch(value, path, struct, f"[]{_go_type(of.item)}", "slice")
        item = of.item
        assert item
        read = _READERS[item.kind]
        return [
            read(self, element, item, f"{path}[{index}]", struct)
            for index, element in enumerate(value)
            if element is not None
        ]

    def map(self, value: Any, of: Type, path: str, struct: str) -> dict[str, Any]:
        """Read every value of a map."""
        if not isinstance(value, dict):
            raise _mismatch(value, path, struct, f"map[string]{_go_type(of.item)}", "map")
        if type(value) is gojson.Twice:
            self._report_twice(value, path)
        item = of.item
        assert item
        read = _READERS[item.kind]
        return {
            key: copy(_NULLS.get(item.kind, ""))
            if element is None
            else read(self, element, item, path, struct)
            for key, element in value.items()
        }

    def _report_twice(self, value: gojson.Twice, path: str) -> None:
        for name in value.repeated:
            self.repeated.append(f"{path}.{name}" if path else name)


_Reader = Callable[[Decoder, Any, Type, str, str], Any]


def _string(_: Decoder, value: Any, __: Type, path: str, struct: str) -> str:
    if type(value) is not str:
        raise _mismatch(value, path, struct, "string")
    return value


def _boolean(_: Decoder, value: Any, __: Type, path: str, struct: str) -> bool:
    if type(value) is not bool:
        raise _mismatch(value, path, struct, "bool")
    return value


def _integer(_: Decoder, value: Any, of: Type, path: str, struct: str) -> int:
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int:
        raise _mismatch(value, path, struct, of.format or "int64")
    limit = 1 << (INTEGER_BITS[of.format] - 1)
    if not -limit <= value < limit:
        raise _mismatch(value, path, struct, of.format)
    return value


def _int_or_string(_: Decoder, value: Any, __: Type, path: str, struct: str) -> int | str:
    if type(value) not in (int, str):
        raise _mismatch(value, path, struct, "intstr.IntOrString")
    return value  # type: ignore[no-any-return]


def _quantity(_: Decoder, value: Any, __: Type, path: str, struct: str) -> str:
    if type(value) not in (int, float, str):
        raise _mismatch(value, path, struct, "resource.Quantity")
    try:
        return quantities.canonical(value)
    except ValueError:
        raise DecodeError(quantities.REFUSED) from None


def _bytes(_: Decoder, value: Any, __: Type, path: str, struct: str) -> str:
    if type(value) is not str:
        raise _mismatch(value, path, struct, "[]uint8")
    problem = gotext.base64_problem(value)
    if problem is not None:
        raise DecodeError(problem, f"error decoding from json: {problem}")
    return value.replace("\n", "").replace("\r", "")  # tools wrap base64


def _time(_: Decoder, value: Any, __: Type, path: str, struct: str) -> str:
    if type(value) is str and CANONICAL_TIME.fullmatch(value):
        return value
    return _parse_time(value, path, struct).strftime("%Y-%m-%dT%H:%M:%SZ")


def _micro_time(_: Decoder, value: Any, __: Type, path: str, struct: str) -> str:
    if type(value) is str and CANONICAL_MICRO_TIME.fullmatch(value):
        return value
    return _parse_time(value, path, struct).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _parse_time(value: Any, path: str, struct: str) -> datetime:
    if type(value) is not str:
        raise _mismatch(value, path, struct, "string")
    problem = gotext.time_problem(value)
    if problem:
        raise DecodeError(problem)
    return datetime.fromisoformat(value).astimezone(UTC)


def _any(_: Decoder, value: Any, __: Type, ___: str, ____: str) -> Any:
    return value


def _json_schema(_: Decoder, value: Any, __: Type, path: str, struct: str) -> Any:
    """Read a JSON schema, which is kept as it is, but must have the shape of one."""
    if not isinstance(value, dict):
        raise _mismatch(value, path, struct, "v1.JSONSchemaProps", "struct")
    for name, inner in value.items():
        at = f"{path}.{name}"
        for part in _schemas_in(name, inner, at):
            _json_schema(_, part, __, at, "JSONSchemaProps")
    return value


def _schemas_in(name: str, value: Any, path: str) -> list[Any]:
    """Return the schemas in a field of a schema. Raises DecodeError for another shape."""
    if value is None:
        return []
    for fields, kind, go_type in _SCHEMA_FIELDS:
        if name in fields and not isinstance(value, kind):
            raise _mismatch(value, path, "JSONSchemaProps", go_type)
    if name in _MAPS_OF_SCHEMAS:
        return [each for each in value.values() if each is not None]
    if name in _LISTS_OF_SCHEMAS or (name == "items" and isinstance(value, list)):
        return list(value)
    one = name in _ONE_SCHEMA and not isinstance(value, bool)
    return [value] if one else []


_MAPS_OF_SCHEMAS = ("properties", "patternProperties", "definitions")
_LISTS_OF_SCHEMAS = ("allOf", "anyOf", "oneOf")
_ONE_SCHEMA = ("not", "items", "additionalProperties", "additionalItems")
_SCHEMA_FIELDS: tuple[tuple[tuple[str, ...], type, str], ...] = (
    (_MAPS_OF_SCHEMAS, dict, "map[string]v1.JSONSchemaProps"),
    (_LISTS_OF_SCHEMAS, list, "[]v1.JSONSchemaProps"),
    (("required", "x-kubernetes-list-map-keys"), list, "[]string"),
    (("enum",), list, "[]v1.JSON"),
    (("x-kubernetes-validations",), list, "[]v1.ValidationRule"),
    (("type", "format", "description", "pattern", "title", "$ref", "id", "$schema"), str, "string"),
    (("x-kubernetes-list-type", "x-kubernetes-map-type"), str, "string"),
    (("nullable", "uniqueItems", "exclusiveMinimum", "exclusiveMaximum"), bool, "bool"),
    (
        ("x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"),
        bool,
        "bool",
    ),
    (("x-kubernetes-int-or-string",), bool, "bool"),
)

_READERS: dict[str, _Reader] = {
    "object": Decoder.object,
    "array": Decoder.array,
    "map": Decoder.map,
    "string": _string,
    "boolean": _boolean,
    "integer": _integer,
    "int-or-string": _int_or_string,
    "quantity": _quantity,
    "bytes": _bytes,
    "time": _time,
    "micro-time": _micro_time,
    "any": _any,
    "json-schema": _json_schema,
}


def _go_type(of: Type | None) -> str:
    if of is None or of.kind == "any":
        return "interface {}"
    return {"object": f"v1.{of.name}", "boolean": "bool", "integer": of.format}.get(
        of.kind, of.kind
    )


def _mismatch(value: Any, path: str, struct: str, go_type: str, go_kind: str = "") -> DecodeError:
    found = GO_NAMES.get(type(value), "object" if isinstance(value, dict) else "number")
    if found == "number":
        found = f"number {json.dumps(value)}" if go_type.startswith("int") else found
    place = INDEX.sub("", path)
    where = f"struct field {struct}.{place}" if struct else "value"
    return DecodeError(
        f"json: cannot unmarshal {found} into Go {where} of type {go_type}",
        gotext.restoring(value, go_type, go_kind),
    )


def parse_body(body: bytes, content_type: str, kind: str) -> Any:
    """Parse a request's body by its media type; none given is JSON.

    Raises 400 for malformed data, which is told to be no object of the kind, and 415 for another
    media type.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == protobuf.MEDIA_TYPE:
        return protobuf.decode(body)
    if media_type not in ("", JSON, YAML):
        raise errors.unsupported_media_type((JSON, YAML, protobuf.MEDIA_TYPE))
    try:
        return parse_json(body) if media_type != YAML else parse_yaml(body)
    except gojson.JSONError as problem:
        why = f"couldn't get version/kind; json parse error: {problem}"
        raise errors.unrecognized(kind, why, body) from None
    except goyaml.YAMLError as problem:
        raise errors.unrecognized(kind, str(problem), body) from None


def parse_json(body: bytes) -> Any:
    """Return the value of a JSON text. Raises JSONError."""
    return gojson.loads(body)


def parse_yaml(body: bytes) -> Any:
    """Return the value of a YAML text, quickly if it is JSON. Raises YAMLError."""
    if body.lstrip()[:1] == b"{":
        try:
            return gojson.loads(body)
        except gojson.JSONError:
            pass  # a mapping in YAML's flow style begins like this as well
    return goyaml.loads(body)
