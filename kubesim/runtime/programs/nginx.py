"""nginx: serves the document root, or what a mounted configuration says."""

import asyncio
import posixpath
import re
import urllib.parse
from dataclasses import dataclass, field
from functools import partial

from kubesim.network.fabric import Connection, Listener
from kubesim.runtime import http
from kubesim.runtime.filesystem import File
from kubesim.runtime.process import Process, reason
from kubesim.runtime.programs.httpd import TYPES
from kubesim.runtime.programs.nginxconf import (
    MAIN,
    ConfigError,
    Server,
    read_configuration,
)
from kubesim.runtime.serving import listen, serve
from kubesim.runtime.signals import LINUX
from kubesim.runtime.streams import OpenFile

CACHE = "/var/cache/nginx"
LOGS = "/var/log/nginx"
PID = "/run/nginx.pid"
SIGNALS = {"stop": "TERM", "quit": "QUIT", "reload": "HUP"}
METHODS = ("GET", "HEAD")
DEFAULT_VERSION = "1.26.3"
BIND_TRIES = 5
BIND_PAUSE = 0.5  # seconds


@dataclass
class Answer:
    """A response before it is sent."""

    status: int
    body: bytes
    kind: str = "text/html"
    headers: dict[str, str] = field(default_factory=dict)


async def nginx(process: Process) -> int:
    """Run the web server as process 1 of the nginx image does."""
    version = process.environment.get("NGINX_VERSION", DEFAULT_VERSION)
    if "-v" in process.argv:
        await process.write(f"nginx version: nginx/{version}\n", 2)
        return 0
    try:
        servers = read_configuration(process.files)
    except ConfigError as fault:
        await _emergency(process, str(fault))
        return 1
    if "-s" in process.argv[:-1]:
        return await _signal(process, process.argv[process.argv.index("-s") + 1])
    if "-t" in process.argv:
        await process.write(
            f"nginx: the configuration file {MAIN} syntax is ok\n"
            f"nginx: configuration file {MAIN} test is successful\n",
            2,
        )
        return 0
    return await _start(process, version, servers)


async def _start(process: Process, version: str, servers: list[Server]) -> int:
    cache = f"{CACHE}/client_temp"
    try:
        process.files.make_directories(cache)
    except OSError as error:
        await _emergency(process, f'mkdir() "{cache}" failed ({error.errno}: {reason(error)})')
        return 1
    try:
        access, errors = (process.open(f"{LOGS}/{name}.log", "a") for name in ("access", "error"))
    except OSError as error:
        await _emergency(
            process, f'open() "{error.filename}" failed ({error.errno}: {reason(error)})'
        )
        return 1
    return await Nginx(process, version, servers, access, errors).run()


async def _signal(process: Process, name: str) -> int:
    """Do `nginx -s NAME`: tell the master process."""
    if name not in SIGNALS:
        await process.write(f'nginx: invalid option: "-s {name}"\n', 2)
        return 1
    if not process.files.exists(PID):
        why = f'open() "{PID}" failed (2: No such file or directory)'
        await process.write(f"nginx: [error] {why}\n", 2)
        return 1
    master = process.table.by_pid.get(int(process.files.read(PID)))
    if master:
        master.signal(LINUX[SIGNALS[name]])
    return 0


async def _emergency(process: Process, message: str) -> None:
    moment = f"{process.clock.now():%Y/%m/%d %H:%M:%S}"
    number = f"{process.pid}#{process.pid}"
    await process.write(f"{moment} [emerg] {number}: {message}\nnginx: [emerg] {message}\n", 2)


