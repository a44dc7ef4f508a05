"""Objects in Kubernetes' protobuf form, which `kubectl create` sends for some kinds.

The envelope is in https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding.
What a field's type is comes from the published OpenAPI schema, its number from the published Go
types. Answers are always JSON, which every client accepts.
"""

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

from kubesim.api import schema
from kubesim.api.schema import GoField, Type
from kubesim.apiserver import errors
from kubesim.apiserver.errors import StatusError

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\0"
VARINT, BYTES = 0, 2


def decode(body: bytes) -> dict[str, Any]:
    """The object in a protobuf body, in its JSON form.

    Raises StatusError 400 for a damaged body and 415 for a kind or field that is not known here.
    """
    if not body.startswith(MAGIC):
        raise errors.bad_request("the body is not in Kubernetes' protobuf encoding")
    try:
        envelope = dict(_fields(body[len(MAGIC) :]))
        head = dict(_fields(envelope[1]))
        api_version, kind = head[1].decode(), head[2].decode()
        group, _, version = api_version.rpartition("/")
        found = _type(group, version, kind)
        return {"apiVersion": api_version, "kind": kind, **_message(envelope.get(2, b""), found)}
    except (LookupError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise errors.bad_request(f"the protobuf body is damaged: {error}") from None


def _type(group: str, version: str, kind: str) -> Type:
    if (group, version, kind) in schema.definition_names():
        found = schema.type_of(group, version, kind)
        if schema.go_fields(found.definition):
            return found
    raise _unknown(f"{kind} objects")


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """The (number, value) pairs of a message, in order."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        if tag & 7 == VARINT:
            value, position = _varint(message, position)
        elif tag & 7 == BYTES:
            length, position = _varint(message, position)
            if position + length > len(message):
                raise ValueError("it ends too early")
            value, position = message[position : position + length], position + length
        else:
            raise ValueError(f"wire type {tag & 7} is not in use")
        yield tag >> 3, value


def _varint(message: bytes, position: int) -> tuple[Any, int]:
    value = shift = 0
    while True:
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position


@cache
def _names(definition: str) -> dict[int, tuple[str, GoField]]:
    """The fields of a message by their numbers."""
    own = schema.go_fields(definition)
    inlined = {
        name
        for field in own.values()
        if field.embedded
        for name in schema.go_fields(field.embedded)
    }
    return {field.number: (name, field) for name, field in own.items() if name not in inlined}


def _message(message: bytes, of: Type, definition: str = "") -> dict[str, Any]:
    """The fields of a message: an object, or a part of it that is inlined in JSON."""
    names = _names(definition or of.definition)
    obj: dict[str, Any] = {}
    for number, raw in _fields(message):
        name, field = names.get(number, ("", None))
        if field and field.embedded:
            obj |= _message(raw, of, field.embedded)
        elif field and name in of.fields:
            _add(obj, name, raw, of.fields[name], pointer=field.pointer)
        elif name not in ("kind", "apiVersion"):
            raise _unknown(f"field {number} of {of.name}")
    return obj


def _add(obj: dict[str, Any], name: str, raw: Any, of: Type, *, pointer: bool) -> None:
    """Add one occurrence of a field; repeated fields and maps occur once an entry."""
    if of.kind == "array" and of.item:
        obj.setdefault(name, []).append(_value(raw, of.item))
    elif of.kind == "map" and of.item:
        entry = dict(_fields(raw))
        value = entry.get(2, b"")
        obj.setdefault(name, {})[entry.get(1, b"").decode()] = _value(value, of.item)
    else:
        value = _value(raw, of)
        if pointer or value not in (None, "", 0, False, {}):
            obj[name] = value


def _value(raw: Any, of: Type) -> Any:
    if of.kind == "object":
        return _message(raw, of)
    if of.kind == "array" and of.item:  # within a map: a message with the items as its one field
        return [_value(item, of.item) for _, item in _fields(raw)]
    if of.kind not in _SCALARS:
        raise _unknown(f"values of type {of.kind}")
    return _SCALARS[of.kind](raw)


def _int_or_string(raw: bytes) -> int | str:
    is_string, number, text = (dict(_fields(raw)).get(key) for key in (1, 2, 3))
    return (text or b"").decode() if is_string else number or 0


def _moment(raw: bytes, layout: str) -> str | None:
    parts = dict(_fields(raw))
    if not parts.get(1):
        return None
    moment = datetime.fromtimestamp(parts[1], UTC)
    return moment.replace(microsecond=parts.get(2, 0) // 1000).strftime(layout)


def _time(raw: bytes) -> str | None:
    return _moment(raw, "%Y-%m-%dT%H:%M:%SZ")


def _micro_time(raw: bytes) -> str | None:
    return _moment(raw, "%Y-%m-%dT%H:%M:%S.%fZ")


def _raw(raw: bytes) -> Any:
    """A value that is kept as JSON, such as FieldsV1 and RawExtension."""
    text = dict(_fields(raw)).get(1)
    return json.loads(text) if text else None


_SCALARS: dict[str, Callable[[Any], Any]] = {
    "string": lambda raw: raw.decode(),
    "integer": lambda raw: raw - (1 << 64) if raw >> 63 else raw,
    "boolean": bool,
    "bytes": lambda raw: base64.b64encode(raw).decode(),
    "quantity": lambda raw: dict(_fields(raw)).get(1, b"0").decode(),
    "int-or-string": _int_or_string,
    "time": _time,
    "micro-time": _micro_time,
    "any": _raw,
}


def _unknown(what: str) -> StatusError:
    return StatusError(
        415,
        f"kubesim does not read {what} in protobuf; send JSON or YAML instead: "
        "kubectl create … --dry-run=client -o yaml | kubectl create -f -",
    )
