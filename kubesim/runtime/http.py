"""Just enough HTTP/1.1 for simulated servers, clients and probes."""

import posixpath
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from http import HTTPStatus

from kubesim.network.fabric import Connection

MAX_HEAD = 100  # lines


@dataclass
class Message:
    """A request's or response's first line (three words) and headers."""

    first: tuple[str, str, str]
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def method(self) -> str:
        """A request's method."""
        return self.first[0]

    @property
    def target(self) -> str:
        """A request's target."""
        return self.first[1]

    @property
    def status(self) -> int:
        """A response's status code."""
        return int(self.first[1]) if self.first[1].isdigit() else 0


async def read_head(connection: Connection) -> Message | None:
    """Read up to the empty line; None when the other end closed or speaks no HTTP."""
    words = (await connection.read_line()).decode(errors="replace").strip().split(" ", 2)
    if len(words) < 2:
        return None
    message = Message((words[0], words[1], words[2] if len(words) > 2 else ""))
    for _ in range(MAX_HEAD):
        line = (await connection.read_line()).decode(errors="replace").strip()
        if not line:
            return message
        name, _, value = line.partition(":")
        message.headers[name.strip().lower()] = value.strip()
    return None


async def read_body(connection: Connection, message: Message) -> bytes:
    """Read a message's body: Content-Length bytes; a response's may go on up to the end."""
    length = message.headers.get("content-length", "")
    is_response = message.first[0].startswith("HTTP/")
    left = int(length) if length.isdigit() else None if is_response else 0
    body = bytearray()
    while left is None or len(body) < left:
        chunk = await connection.read()
        if not chunk:
            break
        body += chunk
    return bytes(body)


async def send_request(
    connection: Connection, method: str, target: str, headers: Mapping[str, str], body: bytes = b""
) -> Message | None:
    """Send a request and read the head of the response; None if there is none."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {text}" for name, text in headers.items())]
    await connection.write(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
    return await read_head(connection)


def path_of(request: Message) -> str:
    """Return a request's path from the root, decoded, in which no `..` is left."""
    target = urllib.parse.unquote(request.target.partition("?")[0])
    return posixpath.normpath("/" + target.lstrip("/"))


def head(status: int, headers: Mapping[str, str], words: str = "") -> bytes:
    """Return a response's head as bytes; `words` replace the status' usual phrase."""
    lines = [f"HTTP/1.1 {status} {words or phrase(status)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def phrase(status: int) -> str:
    """Return "Not Found" for 404."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def http_date(moment: datetime) -> str:
    """Return a moment as HTTP headers write it."""
    return format_datetime(moment, usegmt=True)
