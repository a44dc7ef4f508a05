"""apt and apk: package managers that say that there is nothing to install from."""

from kubesim.runtime.process import Process

NOTE = (
    "the embedded cluster simulates its programs and cannot install others; "
    "use an image that has what you need, or the kind engine"
)


async def apt(process: Process) -> int:
    """Refuse as apt-get does without a network, with the reason."""
    await process.write(f"E: {NOTE}\n", 2)
    return 100


async def apk(process: Process) -> int:
    """Refuse as apk does without a network, with the reason."""
    await process.write(f"ERROR: {NOTE}\n", 2)
    return 1
