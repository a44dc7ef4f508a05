"""nginx: serves the document root, or what a mounted server block says."""

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
from kubesim.runtime.serving import listen, serve
from kubesim.runtime.signals import LINUX
from kubesim.runtime.streams import OpenFile

CACHE = "/var/cache/nginx"
LOGS = "/var/log/nginx"
CONFIG = "/etc/nginx/conf.d/default.conf"
METHODS = ("GET", "HEAD")
SIMULATED = "the embedded cluster simulates server, listen, root, index, return, location, alias"
WITHOUT_EFFECT = ("server_name", "error_page", "default_type", "access_log", "try_files", "charset")
DEFAULT_VERSION = "1.26.3"
BIND_TRIES = 5
BIND_PAUSE = 0.5  # seconds
DIRECTIVE = re.compile(
    r"\s*(?:#[^\n]*\n\s*)*((?:\"[^\"]*\"|'[^']*'|[^;{}\"'#])+?)\s*([;{])|\s*(\})"
)


@dataclass
class Location:
    """What is said for targets with this prefix."""

    prefix: str
    exact: bool = False
    root: str = ""
    alias: str = ""
    index: list[str] = field(default_factory=list)
    answer: tuple[int, str] | None = None


@dataclass
class Server:
    """One server block."""

    ports: list[int] = field(default_factory=list)
    root: str = "/usr/share/nginx/html"
    index: list[str] = field(default_factory=lambda: ["index.html", "index.htm"])
    answer: tuple[int, str] | None = None
    locations: list[Location] = field(default_factory=list)

    def location(self, path: str) -> Location:
        """Return the location that applies to `path`: exact, else the longest prefix."""
        exact = [each for each in self.locations if each.exact and each.prefix == path]
        prefixes = [
            each for each in self.locations if not each.exact and path.startswith(each.prefix)
        ]
        longest = sorted(prefixes, key=lambda each: len(each.prefix))[-1:]
        return (exact or longest or [Location("/")])[0]


class ConfigError(Exception):
    """The configuration can't be used; the message is nginx's."""


def parse_config(text: str, path: str) -> list[Server]:
    """Read server blocks: listen, root, index, return, location; other directives are refused."""
    servers: list[Server] = []
    context: list[Server | Location] = []
    at = 0
    text = re.sub(r"#[^\n]*", "", text)
    while text[at:].strip():
        match = DIRECTIVE.match(text, at)
        if not match:
            line = text.count("\n") + 1
            raise ConfigError(f'unexpected end of file, expecting ";" or "}}" in {path}:{line}')
        line = text.count("\n", 0, match.end()) + 1
        at = match.end()
        if match.group(3):
            if not context:
                raise ConfigError(f'unexpected "}}" in {path}:{line}')
            context.pop()
        elif match.group(2) == "{":
            context.append(_block(match.group(1).split(), servers, context, f"{path}:{line}"))
        else:
            words = [
                (quoted or quoted2 or bare)
                for quoted, quoted2, bare in re.findall(
                    r"\"([^\"]*)\"|'([^']*)'|(\S+)", match.group(1)
                )
            ]
            _directive(words, context[-1] if context else None, f"{path}:{line}")
    if context:
        raise ConfigError(f'unexpected end of file, expecting "}}" in {path}:{line}')
    return servers


def _block(
    words: list[str], servers: list[Server], context: list[Server | Location], where: str
) -> Server | Location:
    if words == ["server"] and not context:
        servers.append(Server())
        return servers[-1]
    if words[0] == "location" and len(words) in (2, 3) and context:
        if len(words) == 3 and words[1] not in ("=", "^~"):
            raise ConfigError(f"regular expression locations are not simulated in {where}")
        server = context[0]
        assert isinstance(server, Server)
        location = Location(words[-1], exact=words[1] == "=")
        server.locations.append(location)
        return location
    raise ConfigError(f'unknown directive "{words[0]}" in {where} ({SIMULATED})')


