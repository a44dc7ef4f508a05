"""curl: fetches URLs over HTTP, with the exit codes and messages that scripts rely on."""

import errno
import getopt
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from kubesim.network.fabric import Connection
from kubesim.runtime import http
from kubesim.runtime.process import Process
from kubesim.runtime.resolver import resolve

VERSION = "8.14.1"
SHORT = "sSfILvkiX:d:H:o:Om:A:u:w:T:"
LONG = [
    "silent",
    "show-error",
    "fail",
    "head",
    "location",
    "verbose",
    "insecure",
    "include",
    "request=",
    "data=",
    "header=",
    "output=",
    "remote-name",
    "max-time=",
    "connect-timeout=",
    "user-agent=",
    "user=",
    "write-out=",
    "retry=",
    "retry-delay=",
    "data-binary=",
    "data-raw=",
    "compressed",
    "http1.1",
    "resolve=",
    "fail-with-body",
    "no-progress-meter",
    "version",
    "retry-connrefused",
    "retry-all-errors",
    "cacert=",
    "url=",
    "json=",
]
ALIASES = {
    "s": "silent",
    "S": "show-error",
    "f": "fail",
    "I": "head",
    "L": "location",
    "v": "verbose",
    "k": "insecure",
    "i": "include",
    "X": "request",
    "d": "data",
    "H": "header",
    "o": "output",
    "O": "remote-name",
    "m": "max-time",
    "A": "user-agent",
    "u": "user",
    "w": "write-out",
    "data-binary": "data",
    "data-raw": "data",
}
MAX_REDIRECTS = 50
CONNECT_SECONDS = 134.0
ESCAPES = {r"\n": "\n", r"\t": "\t", r"\r": "\r"}


class CurlError(Exception):
    """The transfer failed; `code` is curl's exit status."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Transfer:
    """What was asked for."""

    flags: dict[str, str]
    headers: list[str] = field(default_factory=list)
    data: list[str] = field(default_factory=list)

    @property
    def method(self) -> str:
        """The request's method."""
        default = "POST" if self.data else "HEAD" if "head" in self.flags else "GET"
        return self.flags.get("request", default)


async def curl(process: Process) -> int:
    """Fetch each URL on the command line."""
    try:
        pairs, urls = getopt.gnu_getopt(process.argv[1:], SHORT, LONG)
    except getopt.GetoptError as error:
        await process.write(f"curl: {error.msg}\ncurl: try 'curl --help' for more information\n", 2)
        return 2
    transfer = Transfer({})
    for option, value in pairs:
        _take(transfer, urls, option.lstrip("-"), value)
    if "version" in transfer.flags:
        await process.print(f"curl {VERSION} (x86_64-pc-linux-gnu)")
        return 0
    if not urls:
        await process.write("curl: (2) no URL specified\n", 2)
        return 2
    status = 0
    for url in urls:
        status = await _with_retries(process, transfer, url)
    return status


def _take(transfer: Transfer, urls: list[str], option: str, value: str) -> None:
    name = ALIASES.get(option, option)
    if name == "header":
        transfer.headers.append(value)
    elif name == "data":
        transfer.data.append(value)
    elif name == "json":
        transfer.data.append(value)
        transfer.headers += ["Content-Type: application/json", "Accept: application/json"]
    elif name == "url":
        urls.append(value)
    else:
        transfer.flags[name] = value


async def _with_retries(process: Process, transfer: Transfer, url: str) -> int:
    tries = int(transfer.flags.get("retry", "0")) + 1
    for attempt in range(tries):
        try:
            return await _with_deadline(process, transfer, url)
        except CurlError as fault:
            last = attempt == tries - 1
            if "silent" not in transfer.flags or "show-error" in transfer.flags:
                await process.write(f"curl: ({fault.code}) {fault}\n", 2)
            if last or (fault.code == 7 and "retry-connrefused" not in transfer.flags):
                return fault.code
            await process.clock.sleep(float(transfer.flags.get("retry-delay", 2**attempt)))
    return 0


async def _with_deadline(process: Process, transfer: Transfer, url: str) -> int:
    limit = transfer.flags.get("max-time")
    try:
        async with process.clock.timeout(float(limit) if limit else None):
            return await _fetch(process, transfer, url)
    except TimeoutError:
        spent = int(float(limit or 0) * 1000)
        message = f"Operation timed out after {spent} milliseconds with 0 bytes received"
        raise CurlError(28, message) from None


