"""The value of `$((expression))`: C's integer operators, variables and assignment."""

import operator
import re
from collections.abc import Callable, MutableMapping

TOKEN = re.compile(
    r"\s*(0[xX][0-9a-fA-F]+|\d+|[A-Za-z_]\w*|\*\*|<<=|>>=|<<|>>|&&|\|\||[<>=!+\-*/%&|^]=|\+\+|--"
    r"|[-+*/%<>!~&|^?:=(),])"
)


def _divide(left: int, right: int) -> int:
    if right == 0:
        raise ExpressionError("divide by zero")
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _modulo(left: int, right: int) -> int:
    return left - right * _divide(left, right)


def _power(left: int, right: int) -> int:
    if right < 0:
        raise ExpressionError("exponent less than 0")
    return int(pow(left, right, 1 << 64)) if left >= 0 else int(left ** min(right, 64))


def _compare(test: Callable[[int, int], bool]) -> Callable[[int, int], int]:
    return lambda left, right: int(test(left, right))


BINARY: list[dict[str, Callable[[int, int], int]]] = [  # from the loosest to the tightest
    {"||": lambda left, right: int(bool(left or right))},
    {"&&": lambda left, right: int(bool(left and right))},
    {"|": operator.or_},
    {"^": operator.xor},
    {"&": operator.and_},
    {"==": _compare(operator.eq), "!=": _compare(operator.ne)},
    {
        "<": _compare(operator.lt),
        "<=": _compare(operator.le),
        ">": _compare(operator.gt),
        ">=": _compare(operator.ge),
    },
    {
        "<<": lambda left, right: left << (right & 63),
        ">>": lambda left, right: left >> (right & 63),
    },
    {"+": operator.add, "-": operator.sub},
    {"*": operator.mul, "/": _divide, "%": _modulo},
    {"**": _power},
]
OPERATIONS = {name: function for level in BINARY for name, function in level.items()}


class ExpressionError(Exception):
    """The expression has no value; the message is busybox's."""


def evaluate(expression: str, variables: MutableMapping[str, str]) -> int:
    """Return the value of `expression`; assignments change `variables`."""
    reader = _Reader(_tokens(expression), variables)
    if not reader.tokens:
        return 0
    value = reader.comma()
    if reader.tokens:
        raise ExpressionError("arithmetic syntax error")
    return value


def _tokens(expression: str) -> list[str]:
    tokens, at = [], 0
    expression = expression.rstrip()
    while at < len(expression):
        match = TOKEN.match(expression, at)
        if not match:
            raise ExpressionError("arithmetic syntax error")
        tokens.append(match.group(1))
        at = match.end()
    return tokens


class _Reader:
    """Evaluates while it reads, by precedence climbing."""

    def __init__(self, tokens: list[str], variables: MutableMapping[str, str]) -> None:
        self.tokens = tokens
        self.variables = variables

    def take(self, *texts: str) -> str:
        """Take the next token if it is one of `texts`."""
        if self.tokens and self.tokens[0] in texts:
            return self.tokens.pop(0)
        return ""

    def comma(self) -> int:
        value = self.assignment()
        while self.take(","):
            value = self.assignment()
        return value

    def assignment(self) -> int:
        if len(self.tokens) > 1 and self.tokens[0].isidentifier():
            name, sign = self.tokens[:2]
            if sign == "=" or (sign.endswith("=") and sign[:-1] in OPERATIONS):
                del self.tokens[:2]
                value = self.assignment()
                if sign != "=":
                    value = OPERATIONS[sign[:-1]](self.value(name), value)
                return self.store(name, value)
        return self.ternary()

    def ternary(self) -> int:
        condition = self.binary(0)
        if not self.take("?"):
            return condition
        first = self.assignment()
        if not self.take(":"):
            raise ExpressionError("malformed ?: operator")
        second = self.assignment()
        return first if condition else second

    def binary(self, level: int) -> int:
        if level == len(BINARY):
            return self.unary()
        value = self.binary(level + 1)
        while sign := self.take(*BINARY[level]):
            value = _wrap(BINARY[level][sign](value, self.binary(level + 1)))
        return value

    def unary(self) -> int:
        sign = self.take("-", "+", "!", "~", "++", "--")
        if sign in ("++", "--"):
            name = self.tokens.pop(0) if self.tokens else ""
            return self.store(name, self.value(name) + (1 if sign == "++" else -1))
        if sign:
            value = self.unary()
            return {"-": -value, "+": value, "!": int(not value), "~": ~value}[sign]
        return self.primary()

    def primary(self) -> int:
        if self.take("("):
            value = self.comma()
            if not self.take(")"):
                raise ExpressionError("arithmetic syntax error")
            return value
        token = self.tokens.pop(0) if self.tokens else ""
        if token.isidentifier():
            value = self.value(token)
            if sign := self.take("++", "--"):
                self.store(token, value + (1 if sign == "++" else -1))
            return value
        return _number(token)

    def value(self, name: str) -> int:
        """Return the value of a variable, unset being 0."""
        text = self.variables.get(name, "").strip()
        return evaluate(text, self.variables) if text.isidentifier() else _number(text or "0")

    def store(self, name: str, value: int) -> int:
        """Set a variable."""
        if not name.isidentifier():
            raise ExpressionError("arithmetic syntax error")
        self.variables[name] = str(_wrap(value))
        return _wrap(value)


def _number(text: str) -> int:
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-")
    try:
        octal = len(digits) > 1 and digits[0] == "0" and digits.isdigit()
        return sign * int(digits, 8 if octal else 0)
    except ValueError:
        raise ExpressionError("arithmetic syntax error") from None


def _wrap(value: int) -> int:
    """Return `value` as a 64-bit signed integer."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)
