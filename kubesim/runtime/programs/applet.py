"""How the programs of busybox are written: a function, its options and a usage line."""

import getopt
from collections.abc import AsyncIterator, Awaitable, Callable

from kubesim.runtime.commands import find_for
from kubesim.runtime.filesystem import MAX_FILE_SIZE
from kubesim.runtime.process import Process, Program, reason
from kubesim.runtime.streams import OpenFile

BANNER = "BusyBox v1.36.1 multi-call binary."
APPLETS: dict[str, Program] = {}


class Options(dict[str, list[str]]):
    """Parsed options: letter to the values given for it, in order."""

    def value(self, letter: str, default: str = "") -> str:
        """Return the last value given for an option."""
        return self[letter][-1] if letter in self else default


Applet = Callable[[Process, Options, list[str]], Awaitable[int]]


class UsageError(Exception):
    """The arguments are wrong; the usage is shown under the message."""


class AppletError(Exception):
    """The program gives up with a message and exit status 1."""


async def content(process: Process, name: str) -> bytes:
    """Read a file, "-" for the standard input. Raises AppletError."""
    try:
        return await process.read_all(name)
    except OSError as error:
        raise AppletError(f"can't open '{name}': {reason(error)}") from None


def runnable(process: Process, name: str) -> Program:
    """Find the program to run for a name. Raises AppletError."""
    found = find_for(process, name)
    if found.program is None:
        raise AppletError(f"can't execute '{name}': No such file or directory")
    return found.program


def applet(
    name: str,
    options: str = "",
    usage: str = "",
    at_least: int = 0,
    long: tuple[str, ...] = (),
    old_style: str = "",
) -> Callable[[Applet], Applet]:
    """Register an applet.

    Args:
        name: its command name.
        options: its option letters as getopt(3) takes them; "+" first stops at the first operand.
        usage: what the usage message shows after the name.
        at_least: how many operands it needs.
        long: names of long options, with "=" at the end if they take a value.
        old_style: letters that may stand in the first argument without a dash, as tar's do.

    """

    def register(function: Applet) -> Applet:
        async def program(process: Process) -> int:
            try:
                arguments = _dashed(process.argv[1:], old_style)
                given, operands = _parse(arguments, options, long)
                if len(operands) < at_least:
                    raise UsageError("")
                return await function(process, given, operands)
            except UsageError as fault:
                return await _show_usage(process, name, usage, str(fault))
            except AppletError as fault:
                await process.complain(str(fault))
                return 1

        APPLETS[name] = program
        return function

    return register


def _dashed(arguments: list[str], letters: str) -> list[str]:
    """Return arguments with the dash that the old style leaves out."""
    if letters and arguments and arguments[0] and not set(arguments[0]) - set(letters):
        return [f"-{arguments[0]}", *arguments[1:]]
    return arguments


def _parse(arguments: list[str], letters: str, long: tuple[str, ...]) -> tuple[Options, list[str]]:
    parse = getopt.getopt if letters.startswith("+") else getopt.gnu_getopt
    letters = letters.removeprefix("+")
    if "n:" in letters:  # head -5 means head -n 5
        arguments = [f"-n{text[1:]}" if _is_count(text) else text for text in arguments]
    try:
        pairs, operands = parse(arguments, letters, list(long))
    except getopt.GetoptError as error:
        missing = "requires argument" in error.msg
        what = "option requires an argument" if missing else "unrecognized option"
        raise UsageError(f"{what}: {error.opt}" if len(error.opt) > 1 else _short(error)) from None
    options = Options()
    for letter, value in pairs:
        options.setdefault(letter.lstrip("-"), []).append(value)
    return options, operands


def _short(error: getopt.GetoptError) -> str:
    missing = "requires argument" in error.msg
    what = "option requires an argument" if missing else "invalid option"
    return f"{what} -- '{error.opt}'"


def _is_count(text: str) -> bool:
    return text.startswith("-") and text[1:].isdigit()


async def _show_usage(process: Process, name: str, usage: str, message: str) -> int:
    if message:
        await process.complain(message)
    await process.write(f"{BANNER}\n\nUsage: {name} {usage}".rstrip() + "\n", 2)
    return 1


def number(text: str) -> int:
    """Return `text` as an integer, with busybox' suffixes k and m."""
    scale = {"k": 1024, "m": 1024**2}.get(text[-1:].lower(), 1)
    digits = text[:-1] if scale > 1 else text
    try:
        return int(digits) * scale
    except ValueError:
        raise AppletError(f"invalid number '{text}'") from None


class Inputs:
    """The files that a program was given, or standard input; unreadable ones are complained of."""

    def __init__(
        self, process: Process, names: list[str], complaint: str = "{name}: {reason}"
    ) -> None:
        self.failed = 0
        self._process = process
        self._names = names or ["-"]
        self._complaint = complaint

    async def files(self) -> AsyncIterator[tuple[str, OpenFile]]:
        """Yield name and open file."""
        for name in self._names:
            try:
                file = self._process.stdin if name == "-" else self._process.open(name)
            except OSError as error:
                self.failed = 1
                message = self._complaint.format(name=name, reason=reason(error))
                await self._process.complain(message)
                continue
            yield name, file.acquire()
            file.release()

    async def lines(self) -> AsyncIterator[tuple[str, bytes]]:
        """Yield name and line of all files, each line as soon as it is there."""
        async for name, file in self.files():
            while line := await file.read_line():
                await self._process.checkpoint()
                yield name, line

    async def contents(self) -> AsyncIterator[tuple[str, bytes]]:
        """Yield name and whole content of each file."""
        async for name, file in self.files():
            data, size = bytearray(), 0
            while chunk := await file.read():
                self._process.allocate(len(chunk))
                await self._process.checkpoint()
                size += len(chunk)
                if size <= MAX_FILE_SIZE:  # what comes beyond is counted, not kept
                    data += chunk
            if size > MAX_FILE_SIZE:
                raise AppletError("out of memory")
            yield name, bytes(data)
            self._process.allocate(-size)