async def _fetch(process: Process, transfer: Transfer, url: str) -> int:
    for _ in range(MAX_REDIRECTS):
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme == "https":
            raise CurlError(35, "TLS is not simulated by the embedded cluster's curl; use http")
        if parts.scheme != "http":
            raise CurlError(1, f'Protocol "{parts.scheme}" not supported')
        connection = await _connect(process, transfer, parts.hostname or "", parts.port or 80)
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            response = await _ask(process, transfer, connection, parts.netloc, target)
            moved = response.headers.get("location", "") if 300 <= response.status < 400 else ""
            if moved and "location" in transfer.flags:
                url = moved if "://" in moved else f"http://{parts.netloc}{moved}"
                continue
            body = b"" if transfer.method == "HEAD" else await http.read_body(connection, response)
        finally:
            connection.close()
        return await _deliver(process, transfer, response, body, parts.path)
    raise CurlError(47, f"Maximum ({MAX_REDIRECTS}) redirects followed")


async def _connect(process: Process, transfer: Transfer, host: str, port: int) -> Connection:
    try:
        address = resolve(process, host)[0]
    except LookupError:
        raise CurlError(6, f"Could not resolve host: {host}") from None
    limit = float(transfer.flags.get("connect-timeout", CONNECT_SECONDS))
    failed = f"Failed to connect to {host} port {port} after {{}} ms: "
    try:
        async with process.clock.timeout(limit):
            return await process.network.connect(address, port)
    except TimeoutError:
        spent = int(limit * 1000)
        raise CurlError(28, f"Connection timed out after {spent} milliseconds") from None
    except OSError as error:
        slow = error.errno in (errno.EHOSTUNREACH, errno.ETIMEDOUT)
        raise CurlError(
            7, failed.format(3000 if slow else 0) + "Could not connect to server"
        ) from None


async def _ask(
    process: Process, transfer: Transfer, connection: Connection, place: str, target: str
) -> http.Message:
    body = "&".join(transfer.data).encode()
    headers = {
        "Host": place,
        "User-Agent": transfer.flags.get("user-agent", f"curl/{VERSION}"),
        "Accept": "*/*",
        "Connection": "close",
    }
    if transfer.data:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        headers["Content-Length"] = str(len(body))
    for line in transfer.headers:
        name, _, value = line.partition(":")
        known = {key.lower(): key for key in headers}
        headers[known.get(name.strip().lower(), name.strip())] = value.strip()
    if "verbose" in transfer.flags:
        sent = [f"{transfer.method} {target} HTTP/1.1"]
        sent += [f"{key}: {value}" for key, value in headers.items() if key != "Connection"]
        await process.write("".join(f"> {line}\n" for line in [*sent, ""]), 2)
    response = await http.send_request(connection, transfer.method, target, headers, body)
    if response is None:
        raise CurlError(52, "Empty reply from server")
    if "verbose" in transfer.flags:
        await process.write("".join(f"< {line}\n" for line in [*_head(response), ""]), 2)
    return response


def _head(response: http.Message) -> list[str]:
    words = [" ".join(response.first)]
    return words + [f"{name.title()}: {value}" for name, value in response.headers.items()]


async def _deliver(
    process: Process, transfer: Transfer, response: http.Message, body: bytes, path: str
) -> int:
    failed = response.status >= 400
    if failed and "fail" in transfer.flags:
        raise CurlError(22, f"The requested URL returned error: {response.status}")
    head = ""
    if "head" in transfer.flags or "include" in transfer.flags:
        head = "".join(f"{line}\r\n" for line in [*_head(response), ""])
    name = transfer.flags.get("output", "-")
    if "remote-name" in transfer.flags:
        name = path.rpartition("/")[2] or "index.html"
    if name == "-":
        await process.write(head.encode() + body)
    else:
        await process.open(name, "w").write(head.encode() + body)
    if "write-out" in transfer.flags:
        await process.write(_written_out(transfer.flags["write-out"], response, body))
    return 22 if failed and "fail-with-body" in transfer.flags else 0


def _written_out(template: str, response: http.Message, body: bytes) -> str:
    facts = {
        "%{http_code}": f"{response.status:03}",
        "%{response_code}": f"{response.status:03}",
        "%{size_download}": str(len(body)),
        "%{content_type}": response.headers.get("content-type", ""),
        "%{time_total}": "0.001000",
    }
    for mark, text in (facts | ESCAPES).items():
        template = template.replace(mark, text)
    return template
