"""Programs that read text and write text."""

import codecs
import re

from kubesim.runtime.process import Process
from kubesim.runtime.programs.applet import AppletError, Inputs, Options, applet, number
from kubesim.runtime.streams import OpenFile

CONTINUATION = bytes(range(0x80, 0xC0))  # bytes of a character that are not its first

CANNOT_OPEN = "can't open '{name}': {reason}"
ESCAPES = dict(
    zip(
        b"\\abefnrtv",
        [b"\\", b"\a", b"\b", b"\x1b", b"\f", b"\n", b"\r", b"\t", b"\v"],
        strict=True,
    )
)


def unescape(text: bytes, octal: bytes = rb"0[0-7]{0,3}") -> bytes:
    r"""Return `text` with `\n`, `\t`, `\0nnn` and the like interpreted; `\c` ends it."""

    def replace(match: re.Match[bytes]) -> bytes:
        code = match.group(1)
        if code[:1].isdigit():
            return bytes([int(code, 8) & 255])
        if code[:1] == b"x":
            return bytes([int(code[1:], 16)])
        return ESCAPES.get(code[0], match.group())

    pattern = rb"\\([\\abefnrtv]|" + octal + rb"|x[0-9a-fA-F]{1,2})"
    return re.sub(pattern, replace, text.split(b"\\c")[0])


@applet("cat", "n", "[-n] [FILE]...")
async def cat(process: Process, options: Options, names: list[str]) -> int:
    """Print files."""
    inputs = Inputs(process, names, CANNOT_OPEN)
    if "n" in options:
        count = 0
        async for _, line in inputs.lines():
            count += 1
            await process.write(f"{count:6}\t".encode() + line)
        return inputs.failed
    async for _, file in inputs.files():
        while chunk := await file.read():
            await process.write(chunk)
    return inputs.failed


async def echo(process: Process) -> int:
    """Print the arguments; options are only what consists of n, e and E."""
    words = process.argv[1:]
    letters = ""
    while words and re.fullmatch(r"-[neE]+", words[0]):
        letters += words.pop(0)[1:]
    data = " ".join(words).encode(errors="surrogateescape")
    ends = "n" not in letters
    if "e" in letters and letters.rfind("e") > letters.rfind("E"):
        ends = ends and b"\\c" not in data
        data = unescape(data)
    await process.write(data + b"\n" if ends else data)
    return 0


@applet("head", "n:c:q", "[OPTIONS] [FILE]...")
async def head(process: Process, options: Options, names: list[str]) -> int:
    """Print the first lines or bytes."""
    count = number(options.value("c") or options.value("n", "10"))
    inputs = Inputs(process, names)
    first = True
    async for name, file in inputs.files():
        await _title(process, names, name, first, "q" in options)
        first = False
        if "c" in options:
            left = count
            while left > 0 and (chunk := await file.read(left)):
                left -= len(chunk)
                await process.write(chunk)
            continue
        for _ in range(count):
            line = await file.read_line()
            if not line:
                break
            await process.write(line)
    return inputs.failed


async def _title(
    process: Process, names: list[str], name: str, first: bool, quiet: bool = False
) -> None:
    if len(names) > 1 and not quiet:
        await process.write(f"{'' if first else chr(10)}==> {name} <==\n")


@applet("tail", "n:c:fFqs:", "[OPTIONS] [FILE]...")
async def tail(process: Process, options: Options, names: list[str]) -> int:
    """Print the last lines or bytes; -f goes on with what is added."""
    amount = options.value("c") or options.value("n", "10")
    from_start = amount.startswith("+")
    count = number(amount.lstrip("+-"))
    inputs = Inputs(process, names, CANNOT_OPEN)
    first = True
    async for name, data in inputs.contents():
        await _title(process, names, name, first, "q" in options)
        first = False
        pieces: list[bytes] | bytes = data if "c" in options else data.splitlines(keepends=True)
        kept = (
            pieces[max(count - 1, 0) :]
            if from_start
            else pieces[len(pieces) - min(count, len(pieces)) :]
        )
        await process.write(kept if isinstance(kept, bytes) else b"".join(kept))
    if names and first and "F" not in options:
        await process.complain("no files")
    elif names and ("f" in options or "F" in options):
        await _follow(process, names[-1], float(options.value("s", "1")))
    return inputs.failed


