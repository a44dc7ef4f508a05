"""Probes and lifecycle handlers: exec, httpGet, tcpSocket, sleep."""

import asyncio
import contextlib
from dataclasses import dataclass

from kubesim.apimachinery.objects import Object
from kubesim.clock import Clock
from kubesim.network.fabric import NetworkNamespace
from kubesim.runtime import http
from kubesim.runtime.container import Container, StartError
from kubesim.runtime.process import reason

MAX_OUTPUT = 10 * 1024
GRPC_RETRY = 1.0  # seconds; the base delay of gRPC's connection back-off
AGENT = "kube-probe/1.37"


@dataclass(frozen=True)
class Result:
    """Whether a handler succeeded, and what it said."""

    success: bool
    output: str = ""
    status: int = 0


@dataclass
class Target:
    """The container that a handler is about, and where it is reached from and at."""

    container: Container
    spec: Object
    ip: str
    node: NetworkNamespace
    clock: Clock


async def probe(target: Target, spec: Object) -> Result:
    """Probe once; `spec` is a core/v1 Probe."""
    seconds = spec.get("timeoutSeconds") or 1
    try:
        async with target.clock.timeout(seconds):
            return await handle(target, spec)
    except TimeoutError:
        return Result(False, _timed_out(target, spec, seconds))


def _timed_out(target: Target, spec: Object, seconds: float) -> str:
    if "exec" in spec:
        command = " ".join(spec["exec"].get("command") or [])
        return f'command timed out: "{command}" timed out after {seconds}s'
    if "tcpSocket" in spec:
        return f"dial tcp {_address(target, spec['tcpSocket'])}: i/o timeout"
    if "grpc" in spec:
        return (
            f'timeout: failed to connect service "{target.ip}:{spec["grpc"]["port"]}" '
            f"within {seconds}s: context deadline exceeded"
        )
    return (
        f'Get "{_url(target, spec["httpGet"])}": context deadline exceeded '
        "(Client.Timeout exceeded while awaiting headers)"
    )


async def handle(target: Target, spec: Object) -> Result:
    """Do what a probe or lifecycle handler says."""
    if "exec" in spec:
        return await _exec(target, spec["exec"].get("command") or [])
    if "httpGet" in spec:
        return await _http_get(target, spec["httpGet"])
    if "tcpSocket" in spec:
        return await _tcp_socket(target, spec["tcpSocket"])
    if "sleep" in spec:
        await target.clock.sleep(spec["sleep"]["seconds"])
        return Result(True)
    return await _grpc(target, spec["grpc"])


async def _exec(target: Target, command: list[str]) -> Result:
    try:
        running = target.container.execute(command)
    except StartError as error:
        return Result(
            False,
            f"OCI runtime exec failed: exec failed: unable to start container process: {error}",
        )
    output = bytearray()
    try:
        async for chunk in running.stdout:
            output += chunk
        async for chunk in running.stderr:
            output += chunk
        status = await running.wait()
    except asyncio.CancelledError:
        running.kill()
        raise
    return Result(status == 0, output[:MAX_OUTPUT].decode(errors="replace"), status)


def _port(target: Target, spec: Object) -> int:
    port = spec["port"]
    if isinstance(port, int):
        return port
    named = (each for each in target.spec.get("ports") or [] if each.get("name") == port)
    found = next(named, None)
    return int(found["containerPort"]) if found else 0


def _address(target: Target, spec: Object) -> str:
    return f"{spec.get('host') or target.ip}:{_port(target, spec)}"


def _url(target: Target, spec: Object) -> str:
    path = spec.get("path") or "/"
    path = path if path.startswith("/") else f"/{path}"
    return f"{(spec.get('scheme') or 'HTTP').lower()}://{_address(target, spec)}{path}"


async def _tcp_socket(target: Target, spec: Object) -> Result:
    try:
        connection = await target.node.connect(spec.get("host") or target.ip, _port(target, spec))
    except OSError as error:
        why = reason(error).lower()
        return Result(False, f"dial tcp {_address(target, spec)}: connect: {why}")
    connection.close()
    return Result(True)


async def _http_get(target: Target, spec: Object) -> Result:
    url = _url(target, spec)
    address = _address(target, spec)
    try:
        connection = await target.node.connect(spec.get("host") or target.ip, _port(target, spec))
    except OSError as error:
        why = reason(error).lower()
        return Result(False, f'Get "{url}": dial tcp {address}: connect: {why}')
    if url.startswith("https") and not connection.secure:
        connection.close()
        return Result(False, f'Get "{url}": http: server gave HTTP response to HTTPS client')
    headers = {"Host": address, "User-Agent": AGENT, "Accept": "*/*", "Connection": "close"}
    headers |= {each["name"]: each["value"] for each in spec.get("httpHeaders") or []}
    try:
        target_path = url.split(address, 1)[1]
        response = await http.send_request(connection, "GET", target_path, headers)
    except OSError:
        response = None
    finally:
        connection.close()
    if response is None:
        return Result(False, f'Get "{url}": EOF')
    if 200 <= response.status < 400:
        return Result(True)
    return Result(False, f"HTTP probe failed with statuscode: {response.status}")


async def _grpc(target: Target, spec: Object) -> Result:
    """Dial as a gRPC client does: again and again until the server answers in HTTP/2.

    None of the simulated servers does, so this goes on until the probe's time is over.
    """
    while True:
        with contextlib.suppress(OSError):
            (await target.node.connect(target.ip, int(spec["port"]))).close()
        await target.clock.sleep(GRPC_RETRY)


def hook_failure(hook: Object, result: Result, container: str, pod: str) -> str:
    """Return what the kubelet says of a failed lifecycle hook (pkg/kubelet/lifecycle)."""
    about = f'for Container "{container}" in Pod "{pod}" failed - error: '
    if "exec" in hook:
        command = " ".join(hook["exec"].get("command") or [])
        return (
            f"Exec lifecycle hook ([{command}]) {about}command '{command}' exited with "
            f'{result.status}: {result.output}, message: "{_quoted(result.output)}"'
        )
    path = (hook.get("httpGet") or {}).get("path", "")
    return f"HTTP lifecycle hook ({path}) {about}{result.output}"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
