"""Resource quantities: `100m`, `1.5`, `64Mi`, `1e3` (apimachinery's resource.Quantity)."""

import re
from decimal import Decimal
from functools import lru_cache

_BINARY = {f"{prefix}i": Decimal(1024) ** power for power, prefix in enumerate("KMGTPE", 1)}
_DECIMAL = {
    prefix: Decimal(1000) ** power
    for power, prefix in enumerate(["n", "u", "m", "", "k", "M", "G", "T", "P", "E"], -3)
}
_SUFFIXES = _BINARY | _DECIMAL
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))([eE][+-]?\d+|[numkMGTPE]|[KMGTPE]i)?")


@lru_cache(maxsize=4096)
def parse(text: str | int | float) -> Decimal:
    """The number that a quantity stands for; raises ValueError when it is none."""
    found = _QUANTITY.fullmatch(str(text))
    if found is None:
        raise ValueError(f"{text!r} is not a quantity; write for example 100m, 1.5 or 64Mi")
    number, suffix = found[1], found[2] or ""
    if suffix in _SUFFIXES:
        return Decimal(number) * _SUFFIXES[suffix]
    return Decimal(number + suffix)