async def _follow(process: Process, name: str, interval: float) -> None:
    path = process.path(name)
    there = process.files.exists(path)
    position = len(process.files.read(path)) if there else 0
    while True:
        await process.clock.sleep(interval)
        if not there and process.files.exists(path):
            there = True
            await process.complain(f"{name} has appeared; following end of new file")
        data = process.files.read(path) if process.files.exists(path) else b""
        position = 0 if len(data) < position else position
        if data[position:]:
            await process.write(data[position:])
        position = len(data)


@applet("wc", "clwLm", "[-cmlwL] [FILE]...")
async def wc(process: Process, options: Options, names: list[str]) -> int:
    """Count lines, words and bytes."""
    inputs = Inputs(process, names)
    chosen = [letter for letter in "lwmcL" if letter in options] or ["l", "w", "c"]
    width = 0 if len(chosen) == 1 and len(names) < 2 else 9
    totals = [0] * len(chosen)
    async for name, file in inputs.files():
        counts = await _count(process, file)
        row = [counts[letter] for letter in chosen]
        totals = [total + count for total, count in zip(totals, row, strict=True)]
        await process.print(_wc_row(row, width, name if names else ""))
    if len(names) > 1:
        await process.print(_wc_row(totals, width, "total"))
    return inputs.failed


async def _count(process: Process, file: OpenFile) -> dict[str, int]:
    """Count what a file has, as it comes: however long it is, little of it is kept."""
    counts = dict.fromkeys("lwcmL", 0)
    column, in_word = 0, False
    while chunk := await file.read():
        await process.checkpoint()
        first, *others = chunk.split(b"\n")
        lengths = [column + len(first), *map(len, others)]
        column = lengths[-1]
        counts["L"] = max(counts["L"], *lengths)
        counts["l"] += len(others)
        counts["w"] += len(chunk.split()) - (in_word and not chunk[:1].isspace())
        in_word = not chunk[-1:].isspace()
        counts["c"] += len(chunk)
        counts["m"] += len(chunk.translate(None, CONTINUATION))
    return counts


def _wc_row(counts: list[int], width: int, name: str) -> str:
    return " ".join([*(f"{count:>{width}}" for count in counts), *([name] if name else [])])


@applet("sort", "nrufk:t:bo:", "[-nrubf] [-k KEY] [-t CHAR] [-o FILE] [FILE]...")
async def sort(process: Process, options: Options, names: list[str]) -> int:
    """Sort lines."""
    inputs = Inputs(process, names)
    lines = [line.removesuffix(b"\n") async for _, line in inputs.lines()]
    lines.sort(key=lambda line: _sort_key(line, options), reverse="r" in options)
    if "u" in options:
        unique = {_sort_key(line, options)[0]: line for line in reversed(lines)}
        lines = list(reversed(unique.values()))
    output = b"".join(line + b"\n" for line in lines)
    if "o" in options:
        process.files.write(process.path(options.value("o")), output)
    else:
        await process.write(output)
    return inputs.failed


def _sort_key(line: bytes, options: Options) -> tuple[tuple[float | bytes, ...], bytes]:
    keys = options.get("k") or [""]
    return tuple(_sort_field(line, key, options) for key in keys), line


def _sort_field(line: bytes, key: str, options: Options) -> float | bytes:
    match = re.match(r"(\d+)(?:\.\d+)?([a-z]*)(?:,(\d+))?([a-z]*)", key)
    text, flags = line, set(options)
    if match:
        separator = options.value("t").encode() or None
        fields = line.split(separator)
        last = int(match.group(3)) if match.group(3) else None
        text = (separator or b" ").join(fields[int(match.group(1)) - 1 : last])
        flags |= set(match.group(2) + match.group(4))
    if "n" in flags:
        value = re.match(rb"\s*(-?\d*\.?\d*)", text)
        digits = value.group(1) if value else b""
        return float(digits) if re.search(rb"\d", digits) else 0.0
    return text.lower() if "f" in flags else text


@applet("uniq", "cdui", "[-cdui] [INPUT]")
async def uniq(process: Process, options: Options, names: list[str]) -> int:
    """Collapse equal neighbouring lines."""
    inputs = Inputs(process, names)
    runs: list[tuple[bytes, int]] = []
    async for _, line in inputs.lines():
        text = line.removesuffix(b"\n")
        if runs and runs[-1][0] == text:
            runs[-1] = (text, runs[-1][1] + 1)
        else:
            runs.append((text, 1))
    for text, count in runs:
        if ("d" in options and count == 1) or ("u" in options and count > 1):
            continue
        await process.write((f"{count:7} ".encode() if "c" in options else b"") + text + b"\n")
    return inputs.failed


