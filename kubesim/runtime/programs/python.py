"""Python, as far as a web server and a version go; it runs no programs of others."""

import getopt
import posixpath
import urllib.parse

from kubesim.network.fabric import Connection
from kubesim.runtime import http
from kubesim.runtime.process import Process
from kubesim.runtime.programs.httpd import TYPES
from kubesim.runtime.serving import listen, serve

REFUSAL = (
    "python: the embedded cluster runs no Python programs, only `python -m http.server`; "
    "write the step in sh, or use the kind engine\n"
)
DEFAULT_VERSION = "3.13.7"


async def python(process: Process) -> int:
    """Run `python -m http.server`, or tell the version; refuse all else with a sentence."""
    words = process.argv[1:]
    if words[:1] in (["--version"], ["-V"]):
        version = process.environment.get("PYTHON_VERSION", DEFAULT_VERSION)
        await process.print(f"Python {version}")
        return 0
    words = [word for word in words if word not in ("-u", "-B", "-s", "-I")]
    if words[:2] == ["-m", "http.server"]:
        return await _http_server(process, words[2:])
    await process.write(REFUSAL, 2)
    return 1


async def _http_server(process: Process, words: list[str]) -> int:
    try:
        pairs, operands = getopt.gnu_getopt(words, "b:d:p:", ["bind=", "directory=", "protocol="])
    except getopt.GetoptError as error:
        await process.write(f"server.py: error: {error.msg}\n", 2)
        return 2
    told = dict(pairs)
    port = int(operands[0]) if operands and operands[0].isdigit() else 8000
    bind = told.get("--bind", told.get("-b", "0.0.0.0"))  # noqa: S104 - simulated
    home = process.path(told.get("--directory", told.get("-d", ".")))
    try:
        listener = listen(process, port, bind)
    except OSError:
        await process.write("OSError: [Errno 98] Address already in use\n", 2)
        return 1
    await process.print(f"Serving HTTP on {bind} port {port} (http://{bind}:{port}/) ...")
    await serve(listener, lambda connection: _talk(process, home, connection))
    return 0


async def _talk(process: Process, home: str, connection: Connection) -> None:
    request = await http.read_head(connection)
    if request is None:
        return
    status, kind, body = _answer(process, home, request)
    version = process.environment.get("PYTHON_VERSION", DEFAULT_VERSION)
    headers = {
        "Server": f"SimpleHTTP/0.6 Python/{version}",
        "Date": http.http_date(process.clock.now()),
        "Content-type": kind,
        "Content-Length": str(len(body)),
    }
    content = b"" if request.method == "HEAD" else body
    await connection.write(http.head(status, headers).replace(b"/1.1", b"/1.0", 1) + content)
    moment = f"{process.clock.now():%d/%b/%Y %H:%M:%S}"
    line = " ".join(request.first)
    await process.write(f'{connection.remote[0]} - - [{moment}] "{line}" {status} -\n', 2)


def _answer(process: Process, home: str, request: http.Message) -> tuple[int, str, bytes]:
    if request.method not in ("GET", "HEAD"):
        return _error(501, f"Unsupported method ({request.method!r})")
    target = urllib.parse.unquote(request.target.partition("?")[0])
    path = posixpath.normpath(home + http.path_of(request))
    files = process.files
    if files.is_directory(path):
        index = posixpath.join(path, "index.html")
        if not files.exists(index):
            return 200, "text/html; charset=utf-8", _listing(process, path, target)
        path = index
    if not files.exists(path):
        return _error(404, "File not found")
    kind = TYPES.get(posixpath.splitext(path)[1], "application/octet-stream")
    return 200, kind, files.read(path)


def _listing(process: Process, path: str, target: str) -> bytes:
    title = f"Directory listing for {target}"
    names = []
    for name in process.files.listdir(path):
        slash = "/" if process.files.is_directory(posixpath.join(path, name)) else ""
        names.append(f'<li><a href="{name}{slash}">{name}{slash}</a></li>')
    lines = ["<!DOCTYPE HTML>", '<html lang="en">', "<head>", '<meta charset="utf-8">']
    lines += [f"<title>{title}</title>", "</head>", "<body>", f"<h1>{title}</h1>", "<hr>", "<ul>"]
    return "\n".join([*lines, *names, "</ul>", "<hr>", "</body>", "</html>", ""]).encode()


def _error(status: int, message: str) -> tuple[int, str, bytes]:
    lines = [
        "<!DOCTYPE HTML>",
        '<html lang="en">',
        "    <head>",
        "    <title>Error response</title>",
    ]
    lines += ["    </head>", "    <body>", "        <h1>Error response</h1>"]
    lines += [f"        <p>Error code: {status}</p>", f"        <p>Message: {message}.</p>"]
    lines += ["    </body>", "</html>", ""]
    return status, "text/html;charset=utf-8", "\n".join(lines).encode()
