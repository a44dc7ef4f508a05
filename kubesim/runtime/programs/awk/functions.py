"""awk's own functions that need nothing but their arguments."""

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from kubesim.runtime.programs.awk.values import Value, number, regex, text


def _substring(arguments: Sequence[Value]) -> Value:
    """Characters from m, n of them; as in busybox a start before 1 does not shorten them."""
    whole = text(arguments[0])
    begin = max(int(number(arguments[1])) - 1, 0)
    count = int(number(arguments[2])) if len(arguments) > 2 else len(whole)
    return whole[begin : begin + max(count, 0)]


def _time(arguments: Sequence[Value]) -> Value:
    moment = datetime.fromtimestamp(number(arguments[1]), UTC)
    return moment.strftime(text(arguments[0]))


def _bits(operation: Callable[[int, int], int]) -> Callable[[Sequence[Value]], Value]:
    return lambda arguments: float(operation(int(number(arguments[0])), int(number(arguments[1]))))


def _real(function: Callable[[float], float]) -> Callable[[Sequence[Value]], Value]:
    def call(arguments: Sequence[Value]) -> Value:
        try:
            return function(number(arguments[0]))
        except (ValueError, OverflowError):
            return math.nan

    return call


PURE: dict[str, Callable[[Sequence[Value]], Value]] = {
    "substr": _substring,
    "index": lambda arguments: float(text(arguments[0]).find(text(arguments[1])) + 1),
    "tolower": lambda arguments: text(arguments[0]).lower(),
    "toupper": lambda arguments: text(arguments[0]).upper(),
    "int": lambda arguments: float(math.trunc(number(arguments[0]))),
    "sqrt": _real(math.sqrt),
    "exp": _real(math.exp),
    "log": _real(math.log),
    "sin": _real(math.sin),
    "cos": _real(math.cos),
    "atan2": lambda arguments: math.atan2(number(arguments[0]), number(arguments[1])),
    "strftime": _time,
    "and": _bits(lambda one, other: one & other),
    "or": _bits(lambda one, other: one | other),
    "xor": _bits(lambda one, other: one ^ other),
    "lshift": _bits(lambda one, other: one << other),
    "rshift": _bits(lambda one, other: one >> other),
}


def substitute(pattern: str, replacement: str, target: str, count: int) -> tuple[str, int]:
    r"""Replace matches; & in the replacement is the match, \& an ampersand. `count` 0 means all."""

    def expand(match: re.Match[str]) -> str:
        return re.sub(
            r"\\\\|\\&|&",
            lambda part: {"&": match.group(), r"\&": "&"}.get(part.group(), "\\"),
            replacement,
        )

    return regex(pattern).subn(expand, target, count)


def split(whole: str, separator: str) -> list[str]:
    """Split as fields are: a blank separator means runs of white space, one character itself."""
    if not whole:
        return []
    if separator == " ":
        return whole.split()
    if separator == "":
        return list(whole)
    if len(separator) == 1:
        return whole.split(separator)
    return regex(separator).split(whole)
