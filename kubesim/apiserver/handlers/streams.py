"""The subresources of Pods that the API server passes on to a kubelet: log and exec.

The server checks the request, finds the kubelet of the Pod's node, and copies bytes. Exec speaks
the WebSocket subprotocols v5 and v4 of channel.k8s.io: the first byte of a message is the number
of its channel (KEP-4006, "Transition from SPDY to WebSockets").
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any, Protocol

from kubesim.apiserver import errors
from kubesim.apiserver.errors import StatusError
from kubesim.apiserver.request import Request, RequestInfo, Response, Upgrade
from kubesim.kubelet.server import ExecSession, KubeletServer

Object = dict[str, Any]

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
KUBELET_PORT = 10250


class Channel(Protocol):
    """The transport's side of an Upgrade: messages to and from the client."""

    async def send(self, message: bytes) -> None:
        """Send one binary message."""

    async def receive(self) -> bytes | None:
        """The next message, or None when the client is gone."""


async def connect(
    info: RequestInfo, request: Request, pod: Object, kubelets: Mapping[str, KubeletServer]
) -> Response:
    """Answer a request for pods/log or pods/exec. Raises StatusError for what cannot be done."""
    if info.subresource == "log":
        return _log(request, pod, kubelets)
    if info.subresource == "exec":
        return await _exec(request, pod, kubelets)
    raise StatusError(
        501,
        f"pods/{info.subresource} is not simulated by this embedded cluster; "
        "a cluster of the kind engine has it",
        reason="NotImplemented",
    )


def _log(request: Request, pod: Object, kubelets: Mapping[str, KubeletServer]) -> Response:
    container = _container(request, pod)
    since_time, since_seconds = _moment(request), _number(request, "sinceSeconds", 1)
    if since_time and since_seconds:
        raise _invalid_option(
            "", "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be set"
        )
    limits = {"tail_lines": _number(request, "tailLines", 0)}
    limits["limit_bytes"] = _number(request, "limitBytes", 1)
    headers = {"content-type": "text/plain"}
    if not pod["spec"].get("nodeName"):
        return Response(200, headers)
    lines = _kubelet(pod, kubelets, "containerLogs", container).logs(
        pod["metadata"]["namespace"],
        pod["metadata"]["name"],
        container,
        follow=request.flag("follow"),
        since_seconds=since_seconds,
        since_time=since_time,
        timestamps=request.flag("timestamps"),
        previous=request.flag("previous"),
        **limits,
    )
    return Response(200, headers, lines)


async def _exec(request: Request, pod: Object, kubelets: Mapping[str, KubeletServer]) -> Response:
    container = _container(request, pod)
    metadata = pod["metadata"]
    if not pod["spec"].get("nodeName"):
        raise errors.bad_request(f"pod {metadata['name']} does not have a host assigned")
    command = list(request.query.get("command", ()))
    if not command:
        raise errors.bad_request("you must specify at least one command for the container")
    protocol = _protocol(request)
    stdin, tty = request.flag("stdin"), request.flag("tty")
    kubelet = _kubelet(pod, kubelets, "exec", container)

    async def serve(channel: Channel) -> None:
        try:
            session = await kubelet.exec(
                metadata["namespace"], metadata["name"], container, command, stdin=stdin, tty=tty
            )
        except StatusError as error:
            await _send_status(channel, error.status)
        else:
            await _Conversation(session, channel, stdin=stdin).run()

    return Response(101, {}, Upgrade(serve, protocol))


