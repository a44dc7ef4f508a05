"""SPDY/3.1: many streams over one connection, as kubectl's exec, attach and port-forward use it.

HTTP/2's predecessor lives on in Kubernetes, where each standard stream of a command and each
forwarded connection is a SPDY stream, whose headers say what it is for (client-go's
remotecommand and portforward). Here is the server's side, without a transport: bytes in, bytes
out. Frames and header blocks are those of the SPDY Protocol, Draft 3.1, sections 2.2 and 2.6.
Windows are not kept: neither does Kubernetes' own implementation, moby/spdystream.
"""

import asyncio
import contextlib
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Protocol

VERSION = 3
SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = (
    1, 2, 3, 4, 6, 7, 8, 9,
)  # fmt: skip
FIN = 1
CANCEL = 5  # the status of a RST_STREAM
CONTROL = 0x80000000
STREAM_ID = 0x7FFFFFFF
MAX_FRAME = 1 << 20  # bytes that a frame may announce
CHUNK = 32 * 1024  # bytes of a data frame

_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language "
    "accept-ranges age allow authorization cache-control connection content-base "
    "content-encoding content-language content-length content-location content-md5 "
    "content-range content-type date etag expect expires from host if-match if-modified-since "
    "if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer "
    "transfer-encoding upgrade user-agent vary via warning www-authenticate method get status "
    "200_OK version HTTP/1.1 url public set-cookie keep-alive origin"
)
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request"
    "401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented"
    "503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, "
    "Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,"
    "application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,"
    "sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


class ProtocolError(Exception):
    """The other side does not speak SPDY/3.1."""


class Channel(Protocol):
    """What frames travel in: raw bytes after an upgrade, or the messages of a WebSocket."""

    async def send(self, message: bytes) -> None:
        """Send bytes."""

    async def receive(self) -> bytes | None:
        """The next bytes, None when the other side is gone."""


def _word(text: str) -> bytes:
    return struct.pack("!I", len(text)) + text.encode()


DICTIONARY = b"".join(_word(word.replace("_", " ")) for word in _WORDS.split()) + _TAIL.encode()
"""What both sides preset their zlib with (section 2.6.10.1)."""


class HeaderBlocks:
    """Packs and unpacks header blocks; all of one direction are one zlib stream."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=DICTIONARY)
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)

    def pack(self, headers: Mapping[str, str]) -> bytes:
        """Return headers as bytes to send."""
        plain = struct.pack("!I", len(headers))
        plain += b"".join(_word(name.lower()) + _word(value) for name, value in headers.items())
        return self._deflate.compress(plain) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def unpack(self, data: bytes) -> dict[str, str]:
        """Return received headers, names in lower case. Raises ProtocolError."""
        try:
            texts = list(_texts(self._inflate.decompress(data, MAX_FRAME)))
        except (zlib.error, struct.error, UnicodeDecodeError) as error:
            raise ProtocolError(f"header block: {error}") from error
        return {name.lower(): value for name, value in zip(texts[::2], texts[1::2], strict=True)}


def _texts(plain: bytes) -> Iterator[str]:
    """Yield the names and values of a header block in turn."""
    (pairs,) = struct.unpack_from("!I", plain)
    position = 4
    for _ in range(2 * pairs):
        (length,) = struct.unpack_from("!I", plain, position)
        position += 4
        yield plain[position : position + length].decode()
        position += length


class Stream:
    """One stream of a connection, opened by the client."""

    def __init__(self, connection: "Connection", number: int, headers: dict[str, str]) -> None:
        self.headers = headers
        self.number = number
        self._connection = connection
        self._received: asyncio.Queue[bytes] = asyncio.Queue()
        self._ended = False
        self._finished = False

    def take(self, data: bytes, *, last: bool) -> None:
        """Get what came for this stream."""
        if data and not self._ended:
            self._received.put_nowait(data)
        if last and not self._ended:
            self._ended = True
            self._received.put_nowait(b"")

    async def read(self) -> bytes:
        """Return the next data, b"" at the end."""
        return await self._received.get()

    async def write(self, data: bytes) -> None:
        """Send data."""
        for start in range(0, len(data), CHUNK):
            await self._connection.send_data(self.number, 0, data[start : start + CHUNK])

    async def close(self) -> None:
        """Say that no more data comes."""
        if not self._finished:
            self._finished = True
            await self._connection.send_data(self.number, FIN, b"")

    async def reset(self) -> None:
        """Give the stream up."""
        self._finished = True
        await self._connection.send_control(RST_STREAM, struct.pack("!II", self.number, CANCEL))


class Connection:
    """The server's side of a connection: `run` it, and `accept` its streams."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._blocks = HeaderBlocks()
        self._buffer = bytearray()
        self._streams: dict[int, Stream] = {}
        self._opened: asyncio.Queue[Stream | None] = asyncio.Queue()

    async def accept(self) -> Stream | None:
        """Wait for the client's next stream; None when the client is gone."""
        return await self._opened.get()

    async def run(self) -> None:
        """Take frames until the client is gone. Raises ProtocolError."""
        try:
            while True:
                head = await self._take(8)
                first, second = struct.unpack("!II", head)
                flags, length = second >> 24, second & 0xFFFFFF
                if length > MAX_FRAME:
                    raise ProtocolError(f"frame of {length} bytes")
                body = await self._take(length)
                if first & CONTROL:
                    await self._control(first, flags, body)
                else:
                    self._data(first & STREAM_ID, flags, body)
        except EOFError:
            pass
        finally:
            for stream in self._streams.values():
                stream.take(b"", last=True)
            self._opened.put_nowait(None)

    async def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            data = await self._channel.receive()
            if data is None:
                raise EOFError
            self._buffer += data
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    async def _control(self, first: int, flags: int, body: bytes) -> None:
        if first >> 16 & 0x7FFF != VERSION:
            raise ProtocolError("this server speaks SPDY/3.1")
        kind = first & 0xFFFF
        if kind == SYN_STREAM:
            await self._open(flags, body)
        elif kind == PING:
            await self.send_control(PING, body)
        elif kind == RST_STREAM:
            stream = self._streams.pop(_number(body), None)
            if stream:
                stream.take(b"", last=True)
        elif kind == GOAWAY:
            raise EOFError
        elif kind not in (SYN_REPLY, SETTINGS, HEADERS, WINDOW_UPDATE):
            raise ProtocolError(f"control frame of type {kind}")

    async def _open(self, flags: int, body: bytes) -> None:
        number = _number(body)
        stream = Stream(self, number, self._blocks.unpack(body[10:]))
        if flags & FIN:
            stream.take(b"", last=True)
        self._streams[number] = stream
        reply = struct.pack("!I", number) + self._blocks.pack({})
        await self.send_control(SYN_REPLY, reply)
        self._opened.put_nowait(stream)

    def _data(self, number: int, flags: int, body: bytes) -> None:
        stream = self._streams.get(number)
        if stream:
            stream.take(body, last=bool(flags & FIN))

    async def send_control(self, kind: int, body: bytes) -> None:
        """Send a control frame."""
        head = struct.pack("!HHI", 0x8000 | VERSION, kind, len(body))
        await self._send(head + body)

    async def send_data(self, number: int, flags: int, data: bytes) -> None:
        """Send a data frame."""
        await self._send(struct.pack("!II", number, flags << 24 | len(data)) + data)

    async def _send(self, frame: bytes) -> None:
        with contextlib.suppress(ConnectionError):  # the reading side notices that it is gone
            await self._channel.send(frame)


def _number(body: bytes) -> int:
    """Return the stream's number that a control frame begins with."""
    if len(body) < 4:
        raise ProtocolError("a control frame is too short")
    return int(struct.unpack_from("!I", body)[0]) & STREAM_ID
