"""The small servers of tutorials: each answers with who it is, or with what it was told."""

import asyncio
import getopt
import hashlib
import json
import urllib.parse
from collections.abc import Callable

from kubesim.network.fabric import Connection
from kubesim.runtime import http
from kubesim.runtime.process import Process
from kubesim.runtime.serving import listen, serve_until, stopped_by

Answer = tuple[int, str, str]  # status, content type, body
Answerer = Callable[[http.Message, bytes, Connection], Answer]
PLAIN = "text/plain; charset=utf-8"
BUSY_STEPS = 5000
GRACEFUL = ("TERM", "INT")


async def answer_all(process: Process, port: int, answerer: Answerer, steps: int = 0) -> int:
    """Answer every request on a port until TERM, each after so many steps of computing."""
    try:
        listener = listen(process, port)
    except OSError:
        await process.write(f"listen tcp :{port}: bind: address already in use\n", 2)
        return 1

    async def talk(connection: Connection) -> None:
        while request := await http.read_head(connection):
            body = await http.read_body(connection, request)
            for _ in range(steps):
                await process.checkpoint()
            status, kind, text = answerer(request, body, connection)
            keep = request.headers.get("connection", "").lower() != "close"
            headers = {
                "Date": http.http_date(process.clock.now()),
                "Content-Length": str(len(text.encode())),
                "Content-Type": kind,
                **({} if keep else {"Connection": "close"}),
            }
            content = b"" if request.method == "HEAD" else text.encode()
            await connection.write(http.head(status, headers) + content)
            if not keep:
                return

    await serve_until(stopped_by(process, *GRACEFUL), listener, talk)
    return 0


def _go_log(process: Process, message: str) -> str:
    return f"{process.clock.now():%Y/%m/%d %H:%M:%S} {message}\n"


async def hello_app(process: Process) -> int:
    """Google's hello-app: its version and its host's name, on port 8080 or $PORT."""
    port = int(process.environment.get("PORT", "8080"))
    version = process.environment.get("IMAGE_TAG", "1.0")
    await process.write(_go_log(process, f"Server listening on port {port}"), 2)

    def answer(request: http.Message, _body: bytes, _connection: Connection) -> Answer:
        line = _go_log(process, f"Serving request: {request.target}")
        asyncio.get_running_loop().create_task(process.write(line, 2))
        name = process.network.hostname
        return 200, PLAIN, f"Hello, world!\nVersion: {version}.0\nHostname: {name}\n"

    return await answer_all(process, port, answer)


async def echoserver(process: Process) -> int:
    """Kubernetes' echoserver: the request as it arrived, on port 8080."""

    def answer(request: http.Message, body: bytes, connection: Connection) -> Answer:
        host = request.headers.get("host", "")
        headers = "".join(f"\t{name}={value}\n" for name, value in sorted(request.headers.items()))
        text = body.decode(errors="replace") or "-no body in request-"
        return (
            200,
            "text/plain",
            f"\n\nHostname: {process.network.hostname}\n\nPod Information:\n"
            "\t-no pod information available-\n\nServer values:\n"
            "\tserver_version=nginx: 1.13.3 - lua: 10008\n\nRequest Information:\n"
            f"\tclient_address={connection.remote[0]}\n\tmethod={request.method}\n"
            f"\treal path={request.target}\n\tquery={request.target.partition('?')[2]}\n"
            f"\trequest_version=1.1\n\trequest_scheme=http\n"
            f"\trequest_uri=http://{host}{request.target}\n\nRequest Headers:\n{headers}\n"
            f"Request Body:\n\t{text}\n\n",
        )

    return await answer_all(process, int(process.environment.get("PORT", "8080")), answer)


async def http_echo(process: Process) -> int:
    """HashiCorp's http-echo: the text that it was started with, on port 5678 or -listen."""
    words = [word.lstrip("-") for word in process.argv[1:]]
    told = dict(word.partition("=")[::2] for word in words)
    text = told.get("text", process.environment.get("ECHO_TEXT", ""))
    if not text:
        await process.write("Missing -text option!\n", 2)
        return 127
    port = int(told.get("listen", ":5678").rpartition(":")[2])
    await process.print(_go_log(process, f"[INFO] server is listening on :{port}").strip())

    def answer(_request: http.Message, _body: bytes, _connection: Connection) -> Answer:
        return int(told.get("status-code", "200")), PLAIN, f"{text}\n"

    return await answer_all(process, port, answer)


