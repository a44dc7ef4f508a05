"""printf, seq and test: programs about values."""

import re
from collections.abc import Callable

from kubesim.runtime.filesystem import Directory, File, Link
from kubesim.runtime.process import Process
from kubesim.runtime.programs.applet import AppletError, Options, UsageError, applet
from kubesim.runtime.programs.text import unescape
from kubesim.runtime.shell.arithmetic import ExpressionError, evaluate

ARITHMETIC = ("+", "-", "*", "/", "%", "<", ">", "<=", ">=")
CONVERSION = re.compile(r"%([-+ 0#]*)(\*|\d*)(?:\.(\*|\d*))?([diouxXcsbeEfgG%])")


async def printf(process: Process) -> int:
    """Print the arguments in a format, as often as there are arguments left."""
    if len(process.argv) < 2:
        await process.complain("usage: printf FORMAT [ARG]...")
        return 2 if process.name == "sh" else 1
    template, *arguments = process.argv[1:]
    printer = _Printer(arguments)
    while True:
        text = CONVERSION.sub(printer.convert, _unescaped(template))
        await process.write(text)
        if not arguments or not printer.consumed:
            break
        printer.consumed = False
    for message in printer.complaints:
        await process.complain(message)
    return 1 if printer.complaints else 0


def _unescaped(template: str) -> str:
    data = unescape(template.encode(errors="surrogateescape"), octal=rb"[0-7]{1,3}")
    return data.decode(errors="surrogateescape")


class _Printer:
    def __init__(self, arguments: list[str]) -> None:
        self.arguments = arguments
        self.complaints: list[str] = []
        self.consumed = False

    def take(self) -> str:
        self.consumed = self.consumed or bool(self.arguments)
        return self.arguments.pop(0) if self.arguments else ""

    def convert(self, match: re.Match[str]) -> str:
        flags, width, precision, kind = match.groups()
        if kind == "%":
            return "%"
        width = self.take() if width == "*" else width
        precision = self.take() if precision == "*" else precision
        point = "" if precision is None else f".{precision or 0}"
        argument = self.take()
        if kind in "csb":
            text = argument[:1] if kind == "c" else argument
            text = _unescaped(text) if kind == "b" else text
            return f"%{flags}{width}{point}s" % text
        if kind in "eEfgG":
            return f"%{flags}{width}{point}{kind}" % self.number(argument, float)
        return f"%{flags}{width}{point}{'d' if kind in 'iu' else kind}" % self.number(argument, int)

    def number(self, text: str, kind: type[int] | type[float]) -> int | float:
        if text[:1] in ("'", '"') and len(text) > 1:
            return ord(text[1])
        try:
            return float(text or 0) if kind is float else int(text or "0", 0)
        except ValueError:
            self.complaints.append(f"invalid number '{text}'")
            return 0


@applet("seq", "+ws:", "[-w] [-s SEP] [FIRST [INC]] LAST", at_least=1)
async def seq(process: Process, options: Options, operands: list[str]) -> int:
    """Print numbers."""
    values = [_real(text) for text in _join_negative(operands)]
    first = values[0] if len(values) > 1 else 1
    step = values[1] if len(values) > 2 else 1
    last = values[-1]
    if step == 0:
        raise AppletError("increment is 0")
    places = max(len(text.partition(".")[2]) for text in operands)
    count = int((last - first) / step + 1e-9) + 1
    separator = _unescaped(options.value("s", "\n"))
    width = max(len(f"{value:.{places}f}") for value in (first, last)) if "w" in options else 0
    for index in range(count):
        text = f"{first + index * step:0{width}.{places}f}"
        await process.write(text + (separator if index < count - 1 else "\n"))
    return 0


def _join_negative(operands: list[str]) -> list[str]:
    if len(operands) > 3:
        raise UsageError("")
    return operands


