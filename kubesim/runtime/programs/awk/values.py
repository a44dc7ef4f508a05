"""awk's values: numbers, strings, and input that is both."""

import math
import re
from functools import lru_cache

from kubesim.runtime.programs import patterns

NUMERIC = re.compile(
    r"\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|\s*[-+]?(?:inf(?:inity)?|nan)\b", re.I
)
SPECIFIER = re.compile(r"%([-+ #0]*)(\*|\d+)?(?:\.(\*|\d*))?([diouxXeEfFgGcs%])")
CONTROLS = {r"\t": "\t", r"\n": "\n", r"\r": "\r", r"\/": "/", r"\"": '"'}


class Input(str):
    """Text that came from outside: a number too, if it looks like one (POSIX' numeric string)."""

    __slots__ = ()


Value = float | str | None  # None is a variable that was never set: 0 and ""


def number(value: Value) -> float:
    """Return a value as a number: of a string, what it begins with."""
    if isinstance(value, float):
        return value
    match = NUMERIC.match(value) if value else None
    return float(match.group()) if match else 0.0


def text(value: Value, form: str = "%.6g") -> str:
    """Return a value as a string; `form` is CONVFMT or OFMT."""
    if isinstance(value, float):
        if not math.isfinite(value):
            return str(value)
        return str(int(value)) if value == int(value) else sprintf(form, [value])
    return value or ""


def truth(value: Value) -> bool:
    """Whether a value counts as true."""
    if isinstance(value, float) or looks_numeric(value):
        return number(value) != 0
    return bool(value)


def looks_numeric(value: Value) -> bool:
    """Whether a value compares as a number."""
    if isinstance(value, Input):
        match = NUMERIC.match(value)
        return match is not None and not value[match.end() :].strip()
    return not isinstance(value, str)


def compare(left: Value, right: Value) -> int:
    """Return -1, 0 or 1: as numbers if both are, otherwise as strings."""
    if looks_numeric(left) and looks_numeric(right):
        one, other = number(left), number(right)
        return (one > other) - (one < other)
    first, second = text(left), text(right)
    return (first > second) - (first < second)


@lru_cache(maxsize=256)
def regex(pattern: str) -> re.Pattern[str]:
    """Return an extended regular expression of POSIX as one of Python's."""
    for escape, character in CONTROLS.items():
        pattern = pattern.replace(escape, character)
    try:
        return re.compile(patterns.regex(pattern, extended=True))
    except re.error:
        return re.compile(re.escape(pattern))


def sprintf(form: str, arguments: list[Value]) -> str:
    """Format as printf(3) does; missing arguments are empty."""
    rest = iter(arguments)

    def replace(match: re.Match[str]) -> str:
        flags, width, precision, kind = match.groups()
        if kind == "%":
            return "%"
        if width == "*":
            width = str(int(number(next(rest, None))))
        if precision == "*":
            precision = str(int(number(next(rest, None))))
        places = "" if precision is None else f".{precision}"
        return _formatted(f"%{flags}{width or ''}{places}", kind, next(rest, None))

    return SPECIFIER.sub(replace, form)


def _formatted(specifier: str, kind: str, value: Value) -> str:
    if kind in "eEfFgG":
        return (specifier + kind) % number(value)
    if kind == "s":
        return (specifier + "s") % text(value)
    if kind == "c":
        character = chr(int(value)) if isinstance(value, float) else text(value)[:1]
        return (specifier.partition(".")[0] + "s") % character
    return (specifier + ("d" if kind in "iu" else kind)) % int(number(value))