async def whoami(process: Process) -> int:
    """Traefik's whoami: host and request, on port 80 or --port."""
    pairs, _ = getopt.gnu_getopt(process.argv[1:], "", ["port=", "name=", "verbose"])
    told = {name.lstrip("-"): value for name, value in pairs}
    port = int(told.get("port", process.environment.get("WHOAMI_PORT_NUMBER", "80")))
    await process.write(_go_log(process, f"Starting up on port {port}"), 2)

    def answer(request: http.Message, _body: bytes, connection: Connection) -> Answer:
        network = process.network
        lines = [f"Name: {told['name']}"] if "name" in told else []
        lines += [f"Hostname: {network.hostname}", "IP: 127.0.0.1", f"IP: {network.ip}"]
        lines += [f"RemoteAddr: {connection.remote[0]}:{connection.remote[1]}"]
        lines += [f"{request.method} {request.target} HTTP/1.1"]
        lines += [f"{name.title()}: {value}" for name, value in request.headers.items()]
        return 200, PLAIN, "\n".join([*lines, "", ""])

    return await answer_all(process, port, answer)


async def bootcamp(process: Process) -> int:
    """The server of Kubernetes' own first tutorial, on port 8080."""
    version = process.environment.get("IMAGE_TAG", "1")
    name = process.network.hostname
    started = f"{process.clock.now():%Y-%m-%dT%H:%M:%S.000Z}"
    await process.print(f"Kubernetes Bootcamp App Started At: {started} | Running On:  {name} ")

    def answer(_request: http.Message, _body: bytes, _connection: Connection) -> Answer:
        return 200, "text/plain", f"Hello Kubernetes bootcamp! | Running on: {name} | v={version}\n"

    return await answer_all(process, 8080, answer)


async def nginx_hello(process: Process) -> int:
    """The plain page of nginxdemos/hello, on port 80."""

    def answer(request: http.Message, _body: bytes, _connection: Connection) -> Answer:
        network = process.network
        now = f"{process.clock.now():%d/%b/%Y:%H:%M:%S +0000}"
        return (
            200,
            "text/plain",
            f"Server address: {network.ip}:80\nServer name: {network.hostname}\nDate: {now}\n"
            f"URI: {request.target}\nRequest ID: {hashlib.sha256(now.encode()).hexdigest()[:32]}\n",
        )

    return await answer_all(process, 80, answer)


async def agnhost(process: Process) -> int:
    """Kubernetes' test image: pause, netexec and serve-hostname of its many commands."""
    command, *options = process.argv[1:] or ["pause"]
    if command == "pause":
        return await pause(process)
    if command not in ("netexec", "serve-hostname"):
        await process.write(
            f'Error: unknown command "{command}" for "app" '
            "(the embedded cluster simulates pause, netexec and serve-hostname)\n",
            2,
        )
        return 1
    told = dict(word.lstrip("-").partition("=")[::2] for word in options)
    port = int(
        told.get("http-port") or told.get("port") or ("8080" if command == "netexec" else "9376")
    )

    def answer(request: http.Message, _body: bytes, connection: Connection) -> Answer:
        return _netexec(process, request, connection, command)

    return await answer_all(process, port, answer)


def _netexec(
    process: Process, request: http.Message, connection: Connection, command: str
) -> Answer:
    parts = urllib.parse.urlsplit(request.target)
    query = dict(urllib.parse.parse_qsl(parts.query))
    name = process.network.hostname
    if command == "serve-hostname":
        return 200, PLAIN, name
    answers = {
        "/": f"NOW: {process.clock.now():%Y-%m-%d %H:%M:%S.%f +0000 UTC}",
        "/hostname": name,
        "/hostName": name,
        "/clientip": f"{connection.remote[0]}:{connection.remote[1]}",
        "/echo": query.get("msg", ""),
        "/healthz": "",
        "/header": request.headers.get(query.get("key", "").lower(), ""),
        "/shell": json.dumps({"error": "not simulated by the embedded cluster"}),
    }
    if parts.path not in answers:
        return 404, PLAIN, "404 page not found\n"
    return int(query.get("code", "200")), PLAIN, answers[parts.path]


async def pause(process: Process) -> int:
    """Do nothing until told to end: what holds a Pod's namespaces."""
    await stopped_by(process, *GRACEFUL).wait()
    await process.write("Shutting down, got signal: Terminated\n", 2)
    return 0


async def hpa_example(process: Process) -> int:
    """Kubernetes' own example for autoscaling: every request computes for a while."""

    def answer(_request: http.Message, _body: bytes, _connection: Connection) -> Answer:
        return 200, "text/html; charset=UTF-8", "OK!"

    return await answer_all(process, 80, answer, BUSY_STEPS)
