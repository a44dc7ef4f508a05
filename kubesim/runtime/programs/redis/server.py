"""redis-server: keeps values in memory, and in dump.rdb what is to be there after a restart."""

import asyncio
import json

from kubesim.network.fabric import Connection
from kubesim.runtime.process import Process
from kubesim.runtime.programs.redis import commands
from kubesim.runtime.programs.redis.config import read
from kubesim.runtime.programs.redis.database import Database, Value
from kubesim.runtime.programs.redis.protocol import RedisError, Reply, Status, encode, read_command
from kubesim.runtime.serving import listen, serve_until, stopped_by

PORT = 6379
DUMP = "dump.rdb"
SAVES = ("save", "bgsave")
DEFAULT_VERSION = "8.2.1"
IN_USE = "bind: Address already in use"


async def redis_server(process: Process) -> int:
    """Serve until TERM or SHUTDOWN; `redis-server [CONFIG] [--port N] [--dir PATH] …`."""
    if "--version" in process.argv or "-v" in process.argv:
        await process.print(f"Redis server v={process.environment.get('REDIS_VERSION', '')}")
        return 0
    settings = _settings(process)
    process.directory = process.path(settings.get("dir", "."))
    return await Server(process, settings).run()


def _settings(process: Process) -> dict[str, str]:
    """What the configuration file and the command line say."""
    words = process.argv[1:]
    settings: dict[str, str] = {}
    if words and not words[0].startswith("-"):
        text = process.files.read(process.path(words.pop(0))).decode(errors="replace")
        for line in text.splitlines():
            name, _, value = line.partition("#")[0].strip().partition(" ")
            settings[name] = value.strip().strip('"')
    while words:
        name = words.pop(0).removeprefix("--")
        values = []
        while words and not words[0].startswith("--"):
            values.append(words.pop(0))
        settings[name] = " ".join(values)
    return settings


class Server:
    """A running server."""

    def __init__(self, process: Process, settings: dict[str, str]) -> None:
        self._process = process
        self._password = settings.get("requirepass", "")
        self._port = int(settings.get("port") or PORT)
        self._database = Database(process.clock, settings=read(settings))
        self._stopped = asyncio.Event()

    async def run(self) -> int:
        """Bind and serve."""
        version = self._process.environment.get("REDIS_VERSION", DEFAULT_VERSION)
        await self._log("oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo", "C", "*")
        await self._log(
            f"Redis version={version}, bits=64, pid={self._process.pid}, just started", "C", "*"
        )
        try:
            listener = listen(self._process, self._port)
        except OSError:
            await self._log(
                f"Warning: Could not create server TCP listening socket *:{self._port}: {IN_USE}",
                "M",
                "#",
            )
            await self._log("Failed listening on port, aborting.", "M", "#")
            return 1
        self._process.argv = [f"redis-server *:{self._port}"]
        self._load()
        await self._log("Server initialized")
        await self._log("Ready to accept connections tcp")
        self._stopped = stopped_by(self._process, "TERM", "INT")
        await serve_until(self._stopped, listener, self._talk)
        await self._log("User requested shutdown...")
        self._save()
        await self._log("Redis is now ready to exit, bye bye...", "M", "#")
        return 0

    async def _log(self, message: str, role: str = "M", level: str = "*") -> None:
        now = self._process.clock.now()
        moment = f"{now:%d %b %Y %H:%M:%S}.{now.microsecond // 1000:03}"
        await self._process.print(f"{self._process.pid}:{role} {moment} {level} {message}")

    async def _talk(self, connection: Connection) -> None:
        trusted = not self._password
        while True:
            reply: Reply | RedisError
            try:
                words = await read_command(connection)
                if words is None:
                    return
                if not words:
                    continue
                name = words[0].lower()
                if name == "auth":
                    trusted = words[-1] == self._password
                    reply = Status("OK") if trusted else RedisError(WRONG_PASSWORD)
                elif not trusted:
                    reply = RedisError("NOAUTH Authentication required.")
                else:
                    reply = self._answer(name, words)
            except RedisError as error:
                reply = error
            await connection.write(encode(reply))
            if reply == "OK" and words and words[0].lower() == "quit":
                return

    def _answer(self, name: str, words: list[str]) -> Reply:
        if name == "quit":
            return Status("OK")
        if name == "shutdown":
            self._stopped.set()
            return Status("OK")
        if name in SAVES:
            self._save()
            return Status("OK" if name == "save" else "Background saving started")
        return commands.execute(self._database, words)

    def _save(self) -> None:
        """Write all values to dump.rdb; in a format of ours, nobody else reads it."""
        content = {
            key: sorted(value) if isinstance(value, set) else value
            for key, value in self._database.values.items()
        }
        kinds = {key: type(value).__name__ for key, value in self._database.values.items()}
        data = json.dumps({"values": content, "kinds": kinds}).encode()
        self._process.files.write(self._process.path(DUMP), data)

    def _load(self) -> None:
        path = self._process.path(DUMP)
        if not self._process.files.exists(path):
            return
        saved = json.loads(self._process.files.read(path))
        for key, value in saved["values"].items():
            kept: Value = set(value) if saved["kinds"][key] == "set" else value
            self._database.values[key] = kept


WRONG_PASSWORD = "WRONGPASS invalid username-password pair or user is disabled."  # noqa: S105
