"""Programs that connect to others: wget, nc, nslookup, ping, ifconfig, ip."""

import asyncio
import errno
import ipaddress
import posixpath
from urllib.parse import urlsplit

from kubesim.network.fabric import Connection
from kubesim.runtime import http
from kubesim.runtime.process import Process, reason
from kubesim.runtime.programs.applet import AppletError, Options, applet, runnable
from kubesim.runtime.resolver import candidates, resolve, resolver_config
from kubesim.runtime.serving import listen

MAX_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)


@applet(
    "wget",
    "qO:T:Sct:U:P:",
    "[-cqS] [--spider] [-O FILE] [--header STR] [--post-data STR] [-T SEC] [-U AGENT] URL...",
    at_least=1,
    long=("spider", "header=", "post-data=", "quiet", "no-check-certificate", "timeout="),
)
async def wget(process: Process, options: Options, urls: list[str]) -> int:
    """Fetch URLs."""
    limit = options.value("T") or options.value("timeout")
    try:
        async with process.clock.timeout(float(limit) if limit else None):
            for url in urls:
                await _fetch(process, options, url)
    except TimeoutError:
        raise AppletError("download timed out") from None
    return 0


async def _fetch(process: Process, options: Options, url: str) -> None:
    for _ in range(MAX_REDIRECTS):
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme != "http":
            raise AppletError(f"not an http or ftp url: {url}")
        connection = await _open(process, options, parts.netloc)
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            response = await _ask(connection, options, parts.netloc, target)
            if "S" in options:
                await _print_head(process, response)
            if response.status in REDIRECTS and "location" in response.headers:
                url = response.headers["location"]
                continue
            if not 200 <= response.status < 300:
                raise AppletError(f"server returned error: {' '.join(response.first)}")
            name = posixpath.basename(parts.path) or "index.html"
            await _save(process, options, connection, response, name)
        finally:
            connection.close()
        return
    raise AppletError("too many redirections")


async def _open(process: Process, options: Options, place: str) -> Connection:
    host, _, port = place.partition(":")
    address = _address(process, host)
    if "q" not in options and "quiet" not in options:
        await process.write(f"Connecting to {place} ({address}:{port or 80})\n", 2)
    return await _connect(process, address, int(port or 80))


def _address(process: Process, name: str) -> str:
    try:
        return resolve(process, name)[0]
    except LookupError:
        raise AppletError(f"bad address '{name}'") from None


async def _connect(process: Process, address: str, port: int) -> Connection:
    try:
        return await process.network.connect(address, port)
    except OSError as error:
        raise AppletError(f"can't connect to remote host ({address}): {reason(error)}") from None


async def _ask(connection: Connection, options: Options, place: str, target: str) -> http.Message:
    body = options.value("post-data").encode()
    agent = options.value("U", "Wget")
    headers = {"Host": place, "User-Agent": agent, "Connection": "close"}
    for header in options.get("header", []):
        name, _, value = header.partition(":")
        headers[name.strip()] = value.strip()
    if "post-data" in options:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        headers["Content-Length"] = str(len(body))
    method = "POST" if "post-data" in options else "GET"
    response = await http.send_request(connection, method, target, headers, body)
    if response is None:
        raise AppletError("error getting response")
    return response


async def _print_head(process: Process, response: http.Message) -> None:
    lines = [" ".join(response.first)]
    lines += [f"{name.title()}: {value}" for name, value in response.headers.items()]
    for line in [*lines, ""]:
        await process.write(f"  {line}\n", 2)


async def _save(
    process: Process, options: Options, connection: Connection, response: http.Message, name: str
) -> None:
    if "spider" in options:
        if "q" not in options:
            await process.write("remote file exists\n", 2)
        return
    name = options.value("O", name)
    if "O" not in options and process.files.exists(process.path(name)):
        raise AppletError(f"can't open '{name}': File exists")
    body = await http.read_body(connection, response)
    if name == "-":
        await process.write(body)
        doing, done = "writing to stdout", "written to stdout"
    else:
        await process.open(name, "w").write(body)
        doing, done = f"saving to '{name}'", f"'{name}' saved"
    if "q" not in options and "quiet" not in options:
        bar = f"{name[:20]:<20} 100% |{'*' * 32}| {len(body):5}  0:00:00 ETA"
        await process.write(f"{doing}\n{bar}\n{done}\n", 2)


@applet("nc", "lkp:e:w:zvn", "[-lkzv] [-p PORT] [-w SEC] [-e PROG] [HOST] [PORT]")
async def nc(process: Process, options: Options, operands: list[str]) -> int:
    """Connect standard input and output, or a program, to a TCP connection."""
    wait = float(options["w"][-1]) if "w" in options else None
    try:
        if "l" in options:
            return await _nc_listen(process, options, operands)
        if len(operands) != 2 or not operands[1].isdigit():
            raise AppletError("usage: nc [OPTIONS] HOST PORT")
        address = _address(process, operands[0])
        async with process.clock.timeout(wait):
            connection = await _connect(process, address, int(operands[1]))
        if "v" in options:
            await process.write(f"{operands[0]} ({address}:{operands[1]}) open\n", 2)
        if "z" not in options:
            await _relay(process, options, connection)
        connection.close()
    except TimeoutError:
        raise AppletError("timed out") from None
    return 0


async def _nc_listen(process: Process, options: Options, operands: list[str]) -> int:
    port = options.value("p") or (operands[-1] if operands else "")
    if not port.isdigit():
        raise AppletError("usage: nc -l -p PORT")
    try:
        listener = listen(process, int(port))
    except OSError as error:
        raise AppletError(f"bind: {reason(error)}") from None
    while True:
        connection = await listener.accept()
        await _relay(process, options, connection)
        connection.close()
        if "k" not in options:
            return 0


