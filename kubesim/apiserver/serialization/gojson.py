"""JSON as Go reads it: strictly, and with Go's own words for what is wrong.

Clients show the server's message, and that is the one of Go's encoding/json: "invalid character 'b'
looking for beginning of object key string". Python's parser is quick and accepts nearly the same
language; only when it refuses a text is the text walked again to find out what Go would say.
"""

import json
import math
from typing import Any

DEEPEST = 500  # Go stops at 10,000; deeper than this, nothing here is meant to be read
WHITESPACE = " \t\r\n"
ESCAPES = '"\\/bfnrtu'
HEXADECIMAL = "0123456789abcdefABCDEF"
DIGITS = "0123456789"
LITERALS = ("true", "false", "null")
END = "unexpected end of JSON input"
TOO_DEEP = "exceeded max depth"
VALUE = "looking for beginning of value"
KEY = "looking for beginning of object key string"


class JSONError(ValueError):
    """The text is not JSON; says what Go's decoder would say."""


class Twice(dict[str, Any]):
    """An object in which the text named some keys more than once; the last one counts."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        seen: set[str] = set()
        self.repeated = [key for key, _ in pairs if key in seen or seen.add(key)]  # type: ignore[func-returns-value]


def loads(body: bytes) -> Any:
    """Return the value of a JSON text. Raises JSONError."""
    text = body.decode(errors="replace")
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError:
        raise JSONError(_Walk(text).problem()) from None
    except RecursionError:
        raise JSONError(TOO_DEEP) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    obj = dict(pairs)
    return obj if len(obj) == len(pairs) else Twice(pairs)


def _number(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise JSONError(f"json: cannot unmarshal number {text} into Go value of type float64")
    return value


def _integer(text: str) -> int | float:
    return int(text) if len(text) < 40 else _number(text)


def _constant(name: str) -> Any:
    raise json.JSONDecodeError("not JSON, though Python reads it", name, 0)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_float=_number,
    parse_int=_integer,
    parse_constant=_constant,
)


class _Walk:
    """Goes through a text that is not JSON up to the character that Go stumbles over."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def problem(self) -> str:
        """Return what Go says of the text."""
        try:
            self._value(0)
            self._space()
            if self._at < len(self._text):
                raise self._unexpected("after top-level value")
        except JSONError as problem:
            return str(problem)
        return "invalid JSON"

    def _unexpected(self, context: str) -> JSONError:
        if self._at >= len(self._text):
            return JSONError(END)
        return JSONError(f"invalid character {_quoted(self._text[self._at])} {context}")

    def _peek(self) -> str:
        return self._text[self._at] if self._at < len(self._text) else ""

    def _space(self) -> None:
        while self._peek() and self._peek() in WHITESPACE:
            self._at += 1

    def _one_of(self, characters: str, context: str) -> str:
        found = self._peek()
        if not found or found not in characters:
            raise self._unexpected(context)
        self._at += 1
        return found

    def _value(self, depth: int) -> None:
        if depth > DEEPEST:
            raise JSONError(TOO_DEEP)
        self._space()
        first = self._peek()
        if first == "{":
            self._object(depth)
        elif first == "[":
            self._array(depth)
        elif first == '"':
            self._string()
        elif first and first in "-" + DIGITS:
            self._numeral()
        else:
            self._literal()

    def _object(self, depth: int) -> None:
        self._at += 1
        self._space()
        if self._peek() == "}":
            self._at += 1
            return
        while True:
            self._space()
            if self._peek() != '"':
                raise self._unexpected(KEY)
            self._string()
            self._space()
            self._one_of(":", "after object key")
            self._value(depth + 1)
            self._space()
            if self._one_of(",}", "after object key:value pair") == "}":
                return

    def _array(self, depth: int) -> None:
        self._at += 1
        self._space()
        if self._peek() == "]":
            self._at += 1
            return
        while True:
            self._value(depth + 1)
            self._space()
            if self._one_of(",]", "after array element") == "]":
                return

    def _string(self) -> None:
        self._at += 1
        while (found := self._peek()) != '"':
            if not found or found < " ":
                raise self._unexpected("in string literal")
            self._at += 1
            if found == "\\" and self._one_of(ESCAPES, "in string escape code") == "u":
                for _ in range(4):
                    self._one_of(HEXADECIMAL, "in \\u hexadecimal character escape")
        self._at += 1

    def _numeral(self) -> None:
        if self._peek() == "-":
            self._at += 1
        if self._one_of(DIGITS, "in numeric literal") != "0":
            self._digits()
        if self._peek() == ".":
            self._at += 1
            self._one_of(DIGITS, "after decimal point in numeric literal")
            self._digits()
        if self._peek() and self._peek() in "eE":
            self._at += 1
            if self._peek() and self._peek() in "+-":
                self._at += 1
            self._one_of(DIGITS, "in exponent of numeric literal")
            self._digits()

    def _digits(self) -> None:
        while self._peek() and self._peek() in DIGITS:
            self._at += 1

    def _literal(self) -> None:
        word = next((word for word in LITERALS if word[0] == self._peek()), None)
        if not word:
            raise self._unexpected(VALUE)
        self._at += 1
        for expected in word[1:]:
            self._one_of(expected, f"in literal {word} (expecting {_quoted(expected)})")


def _quoted(character: str) -> str:
    """Return a character as Go names it in a message."""
    if character == "'":
        return r"'\''"
    if character == '"':
        return "'\"'"
    named = {"\n": r"\n", "\t": r"\t", "\r": r"\r", "\\": r"\\", "\x07": r"\a", "\x08": r"\b"}
    named |= {"\x0b": r"\v", "\x0c": r"\f"}
    if character < " " or character == "\x7f":
        named.setdefault(character, f"\\x{ord(character):02x}")
    return f"'{named.get(character, character)}'"
