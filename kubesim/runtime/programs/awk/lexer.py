"""An awk program's text as tokens."""

import re
from dataclasses import dataclass

from kubesim.runtime.programs.awk.syntax import AwkSyntaxError

KEYWORDS = {"BEGIN", "END", "function", "func", "if", "else", "while", "for", "do", "break", "in"}
KEYWORDS |= {"continue", "next", "exit", "return", "delete", "getline", "print", "printf"}
TOKEN = re.compile(
    r"(?P<space>(?:[ \t\r]|\\\n|#[^\n]*)+)"
    r"|(?P<newline>\n)"
    r"|(?P<number>0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r'|(?P<string>"(?:[^"\\\n]|\\(?:.|\n))*")'
    r"|(?P<call>[A-Za-z_]\w*(?=\())"
    r"|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<operator>\*\*=|\*\*|&&|\|\||\+\+|--|[-+*/%^=!<>]=|>>|!~|[-+*/%^!<>|?:~$=(){}\[\],;])"
)
REGEX = re.compile(r"/((?:[^/\\\n\[]|\\.|\[\^?\]?(?:[^\]\\]|\\.)*\])*)/")
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
VALUES = ("number", "string", "name", "regex")  # after these, and after ) ] $, a slash divides


@dataclass(frozen=True)
class Token:
    """One token: what it is, and its text."""

    kind: str
    text: str


def tokens(source: str) -> list[Token]:
    """Split a program. Raises AwkSyntaxError."""
    found: list[Token] = []
    at = 0
    while at < len(source):
        regex = REGEX.match(source, at) if _expects_operand(found) else None
        if regex:
            found.append(Token("regex", regex[1].replace("\\/", "/")))
            at = regex.end()
            continue
        match = TOKEN.match(source, at)
        if not match:
            raise AwkSyntaxError("Unexpected token")
        at = match.end()
        if match.lastgroup != "space":
            found.append(_token(match.lastgroup or "", match.group()))
    return [*found, Token("end", "")]


def _expects_operand(found: list[Token]) -> bool:
    if not found:
        return True
    last = found[-1]
    return last.kind not in VALUES and last.text not in (")", "]", "$", "++", "--")


def _token(kind: str, text: str) -> Token:
    if kind == "string":
        return Token(kind, unescape(text[1:-1]))
    if kind in ("name", "call") and text in KEYWORDS:
        return Token("keyword", text)
    return Token(kind, text)


def unescape(text: str) -> str:
    """Return the characters that a string's escapes stand for."""

    def replace(match: re.Match[str]) -> str:
        code = match[1]
        if code == "\n":
            return ""
        return chr(int(code, 8)) if code[0].isdigit() else ESCAPES.get(code, code_of(code))

    def code_of(code: str) -> str:
        return code if code in '"\\/' else f"\\{code}"

    return re.sub(r"\\([0-7]{1,3}|.|\n)", replace, text)
