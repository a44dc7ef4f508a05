"""grep: prints the lines that match."""

import re
from collections import deque

from kubesim.runtime.process import Process
from kubesim.runtime.programs.applet import AppletError, Inputs, Options, applet
from kubesim.runtime.programs.patterns import regex
from kubesim.runtime.streams import OpenFile

LETTERS = "HhnlLoqvsrRiwFExce:m:A:B:C:"


@applet("grep", LETTERS, "[-HhnlLoqvsrRiwFEx] [-m N] [-A|B|C N] PATTERN [FILE]...")
async def grep(process: Process, options: Options, operands: list[str]) -> int:
    """Print lines that match; status 1 if none does, 2 if a file can't be read."""
    patterns = options.get("e") or operands[:1]
    names = operands if "e" in options else operands[1:]
    if not patterns:
        raise AppletError("you must specify a pattern")
    recursive = bool({"r", "R"} & options.keys())
    if recursive:
        names = _below(process, names or ["."])
    titled = (len(names) > 1 or "H" in options or recursive) and "h" not in options
    search = Search(process, options, patterns, titled)
    inputs = Inputs(process, names)
    async for name, file in inputs.files():
        await search.file(name, file)
        if search.found and "q" in options:
            return 0
    return 0 if search.found else 2 if inputs.failed else 1


@applet("egrep", LETTERS, "PATTERN [FILE]...")
async def egrep(process: Process, options: Options, operands: list[str]) -> int:
    """Run grep -E."""
    return await grep(process, Options(options | {"E": [""]}), operands)


class Search:
    """What is looked for and how it is shown."""

    def __init__(
        self, process: Process, options: Options, patterns: list[str], titled: bool
    ) -> None:
        self.found = False
        self._process = process
        self._options = options
        self._titled = titled
        self._matcher = _matcher(patterns, options)
        self._before: deque[bytes] = deque(maxlen=self._number("B", "C"))

    def _number(self, *letters: str) -> int:
        return next(
            (int(self._options.value(each)) for each in letters if each in self._options), 0
        )

    async def file(self, name: str, file: OpenFile) -> None:
        """Search one file."""
        count = number = trailing = 0
        title = f"{name}:" if self._titled else ""
        while line := await file.read_line():
            await self._process.checkpoint()
            number += 1
            text = line.removesuffix(b"\n")
            if (self._matcher.search(text) is None) == ("v" not in self._options):
                trailing = await self._context(text, trailing)
                continue
            count += 1
            self.found = True
            if {"q", "l", "L"} & self._options.keys():
                break
            prefix = f"{title}{number}:" if "n" in self._options else title
            await self._show(text, prefix.encode())
            trailing = self._number("A", "C")
            if count == self._number("m"):
                break
        await self._summarize(name, title, count)

    async def _context(self, text: bytes, trailing: int) -> int:
        """Show a line after a match, or keep it in case that one comes."""
        if trailing:
            await self._process.write(text + b"\n")
            return trailing - 1
        self._before.append(text)
        return 0

    async def _show(self, text: bytes, prefix: bytes) -> None:
        if "c" in self._options:
            return
        for each in self._before:
            await self._process.write(each + b"\n")
        self._before.clear()
        only = "o" in self._options
        for piece in [found.group() for found in self._matcher.finditer(text)] if only else [text]:
            await self._process.write(prefix + piece + b"\n")

    async def _summarize(self, name: str, title: str, count: int) -> None:
        if "c" in self._options:
            await self._process.print(f"{title}{count}")
        if ("l" in self._options and count) or ("L" in self._options and not count):
            await self._process.print(name)


def _below(process: Process, names: list[str]) -> list[str]:
    files = process.files
    paths = [path for name in names for path in files.walk(process.path(name))]
    return [path for path in paths if not files.is_directory(path)]


def _matcher(patterns: list[str], options: Options) -> re.Pattern[bytes]:
    alternatives = []
    for pattern in "\n".join(patterns).split("\n"):
        source = re.escape(pattern) if "F" in options else regex(pattern, extended="E" in options)
        if "w" in options:
            source = rf"(?<!\w)(?:{source})(?!\w)"
        if "x" in options:
            source = rf"\A(?:{source})\Z"
        alternatives.append(f"(?:{source})")
    flags = re.IGNORECASE if "i" in options else 0
    try:
        return re.compile("|".join(alternatives).encode(), flags)
    except re.error as error:
        raise AppletError(f"bad regex '{patterns[0]}': {error}") from None
