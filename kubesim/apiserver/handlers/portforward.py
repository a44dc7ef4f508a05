"""Forwarding connections to ports of a Pod (pkg/kubelet/.../portforward).

Two ways: SPDY with a pair of streams, data and error, for each connection, plain after an upgrade
or tunnelled in a WebSocket (KEP-4006); and a WebSocket with a pair of channels for each port, of
which the client gets one connection.
"""

import asyncio
import contextlib
import struct
from typing import Protocol

from kubesim.apiserver import errors
from kubesim.apiserver.handlers import spdy
from kubesim.apiserver.handlers.remotecommand import choose
from kubesim.apiserver.handlers.spdy import Channel
from kubesim.apiserver.request import SPDY, WEBSOCKET, Request, Response, Upgrade
from kubesim.kubelet.server import Forwarder, ForwardError
from kubesim.network.fabric import Connection

PROTOCOL = "portforward.k8s.io"
TUNNEL = f"SPDY/3.1+{PROTOCOL}"
CHANNELS = "v4.channel.k8s.io"
MAX_PORT = 65535


class Ends(Protocol):
    """The client's ends of one forwarded connection."""

    async def read(self) -> bytes:
        """The next data from the client, b"" at its end."""

    async def write(self, data: bytes) -> None:
        """Send data to the client."""

    async def fail(self, message: str) -> None:
        """Tell the client what went wrong."""

    async def close(self) -> None:
        """Let the client see the end."""


def upgrade(request: Request, connect: Forwarder) -> Response:
    """Return the switch to the protocol that the client asks for. Raises StatusError."""
    over = request.headers.get("upgrade", "").lower()
    if over == "spdy/3.1":
        protocol = choose(request, "x-stream-protocol-version", (PROTOCOL,))
        return Response(101, {}, Upgrade(lambda channel: _spdy(channel, connect), protocol, SPDY))
    if over != "websocket":
        raise errors.bad_request("Upgrade request required")
    if TUNNEL in request.headers.get("sec-websocket-protocol", ""):
        serve = Upgrade(lambda channel: _spdy(channel, connect), TUNNEL, WEBSOCKET)
        return Response(101, {}, serve)
    protocol = ""
    if "sec-websocket-protocol" in request.headers:
        protocol = choose(request, "sec-websocket-protocol", (CHANNELS, PROTOCOL))
    ports = _ports(request)

    async def serve_channels(channel: Channel) -> None:
        await _Channels(channel, ports).run(connect)

    return Response(101, {}, Upgrade(serve_channels, protocol, WEBSOCKET))


def _ports(request: Request) -> list[int]:
    """Return the ports that a query names. Raises 400."""
    texts = [text for each in request.query.get("ports", []) for text in each.split(",")]
    if not texts:
        raise errors.bad_request('query parameter "port" is required')
    for text in texts:
        if not text.isdigit() or not 0 < int(text) <= MAX_PORT:
            raise errors.bad_request(f'query parameter "port" cannot be "{text}"')
    return [int(text) for text in texts]


async def _forward(ends: Ends, port: int, connect: Forwarder) -> None:
    """Carry one connection until either side has closed it."""
    try:
        connection = await connect(port)
    except ForwardError as error:
        await ends.fail(str(error))
    else:
        sending = asyncio.create_task(_send(ends, connection))
        try:
            while data := await connection.read():
                await ends.write(data)
        finally:
            sending.cancel()
            connection.close()
            await asyncio.gather(sending, return_exceptions=True)
    await ends.close()


async def _send(ends: Ends, connection: Connection) -> None:
    with contextlib.suppress(OSError):
        while data := await ends.read():
            await connection.write(data)
        connection.close_writing()


class _StreamPair:
    """A connection as two SPDY streams."""

    def __init__(self, data: spdy.Stream, error: spdy.Stream) -> None:
        self._data = data
        self._error = error

    async def read(self) -> bytes:
        return await self._data.read()

    async def write(self, data: bytes) -> None:
        await self._data.write(data)

    async def fail(self, message: str) -> None:
        await self._error.write(message.encode())

    async def close(self) -> None:
        await self._error.close()
        await self._data.close()


async def _spdy(channel: Channel, connect: Forwarder) -> None:
    """Serve connections until the client is gone: each is two streams with the same requestID."""
    connection = spdy.Connection(channel)
    waiting: dict[str, dict[str, spdy.Stream]] = {}
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(connection.run())
        forwards: set[asyncio.Task[None]] = set()
        while stream := await connection.accept():
            pair = waiting.setdefault(stream.headers.get("requestid", ""), {})
            pair[stream.headers.get("streamtype", "")] = stream
            port = stream.headers.get("port", "")
            if not port.isdigit():
                await stream.reset()
            elif {"data", "error"} <= pair.keys():
                del waiting[stream.headers.get("requestid", "")]
                ends = _StreamPair(pair["data"], pair["error"])
                forwards.add(tasks.create_task(_forward(ends, int(port), connect)))
        for task in (running, *forwards):
            task.cancel()


class _Channels:
    """Connections as pairs of WebSocket channels: the even one is data, the odd one errors."""

    def __init__(self, channel: Channel, ports: list[int]) -> None:
        self._channel = channel
        self._ports = ports
        self._received: list[asyncio.Queue[bytes]] = [asyncio.Queue() for _ in ports]

    async def run(self, connect: Forwarder) -> None:
        """Connect every port once; the client's leaving ends all."""
        for number, port in enumerate(self._ports):
            for channel in (2 * number, 2 * number + 1):
                await self._channel.send(struct.pack("<BH", channel, port))
        forwards = asyncio.gather(
            *(
                _forward(_ChannelPair(self, number), port, connect)
                for number, port in enumerate(self._ports)
            )
        )
        listening = asyncio.create_task(self._listen())
        await asyncio.wait((forwards, listening), return_when=asyncio.FIRST_COMPLETED)
        forwards.cancel()
        listening.cancel()
        await asyncio.gather(forwards, listening, return_exceptions=True)

    async def _listen(self) -> None:
        """Take data until the client is gone."""
        while (message := await self._channel.receive()) is not None:
            number, is_error = divmod(message[0] if message else 0, 2)
            if not is_error and number < len(self._ports) and len(message) > 1:
                self._received[number].put_nowait(message[1:])

    async def read(self, number: int) -> bytes:
        """The next data for a port."""
        return await self._received[number].get()

    async def send(self, channel: int, data: bytes) -> None:
        """Send data or an error."""
        await self._channel.send(bytes([channel]) + data)


class _ChannelPair:
    """A connection as two of the channels."""

    def __init__(self, channels: _Channels, number: int) -> None:
        self._channels = channels
        self._number = number

    async def read(self) -> bytes:
        return await self._channels.read(self._number)

    async def write(self, data: bytes) -> None:
        await self._channels.send(2 * self._number, data)

    async def fail(self, message: str) -> None:
        await self._channels.send(2 * self._number + 1, message.encode())

    async def close(self) -> None:
        """A channel has no end of its own: the client sees it when the WebSocket closes."""
