"""The evaluation of an expression over variables."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from kubesim.apiserver.cel.errors import CELError
from kubesim.apiserver.cel.functions import FUNCTIONS, METHODS
from kubesim.apiserver.cel.syntax import (
    Bind,
    Call,
    Comprehension,
    Conditional,
    Expression,
    Index,
    ListOf,
    Literal,
    Logic,
    MapOf,
    Name,
    Select,
)
from kubesim.apiserver.cel.values import Optional, equal

Variables = Mapping[str, Any]
ESCAPED = re.compile(r"__(underscores|dot|dash|slash)__")
SYMBOLS = {"underscores": "__", "dot": ".", "dash": "-", "slash": "/"}
KEYWORD = re.compile(r"__(\w+?)__")
RESERVED = frozenset(
    (
        *("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for"),
        *("function", "if", "import", "let", "loop", "package", "namespace", "return", "var"),
        *("void", "while"),
    )
)
BUDGET = 1_000_000


class Interpreter:
    """Evaluates expressions, within a budget: a rule must not stop the API server."""

    def __init__(self) -> None:
        self._steps = 0

    def evaluate(self, expression: Expression, variables: Variables) -> Any:
        """Return an expression's value. Raises CELError."""
        self._steps += 1
        if self._steps > BUDGET:
            raise CELError("operation cancelled: actual cost limit exceeded")
        return _EVALUATE[type(expression)](self, expression, variables)

    def name(self, part: Name, variables: Variables) -> Any:
        """A variable's value; what is computed on demand is computed now."""
        if part.name not in variables:
            raise CELError(f"no such attribute(s): {part.name}")
        return variables[part.name]

    def select(self, part: Select, variables: Variables) -> Any:
        """A field of a map, or whether there is one."""
        operand = self.evaluate(part.operand, variables)
        name = unescaped(part.field)
        if isinstance(operand, Optional):
            found = operand.value if operand.present else {}
            present = isinstance(found, Mapping) and name in found
            return Optional(found[name], True) if present else Optional()
        if not isinstance(operand, Mapping):
            if part.optional:
                return Optional()
            raise CELError("no such overload" if not part.test else f"no such key: {name}")
        if part.test:
            return name in operand
        if part.optional:
            return Optional(operand[name], True) if name in operand else Optional()
        if name not in operand:
            raise CELError(f"no such key: {name}")
        return operand[name]

    def index(self, part: Index, variables: Variables) -> Any:
        """An item of a list or map."""
        operand = self.evaluate(part.operand, variables)
        key = self.evaluate(part.index, variables)
        optional = part.optional or isinstance(operand, Optional)
        if isinstance(operand, Optional):
            operand = operand.value if operand.present else {}
        try:
            value = _item(operand, key)
        except CELError:
            if optional:
                return Optional()
            raise
        return Optional(value, True) if optional else value

    def call(self, part: Call, variables: Variables) -> Any:
        """A function's or a method's value."""
        arguments = [self.evaluate(each, variables) for each in part.arguments]
        if part.target is None:
            return FUNCTIONS[part.function](*arguments)
        target = self.evaluate(part.target, variables)
        return METHODS[part.function](target, *arguments)

    def conditional(self, part: Conditional, variables: Variables) -> Any:
        """One of two values."""
        test = self.evaluate(part.test, variables)
        if not isinstance(test, bool):
            raise CELError("no such overload")
        return self.evaluate(part.then if test else part.otherwise, variables)

    def logic(self, part: Logic, variables: Variables) -> bool:
        """Either side may fail when the other decides."""
        problem: CELError | None = None
        for side in (part.left, part.right):
            try:
                value = self.evaluate(side, variables)
            except CELError as error:
                problem = problem or error
                continue
            if not isinstance(value, bool):
                problem = problem or CELError("no such overload")
            elif value is part.decisive:
                return value
        if problem:
            raise problem
        return not part.decisive

    def list_of(self, part: ListOf, variables: Variables) -> list[Any]:
        """A new list."""
        return [self.evaluate(item, variables) for item in part.items]

    def map_of(self, part: MapOf, variables: Variables) -> dict[Any, Any]:
        """A new map."""
        return {
            self.evaluate(key, variables): self.evaluate(value, variables)
            for key, value in part.entries
        }

    def bind(self, part: Bind, variables: Variables) -> Any:
        """A value under a name of its own."""
        value = self.evaluate(part.value, variables)
        if not part.optional:
            return self.evaluate(part.body, {**variables, part.variable: value})
        if not isinstance(value, Optional) or not value.present:
            return Optional()
        inner = {**variables, part.variable: value.value}
        return Optional(self.evaluate(part.body, inner), True)

    def comprehension(self, part: Comprehension, variables: Variables) -> Any:
        """A macro's value over all items."""
        items = self.evaluate(part.items, variables)
        if not isinstance(items, list | Mapping):
            raise CELError("no such overload")
        scopes = [{**variables, part.variable: item} for item in items]
        if part.macro == "map":
            return self._mapped(part, scopes)
        if part.macro == "filter":
            return [s[part.variable] for s in scopes if self._holds(part.body, s)]
        if part.macro == "exists_one":
            return sum(self._holds(part.body, scope) for scope in scopes) == 1
        return self._quantified(part, scopes)

    def _mapped(self, part: Comprehension, scopes: list[dict[str, Any]]) -> list[Any]:
        if part.transform is None:
            return [self.evaluate(part.body, scope) for scope in scopes]
        chosen = [scope for scope in scopes if self._holds(part.body, scope)]
        return [self.evaluate(part.transform, scope) for scope in chosen]

    def _quantified(self, part: Comprehension, scopes: list[dict[str, Any]]) -> bool:
        """An item that decides outweighs others that fail."""
        decisive, problem = part.macro == "exists", None
        for scope in scopes:
            try:
                if self._holds(part.body, scope) is decisive:
                    return decisive
            except CELError as error:
                problem = problem or error
        if problem:
            raise problem
        return not decisive

    def _holds(self, body: Expression, variables: Variables) -> bool:
        value = self.evaluate(body, variables)
        if not isinstance(value, bool):
            raise CELError("no such overload")
        return value


def unescaped(field: str) -> str:
    """A property's name as it is: `__dash__` stands for a dash, `__if__` for a reserved word."""
    if "__" not in field:
        return field
    match = KEYWORD.fullmatch(field)
    if match and match[1] in RESERVED:
        return match[1]
    return ESCAPED.sub(lambda found: SYMBOLS[found[1]], field)


def _item(operand: Any, key: Any) -> Any:
    if isinstance(operand, list):
        if isinstance(key, bool) or not isinstance(key, int | float) or int(key) != key:
            raise CELError("no such overload")
        if not 0 <= key < len(operand):
            raise CELError(f"index out of bounds: {int(key)}")
        return operand[int(key)]
    if isinstance(operand, Mapping):
        for name in operand:
            if equal(name, key):
                return operand[name]
        raise CELError(f"no such key: {key}")
    raise CELError("no such overload")


_EVALUATE: dict[type[Expression], Callable[[Interpreter, Any, Variables], Any]] = {
    Literal: lambda _, part, __: part.value,
    Name: Interpreter.name,
    Select: Interpreter.select,
    Index: Interpreter.index,
    Call: Interpreter.call,
    Conditional: Interpreter.conditional,
    Logic: Interpreter.logic,
    ListOf: Interpreter.list_of,
    MapOf: Interpreter.map_of,
    Bind: Interpreter.bind,
    Comprehension: Interpreter.comprehension,
}
