"""CEL's operators, functions and methods: the standard ones and those of Kubernetes."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cmp_to_key
from itertools import pairwise
from math import fmod
from typing import Any

from kubesim.apimachinery.objects import timestamp
from kubesim.apimachinery.quantity import parse
from kubesim.apiserver.cel.errors import CELError
from kubesim.apiserver.cel.lexer import UInt
from kubesim.apiserver.cel.values import (
    Optional,
    Quantity,
    checked,
    equal,
    is_number,
    less,
    type_name,
)

Function = Callable[..., Any]
DURATION = re.compile(r"([+-])?((?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+|0)")
PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
NO_OVERLOAD = "no such overload"
TYPES = {
    name: name
    for name in ("bool", "bytes", "double", "int", "list", "map", "null_type", "string", "uint")
}


def _typed(*kinds: type) -> Callable[[Function], Function]:
    """Let a function refuse arguments of other types, as CEL finds no overload for them."""

    def decorate(function: Function) -> Function:
        def checked_call(*arguments: Any) -> Any:
            if len(arguments) < len(kinds) or not all(map(isinstance, arguments, kinds)):
                raise CELError(NO_OVERLOAD)
            try:
                return function(*arguments)
            except TypeError:
                raise CELError(NO_OVERLOAD) from None

        return checked_call

    return decorate


def _add(left: Any, right: Any) -> Any:
    if is_number(left) and is_number(right) and type(left) is type(right):
        return checked(left + right) if isinstance(left, int) else left + right
    same = type(left) is type(right)
    if same and isinstance(left, str | bytes | list | timedelta):
        return left + right
    if isinstance(left, datetime | timedelta) and isinstance(right, datetime | timedelta):
        return left + right  # type: ignore[operator]
    raise CELError(NO_OVERLOAD)


def _subtract(left: Any, right: Any) -> Any:
    if is_number(left) and is_number(right) and type(left) is type(right):
        return checked(left - right) if isinstance(left, int) else left - right
    if isinstance(left, datetime) or (isinstance(left, timedelta) and isinstance(right, timedelta)):
        return left - right
    raise CELError(NO_OVERLOAD)


def _multiply(left: Any, right: Any) -> Any:
    if is_number(left) and is_number(right) and type(left) is type(right):
        return checked(left * right) if isinstance(left, int) else left * right
    raise CELError(NO_OVERLOAD)


def _divide(left: Any, right: Any) -> Any:
    if not (is_number(left) and is_number(right) and type(left) is type(right)):
        raise CELError(NO_OVERLOAD)
    if isinstance(left, float):
        return left / right if right else float("inf") * (1 if left > 0 else -1)
    if not right:
        raise CELError("division by zero")
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _modulo(left: Any, right: Any) -> Any:
    if type(left) is not type(right) or type(left) not in (int, UInt):
        raise CELError(NO_OVERLOAD)
    if not right:
        raise CELError("modulus by zero")
    return int(fmod(left, right)) if abs(left) < 1 << 53 else abs(left) % abs(right)


def _not(value: Any) -> bool:
    if not isinstance(value, bool):
        raise CELError(NO_OVERLOAD)
    return not value


def _negate(value: Any) -> Any:
    if not is_number(value):
        raise CELError(NO_OVERLOAD)
    return -value


def _contained(item: Any, container: Any) -> bool:
    if isinstance(container, dict | list):
        return any(equal(item, each) for each in container)
    raise CELError(NO_OVERLOAD)


def _size(value: Any) -> int:
    if isinstance(value, str | bytes | list | dict):
        return len(value)
    raise CELError(NO_OVERLOAD)


def _int(value: Any) -> int:
    if isinstance(value, datetime):
        return int(value.timestamp())
    if isinstance(value, str):
        if not re.fullmatch(r"[+-]?\d+", value):
            told = f'strconv.ParseInt: parsing "{value}": invalid syntax'
            raise CELError(f"type conversion error from 'string' to 'int': {told}")
        return checked(int(value))
    if is_number(value):
        return checked(int(value))
    raise CELError(NO_OVERLOAD)


def _double(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise CELError(NO_OVERLOAD)
    try:
        return float(value)
    except ValueError:
        raise CELError("type conversion error from 'string' to 'double'") from None


def _string(value: Any) -> str:
    for kind, spelled in _SPELLED.items():
        if isinstance(value, kind):
            return spelled(value)
    raise CELError(NO_OVERLOAD)


_SPELLED: dict[type, Callable[[Any], str]] = {
    str: str,
    bool: lambda value: str(value).lower(),
    float: lambda value: str(int(value)) if value.is_integer() else repr(value),
    int: str,
    bytes: bytes.decode,
    datetime: timestamp,
    timedelta: lambda value: f"{value.total_seconds():g}s",
}


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    known = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
    if isinstance(value, str) and value.lower() in known:
        return known[value.lower()]
    raise CELError("type conversion error from 'string' to 'bool'")


def _timestamp(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value).astimezone(UTC)
        except ValueError:
            pass
    raise CELError("type conversion error from 'string' to 'google.protobuf.Timestamp'")


def _duration(value: Any) -> timedelta:
    match = DURATION.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise CELError("type conversion error from 'string' to 'google.protobuf.Duration'")
    total = sum(float(n) * SECONDS[unit] for n, unit in PART.findall(match[2]))
    return timedelta(seconds=-total if match[1] == "-" else total)


def _quantity(value: Any) -> Quantity:
    try:
        return Quantity(parse(value), value)
    except (ValueError, TypeError, AttributeError):
        raise CELError("quantities must match the regular expression") from None


def _is_quantity(value: Any) -> bool:
    try:
        _quantity(value)
    except CELError:
        return False
    return True


def _regex(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise CELError(f"error parsing regexp: {error}") from None


@_typed(str, str)
def _matches(text: str, pattern: str) -> bool:
    return bool(_regex(pattern).search(text))


def _order(left: Any, right: Any) -> int:
    return -1 if less(left, right) else int(less(right, left))


def _distinct(items: list[Any]) -> list[Any]:
    kept: list[Any] = []
    for item in items:
        if not any(equal(item, each) for each in kept):
            kept.append(item)
    return kept


def _sum(items: list[Any]) -> Any:
    total = items[0] if items else 0
    for item in items[1:]:
        total = _add(total, item)
    return total


def _extreme(items: list[Any], sign: int) -> Any:
    if not items:
        raise CELError("min or max called on empty list")
    return sorted(items, key=cmp_to_key(lambda a, b: sign * _order(a, b)))[0]


def _index_of(target: Any, item: Any, *start: int) -> int:
    if isinstance(target, str):
        return target.find(item, *start)
    return next((i for i, each in enumerate(target) if equal(each, item)), -1)


def _last_index_of(target: Any, item: Any) -> int:
    if isinstance(target, str):
        return target.rfind(item)
    found = [i for i, each in enumerate(target) if equal(each, item)]
    return found[-1] if found else -1


def _split(text: str, separator: str, limit: int = -1) -> list[str]:
    if limit == 0:
        return []
    parts = list(text) if not separator else text.split(separator)
    if 0 < limit < len(parts):
        parts = [*parts[: limit - 1], separator.join(parts[limit - 1 :])]
    return parts


def _substring(text: str, start: int, end: int | None = None) -> str:
    stop = len(text) if end is None else end
    if not 0 <= start <= stop <= len(text):
        raise CELError(f"index out of range: {start if start > len(text) else stop}")
    return text[start:stop]


def _char_at(text: str, index: int) -> str:
    if not 0 <= index <= len(text):
        raise CELError(f"index out of range: {index}")
    return text[index : index + 1]


def _format(text: str, arguments: list[Any]) -> str:
    given = iter(arguments)

    def clause(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%"
        value = next(given, None)
        if match[0].endswith("f"):
            return match[0] % value
        return _shown(value)

    return re.sub(r"%(?:%|(?:\.\d+)?[sdfebxXo])", clause, text)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_shown(k)}: {_shown(v)}" for k, v in value.items()) + "}"
    return "null" if value is None else _string(value)


def _some(value: Any) -> Optional:
    return Optional(value, True)


def _or_value(optional: Optional, default: Any) -> Any:
    return optional.value if optional.present else default


def _value(optional: Optional) -> Any:
    if not optional.present:
        raise CELError("optional.none() dereference")
    return optional.value


def _plus(left: Quantity, right: Any, sign: int = 1) -> Quantity:
    number = right.value if isinstance(right, Quantity) else right
    total = left.value + sign * number
    return Quantity(total, str(total))


FUNCTIONS: dict[str, Function] = {
    "+": _add,
    "*": _multiply,
    "/": _divide,
    "%": _modulo,
    "!": _not,
    "==": equal,
    "!=": lambda left, right: not equal(left, right),
    "<": less,
    ">": lambda left, right: less(right, left),
    "<=": lambda left, right: not less(right, left),
    ">=": lambda left, right: not less(left, right),
    "in": _contained,
    "-": lambda left, *right: _subtract(left, *right) if right else _negate(left),
    "size": _size,
    "int": _int,
    "uint": lambda value: UInt(_int(value)),
    "double": _double,
    "string": _string,
    "bool": _bool,
    "bytes": lambda value: value if isinstance(value, bytes) else _string(value).encode(),
    "dyn": lambda value: value,
    "type": type_name,
    "timestamp": _timestamp,
    "duration": _duration,
    "quantity": _quantity,
    "isQuantity": _is_quantity,
    "matches": _matches,
    "optional.of": _some,
    "optional.none": Optional,
    "optional.ofNonZeroValue": lambda value: _some(value) if value else Optional(),
    "sets.contains": lambda a, b: all(_contained(item, a) for item in b),
    "sets.intersects": lambda a, b: any(_contained(item, a) for item in b),
    "sets.equivalent": lambda a, b: (
        all(_contained(item, a) for item in b) and all(_contained(item, b) for item in a)
    ),
}
_TEXT: dict[str, Function] = {
    "startsWith": _typed(str, str)(str.startswith),
    "endsWith": _typed(str, str)(str.endswith),
    "contains": _typed(str, str)(str.__contains__),
    "matches": _matches,
    "charAt": _typed(str, int)(_char_at),
    "lowerAscii": _typed(str)(str.lower),
    "upperAscii": _typed(str)(str.upper),
    "replace": _typed(str, str, str)(lambda t, old, new, *n: t.replace(old, new, *n)),
    "split": _typed(str, str)(_split),
    "substring": _typed(str, int)(_substring),
    "trim": _typed(str)(str.strip),
    "reverse": _typed(object)(lambda value: value[::-1]),
    "find": _typed(str, str)(lambda t, p: m[0] if (m := _regex(p).search(t)) else ""),
    "findAll": _typed(str, str)(lambda t, p: [m[0] for m in _regex(p).finditer(t)]),
    "format": _typed(str, list)(_format),
    "join": _typed(list)(lambda items, separator="": separator.join(items)),
}
_LISTS: dict[str, Function] = {
    "size": _size,
    "indexOf": _typed(object, object)(_index_of),
    "lastIndexOf": _typed(object, object)(_last_index_of),
    "isSorted": _typed(list)(lambda items: not any(less(b, a) for a, b in pairwise(items))),
    "sum": _typed(list)(_sum),
    "min": _typed(list)(lambda items: _extreme(items, 1)),
    "max": _typed(list)(lambda items: _extreme(items, -1)),
    "sort": _typed(list)(lambda items: sorted(items, key=cmp_to_key(_order))),
    "distinct": _typed(list)(_distinct),
    "slice": _typed(list, int, int)(lambda items, start, end: items[start:end]),
    "flatten": _typed(list)(lambda items: [each for item in items for each in item]),
}
_TIMES: dict[str, Function] = {
    "getFullYear": _typed(datetime)(lambda moment: moment.year),
    "getMonth": _typed(datetime)(lambda moment: moment.month - 1),
    "getDate": _typed(datetime)(lambda moment: moment.day),
    "getDayOfMonth": _typed(datetime)(lambda moment: moment.day - 1),
    "getDayOfWeek": _typed(datetime)(lambda moment: moment.isoweekday() % 7),
    "getHours": lambda t: t.hour if isinstance(t, datetime) else int(t.total_seconds() // 3600),
    "getMinutes": lambda t: t.minute if isinstance(t, datetime) else int(t.total_seconds() // 60),
    "getSeconds": lambda t: t.second if isinstance(t, datetime) else int(t.total_seconds()),
}
_OTHERS: dict[str, Function] = {
    "hasValue": _typed(Optional)(lambda optional: optional.present),
    "value": _typed(Optional)(_value),
    "orValue": _typed(Optional, object)(_or_value),
    "or": _typed(Optional, Optional)(lambda one, other: one if one.present else other),
    "isGreaterThan": _typed(Quantity, Quantity)(lambda a, b: a.value > b.value),
    "isLessThan": _typed(Quantity, Quantity)(lambda a, b: a.value < b.value),
    "compareTo": _typed(Quantity, Quantity)(lambda a, b: (a.value > b.value) - (a.value < b.value)),
    "sign": _typed(Quantity)(lambda a: (a.value > 0) - (a.value < 0)),
    "isInteger": _typed(Quantity)(lambda a: a.value == a.value.to_integral_value()),
    "asInteger": _typed(Quantity)(lambda a: int(a.value)),
    "asApproximateFloat": _typed(Quantity)(lambda a: float(a.value)),
    "add": _typed(Quantity, object)(_plus),
    "sub": _typed(Quantity, object)(lambda a, b: _plus(a, b, -1)),
}
METHODS: dict[str, Function] = _TEXT | _LISTS | _TIMES | _OTHERS
