"""The files and commands that an awk program reads from and writes to."""

import re

from kubesim.runtime.commands import find_for
from kubesim.runtime.process import Process
from kubesim.runtime.programs.awk.values import regex
from kubesim.runtime.streams import OpenFile, Pipe


class Reader:
    """Splits one open file into records."""

    def __init__(self, process: Process, file: OpenFile, child: Process | None = None) -> None:
        self._process = process
        self._file = file.acquire()
        self._child = child
        self._rest: str | None = None  # all that is left, once the separator needs it

    async def record(self, separator: str) -> str | None:
        """Return the next record, None at the end. `separator` is RS."""
        await self._process.checkpoint()
        if separator == "\n" and self._rest is None:
            line = (await self._file.read_line()).decode(errors="surrogateescape")
            return line.removesuffix("\n") if line else None
        if self._rest is None:
            self._rest = await self._all()
        return self._cut(separator)

    async def _all(self) -> str:
        data = bytearray()
        while chunk := await self._file.read():
            data += chunk
            await self._process.checkpoint()
        return data.decode(errors="surrogateescape")

    def _cut(self, separator: str) -> str | None:
        rest = self._rest or ""
        if separator == "":  # paragraphs
            rest, separator = rest.lstrip("\n"), "\n\n+"
        pattern = re.compile(re.escape(separator)) if len(separator) == 1 else regex(separator)
        match = pattern.search(rest)
        record = rest[: match.start()] if match else rest.removesuffix("\n")
        self._rest = rest[match.end() :] if match else ""
        return record if match or rest else None

    async def close(self) -> int:
        """Give up the file; return the status of the command behind it."""
        self._file.release()
        return await self._child.wait() if self._child else 0


class Writer:
    """A file or command that is written to until it is closed."""

    def __init__(self, file: OpenFile, child: Process | None = None) -> None:
        self._file = file.acquire()
        self._child = child

    async def write(self, data: str) -> None:
        """Write all of `data`."""
        await self._file.write(data.encode(errors="surrogateescape"))

    async def close(self) -> int:
        """Let the other side see the end; return a command's status."""
        self._file.release()
        return await self._child.wait() if self._child else 0


def reader_of(process: Process, kind: str, target: str) -> Reader:
    """Open a file ("<") or start a command ("|") to read from. Raises OSError."""
    if kind == "<":
        return Reader(process, process.stdin if target == "-" else process.open(target))
    pipe = Pipe()
    child = start(process, target, {1: pipe.writer})
    return Reader(process, pipe.reader, child)


def writer_to(process: Process, kind: str, target: str) -> Writer:
    """Open a file (">", ">>") or start a command ("|") to write to. Raises OSError."""
    if kind != "|":
        return Writer(process.open(target, "w" if kind == ">" else "a"))
    pipe = Pipe()
    child = start(process, target, {0: pipe.reader})
    return Writer(pipe.writer, child)


def start(process: Process, command: str, files: dict[int, OpenFile]) -> Process:
    """Start a command in a shell, with some of its descriptors replaced."""
    program = find_for(process, "/bin/sh").program
    assert program, "every image with awk has a shell"
    return process.spawn(program, ["sh", "-c", command], None, process.descriptors | files)