@applet("cut", "d:f:c:b:s", "-c|-b|-f LIST [-d SEP] [-s] [FILE]...")
async def cut(process: Process, options: Options, names: list[str]) -> int:
    """Print parts of lines."""
    ranges = options.value("f") or options.value("c") or options.value("b")
    if not ranges:
        raise AppletError("expected a list of bytes, characters, or fields")
    inputs = Inputs(process, names)
    separator = options.value("d", "\t").encode()
    async for _, line in inputs.lines():
        text = line.removesuffix(b"\n")
        if "f" not in options:
            pieces = [text[index : index + 1] for index in range(len(text))]
            await process.write(b"".join(_choose(pieces, ranges)) + b"\n")
        elif separator in text:
            fields = _choose(text.split(separator), ranges)
            await process.write(separator.join(fields) + b"\n")
        elif "s" not in options:
            await process.write(line)
    return inputs.failed


def _choose(pieces: list[bytes], ranges: str) -> list[bytes]:
    chosen: set[int] = set()
    for text in ranges.split(","):
        low, dash, high = text.partition("-")
        first = number(low) if low else 1
        last = (number(high) if high else len(pieces)) if dash else first
        chosen |= set(range(first - 1, min(last, len(pieces))))
    return [piece for index, piece in enumerate(pieces) if index in chosen]


@applet("tr", "+dsc", "[-cds] STRING1 [STRING2]", at_least=1)
async def tr(process: Process, options: Options, operands: list[str]) -> int:
    """Translate, squeeze or delete characters."""
    source = _characters(operands[0])
    if "c" in options:
        source = bytes(code for code in range(256) if code not in source)
    target = _characters(operands[1]) if operands[1:] else b""
    delete = source if "d" in options else b""
    table = None
    if target and not delete:
        table = bytes.maketrans(source, (target + target[-1:] * len(source))[: len(source)])
    squeezed = (target or source) if "s" in options else b""
    last = b""
    while chunk := await process.stdin.read():
        output = chunk.translate(table, delete)
        if squeezed:
            output = re.sub(rb"([" + re.escape(squeezed) + rb"])\1+", rb"\1", last + output)
            output, last = output[len(last) :], output[-1:]
        await process.write(output)
    return 0


CLASSES = {
    "[:upper:]": "A-Z",
    "[:lower:]": "a-z",
    "[:digit:]": "0-9",
    "[:alpha:]": "A-Za-z",
    "[:alnum:]": "A-Za-z0-9",
    "[:space:]": " \\t\\n\\v\\f\\r",
    "[:blank:]": " \\t",
}


def _characters(text: str) -> bytes:
    for name, members in CLASSES.items():
        text = text.replace(name, members)
    data = unescape(text.encode())
    return re.sub(rb"(?s)(.)-(.)", lambda found: bytes(range(found[1][0], found[2][0] + 1)), data)


@applet("tee", "ai", "[-ai] [FILE]...")
async def tee(process: Process, options: Options, names: list[str]) -> int:
    """Copy standard input to files and standard output."""
    files = [process.open(name, "a" if "a" in options else "w") for name in names]
    while chunk := await process.stdin.read():
        await process.write(chunk)
        for file in files:
            await file.write(chunk)
    return 0


@applet("rev", "", "[FILE]...")
async def rev(process: Process, _options: Options, names: list[str]) -> int:
    """Reverse lines."""
    inputs = Inputs(process, names)
    async for _, line in inputs.lines():
        await process.write(line.removesuffix(b"\n")[::-1] + b"\n")
    return inputs.failed


@applet("base64", "dw:", "[-d] [-w COL] [FILE]")
async def base64(process: Process, options: Options, names: list[str]) -> int:
    """Encode or decode base64."""
    inputs = Inputs(process, names)
    async for _, data in inputs.contents():
        if "d" in options:
            try:
                await process.write(codecs.decode(data, "base64"))
            except ValueError:
                raise AppletError("truncated input") from None
            continue
        encoded = codecs.encode(data, "base64").replace(b"\n", b"").decode()
        width = int(options.value("w", "76")) or len(encoded) or 1
        lines = [encoded[at : at + width] for at in range(0, len(encoded), width)]
        await process.write("\n".join(lines) + ("\n" if options.value("w") != "0" else ""))
    return inputs.failed
