"""Apache httpd: serves its document root, in the image's default configuration."""

import posixpath

from kubesim.network.fabric import Connection
from kubesim.runtime import http
from kubesim.runtime.process import Process
from kubesim.runtime.programs.httpd import TYPES
from kubesim.runtime.serving import listen, serve_until, stopped_by

DOCUMENTS = "/usr/local/apache2/htdocs"
PORT = 80
DEFAULT_VERSION = "2.4.65"
REASONS = {
    404: "The requested URL was not found on this server.",
    405: "The requested method {method} is not allowed for this URL.",
}


async def httpd_foreground(process: Process) -> int:
    """Run the server as process 1 of the httpd image does."""
    return await Apache(process).run()


class Apache:
    """A running server."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._version = process.environment.get("HTTPD_VERSION", DEFAULT_VERSION)

    async def run(self) -> int:
        """Bind, then serve until TERM, INT or WINCH."""
        try:
            listener = listen(self._process, PORT)
        except OSError:
            await self._process.write(
                "(98)Address already in use: AH00072: make_sock: could not bind to address "
                f"0.0.0.0:{PORT}\nno listening sockets available, shutting down\n"
                "AH00015: Unable to open logs\n",
                2,
            )
            return 1
        self._process.argv = ["httpd", "-DFOREGROUND"]
        await self._greet()
        stopped = stopped_by(self._process, "TERM", "INT", "WINCH")
        await serve_until(stopped, listener, self._talk)
        await self._notice("mpm_event:notice", "AH00491: caught SIGTERM, shutting down")
        return 0

    async def _greet(self) -> None:
        hint = (
            "AH00558: httpd: Could not reliably determine the server's fully qualified domain "
            f"name, using {self._process.network.ip}. Set the 'ServerName' directive globally to "
            "suppress this message\n"
        )
        await self._process.write(hint * 2, 2)
        configured = (
            f"AH00489: Apache/{self._version} (Unix) configured -- resuming normal operations"
        )
        await self._notice("mpm_event:notice", configured)
        await self._notice("core:notice", "AH00094: Command line: 'httpd -D FOREGROUND'")

    async def _notice(self, module: str, message: str) -> None:
        now = self._process.clock.now()
        moment = f"{now:%a %b %d %H:%M:%S.%f %Y}"
        where = f"[pid {self._process.pid}:tid {self._process.pid}]"
        await self._process.write(f"[{moment}] [{module}] {where} {message}\n", 2)

    async def _talk(self, connection: Connection) -> None:
        while request := await http.read_head(connection):
            await http.read_body(connection, request)
            status, kind, body = self._answer(request)
            keep = request.headers.get("connection", "").lower() != "close"
            headers = {
                "Date": http.http_date(self._process.clock.now()),
                "Server": f"Apache/{self._version} (Unix)",
                "Content-Length": str(len(body)),
                "Content-Type": kind,
                **({} if keep else {"Connection": "close"}),
            }
            content = b"" if request.method == "HEAD" else body
            await connection.write(http.head(status, headers) + content)
            await self._log(connection, request, status, len(content))
            if not keep:
                return

    def _answer(self, request: http.Message) -> tuple[int, str, bytes]:
        if request.method not in ("GET", "HEAD", "OPTIONS"):
            return self._error(405, request.method)
        files = self._process.files
        path = DOCUMENTS + http.path_of(request)
        if files.is_directory(path):
            path = posixpath.join(path, "index.html")
        if not files.exists(path):
            return self._error(404, request.method)
        kind = TYPES.get(posixpath.splitext(path)[1], "text/plain")
        return 200, kind, files.read(path)

    def _error(self, status: int, method: str) -> tuple[int, str, bytes]:
        phrase = http.phrase(status)
        text = REASONS[status].format(method=method)
        page = (
            '<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">\n<html><head>\n'
            f"<title>{status} {phrase}</title>\n</head><body>\n<h1>{phrase}</h1>\n"
            f"<p>{text}</p>\n</body></html>\n"
        )
        return status, "text/html; charset=iso-8859-1", page.encode()

    async def _log(
        self, connection: Connection, request: http.Message, status: int, size: int
    ) -> None:
        moment = f"{self._process.clock.now():%d/%b/%Y:%H:%M:%S +0000}"
        line = " ".join(request.first)
        await self._process.print(f'{connection.remote[0]} - - [{moment}] "{line}" {status} {size}')
