"""The standard streams of a container's process 1, and who is attached to them (CRI Attach)."""

import asyncio
from collections.abc import AsyncIterator, Callable

from kubesim.runtime.logs import ContainerLog
from kubesim.runtime.streams import Null, OpenFile, Pipe, Sink
from kubesim.runtime.terminal import Terminal

Chunks = asyncio.Queue[bytes | None]


class StandardStreams:
    """What process 1 reads and writes: output goes to the log and to everybody attached."""

    def __init__(
        self,
        log: ContainerLog,
        *,
        stdin: bool,
        once: bool,
        terminal: bool,
        interrupt: Callable[["StandardStreams"], None],
    ) -> None:
        self._log = log
        self._once = once
        self._attached: list[Attachment] = []
        self._input = Pipe() if stdin else None
        output = Sink(lambda data: self._take("stdout", data))
        errors = Sink(lambda data: self._take("stderr", data))
        self.terminal: Terminal | None = None
        if terminal:
            self.terminal = Terminal(output, lambda: interrupt(self))
            self.files: dict[int, OpenFile] = dict.fromkeys(range(3), self.terminal)
        else:
            source: OpenFile = self._input.reader if self._input else Null()
            self.files = {0: source, 1: output, 2: errors}

    def _take(self, stream: str, data: bytes) -> None:
        self._log.write(stream, data)
        for each in self._attached:
            each.take(stream, data)

    def attach(self, ended: asyncio.Event, *, stdin: bool) -> "Attachment":
        """Show somebody what is written from now on, and perhaps let them write."""
        attachment = Attachment(self, ended, stdin=stdin)
        self._attached.append(attachment)
        return attachment

    def detach(self, attachment: "Attachment") -> None:
        """Show somebody no more."""
        if attachment in self._attached:
            self._attached.remove(attachment)

    async def write(self, data: bytes) -> None:
        """Give input; a container that was not asked to keep its input open has none."""
        if self.terminal and self._input:
            await self.terminal.feed(data)
        elif self._input and not self._input.write_closed:
            await self._input.put(data)

    def end_input(self) -> None:
        """Hear that who gave input has no more: the end of it if stdinOnce, else a pause."""
        if self._once and self._input:
            self._input.writer.close()

    def close(self) -> None:
        """Let everybody attached see the end."""
        for each in self._attached:
            each.take("stdout", None)
            each.take("stderr", None)


class Attachment:
    """Somebody at a running container's streams."""

    def __init__(self, streams: StandardStreams, ended: asyncio.Event, *, stdin: bool) -> None:
        self._streams = streams
        self._ended = ended
        self._stdin = stdin
        self._chunks: dict[str, Chunks] = {"stdout": Chunks(), "stderr": Chunks()}

    def take(self, stream: str, data: bytes | None) -> None:
        """Get output, None at its end."""
        self._chunks[stream].put_nowait(data)

    @property
    def stdout(self) -> AsyncIterator[bytes]:
        """What the container writes to standard output from now on."""
        return _until_end(self._chunks["stdout"])

    @property
    def stderr(self) -> AsyncIterator[bytes]:
        """What it writes to standard error from now on."""
        return _until_end(self._chunks["stderr"])

    async def write_stdin(self, data: bytes) -> None:
        """Send input."""
        if self._stdin:
            await self._streams.write(data)

    async def close_stdin(self) -> None:
        """End the input; only a stdinOnce container notices."""
        if self._stdin:
            self._streams.end_input()

    async def resize(self, columns: int, rows: int) -> None:
        """Tell the terminal its size."""
        if self._streams.terminal:
            await self._streams.terminal.resize(columns, rows)

    async def wait(self) -> int:
        """Wait for the container's end; attaching to it went well, whatever its exit code."""
        await self._ended.wait()
        return 0

    def hang_up(self) -> None:
        """Go away; the container runs on."""
        self._streams.detach(self)
        if self._stdin:
            self._streams.end_input()


async def _until_end(chunks: Chunks) -> AsyncIterator[bytes]:
    while (data := await chunks.get()) is not None:
        yield data
