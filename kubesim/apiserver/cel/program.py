"""An expression that is ready to be evaluated: parsed, and its names known."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

from kubesim.apiserver.cel.errors import CELError, CompileError
from kubesim.apiserver.cel.functions import FUNCTIONS, METHODS, TYPES
from kubesim.apiserver.cel.interpreter import Interpreter, Variables
from kubesim.apiserver.cel.parser import Parser
from kubesim.apiserver.cel.syntax import Bind, Call, Comprehension, Expression, Name

TOO_DEEP = "expression recursion limit exceeded"


@dataclass(frozen=True)
class Program:
    """One expression."""

    text: str
    expression: Expression
    names: frozenset[str]  # the variables that it reads

    def evaluate(self, variables: Variables) -> Any:
        """Return the expression's value. Raises CELError."""
        try:
            return Interpreter().evaluate(self.expression, _Scope(variables))
        except RecursionError:
            raise CELError(TOO_DEEP) from None


class _Scope(dict[str, Any]):
    """Variables, and the names of types beside them."""

    def __init__(self, variables: Variables) -> None:
        super().__init__(TYPES)
        self.update(variables)


def compiled(text: str, declared: Collection[str]) -> Program:
    """Return the program of a text that may read the declared variables. Raises CompileError."""
    try:
        program = _parsed(text)
        _check_names(program, declared)
    except RecursionError:
        raise CompileError(text, 0, TOO_DEEP) from None
    return program


def _check_names(program: Program, declared: Collection[str]) -> None:
    text = program.text
    for name in _free(program.expression, frozenset(declared) | TYPES.keys()):
        told = f"undeclared reference to '{name.name}' (in container '')"
        raise CompileError(text, name.at, told)
    for call in parts(program.expression):
        if not isinstance(call, Call):
            continue
        if call.function not in (METHODS if call.target else FUNCTIONS):
            told = f"undeclared reference to '{call.function}' (in container '')"
            raise CompileError(text, call.at, told)


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Program:
    expression = Parser(text).parse()
    names = frozenset(name.name for name in _free(expression, frozenset()))
    return Program(text, expression, names)


def _free(part: Expression, bound: frozenset[str]) -> Iterator[Name]:
    """Yield the names that are not bound by a macro around them."""
    if isinstance(part, Name):
        if part.name not in bound:
            yield part
        return
    if isinstance(part, Comprehension | Bind):
        outside = part.items if isinstance(part, Comprehension) else part.value
        yield from _free(outside, bound)
        inner = bound | {part.variable}
        yield from _free(part.body, inner)
        if isinstance(part, Comprehension) and part.transform:
            yield from _free(part.transform, inner)
        return
    for child in _children(part):
        yield from _free(child, bound)


def parts(expression: Expression) -> Iterator[Expression]:
    """Yield an expression and everything in it."""
    yield expression
    for child in _children(expression):
        yield from parts(child)


def _children(part: Expression) -> Iterator[Expression]:
    for field in fields(part):
        yield from _expressions(getattr(part, field.name))


def _expressions(value: Any) -> Iterator[Expression]:
    if isinstance(value, Expression):
        yield value
    elif isinstance(value, tuple):
        for each in value:
            yield from _expressions(each)
