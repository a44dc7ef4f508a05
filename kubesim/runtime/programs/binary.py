"""Programs for bytes: dd, od, hexdump, xxd, cmp, strings, truncate."""

import re

from kubesim.runtime.filesystem import MAX_FILE_SIZE
from kubesim.runtime.process import Process, reason
from kubesim.runtime.programs.applet import AppletError, Options, applet, content, number
from kubesim.runtime.streams import OpenFile

SUFFIXES = {"c": 1, "w": 2, "b": 512, "k": 1024, "K": 1024, "M": 1024**2, "G": 1024**3}
DD_OPERANDS = ("if", "of", "bs", "ibs", "obs", "count", "skip", "seek", "conv", "status")
VI_USAGE = """[-c CMD] [-R] [-H] [FILE]...

Edit FILE

	-c CMD	Initial command to run ($EXINIT and ~/.exrc also available)
	-R	Read-only
	-H	List available features"""


def size(text: str) -> int:
    """Return "4k" in bytes."""
    match = re.fullmatch(r"(\d+)([cwbkKMG]?)B?", text)
    if not match:
        raise AppletError(f"invalid number '{text}'")
    return int(match[1]) * SUFFIXES.get(match[2], 1)


@applet("dd", "", "[if=FILE] [of=FILE] [bs=N] [count=N] [skip=N] [seek=N] [conv=notrunc]")
async def dd(process: Process, _options: Options, operands: list[str]) -> int:
    """Copy a file block by block."""
    given = dict(_operand(text) for text in operands)
    block = size(given.get("bs", given.get("ibs", "512")))
    source = _open(process, given["if"], "r") if "if" in given else process.stdin
    target = process.descriptors[1]
    if "of" in given:
        keep = "notrunc" in given.get("conv", "") or "seek" in given
        target = _open(process, given["of"], "r+" if keep else "w")
    await _skip(source, block * size(given.get("skip", "0")))
    if "seek" in given:
        await target.write(bytes(min(block * size(given["seek"]), MAX_FILE_SIZE)))
    full, partial, status = await _copy(process, source, target, block, given.get("count"))
    if given.get("status") != "none":
        records = f"{full}+{partial}"
        await process.write(f"{records} records in\n{records} records out\n", 2)
    return status