def _real(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise AppletError(f"invalid number '{text}'") from None


async def expr(process: Process) -> int:
    """Print the value of an expression; 1 if it is null or zero."""
    words = process.argv[1:]
    if words[:1] == ["length"] and len(words) == 2:
        value = str(len(words[1]))
    elif len(words) == 3 and words[1] in ARITHMETIC:
        try:
            value = str(evaluate(f"{words[0]} {words[1]} {words[2]}", {}))
        except ExpressionError:
            await process.complain("non-integer argument")
            return 2
    elif len(words) == 3 and words[1] in STRING:
        value = str(int(STRING[words[1]](words[0], words[2])))
    elif len(words) == 1:
        value = words[0]
    else:
        await process.complain("syntax error")
        return 2
    await process.print(value)
    return int(value in ("", "0"))


class TestError(Exception):
    """The expression of `test` is wrong; status 2."""


async def test(process: Process) -> int:
    """Evaluate a condition; `[` wants a closing `]`, and `[[` two."""
    words = process.argv[1:]
    closing = "]" * process.argv[0].count("[")
    try:
        if closing:
            if words[-1:] != [closing]:
                raise TestError(f"missing {closing}")
            words = words[:-1]
        return int(not _Condition(process, words).evaluate())
    except TestError as fault:
        await process.complain(str(fault))
        return 2


INTEGER: dict[str, Callable[[int, int], bool]] = {
    "-eq": lambda left, right: left == right,
    "-ne": lambda left, right: left != right,
    "-lt": lambda left, right: left < right,
    "-le": lambda left, right: left <= right,
    "-gt": lambda left, right: left > right,
    "-ge": lambda left, right: left >= right,
}
STRING: dict[str, Callable[[str, str], bool]] = {
    "=": lambda left, right: left == right,
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    ">": lambda left, right: left > right,
}
BINARY = {*INTEGER, *STRING, "-nt", "-ot", "-ef"}


class _Condition:
    """A condition being read from left to right."""

    def __init__(self, process: Process, words: list[str]) -> None:
        self.process = process
        self.words = words

    def evaluate(self) -> bool:
        if not self.words:
            return False
        value = self.either()
        if self.words:
            raise TestError(f"{self.words[0]}: unknown operand")
        return value

    def either(self) -> bool:
        value = self.both()
        while self.words[:1] == ["-o"]:
            self.words.pop(0)
            value = self.both() or value
        return value

    def both(self) -> bool:
        value = self.single()
        while self.words[:1] == ["-a"]:
            self.words.pop(0)
            value = self.single() and value
        return value

    def single(self) -> bool:
        if not self.words:
            raise TestError("argument expected")
        if len(self.words) >= 3 and self.words[1] in BINARY:
            left, operator, right = (self.words.pop(0) for _ in range(3))
            return self.binary(left, operator, right)
        word = self.words.pop(0)
        if word == "!" and self.words:
            return not self.single()
        if word == "(" and self.words:
            value = self.either()
            if self.words[:1] != [")"]:
                raise TestError("closing paren expected")
            self.words.pop(0)
            return value
        if len(word) == 2 and word[0] == "-" and word[1] in "zndefhLrwxst" and self.words:
            return self.unary(word[1], self.words.pop(0))
        return word != ""

    def unary(self, letter: str, operand: str) -> bool:
        if letter in "zn":
            return (operand == "") == (letter == "z")
        if letter == "t":
            file = self.process.descriptors.get(_integer(operand))
            return file is not None and file.is_terminal
        try:
            node = self.process.files.lookup(self.process.path(operand), letter not in "hL")
        except OSError:
            return False
        return {
            "d": isinstance(node, Directory),
            "f": isinstance(node, File),
            "h": isinstance(node, Link),
            "L": isinstance(node, Link),
            "s": isinstance(node, File) and bool(node.data),
            "x": bool(node.mode & 0o111),
        }.get(letter, True)

    def binary(self, left: str, operator: str, right: str) -> bool:
        if operator in STRING:
            return STRING[operator](left, right)
        if operator in INTEGER:
            return INTEGER[operator](_integer(left), _integer(right))
        files = self.process.files
        first, second = (files.lookup(self.process.path(name)) for name in (left, right))
        if operator == "-ef":
            return first is second
        newer = first.modified > second.modified
        return newer if operator == "-nt" else second.modified > first.modified


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise TestError(f"{text}: bad number") from None
