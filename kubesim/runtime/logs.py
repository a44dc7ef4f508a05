"""A container's log: lines with time and stream, as the CRI keeps them, bounded."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime

MAX_LINE = 16 * 1024
MAX_BYTES = 10 * 1024 * 1024  # the kubelet's containerLogMaxSize


@dataclass(frozen=True)
class Entry:
    """One line (with its newline), or the part of one that a dying process left."""

    time: datetime
    stream: str
    data: bytes


class ContainerLog:
    """What one run of a container wrote to standard output and standard error."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._entries: deque[Entry] = deque()
        self._dropped = 0
        self._bytes = 0
        self._partial = {"stdout": bytearray(), "stderr": bytearray()}
        self._changed = asyncio.Event()
        self.closed = False

    def write(self, stream: str, data: bytes) -> None:
        """Take output; a line counts from when its newline comes."""
        partial = self._partial[stream]
        partial += data
        while partial:
            end = partial.find(b"\n") + 1
            if not end and len(partial) < MAX_LINE:
                break
            self._add(stream, partial, end or MAX_LINE)

    def _add(self, stream: str, partial: bytearray, length: int) -> None:
        entry = Entry(self._now(), stream, bytes(partial[:length]))
        del partial[:length]
        self._entries.append(entry)
        self._bytes += len(entry.data)
        while self._bytes > MAX_BYTES:
            self._bytes -= len(self._entries.popleft().data)
            self._dropped += 1
        self._changed.set()

    def close(self) -> None:
        """Write out what has no newline and let followers see the end."""
        for stream, partial in self._partial.items():
            if partial:
                self._add(stream, partial, len(partial))
        self.closed = True
        self._changed.set()

    def entries(self) -> list[Entry]:
        """Return what is kept, oldest first."""
        return list(self._entries)

    def tail(self, size: int) -> bytes:
        """Return the last `size` bytes."""
        return b"".join(entry.data for entry in self._entries)[-size:]

    async def follow(self, skipped: int = 0) -> AsyncIterator[Entry]:
        """Yield what is there, without the `skipped` oldest, and what comes, until the end."""
        position = self._dropped + skipped
        while True:
            position = max(position, self._dropped)
            fresh = list(self._entries)[position - self._dropped :]
            for entry in fresh:
                position += 1
                yield entry
            if not fresh and self.closed:
                return
            if not fresh:
                self._changed.clear()
                await self._changed.wait()
