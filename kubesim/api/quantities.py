"""The one spelling of a quantity that the API server stores: 1000m is 1, 1024Mi is 1Gi.

The rules are those of k8s.io/apimachinery/pkg/api/resource/quantity.go (CanonicalizeBytes).
"""

from decimal import ROUND_CEILING, Context, Decimal
from functools import lru_cache

from kubesim.apimachinery.quantity import parse

REFUSED = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)
BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
DECIMAL = {-9: "n", -6: "u", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P", 18: "E"}
NANO = Decimal("1e-9")
PRECISE = Context(prec=60)


@lru_cache(maxsize=4096)
def canonical(given: str | int | float) -> str:
    """Return the canonical spelling. Raises ValueError for what is no quantity."""
    text = str(given).strip()
    try:
        value = parse(text).quantize(NANO, ROUND_CEILING, PRECISE)
    except ArithmeticError:
        raise ValueError(f"{text!r} is not a quantity: its exponent is out of bounds") from None
    if text.endswith("i") and abs(value) >= 1024:
        return _binary(int(value.to_integral_value(ROUND_CEILING)))
    return _decimal(value, exponent="e" in text.lower() and not text.endswith("E"))


def _binary(value: int) -> str:
    power = 0
    while value % 1024 == 0 and power < len(BINARY) - 1:
        value //= 1024
        power += 1
    return f"{value}{BINARY[power]}"


def _decimal(value: Decimal, *, exponent: bool) -> str:
    if not value:
        return "0"
    scale = -9
    number = int(value.scaleb(9, PRECISE))
    while number % 1000 == 0 and scale < max(DECIMAL):
        number //= 1000
        scale += 3
    if exponent:
        return f"{number}e{scale}" if scale else str(number)
    return f"{number}{DECIMAL[scale]}"
