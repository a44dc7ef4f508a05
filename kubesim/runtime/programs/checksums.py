"""md5sum and its relatives."""

import hashlib
import re

from kubesim.runtime.process import Process, reason
from kubesim.runtime.programs.applet import Options, applet

ALGORITHMS = ("md5", "sha1", "sha256", "sha512")
LINE = re.compile(r"([0-9a-f]+) [ *](.+)")


def _register(algorithm: str) -> None:
    @applet(f"{algorithm}sum", "cs", "[-c[s]] [FILE]...")
    async def checksum(process: Process, options: Options, names: list[str]) -> int:
        """Print or check the digests of files."""
        if "c" in options:
            results = [await _check(process, algorithm, name) for name in names or ["-"]]
        else:
            results = [await _print(process, algorithm, name) for name in names or ["-"]]
        return int(not all(results))


async def _digest(process: Process, algorithm: str, name: str) -> str:
    """Return a file's digest; complain and return nothing if it cannot be read."""
    try:
        data = await process.read_all(name)
    except OSError as error:
        await process.complain(f"can't open '{name}': {reason(error)}")
        return ""
    return hashlib.new(algorithm, data, usedforsecurity=False).hexdigest()


async def _print(process: Process, algorithm: str, name: str) -> bool:
    digest = await _digest(process, algorithm, name)
    if digest:
        await process.print(f"{digest}  {name}")
    return bool(digest)


async def _check(process: Process, algorithm: str, name: str) -> bool:
    listed = LINE.findall((await process.read_all(name)).decode(errors="replace"))
    failed = 0
    for expected, path in listed:
        right = await _digest(process, algorithm, path) == expected
        failed += not right
        await process.print(f"{path}: {'OK' if right else 'FAILED'}")
    if failed:
        total = len(listed)
        await process.complain(f"WARNING: {failed} of {total} computed checksums did NOT match")
    return not failed


for _algorithm in ALGORITHMS:
    _register(_algorithm)
