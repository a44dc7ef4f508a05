"""A terminal: line editing and signals between a person and a program."""

from collections.abc import Callable

from kubesim.runtime.streams import READ_SIZE, OpenFile, Pipe

INTERRUPT, END, ERASE, KILL_LINE, QUIT = b"\x03", b"\x04", b"\x7f\b", b"\x15", b"\x1c"

CLEAR_BELOW = b"\x1b[J"
MAX_LINE = 4096  # bytes of a line that are shown again


class Terminal(OpenFile):
    """The program's side; `feed` and `output` are the person's."""

    is_terminal = True

    def __init__(self, output: OpenFile, interrupt: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self._output = output.acquire()
        self._input = Pipe()
        self._line = bytearray()
        self._interrupt = interrupt
        self._shown = b""  # what stands in the last line of the screen
        self.size = (80, 24)

    async def resize(self, columns: int, rows: int) -> None:
        """Take the window's new size, and show the last line again as line editors do.

        That is how somebody who attaches to a waiting shell gets to see its prompt.
        """
        if columns and rows and (columns, rows) != self.size:
            self.size = (columns, rows)
            await self._output.write(b"\r" + self._shown + CLEAR_BELOW if self._shown else b"")

    async def feed(self, data: bytes) -> None:
        """Take what the person types."""
        for code in data.replace(b"\r", b"\n"):
            await self._key(bytes([code]))

    async def _key(self, key: bytes) -> None:
        if key == INTERRUPT:
            self._line.clear()
            await self._echo(b"^C\n")
            self._interrupt()
        elif key == END:
            await self._submit(at_end=not self._line)
        elif key in (ERASE[:1], ERASE[1:]):
            if self._line:
                del self._line[-1]
                await self._echo(b"\b \b")
        elif key == KILL_LINE:
            await self._echo(b"\b \b" * len(self._line))
            self._line.clear()
        else:
            self._line += key
            await self._echo(key)
            if key == b"\n":
                await self._submit()

    async def _submit(self, at_end: bool = False) -> None:
        if at_end:
            self.hang_up()
            return
        await self._input.put(bytes(self._line))
        self._line.clear()

    def hang_up(self) -> None:
        """Let the program see the end of its input."""
        self._input.writer.close()

    async def _echo(self, data: bytes) -> None:
        await self.write(data)

    async def read(self, size: int = READ_SIZE) -> bytes:
        """Return typed bytes, a line at most."""
        return await self._input.get(size)

    async def read_line(self) -> bytes:
        """Return a typed line."""
        return await self._input.get_line()

    async def write(self, data: bytes) -> None:
        """Show `data`; a newline also returns the carriage."""
        self._shown = (self._shown + data).rpartition(b"\n")[2][-MAX_LINE:]
        await self._output.write(data.replace(b"\n", b"\r\n"))

    def close(self) -> None:
        """Let the person see the end."""
        self._output.release()
