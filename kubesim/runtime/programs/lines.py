"""Programs that rearrange lines: tac, nl, paste, fold, expand, shuf, diff."""

import difflib
import posixpath
import random

from kubesim.runtime.process import Process, reason
from kubesim.runtime.programs.applet import AppletError, Inputs, Options, applet


async def _lines(process: Process, names: list[str]) -> list[str]:
    inputs = Inputs(process, names, "can't open '{name}': {reason}")
    return [line.decode(errors="surrogateescape") async for _, line in inputs.lines()]


@applet("tac", "", "[FILE]...")
async def tac(process: Process, _options: Options, names: list[str]) -> int:
    """Print lines, the last one first."""
    for line in reversed(await _lines(process, names)):
        await process.write(line)
    return 0


@applet("nl", "b:", "[-b STYLE] [FILE]...")
async def nl(process: Process, options: Options, names: list[str]) -> int:
    """Number lines; empty ones only with -b a."""
    count = 0
    for line in await _lines(process, names):
        if line.strip() or options.value("b") == "a":
            count += 1
            await process.write(f"{count:6}\t{line}")
        else:
            await process.write(f"       {line}")
    return 0


@applet("paste", "d:s", "[-d LIST] [-s] [FILE]...")
async def paste(process: Process, options: Options, names: list[str]) -> int:
    """Join lines side by side; each - takes the next line of standard input."""
    separator = options.value("d", "\t")
    if "s" in options:
        for name in names or ["-"]:
            lines = await _lines(process, [name])
            await process.print(separator.join(line.removesuffix("\n") for line in lines))
        return 0
    stdin = iter(await _lines(process, [])) if "-" in names or not names else iter(())
    columns = [
        stdin if name == "-" else iter(await _lines(process, [name])) for name in names or ["-"]
    ]
    while True:
        row = [next(column, None) for column in columns]
        if all(cell is None for cell in row):
            return 0
        await process.print(separator.join((cell or "").removesuffix("\n") for cell in row))


@applet("fold", "w:sb", "[-bs] [-w WIDTH] [FILE]...")
async def fold(process: Process, options: Options, names: list[str]) -> int:
    """Break long lines."""
    width = int(options.value("w", "80"))
    for line in await _lines(process, names):
        rest = line.removesuffix("\n")
        while len(rest) > width:
            blank = rest.rfind(" ", 0, width) + 1 if "s" in options else 0
            await process.print(rest[: blank or width])
            rest = rest[blank or width :]
        await process.write(rest + line[len(line.removesuffix("\n")) :])
    return 0


@applet("expand", "t:i", "[-i] [-t N] [FILE]...")
async def expand(process: Process, options: Options, names: list[str]) -> int:
    """Replace tabs by spaces."""
    for line in await _lines(process, names):
        await process.write(line.expandtabs(int(options.value("t", "8"))))
    return 0


@applet("shuf", "n:ei:", "[-n NUM] [-e|-i LO-HI] [FILE|ARG...]")
async def shuf(process: Process, options: Options, names: list[str]) -> int:
    """Print lines in random order."""
    if "i" in options:
        low, _, high = options.value("i").partition("-")
        lines = [f"{each}\n" for each in range(int(low), int(high) + 1)]
    else:
        lines = [f"{each}\n" for each in names] if "e" in options else await _lines(process, names)
    random.Random(f"{process.pid} {process.clock.now()}").shuffle(lines)  # noqa: S311 - no secret
    for line in lines[: int(options.value("n", str(len(lines))))]:
        await process.write(line)
    return 0


@applet(
    "diff", "uqrNbwiaBdtTsU:L:", "[-abBdiNqrTstw] [-L LABEL] [-U LINES] FILE1 FILE2", at_least=2
)
async def diff(process: Process, options: Options, names: list[str]) -> int:
    """Show how two files, or two directories of files, differ; busybox knows one format only."""
    one, other = names[:2]
    both = [process.files.is_directory(process.path(name)) for name in (one, other)]
    if all(both):
        return await _diff_directories(process, options, one, other)
    if both[1]:
        other = posixpath.join(other, posixpath.basename(one))
    return await _diff_files(process, options, one, other)


async def _diff_directories(process: Process, options: Options, one: str, other: str) -> int:
    status = 0
    left, right = (set(process.files.listdir(process.path(name))) for name in (one, other))
    for name in sorted(left | right):
        if name not in left or name not in right:
            await process.print(f"Only in {one if name in left else other}: {name}")
            status = 1
            continue
        pair = posixpath.join(one, name), posixpath.join(other, name)
        directory = process.files.is_directory(process.path(pair[0]))
        if directory and "r" in options:
            status |= await _diff_directories(process, options, *pair)
        elif not directory:
            status |= await _diff_files(process, options, *pair)
    return status


async def _diff_files(process: Process, options: Options, one: str, other: str) -> int:
    texts = [await _text(process, name, "N" in options) for name in (one, other)]
    if texts[0] == texts[1]:
        return 0
    if "q" in options:
        await process.print(f"Files {one} and {other} differ")
        return 1
    lines = difflib.unified_diff(
        texts[0].splitlines(keepends=True),
        texts[1].splitlines(keepends=True),
        one,
        other,
        n=int(options.value("U", "3")),
    )
    for line in lines:
        missing = "" if line.endswith("\n") else "\n\\ No newline at end of file\n"
        await process.write(line + missing)
    return 1


async def _text(process: Process, name: str, absent_is_empty: bool) -> str:
    if absent_is_empty and not process.files.exists(process.path(name)):
        return ""
    try:
        return (await process.read_all(name)).decode(errors="surrogateescape")
    except OSError as error:
        raise AppletError(f"can't stat '{name}': {reason(error)}") from None
