"""RESP, the protocol between redis' server and its clients.

See https://redis.io/docs/latest/develop/reference/protocol-spec/.
"""

from kubesim.network.fabric import Connection

Reply = str | int | bytes | None | list["Reply"]


class RedisError(Exception):
    """An error reply; its first word tells the kind."""


class Status(str):
    """A simple string, as OK."""

    __slots__ = ()


def encode(reply: "Reply | RedisError") -> bytes:  # noqa: PLR0911 - one a kind of reply
    """Return a reply as bytes."""
    match reply:
        case RedisError():
            return f"-{reply}\r\n".encode()
        case Status():
            return f"+{reply}\r\n".encode()
        case bool() | int():
            return f":{int(reply)}\r\n".encode()
        case None:
            return b"$-1\r\n"
        case list():
            return f"*{len(reply)}\r\n".encode() + b"".join(encode(each) for each in reply)
        case str():
            return encode(reply.encode(errors="surrogateescape"))
        case _:
            return b"$%d\r\n%b\r\n" % (len(reply), reply)


async def read_command(connection: Connection) -> list[str] | None:
    """Read a command, an array or a line of words; None when the client is gone."""
    line = (await connection.read_line()).decode(errors="surrogateescape")
    if not line:
        return None
    if not line.startswith("*"):
        return line.split()
    words = []
    for _ in range(_length(line)):
        header = (await connection.read_line()).decode(errors="replace")
        if not header.startswith("$"):
            raise RedisError(f"ERR Protocol error: expected '$', got '{header[:1]}'")
        words.append(await _bulk(connection, _length(header)))
    return words


def _length(line: str) -> int:
    try:
        return int(line[1:])
    except ValueError:
        raise RedisError("ERR Protocol error: invalid bulk length") from None


async def _bulk(connection: Connection, length: int) -> str:
    data = bytearray()
    while len(data) < length + 2:
        chunk = await connection.read(length + 2 - len(data))
        if not chunk:
            raise BrokenPipeError
        data += chunk
    return bytes(data[:length]).decode(errors="surrogateescape")


async def read_reply(connection: Connection) -> "Reply | RedisError":
    """Read a reply. Raises BrokenPipeError when the server is gone."""
    line = (await connection.read_line()).decode(errors="surrogateescape").rstrip("\r\n")
    if not line:
        raise BrokenPipeError
    kind, rest = line[0], line[1:]
    match kind:
        case "+":
            return Status(rest)
        case "-":
            return RedisError(rest)
        case ":":
            return int(rest)
        case "$":
            return None if rest == "-1" else await _bulk(connection, int(rest))
        case _:
            replies = [await read_reply(connection) for _ in range(int(rest))]
            return [each for each in replies if not isinstance(each, RedisError)]
