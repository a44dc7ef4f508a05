"""Numbers that may be written as a percentage (k8s.io/apimachinery/pkg/util/intstr)."""

import math
from collections.abc import Callable


def scaled(value: int | str, total: int, rounded: Callable[[float], int] = math.ceil) -> int:
    """Return a number, or of a percentage such as "25%" that share of the total."""
    if isinstance(value, int):
        return value
    return rounded(int(value.removesuffix("%")) * total / 100)
