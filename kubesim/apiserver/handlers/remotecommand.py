"""Copying between a client and a command: the protocols of exec and attach.

Both engines of client-go's remotecommand are spoken. Over WebSocket, the first byte of a message
is the number of its channel (subprotocols v5 and v4 of channel.k8s.io; KEP-4006, "Transition from
SPDY to WebSockets"); over SPDY, each channel is a stream whose header `streamType` names it.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any, Protocol

from kubesim.apiserver import errors
from kubesim.apiserver.errors import StatusError
from kubesim.apiserver.handlers import spdy
from kubesim.apiserver.handlers.spdy import Channel
from kubesim.apiserver.request import SPDY, WEBSOCKET, Request, Response, Upgrade
from kubesim.apiserver.responses import text_response
from kubesim.kubelet.server import RefusedError, Session

Object = dict[str, Any]

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
NAMES = {"stdin": STDIN, "stdout": STDOUT, "stderr": STDERR, "error": ERROR, "resize": RESIZE}
PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
STREAMS_SECONDS = 30.0  # remotecommand's streamCreationTimeout
SUCCESS: Object = {"metadata": {}, "status": "Success"}


@dataclass(frozen=True)
class Options:
    """Which streams a client wants."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool

    def channels(self) -> list[int]:
        """Return the numbers of the streams that it opens."""
        wanted = {
            STDIN: self.stdin,
            STDOUT: self.stdout,
            STDERR: self.stderr and not self.tty,
            ERROR: True,
            RESIZE: self.tty,
        }
        return [number for number, is_wanted in wanted.items() if is_wanted]


Start = Callable[[], Awaitable[Session]]


class Ends(Protocol):
    """The client's ends of the streams, whatever they travel in."""

    async def send(self, number: int, data: bytes) -> None:
        """Send data on a stream."""

    async def receive(self) -> tuple[int, bytes] | None:
        """The next data of any stream, empty at its end; None when the client is gone."""

    async def close(self) -> None:
        """Let the client see the end of every stream."""


async def upgrade(request: Request, options: Options, start: Start) -> Response:
    """Return the switch to the protocol that the client asks for. Raises StatusError.

    Only v5 hears of a container that does not run on its error stream: there the API server
    translates, everywhere else the kubelet's own answer is passed on.
    """
    over = request.headers.get("upgrade", "").lower()
    if over == "websocket":
        protocol = choose(request, "sec-websocket-protocol", PROTOCOLS)
    elif over == "spdy/3.1":
        protocol = choose(request, "x-stream-protocol-version", PROTOCOLS)
    else:
        raise errors.bad_request("Upgrade request required")
    result: Session | Object
    try:
        result = await start()
    except RefusedError as error:
        if over != "websocket" or protocol != PROTOCOLS[0]:
            return text_response(str(error), 500)
        result = errors.internal(f"unable to upgrade connection: {error}").status
    except StatusError as error:
        result = error.status

    async def serve(channel: Channel) -> None:
        await _serve(WebSocketEnds(channel), options, result)

    async def serve_spdy(channel: Channel) -> None:
        connection = spdy.Connection(channel)
        async with _running(connection):
            ends = await SPDYEnds.accept(connection, options)
            if ends:
                await _serve(ends, options, result)
            elif not isinstance(result, dict):
                result.hang_up()

    if over == "websocket":
        return Response(101, {}, Upgrade(serve, protocol, WEBSOCKET))
    return Response(101, {}, Upgrade(serve_spdy, protocol, SPDY))


def choose(request: Request, header: str, known: Collection[str]) -> str:
    """Return the first known subprotocol among those that a header offers. Raises 403."""
    offered = [name.strip() for name in request.headers.get(header, "").split(",")]
    for protocol in known:
        if protocol in offered:
            return protocol
    raise StatusError(
        403,
        f"unable to upgrade: unable to negotiate protocol: client supports {offered}, "
        f"server accepts {list(known)}",
        reason="Forbidden",
    )