async def _relay(process: Process, options: Options, connection: Connection) -> None:
    if "e" in options:
        await _relay_program(process, options, connection)
        return
    sending = asyncio.create_task(_send(process, connection))
    try:
        while chunk := await connection.read():
            await process.write(chunk)
        if "l" in options:
            await sending
    finally:
        sending.cancel()


async def _send(process: Process, connection: Connection) -> None:
    try:
        while chunk := await process.stdin.read():
            await connection.write(chunk)
    except OSError as error:
        if error.errno != errno.EPIPE:
            raise
    connection.close_writing()


async def _relay_program(process: Process, options: Options, connection: Connection) -> None:
    program = runnable(process, options.value("e"))
    files = connection.files()
    child = process.spawn(program, [options.value("e")], None, {**files, 2: process.descriptors[2]})
    await child.wait()


NSLOOKUP_FORMS = {
    "A": "Name:\t{}\nAddress: {}",
    "AAAA": "Name:\t{}\nAddress: {}",
    "CNAME": "{}\tcanonical name = {}",
    "PTR": "{}\tname = {}",
    "SRV": "{}\tservice = {}",
}


@applet("nslookup", "t:q:", "[-type=QUERY_TYPE] HOST [DNS_SERVER]", at_least=1)
async def nslookup(process: Process, options: Options, operands: list[str]) -> int:
    """Ask the name server; like busybox with the search domains only for names without dots."""
    config = resolver_config(process)
    server = operands[1] if operands[1:] else next(iter(config.servers), "127.0.0.1")
    network = process.network
    if network.query(server, "svc.cluster.local", "A") is None:
        await process.clock.sleep(10)
        await process.write(";; connection timed out; no servers could be reached\n\n", 1)
        return 1
    await process.write(f"Server:\t\t{server}\nAddress:\t{server}:53\n\n")
    failed = 0
    for question, kind in _questions(process, options, operands[0]):
        try:
            answers = _records(process, server, question, kind)
        except LookupError:
            failed = 1
            await process.write(f"** server can't find {question}: NXDOMAIN\n\n")
            continue
        for form, name, answer in answers:
            await process.print(NSLOOKUP_FORMS[form].format(name, answer))
        await process.write("\n")
    return failed


def _questions(process: Process, options: Options, name: str) -> list[tuple[str, str]]:
    """Return what to ask for: names and types of records."""
    typed = options.value("t") or options.value("q")  # of -type=srv, as short options are read
    asked = typed.partition("=")[2].upper()
    if asked and asked not in NSLOOKUP_FORMS:
        raise AppletError(f'invalid query type "{asked.lower()}"')
    if _is_address(name):
        return [(".".join(reversed(name.split("."))) + ".in-addr.arpa", "PTR")]
    names = [name] if "." in name else candidates(name, resolver_config(process))[:-1]
    return [
        (each.rstrip("."), kind) for kind in ([asked] if asked else ("A", "AAAA")) for each in names
    ]


def _records(process: Process, server: str, question: str, kind: str) -> list[tuple[str, str, str]]:
    """Return the records that answer a question: type, name, value; an alias comes first."""
    query = process.network.query
    answers = query(server, question, kind) or []
    aliases = query(server, question, "CNAME") or [] if kind in ("A", "AAAA") else []
    name = (aliases or [question])[0]
    return [("CNAME", question, alias) for alias in aliases] + [
        (kind, name, answer) for answer in answers
    ]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


@applet("ping", "c:w:W:q", "[-c COUNT] [-w SEC] HOST", at_least=1)
async def ping(process: Process, options: Options, operands: list[str]) -> int:
    """Ask a host for echoes."""
    host = operands[0]
    address = _address(process, host)
    count = int(options.value("c", "0"))
    await process.print(f"PING {host} ({address}): 56 data bytes")
    sent = received = 0
    while not count or sent < count:
        if process.network.network.reachable(process.network, address):
            await process.print(f"64 bytes from {address}: seq={sent} ttl=62 time=0.100 ms")
            received += 1
        sent += 1
        if sent != count:
            await process.clock.sleep(1)
    lost = 100 * (sent - received) // sent
    await process.print(
        "",
        f"--- {host} ping statistics ---",
        f"{sent} packets transmitted, {received} packets received, {lost}% packet loss",
    )
    if received:
        await process.print("round-trip min/avg/max = 0.100/0.100/0.100 ms")
    return 0 if received else 1


@applet("ifconfig", "a", "[-a] [interface]")
async def ifconfig(process: Process, _options: Options, _operands: list[str]) -> int:
    """Print the network interfaces."""
    await process.print(
        "eth0      Link encap:Ethernet",
        f"          inet addr:{process.network.ip}  Mask:255.255.255.0",
        "          UP BROADCAST RUNNING MULTICAST  MTU:1500  Metric:1",
        "",
        "lo        Link encap:Local Loopback",
        "          inet addr:127.0.0.1  Mask:255.0.0.0",
        "          UP LOOPBACK RUNNING  MTU:65536  Metric:1",
        "",
    )
    return 0


@applet("ip", "+46o", "[OPTIONS] address|route|link")
async def ip(process: Process, _options: Options, operands: list[str]) -> int:
    """Print addresses or routes."""
    if not "route".startswith(operands[0] if operands else "address"):
        await process.print(
            "1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue qlen 1000",
            "    inet 127.0.0.1/8 scope host lo",
            "2: eth0@if3: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue",
            f"    inet {process.network.ip}/24 scope global eth0",
        )
        return 0
    gateway = process.network.ip.rpartition(".")[0] + ".1"
    await process.print(
        f"default via {gateway} dev eth0",
        f"{gateway} dev eth0 scope link  src {process.network.ip}",
    )
    return 0
