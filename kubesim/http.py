"""The door to the world: HTTPS on loopback, in front of a server that knows no transport.

aiohttp does the HTTP. What is done here is what the real server's edge does too: ask for a client
certificate without insisting, answer plain HTTP with a sentence, limit a body's size, turn an
answer that is a stream into chunks, and one that is an upgrade into a WebSocket or plain SPDY.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from aiohttp import WSMsgType, web
from aiohttp.web_request import BaseRequest

from kubesim.apiserver.errors import StatusError
from kubesim.apiserver.request import (
    WEBSOCKET,
    Certificate,
    Credentials,
    Request,
    Response,
    Upgrade,
)
from kubesim.apiserver.responses import json_response

HOST = "127.0.0.1"
MAX_BODY = 3 << 20  # as k8s.io/apiserver's MaxRequestBodyBytes
READING = ("GET", "HEAD")
HANDSHAKE_SECONDS = 10.0
CLOSE_SECONDS = 1.0
TLS_HANDSHAKE = b"\x16"  # the first byte of every TLS connection

NOT_TLS = (
    "Client sent an HTTP request to an HTTPS server.\nUse https:// and the cluster's kubeconfig.\n"
)
NOT_A_WEBSITE = (
    "This is the API server of a kubesim cluster: a door for programs, not a website.\n"
    "Use it with kubectl --kubeconfig FILE get nodes, where FILE is the kubeconfig that\n"
    "`python -m kubesim serve` named when it started.\n"
)

Handler = Callable[[Request], Awaitable[Response]]


class PortTakenError(Exception):
    """Another program listens on the port."""


class HTTPServer:
    """Serves a handler over HTTPS on a loopback port."""

    def __init__(self, handle: Handler, tls: ssl.SSLContext) -> None:
        self._handle = handle
        self._tls = tls
        self._server = web.Server(
            self._respond,
            request_factory=_make_request,
            handler_cancellation=True,
            auto_decompress=False,  # the real server reads a body as it comes, too
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._socket: socket.socket | None = None
        self._closed_port = 0

    @property
    def port(self) -> int:
        """The port that it listens on."""
        assert self._socket
        return int(self._socket.getsockname()[1])

    def listen(self, port: int) -> None:
        """Take a port, 0 for any free one. Raises PortTakenError."""
        self._socket = _bind(port)

    def start(self) -> None:
        """Begin to answer."""
        self._spawn(self._accept())

    def open(self, wanted: bool) -> None:
        """Take connections on the same port as ever, or refuse them and cut those there are."""
        if wanted and self._socket is None:
            self._socket = _bind(self._closed_port)
            self._spawn(self._accept())
        elif not wanted and self._socket:
            self._closed_port = self.port
            self._socket.close()
            self._socket = None
            for task in self._tasks:
                task.cancel()
            self._spawn(self._server.shutdown(0))

    async def stop(self) -> None:
        """Close the port and every connection, giving running requests a moment to end."""
        if self._socket:
            self._socket.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.shutdown(CLOSE_SECONDS)

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self) -> None:
        assert self._socket
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(self._socket)
            self._spawn(self._greet(connection))

    async def _greet(self, connection: socket.socket) -> None:
        """Look at the first byte: a TLS connection goes on to aiohttp, another gets a sentence."""
        loop = asyncio.get_running_loop()
        connection.setblocking(False)
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                first = await _peek(connection)
                if first == TLS_HANDSHAKE:
                    await loop.connect_accepted_socket(self._server, connection, ssl=self._tls)
                    return
                if first:
                    # Closing with unread bytes would reset the connection and lose the answer.
                    await loop.sock_recv(connection, MAX_BODY)
                    await loop.sock_sendall(connection, _plain_answer())
        except (OSError, TimeoutError):
            pass  # the client is gone, or its TLS is not ours: nobody is left to tell
        connection.close()

    async def _respond(self, incoming: BaseRequest) -> web.StreamResponse:
        if _is_browser(incoming):
            return web.Response(text=NOT_A_WEBSITE)
        try:
            body = await _read(incoming)
        except web.HTTPRequestEntityTooLarge:
            message = f"Request entity too large: limit is {MAX_BODY}"
            response = json_response(
                StatusError(413, message, reason="RequestEntityTooLarge").status, 413
            )
        except web.RequestPayloadError as error:
            message = f"the body of the request cannot be read: {error}"
            response = json_response(StatusError(400, message).status, 400)
        else:
            work = self._handle(_request(incoming, body))
            # A write is never cut in half by a client that hangs up; a read may be.
            waiting = work if incoming.method in READING else asyncio.shield(work)
            try:
                response = await waiting
            except ConnectionRefusedError:
                if incoming.transport:
                    incoming.transport.abort()
                return web.Response(status=503)  # for nobody
        return await _send(incoming, response)


async def _read(incoming: BaseRequest) -> bytes:
    """Return a request's body, of which a client may have asked first whether it may send it."""
    if incoming.headers.get("Expect", "").lower() == "100-continue":
        size = incoming.content_length
        if size is not None and size > MAX_BODY:
            raise web.HTTPRequestEntityTooLarge(MAX_BODY, size)
        if incoming.transport:
            incoming.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return await incoming.read()


