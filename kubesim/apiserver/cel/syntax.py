"""The parts of an expression."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Expression:
    """Any part, with the place in the text that messages point to."""

    at: int


@dataclass(frozen=True)
class Literal(Expression):
    """A value that stands in the text."""

    value: Any


@dataclass(frozen=True)
class Name(Expression):
    """A variable."""

    name: str


@dataclass(frozen=True)
class Select(Expression):
    """A field: `operand.field`; `optional` for `operand.?field`; `test` for has(operand.field)."""

    operand: Expression
    field: str
    optional: bool = False
    test: bool = False


@dataclass(frozen=True)
class Index(Expression):
    """An item of a list or map: `operand[index]`."""

    operand: Expression
    index: Expression
    optional: bool = False


@dataclass(frozen=True)
class Call(Expression):
    """A function, an operator, or a method, which has a target."""

    function: str
    arguments: tuple[Expression, ...]
    target: Expression | None = None


@dataclass(frozen=True)
class Conditional(Expression):
    """`test ? then : otherwise`."""

    test: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True)
class Logic(Expression):
    """`left && right` or `left || right`: whichever side decides, decides."""

    left: Expression
    right: Expression
    decisive: bool  # the value of one side that makes the other side irrelevant


@dataclass(frozen=True)
class ListOf(Expression):
    """`[a, b]`."""

    items: tuple[Expression, ...]


@dataclass(frozen=True)
class MapOf(Expression):
    """`{k: v}`."""

    entries: tuple[tuple[Expression, Expression], ...]


@dataclass(frozen=True)
class Comprehension(Expression):
    """A macro over a list's items or a map's keys: all, exists, exists_one, map, filter."""

    macro: str
    items: Expression
    variable: str
    body: Expression
    transform: Expression | None = None


@dataclass(frozen=True)
class Bind(Expression):
    """`cel.bind(variable, value, body)`, and `optional.optMap(variable, body)`."""

    variable: str
    value: Expression
    body: Expression
    optional: bool = False