class Nginx:
    """A running server: master process and worker in one."""

    def __init__(
        self,
        process: Process,
        version: str,
        servers: list[Server],
        access: OpenFile,
        errors: OpenFile,
    ) -> None:
        self._process = process
        self._access = access.acquire()
        self._errors = errors.acquire()
        self._version = version
        self._servers = _by_port(servers)
        self._talks: dict[int, tuple[Listener, asyncio.Task[None]]] = {}

    async def run(self) -> int:
        """Bind, then serve until TERM or QUIT."""
        if not await self._listen():
            return 1
        self._process.files.write(PID, f"{self._process.pid}\n".encode())
        self._process.argv = ["nginx: master process", *self._process.argv]
        await self._notice('using the "epoll" event method')
        await self._notice(f"nginx/{self._version}")
        await self._notice("start worker processes")
        return await self._serve()

    async def _listen(self) -> bool:
        """Open the ports that are not open yet, close those that nobody listens on any more."""
        for port in self._talks.keys() - self._servers.keys():
            listener, task = self._talks.pop(port)
            listener.close()
            task.cancel()
        for port in self._servers.keys() - self._talks.keys():
            bound = await self._bind(port)
            if bound is None:
                return False
            self._talks[port] = bound, asyncio.create_task(serve(bound, self._talk))
        return True

    async def _reload(self) -> None:
        """Go on with the configuration as it is now; a bad one changes nothing."""
        await self._notice("signal 1 (SIGHUP) received from 1, reconfiguring")
        try:
            self._servers = _by_port(read_configuration(self._process.files))
        except ConfigError as fault:
            await self._notice(str(fault), "emerg")
            return
        await self._notice("reconfiguring")
        await self._listen()

    async def _bind(self, port: int) -> Listener | None:
        for _ in range(BIND_TRIES):
            try:
                return listen(self._process, port)
            except OSError:
                message = f"bind() to 0.0.0.0:{port} failed (98: Address already in use)"
                await _emergency(self._process, message)
                await self._process.clock.sleep(BIND_PAUSE)
        await _emergency(self._process, "still could not bind()")
        return None

    async def _notice(self, message: str, level: str = "notice") -> None:
        moment = f"{self._process.clock.now():%Y/%m/%d %H:%M:%S}"
        number = f"{self._process.pid}#{self._process.pid}"
        await self._errors.write(f"{moment} [{level}] {number}: {message}\n".encode())

    async def _serve(self) -> int:
        received: asyncio.Queue[str] = asyncio.Queue()
        for name in ("TERM", "INT", "QUIT", "HUP"):
            self._process.handlers[LINUX[name]] = partial(received.put_nowait, name)
        try:
            while (name := await received.get()) == "HUP":
                await self._reload()
        finally:
            for _, task in self._talks.values():
                task.cancel()
        ending = "gracefully shutting down" if name == "QUIT" else "exiting"
        await self._notice(f"signal {LINUX[name]} (SIG{name}) received, {ending}")
        await self._notice("exit")
        return 0

    async def _talk(self, connection: Connection) -> None:
        """Answer requests on one connection until one asks to close it."""
        server = self._servers[connection.local[1]]
        while request := await http.read_head(connection):
            body = await http.read_body(connection, request)
            answer = await self._answer(request, server, connection, body)
            headers = self._headers(answer)
            keep = request.headers.get("connection", "").lower() != "close"
            headers["Connection"] = "keep-alive" if keep else "close"
            content = b"" if request.method == "HEAD" else answer.body
            await connection.write(
                http.head(answer.status, headers, _phrase(answer.status)) + content
            )
            await self._log_access(connection, request, answer)
            if not keep:
                return

    def _headers(self, answer: Answer) -> dict[str, str]:
        return {
            "Server": f"nginx/{self._version}",
            "Date": http.http_date(self._process.clock.now()),
            "Content-Type": answer.kind,
            "Content-Length": str(len(answer.body)),
            **answer.headers,
        }

    async def _log_access(
        self, connection: Connection, request: http.Message, answer: Answer
    ) -> None:
        moment = f"{self._process.clock.now():%d/%b/%Y:%H:%M:%S +0000}"
        sent = 0 if request.method == "HEAD" else len(answer.body)
        referer, agent = (request.headers.get(name, "-") for name in ("referer", "user-agent"))
        through = request.headers.get("x-forwarded-for", "-")
        line = f'"{" ".join(request.first)}" {answer.status} {sent}'
        line += f' "{referer}" "{agent}" "{through}"\n'
        await self._access.write(f"{connection.remote[0]} - - [{moment}] {line}".encode())

    async def _answer(
        self, request: http.Message, server: Server, connection: Connection, body: bytes
    ) -> Answer:
        target = urllib.parse.unquote(request.target.partition("?")[0])
        path = http.path_of(request)
        path += "/" if target.endswith("/") and path != "/" else ""
        location = server.location(path)
        fixed = location.answer or server.answer
        if fixed:
            return self._fixed(fixed, request, connection, path)
        if request.method not in METHODS:
            return self._error(405)
        root = location.root or server.root
        name = posixpath.join(root, path.lstrip("/"))
        if location.alias:
            name = location.alias + path[len(location.prefix) :]
        index = location.index or server.index
        return await self._file(name, path, index, request, connection)

    def _fixed(
        self, fixed: tuple[int, str], request: http.Message, connection: Connection, path: str
    ) -> Answer:
        status, text = fixed
        variables = {
            "hostname": self._process.network.hostname,
            "host": request.headers.get("host", "").partition(":")[0],
            "remote_addr": connection.remote[0],
            "server_addr": self._process.network.ip,
            "server_port": str(connection.local[1]),
            "request_uri": request.target,
            "uri": path,
            "request_method": request.method,
        }
        text = re.sub(r"\$\{?(\w+)\}?", lambda found: variables.get(found[1], ""), text)
        text = text.replace("\\n", "\n")
        if 300 <= status < 400:
            return self._error(status, {"Location": text})
        if not text:
            return self._error(status)
        return Answer(status, text.encode(), "application/octet-stream")

    async def _file(
        self,
        name: str,
        path: str,
        index: list[str],
        request: http.Message,
        connection: Connection,
    ) -> Answer:
        files = self._process.files
        if files.is_directory(name):
            if not path.endswith("/"):
                host = request.headers.get("host", "localhost")
                return self._error(301, {"Location": f"http://{host}{path}/"})
            found = [each for each in index if files.exists(posixpath.join(name, each))]
            if not found:
                await self._log_error(
                    f'directory index of "{name}" is forbidden', request, connection
                )
                return self._error(403)
            name = posixpath.join(name, found[0])
        if not files.exists(name):
            why = f'open() "{name}" failed (2: No such file or directory)'
            await self._log_error(why, request, connection)
            return self._error(404)
        node = files.lookup(name)
        assert isinstance(node, File)
        kind = TYPES.get(posixpath.splitext(name)[1], "application/octet-stream")
        stamp = f'"{int(node.modified.timestamp()):x}-{len(node.data):x}"'
        headers = {
            "Last-Modified": http.http_date(node.modified),
            "ETag": stamp,
            "Accept-Ranges": "bytes",
        }
        if request.headers.get("if-none-match") == stamp:
            return Answer(304, b"", kind, headers)
        return Answer(200, bytes(node.data), kind, headers)

    async def _log_error(self, message: str, request: http.Message, connection: Connection) -> None:
        host = request.headers.get("host", "")
        await self._notice(
            f"{message}, client: {connection.remote[0]}, server: localhost, "
            f'request: "{" ".join(request.first)}", host: "{host}"',
            level="error",
        )

    def _error(self, status: int, headers: dict[str, str] | None = None) -> Answer:
        title = f"{status} {_phrase(status)}"
        lines = [
            "<html>",
            f"<head><title>{title}</title></head>",
            "<body>",
            f"<center><h1>{title}</h1></center>",
            f"<hr><center>nginx/{self._version}</center>",
            "</body>",
            "</html>",
        ]
        return Answer(
            status, "".join(line + "\r\n" for line in lines).encode(), headers=headers or {}
        )


def _by_port(servers: list[Server]) -> dict[int, Server]:
    ports: dict[int, Server] = {}
    for server in servers:
        for port in server.ports:
            ports.setdefault(port, server)
    return ports


def _phrase(status: int) -> str:
    return "Not Allowed" if status == 405 else http.phrase(status)