def _directive(words: list[str], target: Server | Location | None, where: str) -> None:
    name, *values = words
    if target is None:
        raise ConfigError(f'"{name}" directive is not allowed here in {where}')
    if name == "listen" and isinstance(target, Server):
        port = values[0].rpartition(":")[2]
        if not port.isdigit():
            raise ConfigError(f'invalid port in "{values[0]}" of the "listen" directive in {where}')
        target.ports += [int(port)] if int(port) not in target.ports else []
    elif name == "root":
        target.root = values[0]
    elif name == "alias" and isinstance(target, Location):
        target.alias = values[0]
    elif name == "index":
        target.index = values
    elif name == "return" and values[0].isdigit():
        target.answer = (int(values[0]), values[1] if values[1:] else "")
    elif name not in WITHOUT_EFFECT:
        raise ConfigError(f'unknown directive "{name}" in {where} ({SIMULATED})')


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
        servers = _configuration(process)
    except ConfigError as fault:
        await _emergency(process, str(fault))
        return 1
    if "-t" in process.argv:
        name = "/etc/nginx/nginx.conf"
        await process.write(
            f"nginx: the configuration file {name} syntax is ok\n"
            f"nginx: configuration file {name} test is successful\n",
            2,
        )
        return 0
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


def _configuration(process: Process) -> list[Server]:
    directory = "/etc/nginx/conf.d"
    names = process.files.listdir(directory) if process.files.is_directory(directory) else []
    servers = []
    for name in names:
        if name.endswith(".conf"):
            path = posixpath.join(directory, name)
            servers += parse_config(process.files.read(path).decode(errors="replace"), path)
    for server in servers:
        server.ports = server.ports or [80]
    return servers


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
        self._servers = servers

    async def run(self) -> int:
        """Bind, then serve until TERM or QUIT."""
        listeners = {}
        for port, server in self._by_port().items():
            listener = await self._bind(port)
            if listener is None:
                return 1
            listeners[listener] = server
        self._process.argv = ["nginx: master process", *self._process.argv]
        await self._notice('using the "epoll" event method')
        await self._notice(f"nginx/{self._version}")
        await self._notice("start worker processes")
        return await self._serve(listeners)

    def _by_port(self) -> "dict[int, Server]":
        ports: dict[int, Server] = {}
        for server in self._servers:
            for port in server.ports:
                ports.setdefault(port, server)
        return ports

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

    async def _serve(self, listeners: dict[Listener, Server]) -> int:
        received: asyncio.Queue[str] = asyncio.Queue()
        for name in ("TERM", "INT", "QUIT"):
            self._process.handlers[LINUX[name]] = partial(received.put_nowait, name)
        tasks = [
            asyncio.create_task(serve(listener, partial(self._talk, server)))
            for listener, server in listeners.items()
        ]
        try:
            name = await received.get()
        finally:
            for task in tasks:
                task.cancel()
        ending = "gracefully shutting down" if name == "QUIT" else "exiting"
        await self._notice(f"signal {LINUX[name]} (SIG{name}) received, {ending}")
        await self._notice("exit")
        return 0

    async def _talk(self, server: Server, connection: Connection) -> None:
        """Answer requests on one connection until one asks to close it."""
        while request := await http.read_head(connection):
            body = await http.read_body(connection, request) if _has_body(request) else b""
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
        line = f'"{" ".join(request.first)}" {answer.status} {sent} "{referer}" "{agent}"'
        await self._access.write(f"{connection.remote[0]} - - [{moment}] {line}\n".encode())

    async def _answer(
        self, request: http.Message, server: Server, connection: Connection, body: bytes
    ) -> Answer:
        target = urllib.parse.unquote(request.target.partition("?")[0])
        path = posixpath.normpath("/" + target.lstrip("/"))
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


def _phrase(status: int) -> str:
    return "Not Allowed" if status == 405 else http.phrase(status)


def _has_body(request: http.Message) -> bool:
    return request.headers.get("content-length", "0") != "0"