@contextlib.asynccontextmanager
async def _running(connection: spdy.Connection) -> AsyncIterator[None]:
    """Take a connection's frames meanwhile."""
    running = asyncio.create_task(connection.run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _serve(ends: Ends, options: Options, result: Session | Object) -> None:
    """Carry a session, or tell why there is none."""
    if isinstance(result, dict):
        await ends.send(ERROR, json.dumps(result).encode())
    else:
        await _Conversation(result, ends, options).run()
    await ends.close()


class WebSocketEnds:
    """Streams as channels of a WebSocket."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def send(self, number: int, data: bytes) -> None:
        """Send data on a stream."""
        await self._channel.send(bytes([number]) + data)

    async def receive(self) -> tuple[int, bytes] | None:
        """The next data; v5 ends a stream with a message about it on channel 255."""
        while (message := await self._channel.receive()) is not None:
            if message[:1] == bytes([CLOSE]) and len(message) > 1:
                return message[1], b""
            if len(message) > 1:
                return message[0], message[1:]
        return None

    async def close(self) -> None:
        """The transport closes the WebSocket, and with it every channel."""


class SPDYEnds:
    """Streams as streams of a SPDY connection."""

    def __init__(self, streams: dict[int, spdy.Stream]) -> None:
        self._streams = streams
        self._received: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue()
        self._readers = [
            asyncio.create_task(self._read(number, stream)) for number, stream in streams.items()
        ]

    @classmethod
    async def accept(cls, connection: spdy.Connection, options: Options) -> "SPDYEnds | None":
        """Wait until the client has opened all its streams; None if it goes away before."""
        missing = set(options.channels())
        streams: dict[int, spdy.Stream] = {}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STREAMS_SECONDS):
                while missing and (stream := await connection.accept()):
                    number = NAMES.get(stream.headers.get("streamtype", ""), CLOSE)
                    streams[number] = stream
                    missing.discard(number)
        return None if missing else cls(streams)

    async def _read(self, number: int, stream: spdy.Stream) -> None:
        while data := await stream.read():
            self._received.put_nowait((number, data))
        self._received.put_nowait((number, b"") if number == STDIN else None)

    async def send(self, number: int, data: bytes) -> None:
        """Send data on a stream, if the client has opened it."""
        if number in self._streams:
            await self._streams[number].write(data)

    async def receive(self) -> tuple[int, bytes] | None:
        """The next data of any stream, empty at its end; None when the client is gone."""
        return await self._received.get()

    async def close(self) -> None:
        """Let the client see the end of every stream."""
        for stream in self._streams.values():
            await stream.close()
        for reader in self._readers:
            reader.cancel()


class _Conversation:
    """Copies between a client's streams and a running command."""

    def __init__(self, session: Session, ends: Ends, options: Options) -> None:
        self._session = session
        self._ends = ends
        self._options = options

    async def run(self) -> None:
        """Run until the command has ended and all its output is sent, or the client is gone."""
        listening = asyncio.create_task(self._listen())
        finishing = asyncio.create_task(self._finish())
        try:
            await asyncio.wait((listening, finishing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not finishing.done():
                self._session.hang_up()
            for task in (listening, finishing):
                task.cancel()
            await asyncio.gather(listening, finishing, return_exceptions=True)

    async def _finish(self) -> None:
        session = self._session
        async with asyncio.TaskGroup() as copies:
            copies.create_task(self._copy(session.stdout, STDOUT))
            copies.create_task(self._copy(session.stderr, STDERR))
        status = exit_status(await session.wait())
        await self._ends.send(ERROR, json.dumps(status).encode())

    async def _copy(self, output: AsyncIterator[bytes], number: int) -> None:
        wanted = number in self._options.channels()
        async for data in output:
            if wanted:
                await self._ends.send(number, data)

    async def _listen(self) -> None:
        """Pass on input and terminal sizes until the client goes away."""
        while (received := await self._ends.receive()) is not None:
            number, data = received
            if number == STDIN and self._options.stdin:
                await (self._session.write_stdin(data) if data else self._session.close_stdin())
            elif number == RESIZE and data:
                await self._resize(data)

    async def _resize(self, data: bytes) -> None:
        with contextlib.suppress(ValueError, TypeError, AttributeError):  # not a size: ignored
            size = json.loads(data)
            await self._session.resize(int(size.get("Width", 0)), int(size.get("Height", 0)))


def exit_status(code: int) -> Object:
    """Return the Status that tells a command's exit code."""
    if not code:
        return SUCCESS
    return {
        "metadata": {},
        "status": "Failure",
        "message": "command terminated with non-zero exit code: "
        f"command terminated with exit code {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }
