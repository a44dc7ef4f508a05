"""The subresources of Pods that the API server passes on to a kubelet.

The server checks the request, finds the kubelet of the Pod's node, and copies bytes.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kubesim.apiserver import errors
from kubesim.apiserver.errors import StatusError
from kubesim.apiserver.handlers import portforward, remotecommand
from kubesim.apiserver.request import Request, RequestInfo, Response
from kubesim.apiserver.responses import text_response
from kubesim.kubelet.server import KubeletServer, RefusedError, Session

Object = dict[str, Any]
Kubelets = Mapping[str, KubeletServer]

KUBELET_PORT = 10250


async def connect(info: RequestInfo, request: Request, pod: Object, kubelets: Kubelets) -> Response:
    """Answer a request for a Pod's log, exec, attach or portforward. Raises StatusError."""
    match info.subresource:
        case "exec":
            return await _exec(request, pod, kubelets)
        case "attach":
            return await _attach(request, pod, kubelets)
        case "portforward":
            return _port_forward(request, pod, kubelets)
    return _log(request, pod, kubelets)


def _log(request: Request, pod: Object, kubelets: Kubelets) -> Response:
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


async def _exec(request: Request, pod: Object, kubelets: Kubelets) -> Response:
    container = _container(request, pod)
    _check_assigned(pod)
    command = list(request.query.get("command", ()))
    if not command:
        raise errors.bad_request("you must specify at least one command for the container")
    options = _options(request)
    kubelet = _kubelet(pod, kubelets, "exec", container)

    async def start() -> Session:
        namespace, name = _names(pod)
        return await kubelet.exec(
            namespace, name, container, command, stdin=options.stdin, tty=options.tty
        )

    return await remotecommand.upgrade(request, options, start)


async def _attach(request: Request, pod: Object, kubelets: Kubelets) -> Response:
    container = _container(request, pod)
    _check_assigned(pod)
    options = _options(request)
    kubelet = _kubelet(pod, kubelets, "attach", container)

    async def start() -> Session:
        return kubelet.attach(*_names(pod), container, stdin=options.stdin)

    return await remotecommand.upgrade(request, options, start)


def _port_forward(request: Request, pod: Object, kubelets: Kubelets) -> Response:
    _check_assigned(pod)
    try:
        connect_port = _kubelet(pod, kubelets, "portForward").forwarder(*_names(pod))
    except RefusedError as error:
        return text_response(str(error), 500)
    return portforward.upgrade(request, connect_port)


def _names(pod: Object) -> tuple[str, str]:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]


def _check_assigned(pod: Object) -> None:
    if not pod["spec"].get("nodeName"):
        raise errors.bad_request(f"pod {pod['metadata']['name']} does not have a host assigned")


def _options(request: Request) -> remotecommand.Options:
    """Return the streams asked for. Raises 400 when there are none."""
    chosen = {name: request.flag(name) for name in ("stdin", "stdout", "stderr", "tty")}
    if not any(chosen[name] for name in ("stdin", "stdout", "stderr")):
        raise errors.bad_request("you must specify at least 1 of stdin, stdout, stderr")
    return remotecommand.Options(**chosen)


def _kubelet(pod: Object, kubelets: Kubelets, *path: str) -> KubeletServer:
    """The kubelet of a Pod's node. Raises StatusError 500 when the node does not answer."""
    kubelet = kubelets.get(pod["spec"]["nodeName"])
    if kubelet is not None:
        return kubelet
    host = f"{pod.get('status', {}).get('hostIP', pod['spec']['nodeName'])}:{KUBELET_PORT}"
    url = "/".join((f"https://{host}", path[0], *_names(pod), *path[1:]))
    raise StatusError(
        500, f'Get "{url}": dial tcp {host}: connect: connection refused', reason="InternalError"
    )


def _container(request: Request, pod: Object) -> str:
    """The container asked for, or the only one. Raises StatusError 400, worded as the real one."""
    name = request.parameter("container")
    pod_name = pod["metadata"]["name"]
    containers = [c["name"] for c in pod["spec"].get("containers") or ()]
    initial = [c["name"] for c in pod["spec"].get("initContainers") or ()]
    ephemeral = [c["name"] for c in pod["spec"].get("ephemeralContainers") or ()]
    if name in (*containers, *initial, *ephemeral):
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
