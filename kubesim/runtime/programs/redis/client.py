"""redis-cli: one command, or those on standard input."""

import getopt
import shlex

from kubesim.network.fabric import Connection
from kubesim.runtime.process import Process, reason
from kubesim.runtime.programs.redis.protocol import RedisError, Reply, Status, encode, read_reply
from kubesim.runtime.resolver import resolve


async def redis_cli(process: Process) -> int:
    """Talk to a server: `redis-cli [-h HOST] [-p PORT] [-a PASSWORD] [COMMAND …]`."""
    pairs, words = getopt.getopt(process.argv[1:], "h:p:a:n:r:i:ex", ["raw", "no-auth-warning"])
    told = dict(pairs)
    host, port = told.get("-h", "127.0.0.1"), int(told.get("-p", "6379"))
    try:
        connection = await process.network.connect(resolve(process, host)[0], port)
    except LookupError:
        return await _unreachable(process, host, port, "Name or service not known")
    except OSError as error:
        return await _unreachable(process, host, port, reason(error))
    if "-a" in told:
        await _ask(connection, ["AUTH", told["-a"]])
    terminal = process.descriptors[1].is_terminal
    if words:
        return await _show(process, await _ask(connection, words), terminal)
    return await _session(process, connection, f"{host}:{port}> ", terminal)


async def _unreachable(process: Process, host: str, port: int, why: str) -> int:
    await process.write(f"Could not connect to Redis at {host}:{port}: {why}\n", 2)
    return 1


async def _ask(connection: Connection, words: list[str]) -> Reply | RedisError:
    await connection.write(encode(list(words)))
    return await read_reply(connection)


async def _session(process: Process, connection: Connection, prompt: str, terminal: bool) -> int:
    while True:
        if terminal:
            await process.write(prompt)
        line = (await process.stdin.read_line()).decode(errors="surrogateescape")
        if not line or line.strip() in ("exit", "quit"):
            return 0
        if line.strip():
            await _show(process, await _ask(connection, shlex.split(line)), terminal)


async def _show(process: Process, reply: Reply | RedisError, terminal: bool) -> int:
    await process.write(("\n".join(_lines(reply)) if terminal else _raw(reply)) + "\n")
    return int(isinstance(reply, RedisError))


def _raw(reply: Reply | RedisError) -> str:
    """A reply as redis-cli prints it into a pipe."""
    if isinstance(reply, list):
        return "\n".join(_raw(each) for each in reply)
    return "" if reply is None else str(reply)


def _lines(reply: Reply | RedisError) -> list[str]:
    """A reply as redis-cli shows it on a terminal."""
    match reply:
        case RedisError():
            return [f"(error) {reply}"]
        case Status():
            return [str(reply)]
        case None:
            return ["(nil)"]
        case int():
            return [f"(integer) {reply}"]
        case list():
            numbered = [f"{at}) {_lines(each)[0]}" for at, each in enumerate(reply, 1)]
            return numbered or ["(empty array)"]
        case _:
            escaped = str(reply).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
            return [f'"{escaped}"']
