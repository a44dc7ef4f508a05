"""From an expression's text to tokens (the lexis of the CEL specification)."""

import re
from dataclasses import dataclass
from typing import Any

from kubesim.apiserver.cel.errors import CompileError

TOKEN = re.compile(
    r"""
    (?P<space>(\s|//[^\n]*)+)
  | (?P<float>\d+\.\d+([eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+([eE][+-]?\d+)?)
  | (?P<uint>(0x[0-9a-fA-F]+|\d+)[uU])
  | (?P<int>0x[0-9a-fA-F]+|\d+)
  | (?P<string>[rR]?[bB]?[rR]?(\"\"\"(\\.|[^\\])*?\"\"\"|'''(\\.|[^\\])*?'''
      |"(\\.|[^"\\\n])*"|'(\\.|[^'\\\n])*'))
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<quoted>`[^`\n]+`)
  | (?P<symbol>&&|\|\||==|!=|<=|>=|\.\?|\[\?|[-+*/%!<>?:.,()\[\]{}])
    """,
    re.VERBOSE | re.DOTALL,
)
ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\'\"`?])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2}))",
    re.IGNORECASE,
)
LETTERS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


@dataclass(frozen=True)
class Token:
    """A token: its kind (name, symbol, literal or end), its value, and where it stands."""

    kind: str
    value: Any
    at: int


class UInt(int):
    """An unsigned integer."""


def tokens(text: str) -> list[Token]:
    """Return a text's tokens, an end at last. Raises CompileError."""
    found, at = [], 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if not match:
            shown = text[at]
            raise CompileError(text, at, f"Syntax error: token recognition error at: '{shown}'")
        kind, raw = match.lastgroup or "", match[0]
        for name in ("space", "float", "uint", "int", "string", "name", "quoted", "symbol"):
            if match[name] is not None:
                kind = name
                break
        if kind != "space":
            found.append(_token(kind, raw, at))
        at = match.end()
    return [*found, Token("end", "<EOF>", len(text))]


def _token(kind: str, raw: str, at: int) -> Token:
    if kind == "float":
        return Token("literal", float(raw), at)
    if kind == "int":
        return Token("literal", int(raw, 0) if raw.startswith("0x") else int(raw), at)
    if kind == "uint":
        return Token("literal", UInt(raw[:-1], 16 if raw.startswith("0x") else 10), at)
    if kind == "string":
        return Token("literal", _string(raw), at)
    if kind == "quoted":
        return Token("name", raw[1:-1], at)
    return Token(kind, raw, at)


def _string(raw: str) -> str | bytes:
    start = min(raw.index(quote) for quote in "\"'" if quote in raw)
    prefix, body = raw[:start].lower(), raw[start:]
    size = 3 if body[:3] in ('"""', "'''") else 1
    text = body[size:-size]
    if "r" not in prefix:
        text = ESCAPE.sub(_unescaped, text)
    return text.encode() if "b" in prefix else text


def _unescaped(match: re.Match[str]) -> str:
    letter, *codes = match.groups()
    if letter is not None:
        return LETTERS.get(letter, letter)
    octal = codes.pop()
    return chr(int(octal, 8)) if octal else chr(int(next(filter(None, codes)), 16))
