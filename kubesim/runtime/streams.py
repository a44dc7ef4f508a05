"""Open files: what stands behind a file descriptor."""

import asyncio
import errno
from collections.abc import Callable

from kubesim.runtime.filesystem import MAX_FILE_SIZE, File, failure

PIPE_SIZE = 64 * 1024
READ_SIZE = 64 * 1024


class OpenFile:
    """An open file description, shared by the descriptors that were duplicated from it."""

    is_terminal = False

    def __init__(self) -> None:
        self._references = 0

    def acquire(self) -> "OpenFile":
        """Count one more descriptor that points here."""
        self._references += 1
        return self

    def release(self) -> None:
        """Count one descriptor less; the last one closes."""
        self._references -= 1
        if self._references == 0:
            self.close()

    def close(self) -> None:
        """Give up what this file holds."""

    async def read(self, size: int = READ_SIZE) -> bytes:
        """Return up to `size` bytes, b"" at the end of the file."""
        raise failure(errno.EBADF, "")

    async def read_line(self) -> bytes:
        """Return bytes up to and including a newline, less at the end; takes no byte too many."""
        line = bytearray()
        while not line.endswith(b"\n"):
            byte = await self.read(1)
            if not byte:
                break
            line += byte
        return bytes(line)

    async def write(self, data: bytes) -> None:
        """Write all of `data`."""
        raise failure(errno.EBADF, "")


class Null(OpenFile):
    """/dev/null, and /dev/zero when `filler` is given."""

    def __init__(self, filler: bytes = b"") -> None:
        super().__init__()
        self._filler = filler

    async def read(self, size: int = READ_SIZE) -> bytes:
        """Return the filler, `size` times."""
        return self._filler * min(size, MAX_FILE_SIZE)

    async def read_line(self) -> bytes:
        """Never find the end of the line, which fills all the memory there is."""
        if self._filler:
            raise MemoryError
        return b""

    async def write(self, data: bytes) -> None:
        """Drop `data`."""


class OpenDirectory(OpenFile):
    """A directory: it can be opened but not read."""

    async def read(self, size: int = READ_SIZE) -> bytes:
        """Fail."""
        raise failure(errno.EISDIR, "read error")


class Sink(OpenFile):
    """Hands everything written to a function, as a container's log or a captured output does."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        super().__init__()
        self._take = take

    async def write(self, data: bytes) -> None:
        """Hand on `data`."""
        self._take(data)


class Regular(OpenFile):
    """A regular file with an offset."""

    def __init__(
        self, file: File, touch: Callable[[File], None], writable: bool, append: bool = False
    ) -> None:
        super().__init__()
        self._file = file
        self._touch = touch
        self._writable = writable
        self._append = append
        self.offset = 0

    async def read(self, size: int = READ_SIZE) -> bytes:
        """Return the bytes at the offset and move it."""
        data = bytes(self._file.data[self.offset : self.offset + size])
        self.offset += len(data)
        return data

    async def read_line(self) -> bytes:
        """Return the line at the offset and move it."""
        end = self._file.data.find(b"\n", self.offset)
        return await self.read(READ_SIZE * 16 if end < 0 else end + 1 - self.offset)

    async def write(self, data: bytes) -> None:
        """Write at the offset, or at the end when appending."""
        if not self._writable:
            raise failure(errno.EBADF, "")
        if self._append:
            self.offset = len(self._file.data)
        end = self.offset + len(data)
        if end > MAX_FILE_SIZE:
            raise failure(errno.ENOSPC, "write error")
        self._file.data[self.offset : end] = data
        self.offset = end
        self._touch(self._file)


class Pipe:
    """A bounded byte queue with a reading and a writing end."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._changed = asyncio.Event()
        self.reader = PipeReader(self)
        self.writer = PipeWriter(self)
        self.write_closed = False
        self.read_closed = False

    def notify(self) -> None:
        """Wake whoever waits for the other end."""
        self._changed.set()

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def get(self, size: int) -> bytes:
        """Return up to `size` bytes, waiting for the first; b"" once the writers are gone."""
        while not self._buffer and not self.write_closed:
            await self._wait()
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        self.notify()
        return data

    async def get_line(self) -> bytes:
        """Return one line, or what is left when the writers are gone."""
        while True:
            end = self._buffer.find(b"\n") + 1
            if end or self.write_closed or len(self._buffer) >= PIPE_SIZE:
                return await self.get(end or len(self._buffer) or 1)
            await self._wait()

    async def put(self, data: bytes) -> None:
        """Write `data`, waiting while the buffer is full; EPIPE once the readers are gone."""
        view = memoryview(data)
        while view:
            if self.read_closed:
                raise failure(errno.EPIPE, "")
            room = PIPE_SIZE - len(self._buffer)
            if room <= 0:
                await self._wait()
                continue
            self._buffer += view[:room]
            view = view[room:]
            self.notify()


class PipeReader(OpenFile):
    """The reading end of a pipe."""

    def __init__(self, pipe: Pipe) -> None:
        super().__init__()
        self._pipe = pipe

    async def read(self, size: int = READ_SIZE) -> bytes:
        """Return what is there, waiting for the first byte."""
        return await self._pipe.get(size)

    async def read_line(self) -> bytes:
        """Return one line."""
        return await self._pipe.get_line()

    def close(self) -> None:
        """Let writers fail from now on."""
        self._pipe.read_closed = True
        self._pipe.notify()


class PipeWriter(OpenFile):
    """The writing end of a pipe."""

    def __init__(self, pipe: Pipe) -> None:
        super().__init__()
        self._pipe = pipe

    async def write(self, data: bytes) -> None:
        """Write all of `data`, waiting for room."""
        await self._pipe.put(data)

    def close(self) -> None:
        """Let the reader see the end."""
        self._pipe.write_closed = True
        self._pipe.notify()
