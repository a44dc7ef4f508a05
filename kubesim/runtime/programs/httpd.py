"""busybox httpd: serves a directory."""

import posixpath

from kubesim.network.fabric import Connection
from kubesim.runtime import http
from kubesim.runtime.process import Process
from kubesim.runtime.programs.applet import AppletError, Options, applet
from kubesim.runtime.serving import listen, serve
from kubesim.runtime.streams import Null

TYPES = {
    ".html": "text/html",
    ".htm": "text/html",
    ".txt": "text/plain",
    ".css": "text/css",
    ".js": "text/javascript",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}


@applet("httpd", "fp:h:v", "[-f] [-v] [-p [IP:]PORT] [-h HOME]")
async def httpd(process: Process, options: Options, _operands: list[str]) -> int:
    """Serve files; without -f in the background."""
    home = process.path(options.value("h", "."))
    address, _, port = options.value("p", "80").rpartition(":")
    if not process.files.is_directory(home):
        raise AppletError(f"can't change directory to '{home}': No such file or directory")

    async def work(server: Process) -> int:
        try:
            listener = listen(server, int(port), address or "0.0.0.0")  # noqa: S104
        except OSError:
            raise AppletError("bind: Address already in use") from None
        await serve(listener, lambda connection: _answer(server, home, connection))
        return 0

    if "f" in options:
        return await work(process)
    nowhere = {number: Null() for number in range(3)}  # a daemon lets go of its terminal
    process.spawn(work, process.argv, None, nowhere)
    return 0


async def _answer(process: Process, home: str, connection: Connection) -> None:
    request = await http.read_head(connection)
    if request is None:
        return
    if request.method not in ("GET", "HEAD"):
        await _error(connection, process, 501)
        return
    path = home + http.path_of(request)
    if process.files.is_directory(path):
        path = posixpath.join(path, "index.html")
    if not process.files.exists(path):
        await _error(connection, process, 404)
        return
    body = process.files.read(path)
    kind = TYPES.get(posixpath.splitext(path)[1], "application/octet-stream")
    headers = _headers(process, kind, len(body))
    await connection.write(http.head(200, headers) + (body if request.method == "GET" else b""))


async def _error(connection: Connection, process: Process, status: int) -> None:
    title = f"{status} {http.phrase(status)}"
    body = f"<HTML><HEAD><TITLE>{title}</TITLE></HEAD>\n<BODY><H1>{title}</H1>\n</BODY></HTML>\n"
    headers = _headers(process, "text/html", len(body))
    await connection.write(http.head(status, headers) + body.encode())


def _headers(process: Process, kind: str, length: int) -> dict[str, str]:
    return {
        "Date": http.http_date(process.clock.now()),
        "Connection": "close",
        "Content-type": kind,
        "Content-length": str(length),
    }
