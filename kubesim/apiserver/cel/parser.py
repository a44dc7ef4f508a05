"""From tokens to an expression: recursive descent over the grammar of the CEL specification."""

from collections.abc import Callable

from kubesim.apiserver.cel.errors import CompileError
from kubesim.apiserver.cel.lexer import Token, tokens
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

RELATIONS = ("==", "!=", "<", "<=", ">", ">=", "in")
CONSTANTS = {"true": True, "false": False, "null": None}
MACROS = ("all", "exists", "exists_one", "existsOne", "filter", "map")


class Parser:
    """Parses one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens(text)
        self._position = 0

    def parse(self) -> Expression:
        """Return the expression that is the whole text. Raises CompileError."""
        expression = self._expression()
        if self._peek.kind != "end":
            raise self._unexpected("<EOF>")
        return expression

    @property
    def _peek(self) -> Token:
        return self._tokens[self._position]

    def _next(self) -> Token:
        token = self._peek
        self._position += 1
        return token

    def _takes(self, *symbols: str) -> Token | None:
        token = self._peek
        if token.kind in ("symbol", "name") and token.value in symbols:
            return self._next()
        return None

    def _expect(self, symbol: str) -> Token:
        token = self._takes(symbol)
        if not token:
            raise self._unexpected(f"'{symbol}'")
        return token

    def _unexpected(self, wanted: str) -> CompileError:
        token = self._peek
        told = f"Syntax error: mismatched input '{token.value}' expecting {wanted}"
        return CompileError(self._text, token.at, told)

    def _expression(self) -> Expression:
        test = self._binary_logic("||", self._and)
        token = self._takes("?")
        if token:
            then = self._binary_logic("||", self._and)
            self._expect(":")
            test = Conditional(token.at, test, then, self._expression())
        return test

    def _binary_logic(self, symbol: str, side: Callable[[], Expression]) -> Expression:
        left = side()
        while token := self._takes(symbol):
            left = Logic(token.at, left, side(), symbol == "||")
        return left

    def _and(self) -> Expression:
        return self._binary_logic("&&", self._relation)

    def _relation(self) -> Expression:
        return self._operators(RELATIONS, self._sum)

    def _sum(self) -> Expression:
        return self._operators(("+", "-"), self._product)

    def _product(self) -> Expression:
        return self._operators(("*", "/", "%"), self._unary)

    def _operators(self, symbols: tuple[str, ...], side: Callable[[], Expression]) -> Expression:
        left = side()
        while token := self._takes(*symbols):
            left = Call(token.at, token.value, (left, side()))
        return left

    def _unary(self) -> Expression:
        token = self._takes("!", "-")
        if not token:
            return self._member()
        if token.value == "!":
            return Call(token.at, "!", (self._unary(),))
        operand = self._unary()
        if isinstance(operand, Literal) and type(operand.value) in (int, float):
            return Literal(token.at, -operand.value)
        return Call(token.at, "-", (operand,))

    def _member(self) -> Expression:
        operand = self._primary()
        while token := self._takes(".", ".?", "[", "[?"):
            if token.value in ("[", "[?"):
                index = self._expression()
                self._expect("]")
                operand = Index(token.at, operand, index, token.value == "[?")
                continue
            field = self._next()
            if field.kind != "name":
                self._position -= 1
                raise self._unexpected("IDENTIFIER")
            if self._peek.value == "(" and self._peek.kind == "symbol":
                operand = self._method(operand, field)
            else:
                operand = Select(token.at, operand, field.value, token.value == ".?")
        return operand

    def _method(self, target: Expression, name: Token) -> Expression:
        at = self._expect("(").at
        arguments = self._arguments(")")
        if name.value in MACROS and len(arguments) in (2, 3):
            return self._comprehension(target, name, arguments)
        if isinstance(target, Name) and (target.name, name.value) == ("cel", "bind"):
            return Bind(at, self._variable(arguments[0]), arguments[1], arguments[2])
        if name.value == "optMap":
            return Bind(at, self._variable(arguments[0]), target, arguments[1], optional=True)
        if isinstance(target, Name) and target.name in ("optional", "sets", "ip", "math"):
            return Call(at, f"{target.name}.{name.value}", tuple(arguments))
        return Call(at, name.value, tuple(arguments), target)

    def _comprehension(
        self, target: Expression, name: Token, arguments: list[Expression]
    ) -> Expression:
        variable = self._variable(arguments[0])
        macro = "exists_one" if name.value == "existsOne" else name.value
        if len(arguments) == 2:
            return Comprehension(name.at, macro, target, variable, arguments[1])
        if macro != "map":
            told = f"found no matching overload for '{name.value}'"
            raise CompileError(self._text, name.at, told)
        return Comprehension(name.at, macro, target, variable, arguments[1], arguments[2])

    def _variable(self, argument: Expression) -> str:
        if not isinstance(argument, Name):
            raise CompileError(self._text, argument.at, "argument must be a simple name")
        return argument.name

    def _arguments(self, end: str) -> list[Expression]:
        found: list[Expression] = []
        while not self._takes(end):
            if found:
                self._expect(",")
                if self._takes(end):
                    break
            found.append(self._expression())
        return found

    def _primary(self) -> Expression:
        token = self._next()
        if token.kind == "literal":
            return Literal(token.at, token.value)
        if token.kind == "name":
            return self._named(token)
        if token.value == "(":
            inner = self._expression()
            self._expect(")")
            return inner
        if token.value == "[":
            return ListOf(token.at, tuple(self._arguments("]")))
        if token.value == "{":
            return self._map(token.at)
        self._position -= 1
        wanted = "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', literals, IDENTIFIER}"
        raise self._unexpected(wanted)

    def _named(self, token: Token) -> Expression:
        if token.value in CONSTANTS:
            return Literal(token.at, CONSTANTS[token.value])
        if not (self._peek.kind == "symbol" and self._peek.value == "("):
            return Name(token.at, token.value)
        at = self._next().at
        arguments = self._arguments(")")
        if token.value == "has":
            if len(arguments) != 1 or not isinstance(arguments[0], Select):
                raise CompileError(self._text, at, "invalid argument to has() macro")
            selected = arguments[0]
            return Select(at, selected.operand, selected.field, test=True)
        return Call(at, token.value, tuple(arguments))

    def _map(self, at: int) -> Expression:
        entries: list[tuple[Expression, Expression]] = []
        while not self._takes("}"):
            if entries:
                self._expect(",")
                if self._takes("}"):
                    break
            key = self._expression()
            self._expect(":")
            entries.append((key, self._expression()))
        return MapOf(at, tuple(entries))