class _Conversation:
    """Copies between a client's channels and a running command."""

    def __init__(self, session: ExecSession, channel: Channel, *, stdin: bool) -> None:
        self._session = session
        self._channel = channel
        self._stdin = stdin

    async def run(self) -> None:
        """Run until the command has ended and all its output is sent, or the client is gone."""
        listening = asyncio.create_task(self._listen())
        finishing = asyncio.create_task(self._finish())
        try:
            await asyncio.wait((listening, finishing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not finishing.done():
                self._session.kill()
            for task in (listening, finishing):
                task.cancel()
            await asyncio.gather(listening, finishing, return_exceptions=True)

    async def _finish(self) -> None:
        session = self._session
        async with asyncio.TaskGroup() as copies:
            copies.create_task(_copy(session.stdout, self._channel, STDOUT))
            copies.create_task(_copy(session.stderr, self._channel, STDERR))
        await _send_status(self._channel, _exit_status(await session.wait()))

    async def _listen(self) -> None:
        """Pass on input until the client goes away; terminal sizes are of no use here."""
        while (message := await self._channel.receive()) is not None:
            if not message or not self._stdin:
                continue
            if message[0] == STDIN:
                await self._session.write_stdin(message[1:])
            elif message[0] == CLOSE and message[1:2] == bytes([STDIN]):
                await self._session.close_stdin()


async def _copy(output: AsyncIterator[bytes], channel: Channel, number: int) -> None:
    async for data in output:
        await channel.send(bytes([number]) + data)


async def _send_status(channel: Channel, status: Object) -> None:
    await channel.send(bytes([ERROR]) + json.dumps(status).encode())


def _exit_status(code: int) -> Object:
    if not code:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": "command terminated with non-zero exit code: "
        f"command terminated with exit code {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def _protocol(request: Request) -> str:
    """The newest subprotocol that both sides know. Raises StatusError 400 when there is none."""
    if request.headers.get("upgrade", "").lower() != "websocket":
        raise errors.bad_request(
            "Upgrade request required: this server speaks WebSocket, not SPDY; "
            "use kubectl 1.31 or newer"
        )
    header = request.headers.get("sec-websocket-protocol", "")
    offered = [name.strip() for name in header.split(",")]
    for protocol in PROTOCOLS:
        if protocol in offered:
            return protocol
    raise errors.bad_request(
        f"unable to upgrade: client offers {', '.join(offered)}; known: {', '.join(PROTOCOLS)}"
    )


def _kubelet(
    pod: Object, kubelets: Mapping[str, KubeletServer], path: str, container: str
) -> KubeletServer:
    """The kubelet of a Pod's node. Raises StatusError 500 when the node does not answer."""
    kubelet = kubelets.get(pod["spec"]["nodeName"])
    if kubelet is not None:
        return kubelet
    metadata = pod["metadata"]
    host = f"{pod.get('status', {}).get('hostIP', pod['spec']['nodeName'])}:{KUBELET_PORT}"
    url = f"https://{host}/{path}/{metadata['namespace']}/{metadata['name']}/{container}"
    raise StatusError(
        500, f'Get "{url}": dial tcp {host}: connect: connection refused', reason="InternalError"
    )


def _container(request: Request, pod: Object) -> str:
    """The container asked for, or the only one. Raises StatusError 400, worded as the real one."""
    name = request.parameter("container")
    pod_name = pod["metadata"]["name"]
    containers = [c["name"] for c in pod["spec"].get("containers") or ()]
    initial = [c["name"] for c in pod["spec"].get("initContainers") or ()]
    if name in containers or name in initial:
        return name
    if name:
        raise errors.bad_request(f"container {name} is not valid for pod {pod_name}")
    if len(containers) == 1:
        return str(containers[0])
    message = f"a container name must be specified for pod {pod_name}, choose one of: "
    message += f"[{' '.join(containers)}]"
    if initial:
        message += f" or one of the init containers: [{' '.join(initial)}]"
    raise errors.bad_request(message)


def _number(request: Request, name: str, least: int) -> int | None:
    text = request.parameter(name)
    if not text:
        return None
    try:
        number = int(text)
    except ValueError:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
    if number < least:
        than = "greater than 0" if least else "greater than or equal to 0"
        raise _invalid_option(name, f"Invalid value: {number}: must be {than}")
    return number


def _moment(request: Request) -> datetime | None:
    text = request.parameter("sinceTime")
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        raise errors.bad_request(f'sinceTime "{text}" is not an RFC 3339 timestamp') from None


def _invalid_option(field: str, message: str) -> StatusError:
    cause = {"reason": "FieldValueInvalid", "message": message, "field": field}
    return errors.invalid("PodLogOptions", "", [cause])
