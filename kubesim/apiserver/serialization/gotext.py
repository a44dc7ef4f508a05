"""What Go's libraries say of values that they cannot read, where clients get to see it.

Each function is named for the package whose words it has.
"""

import re
from typing import Any

BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
LAYOUT = "2006-01-02T15:04:05Z07:00"
TIME_PARTS = (
    ("2006", r"\d{4}"),
    ("-", "-"),
    ("01", r"\d\d"),
    ("-", "-"),
    ("02", r"\d\d"),
    ("T", "T"),
    ("15", r"\d\d"),
    (":", ":"),
    ("04", r"\d\d"),
    (":", ":"),
    ("05", r"\d\d(\.\d+)?"),
    ("Z07:00", r"Z|[+-]\d\d:\d\d"),
)
RANGES = (
    ("month", 5, 12),
    ("day", 8, 31),
    ("hour", 11, 23),
    ("minute", 14, 59),
    ("second", 17, 59),
)
MONTH_LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
KINDS = {dict: "map", list: "slice", str: "string", bool: "bool", int: "int64", float: "float64"}


def base64_problem(text: str) -> str | None:
    """Return what encoding/base64 says of a text that is not base64, or None."""
    at = _corrupt(text)
    return None if at is None else f"illegal base64 data at input byte {at}"


def _corrupt(text: str) -> int | None:
    """Return where the decoder stops. It reads four characters at a time; newlines do not count."""
    read = 0
    for at, character in enumerate(text):
        if character in "\r\n":
            continue
        if character == "=":
            return _padding(text, at, read)
        if character not in BASE64:
            return at
        read = (read + 1) % 4
    return len(text) - read if read else None


def _padding(text: str, at: int, read: int) -> int | None:
    """Return where padding that begins at a place goes wrong."""
    if read < 2:
        return at
    rest = [(index, c) for index, c in enumerate(text) if index > at and c not in "\r\n"]
    if read == 2:
        if not rest:
            return len(text)
        if rest[0][1] != "=":
            return rest[0][0] - 1
        rest = rest[1:]
    return rest[0][0] if rest else None


def time_problem(text: str) -> str:
    """Return what package time says of a text that is not in RFC 3339, or nothing."""
    at = 0
    for element, pattern in TIME_PARTS:
        match = re.compile(pattern, re.ASCII).match(text, at)
        if not match:
            return f'parsing time "{text}" as "{LAYOUT}": cannot parse "{text[at:]}" as "{element}"'
        at = match.end()
    if at < len(text):
        return f'parsing time "{text}": extra text: "{text[at:]}"'
    for name, start, most in RANGES:
        value = int(text[start : start + 2])
        if value > most or (value == 0 and name in ("month", "day")):
            return f'parsing time "{text}": {name} out of range'
    year, month, day = int(text[:4]), int(text[5:7]), int(text[8:10])
    leaps = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not year or day > MONTH_LENGTHS[month - 1] or ((month, day) == (2, 29) and not leaps):
        return f'parsing time "{text}": day out of range'
    return ""


def restoring(value: Any, go_type: str, go_kind: str) -> str:
    """Return what apimachinery's unstructured converter says of a value of another type."""
    found = KINDS.get(type(value), "map" if isinstance(value, dict) else "slice")
    if go_kind == "struct":
        return f"cannot restore struct from: {found}"
    if go_kind:
        return f"cannot restore {go_kind} from {found}"
    convertible = (found, go_type) in (
        ("int64", "string"),
        ("float64", "int32"),
        ("float64", "int64"),
    )
    if convertible:
        return f"cannot convert {found} to {go_type}"
    return f"unrecognized type: {go_type}"


def shown(value: Any) -> str:
    """Return a value as fmt's %v prints it."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{shown(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(shown(item) for item in value)}]"
    if value is None:
        return "<nil>"
    return str(value).lower() if isinstance(value, bool) else str(value)
