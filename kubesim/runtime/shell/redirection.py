"""What `>`, `<`, `>>`, `<&` and here-documents connect a descriptor to."""

import errno

from kubesim.runtime.filesystem import File, failure
from kubesim.runtime.process import Process, reason
from kubesim.runtime.streams import OpenFile, Regular

MODES = {"<": "r", ">": "w", ">|": "w", ">>": "a", "<>": "r+"}


def open_target(process: Process, operator: str, target: str) -> OpenFile | None:
    """Open what a redirection names; None if it closes the descriptor. Raises OSError."""
    if operator in (">&", "<&"):
        if target == "-":
            return None
        number = int(target) if target.isdigit() else -1
        if number not in process.descriptors:
            raise failure(errno.EBADF, target)
        return process.descriptors[number]
    if operator.startswith("<<"):
        content = bytearray(target.encode(errors="surrogateescape"))
        document = File(0o600, process.clock.now(), content)
        return Regular(document, lambda _: None, writable=False)
    return process.open(target, MODES[operator])


def cannot_open(operator: str, target: str, error: OSError) -> str:
    """Return ash's words for a redirection that failed."""
    if operator in (">&", "<&"):
        return f"{target}: {reason(error)}"
    if operator == "<":
        what = "no such file" if error.errno == errno.ENOENT else reason(error)
        return f"can't open {target}: {what}"
    what = "nonexistent directory" if error.errno == errno.ENOENT else reason(error)
    return f"can't create {target}: {what}"
