"""The values of CEL in Python: what they are called, when they are equal, how they are ordered."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from kubesim.apiserver.cel.errors import CELError
from kubesim.apiserver.cel.lexer import UInt

NUMBERS = (int, float)
LEAST, MOST = -(1 << 63), (1 << 63) - 1


@dataclass(frozen=True)
class Optional:
    """A value that may be absent."""

    value: Any = None
    present: bool = False


@dataclass(frozen=True)
class Quantity:
    """A Kubernetes quantity, such as 500m or 1Gi."""

    value: Decimal
    text: str


def type_name(value: Any) -> str:
    """The CEL name of a value's type."""
    names: tuple[tuple[type, str], ...] = (
        (bool, "bool"),
        (UInt, "uint"),
        (int, "int"),
        (float, "double"),
        (str, "string"),
        (bytes, "bytes"),
        (list, "list"),
        (dict, "map"),
        (datetime, "google.protobuf.Timestamp"),
        (timedelta, "google.protobuf.Duration"),
        (Optional, "optional_type"),
        (Quantity, "kubernetes.Quantity"),
    )
    return next((name for kind, name in names if isinstance(value, kind)), "null_type")


def is_number(value: Any) -> bool:
    """Whether a value is an int, uint or double."""
    return isinstance(value, NUMBERS) and not isinstance(value, bool)


def equal(left: Any, right: Any) -> bool:
    """Whether two values are equal; numbers of different types may be."""
    if is_number(left) and is_number(right):
        return bool(left == right)
    if isinstance(left, list) and isinstance(right, list):
        pairs = zip(left, right, strict=False)
        return len(left) == len(right) and all(equal(a, b) for a, b in pairs)
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(left[k], right[k]) for k in left)
    if isinstance(left, Quantity) and isinstance(right, Quantity):
        return left.value == right.value
    return type(left) is type(right) and bool(left == right)


def less(left: Any, right: Any) -> bool:
    """Whether one value comes before another. Raises CELError."""
    if is_number(left) and is_number(right):
        return bool(left < right)
    if type(left) is type(right) and isinstance(left, str | bytes | bool | datetime | timedelta):
        return bool(left < right)
    raise CELError("no such overload")


def checked(value: int) -> int:
    """An integer that fits into 64 bits. Raises CELError."""
    if not LEAST <= value <= MOST:
        raise CELError("integer overflow")
    return value