def _operand(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or name not in DD_OPERANDS:
        raise AppletError(f"invalid argument '{text}'")
    return name, value


def _open(process: Process, name: str, mode: str) -> OpenFile:
    try:
        return process.open(name, mode)
    except OSError as error:
        raise AppletError(f"can't open '{name}': {reason(error)}") from None


async def _skip(source: OpenFile, left: int) -> None:
    while left > 0 and (chunk := await source.read(min(left, 65536))):
        left -= len(chunk)


async def _copy(
    process: Process, source: OpenFile, target: OpenFile, block: int, count: str | None
) -> tuple[int, int, int]:
    """Copy; return how many blocks were full and partial, and the exit status."""
    process.allocate(block)
    full = partial = 0
    limit = None if count is None else size(count)
    while limit is None or full + partial < limit:
        await process.checkpoint()
        chunk = await source.read(block)
        if not chunk:
            break
        try:
            await target.write(chunk)
        except OSError as error:
            await process.complain(f"error writing: {reason(error)}")
            return full, partial, 1
        full, partial = full + (len(chunk) == block), partial + (len(chunk) < block)
    return full, partial, 0


async def _bytes(process: Process, names: list[str], limit: str = "") -> bytes:
    parts = []
    for name in names or ["-"]:
        parts.append(await content(process, name))
    data = b"".join(parts)
    return data[: number(limit)] if limit else data


@applet("od", "A:t:N:xcbdv", "[-abcdfhilovxs] [-t TYPE] [-A RADIX] [-N SIZE] [FILE]...")
async def od(process: Process, options: Options, names: list[str]) -> int:
    """Print bytes as octal words, or as -c and -x say."""
    data = await _bytes(process, names, options.value("N"))
    radix = options.value("A", "o")
    kind = options.value("t") or ("c" if "c" in options else "x2" if "x" in options else "o2")
    for at in range(0, len(data), 16):
        await process.print(_offset(at, radix) + "".join(_units(data[at : at + 16], kind)))
    if radix != "n":
        await process.print(_offset(len(data), radix))
    return 0


def _offset(at: int, radix: str) -> str:
    return {"o": f"{at:07o}", "d": f"{at:07}", "x": f"{at:06x}"}.get(radix, "")


def _units(chunk: bytes, kind: str) -> list[str]:
    names = {0: "\\0", 10: "\\n", 9: "\\t", 13: "\\r"}
    if kind == "c":
        return [
            f"{names.get(byte) or (chr(byte) if 32 <= byte < 127 else f'{byte:03o}'):>4}"
            for byte in chunk
        ]
    if kind.endswith("1"):
        return [f" {byte:02x}" if kind[0] == "x" else f" {byte:03o}" for byte in chunk]
    words = [int.from_bytes(chunk[at : at + 2], "little") for at in range(0, len(chunk), 2)]
    return [f" {word:04x}" if kind[0] == "x" else f" {word:06o}" for word in words]


@applet("hexdump", "Cn:", "[-C] [-n LEN] [FILE]...")
async def hexdump(process: Process, options: Options, names: list[str]) -> int:
    """Print bytes in hexadecimal."""
    data = await _bytes(process, names, options.value("n"))
    for at in range(0, len(data), 16):
        chunk = data[at : at + 16]
        if "C" in options:
            groups = "  ".join(chunk[half : half + 8].hex(" ") for half in (0, 8))
            await process.print(f"{at:08x}  {groups:<49} |{_printable(chunk)}|")
        else:
            await process.print(f"{at:07x}" + "".join(_units(chunk, "x2")))
    if data:
        await process.print(f"{len(data):08x}" if "C" in options else f"{len(data):07x}")
    return 0


def _printable(chunk: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in chunk)


@applet("xxd", "l:p", "[-p] [-l LEN] [FILE]")
async def xxd(process: Process, options: Options, names: list[str]) -> int:
    """Print bytes in hexadecimal, in pairs."""
    data = await _bytes(process, names, options.value("l"))
    width = 30 if "p" in options else 16
    for at in range(0, len(data), width):
        chunk = data[at : at + width]
        if "p" in options:
            await process.print(chunk.hex())
        else:
            await process.print(f"{at:08x}: {chunk.hex(' ', -2):<40} {_printable(chunk)}")
    return 0


@applet("cmp", "ls", "[-ls] FILE1 [FILE2]", at_least=2)
async def cmp(process: Process, options: Options, names: list[str]) -> int:
    """Compare two files byte by byte."""
    one, other = [await _bytes(process, [name]) for name in names[:2]]
    pairs = enumerate(zip(one, other, strict=False))
    at = next((index for index, (first, second) in pairs if first != second), None)
    if at is None and len(one) == len(other):
        return 0
    if "s" not in options and at is not None:
        line = one.count(b"\n", 0, at) + 1
        await process.print(f"{names[0]} {names[1]} differ: char {at + 1}, line {line}")
    elif "s" not in options:
        shorter = names[0] if len(one) < len(other) else names[1]
        await process.complain(f"EOF on {shorter}")
    return 1


@applet("strings", "n:", "[-n LEN] [FILE]...")
async def strings(process: Process, options: Options, names: list[str]) -> int:
    """Print what is text in files."""
    least = int(options.value("n", "4"))
    data = await _bytes(process, names)
    found = re.findall(rb"[\x20-\x7e\t]{%d,}" % least, data)
    await process.print(*(text.decode() for text in found))
    return 0


@applet("truncate", "cs:", "[-c] -s SIZE FILE...", at_least=1)
async def truncate(process: Process, options: Options, names: list[str]) -> int:
    """Cut or lengthen files."""
    wanted = size(options.value("s", "0"))
    if wanted > MAX_FILE_SIZE:
        raise AppletError(f"{names[0]}: File too large")
    for name in names:
        if "c" in options and not process.files.exists(process.path(name)):
            continue
        file = process.files.create(process.path(name))
        del file.data[wanted:]
        file.data.extend(bytes(wanted - len(file.data)))
    return 0


@applet("vi", "c:RH", VI_USAGE)
async def vi(process: Process, _options: Options, _names: list[str]) -> int:
    """Say what to do instead of editing on a screen."""
    raise AppletError(
        "the embedded cluster has no screen editor; write a file with "
        "cat > FILE (end with Ctrl-D), change one with sed -i, or bring one with kubectl cp"
    )
