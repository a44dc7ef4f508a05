"""From a request's bytes to an object: parsing, types, unknown fields, canonical scalars.

The published schema drives the walk; the messages are those of Go's JSON decoder, which is what
the real API server answers with.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import yaml

from kubesim.api import quantities
from kubesim.api.schema import Type
from kubesim.apiserver import errors
from kubesim.apiserver.serialization import protobuf

JSON = "application/json"
YAML = "application/yaml"
INDEX = re.compile(r"\[\d+\]")
GO_NAMES = {dict: "object", list: "array", str: "string", bool: "bool", int: "number"}
CANONICAL_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
CANONICAL_MICRO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
INTEGER_BITS = {"int32": 32, "int64": 64, "": 64}


class DecodeError(Exception):
    """The data cannot be read into the type."""


@dataclass
class Decoder:
    """Reads a JSON value into a type, collecting the fields that the type does not have."""

    unknown: list[str] = field(default_factory=list)

    def decode(self, value: Any, of: Type, path: str = "", struct: str = "") -> Any:
        """Return the value in canonical form, without nulls. Raises DecodeError."""
        return _READERS[of.kind](self, value, of, path, struct)

    def object(self, value: Any, of: Type, path: str, struct: str) -> dict[str, Any]:
        """Read an object field by field."""
        if not isinstance(value, dict):
            raise _mismatch(value, path, struct, f"v1.{of.name}")
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
            raise _mismatch(value, path, struct, f"[]{_go_type(of.item)}")
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
            raise _mismatch(value, path, struct, f"map[string]{_go_type(of.item)}")
        item = of.item
        assert item
        read = _READERS[item.kind]
        return {
            key: read(self, element, item, path, struct) if element is not None else ""
            for key, element in value.items()
        }


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
    unwrapped = value.replace("\n", "").replace("\r", "")  # as Go's decoder: tools wrap base64
    try:
        base64.b64decode(unwrapped, validate=True)
    except binascii.Error:
        raise DecodeError("illegal base64 data at input byte 0") from None
    return unwrapped


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
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        parsed = datetime.min
    if parsed.tzinfo is None:
        layout = "2006-01-02T15:04:05Z07:00"
        raise DecodeError(f'parsing time "{value}" as "{layout}": cannot parse "{value}"')
    return parsed.astimezone(UTC)


def _any(_: Decoder, value: Any, __: Type, ___: str, ____: str) -> Any:
    return value


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
}


def _go_type(of: Type | None) -> str:
    if of is None or of.kind == "any":
        return "interface {}"
    return {"object": f"v1.{of.name}", "boolean": "bool", "integer": of.format}.get(
        of.kind, of.kind
    )


def _mismatch(value: Any, path: str, struct: str, go_type: str) -> DecodeError:
    found = GO_NAMES.get(type(value), "number")
    if found == "number":
        found = f"number {json.dumps(value)}" if go_type.startswith("int") else found
    place = INDEX.sub("", path)
    where = f"struct field {struct}.{place}" if struct else "value"
    return DecodeError(f"json: cannot unmarshal {found} into Go {where} of type {go_type}")


def parse_body(body: bytes, content_type: str) -> Any:
    """Parse a request's body by its media type; none given is JSON.

    Raises 400 for malformed data and 415 for another media type.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type in ("", JSON) or media_type.endswith("+json"):
        return _parse_json(body)
    if media_type == YAML or media_type.endswith("+yaml"):
        return _parse_yaml(body)
    if media_type == protobuf.MEDIA_TYPE:
        return protobuf.decode(body)
    raise errors.unsupported_media_type((JSON, YAML, protobuf.MEDIA_TYPE))


def _parse_json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise errors.bad_request(
            f"the object provided is unrecognized (must be of type JSON): {error}"
        ) from None


def _parse_yaml(body: bytes) -> Any:
    if body.lstrip().startswith(b"{"):
        return _parse_json(body)
    try:
        return yaml.safe_load(body)
    except yaml.YAMLError as error:
        raise errors.bad_request(f"error converting YAML to JSON: yaml: {error}") from None