def server_tls(certificate: Path, key: Path, ca: Path) -> ssl.SSLContext:
    """TLS with our certificate; client certificates are asked for and checked against our CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    return context


async def _send(incoming: BaseRequest, response: Response) -> web.StreamResponse:
    body = response.body
    if isinstance(body, Upgrade):
        return await _upgrade(incoming, body)
    if isinstance(body, bytes):
        return web.Response(status=response.status, headers=response.headers, body=body)
    outgoing = web.StreamResponse(status=response.status, headers=response.headers)
    try:
        await outgoing.prepare(incoming)
        async for chunk in body:
            await outgoing.write(chunk)
        await outgoing.write_eof()
    except ConnectionResetError:
        pass  # the client stopped reading, as every watch ends
    finally:
        await _close(body)
    return outgoing


async def _upgrade(incoming: BaseRequest, upgrade: Upgrade) -> web.StreamResponse:
    if upgrade.over != WEBSOCKET:
        return await _switch(incoming, upgrade)
    protocols = (upgrade.protocol,) if upgrade.protocol else ()
    outgoing = web.WebSocketResponse(protocols=protocols, max_msg_size=0)
    await outgoing.prepare(incoming)
    with contextlib.suppress(ConnectionError):
        await upgrade.serve(_WebSocket(outgoing))
    await outgoing.close()
    return outgoing


async def _switch(incoming: BaseRequest, upgrade: Upgrade) -> web.StreamResponse:
    """Leave HTTP: what follows on the connection are bytes of another protocol."""
    headers = {
        "Connection": "Upgrade",
        "Upgrade": upgrade.over,
        "X-Stream-Protocol-Version": upgrade.protocol,
    }
    outgoing = web.StreamResponse(status=101, headers=headers)
    outgoing.force_close()
    raw = _Raw(outgoing)
    # aiohttp hands what comes after the head to a parser, as it does for WebSockets.
    incoming.protocol.set_parser(raw)  # type: ignore[arg-type]
    await outgoing.prepare(incoming)
    with contextlib.suppress(ConnectionError):
        await upgrade.serve(raw)
        await outgoing.write_eof()
    return outgoing


class _Raw:
    """The bytes of a connection that has left HTTP, as a duplex channel."""

    def __init__(self, response: web.StreamResponse) -> None:
        self._response = response
        self._received: asyncio.Queue[bytes | None] = asyncio.Queue()

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Take bytes from aiohttp."""
        self._received.put_nowait(data)
        return False, b""

    def feed_eof(self) -> None:
        """Hear that the client is gone."""
        self._received.put_nowait(None)

    async def send(self, message: bytes) -> None:
        """Send bytes."""
        await self._response.write(message)

    async def receive(self) -> bytes | None:
        """The next bytes, or None when the client is gone."""
        return await self._received.get()


class _WebSocket:
    """A WebSocket as the duplex channel that an Upgrade is served on."""

    def __init__(self, response: web.WebSocketResponse) -> None:
        self._response = response

    async def send(self, message: bytes) -> None:
        """Send one binary message."""
        await self._response.send_bytes(message)

    async def receive(self) -> bytes | None:
        """The next message, or None when the client is gone."""
        message = await self._response.receive()
        if message.type is WSMsgType.BINARY:
            return bytes(message.data)
        return str(message.data).encode() if message.type is WSMsgType.TEXT else None


def _request(incoming: BaseRequest, body: bytes) -> Request:
    headers: dict[str, str] = {}
    for key, value in incoming.headers.items():
        name = key.lower()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Request(
        incoming.method,
        incoming.path,
        parse_qs(incoming.query_string, keep_blank_values=True),
        headers,
        body,
        credentials=Credentials(_bearer_token(headers), _certificate(incoming)),
        remote=incoming.remote or HOST,
    )


def _bearer_token(headers: dict[str, str]) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def _certificate(incoming: BaseRequest) -> Certificate | None:
    peer = incoming.get_extra_info("peercert")
    if not peer:
        return None
    names = [part for parts in peer["subject"] for part in parts]
    common_name = next((value for key, value in names if key == "commonName"), "")
    return Certificate(common_name, tuple(v for key, v in names if key == "organizationName"))


def _is_browser(incoming: BaseRequest) -> bool:
    return incoming.path == "/" and "text/html" in incoming.headers.get("Accept", "")


def _make_request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> BaseRequest:
    loop = asyncio.get_running_loop()
    return BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=MAX_BODY)


def _bind(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setblocking(False)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise PortTakenError(f"port {port} on {HOST} cannot be used: {error.strerror}") from error
    listener.listen(128)
    return listener


async def _peek(connection: socket.socket) -> bytes:
    """Wait for the first byte and look at it without taking it."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(connection, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(connection)
    return connection.recv(1, socket.MSG_PEEK)


def _plain_answer() -> bytes:
    head = "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
    return (head + NOT_TLS).encode()


async def _close(body: AsyncIterator[bytes]) -> None:
    aclose = getattr(body, "aclose", None)
    if aclose:
        await aclose()
