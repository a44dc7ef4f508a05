"""The proxy subresources: HTTP passed on to a Pod, to a Pod behind a Service, or to a kubelet.

What comes after `/proxy` is the path there (ResourceLocation in registry/core/pod and service). The
answer comes back as it is, but for links in HTML and redirects, which are made to lead through the
proxy again (apimachinery's util/proxy).
"""

import re
import urllib.parse
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kubesim.apiserver.errors import StatusError
from kubesim.apiserver.handlers.proxy_target import Target, target_of
from kubesim.apiserver.request import Request, RequestInfo, Response
from kubesim.apiserver.responses import text_response
from kubesim.kubelet.server import KubeletServer
from kubesim.network.fabric import Connection, NetworkNamespace
from kubesim.runtime import http
from kubesim.runtime.process import reason

Object = dict[str, Any]

NOT_PASSED_ON = frozenset(
    {"authorization", "connection", "content-length", "host", "keep-alive", "proxy-connection"}
    | {"te", "trailer", "transfer-encoding", "upgrade"}
)
LINK = re.compile(
    rb"""(\s(?:href|src|action|background|cite|data|longdesc|poster)=["'])(/[^"']*)"""
)
DEFAULT_PORT = {"http": 80, "https": 443}


def pod_address(target: Target, pod: Object) -> tuple[str, int]:
    """Return where a Pod is: at the port asked for, or its first one."""
    ports = [port for each in pod["spec"]["containers"] for port in each.get("ports") or []]
    port = target.port or (ports[0]["containerPort"] if ports else DEFAULT_PORT[target.scheme])
    return (pod.get("status") or {}).get("podIP", ""), int(port)


def service_address(target: Target, service: Object, endpoints: Object | None) -> tuple[str, int]:
    """Return where a ready Pod of a Service is. Raises 503."""
    port = target.port
    if port.isdigit():
        found = [each for each in service["spec"].get("ports") or [] if each["port"] == int(port)]
        if not found:
            raise _unavailable(f'no service port {port} found for service "{target.name}"')
        port = found[0].get("name") or ""
    for subset in (endpoints or {}).get("subsets") or []:
        for each in subset.get("ports") or []:
            if (each.get("name") or "") == port and subset.get("addresses"):
                return subset["addresses"][0]["ip"], int(each["port"])
    raise _unavailable(f'no endpoints available for service "{target.name}"')


def _unavailable(message: str) -> StatusError:
    return StatusError(503, message, reason="ServiceUnavailable")


def path_after(info: RequestInfo) -> str:
    """Return the part of a request's path that is for the target, "" if there is none."""
    before, _, _ = info.path.partition(f"/{info.name}/proxy")
    return info.path[len(f"{before}/{info.name}/proxy") :]


async def forward(
    request: Request,
    info: RequestInfo,
    source: NetworkNamespace,
    target: Target,
    at: tuple[str, int],
) -> Response:
    """Pass a request on and return the answer. Raises 503 when nobody is there."""
    path = path_after(info)
    query = urllib.parse.urlencode(request.query, doseq=True)
    if not path and request.method in ("GET", "HEAD"):
        location = f"{request.path}/" + (f"?{query}" if query else "")
        return Response(301, {"location": location})
    if target.scheme == "https":
        raise _unavailable(
            "error trying to reach service: TLS between containers is not simulated; "
            "a cluster of the kind engine has it"
        )
    address, port = at
    try:
        connection = await source.connect(address, port)
    except OSError as error:
        why = f"dial tcp {address}:{port}: connect: {reason(error).lower()}"
        raise _unavailable(f"error trying to reach service: {why}") from None
    headers = _headers(request, f"{address}:{port}")
    where = urllib.parse.quote(path) + (f"?{query}" if query else "")
    answer = await http.send_request(connection, request.method, where, headers, request.body)
    if answer is None:
        connection.close()
        raise _unavailable("error trying to reach service: EOF")
    return await _answer(request, info, connection, answer)


def _headers(request: Request, host: str) -> dict[str, str]:
    passed = {name: value for name, value in request.headers.items() if name not in NOT_PASSED_ON}
    return {
        "Host": host,
        "Connection": "close",
        "X-Forwarded-For": request.remote,
        "X-Forwarded-Uri": request.path,
        **passed,
        **({"Content-Length": str(len(request.body))} if request.body else {}),
    }


async def _answer(
    request: Request, info: RequestInfo, connection: Connection, answer: http.Message
) -> Response:
    headers = {name: value for name, value in answer.headers.items() if name not in NOT_PASSED_ON}
    prefix = request.path.removesuffix(path_after(info))
    if headers.get("location", "").startswith("/"):
        headers["location"] = prefix + headers["location"]
    if headers.get("content-type", "").partition(";")[0].strip() != "text/html":
        return Response(answer.status, headers, _body(connection, answer, request.method))
    body = b"".join([chunk async for chunk in _body(connection, answer, request.method)])
    return Response(answer.status, headers, LINK.sub(rb"\1" + prefix.encode() + rb"\2", body))


async def _body(connection: Connection, answer: http.Message, method: str) -> AsyncIterator[bytes]:
    """Yield an answer's body as it comes."""
    length = answer.headers.get("content-length", "")
    left = 0 if method == "HEAD" else int(length) if length.isdigit() else None
    try:
        while left is None or left > 0:
            chunk = await connection.read()
            if not chunk:
                return
            left = None if left is None else left - len(chunk)
            yield chunk
    finally:
        connection.close()


@dataclass(frozen=True)
class Surroundings:
    """How the API server reaches what it passes requests on to."""

    source: NetworkNamespace
    endpoints: Callable[[str, str], Object | None]  # namespace, name
    kubelets: Mapping[str, KubeletServer]


async def connect(
    info: RequestInfo, request: Request, obj: Object, surroundings: Surroundings
) -> Response:
    """Answer a request for the proxy of a Pod, Service or node. Raises StatusError."""
    target = target_of(info)
    if info.resource == "nodes":
        return _kubelet_page(info, target, obj, surroundings)
    if info.resource == "pods":
        address = pod_address(target, obj)
    else:
        found = surroundings.endpoints(info.namespace, target.name)
        address = service_address(target, obj, found)
    return await forward(request, info, surroundings.source, target, address)


def _kubelet_page(
    info: RequestInfo, target: Target, node: Object, surroundings: Surroundings
) -> Response:
    """Return a page of a kubelet's own server, for which the API server has a certificate."""
    kubelet = surroundings.kubelets.get(target.name)
    addresses = (node.get("status") or {}).get("addresses") or []
    ip = next((each["address"] for each in addresses if each["type"] == "InternalIP"), target.name)
    if kubelet is None or not kubelet.answers:
        why = f"dial tcp {ip}:10250: connect: no route to host"
        raise _unavailable(f"error trying to reach service: {why}")
    page = kubelet.page(path_after(info))
    if page is None:
        return text_response("404 page not found\n", 404)
    return Response(200, {"content-type": page.content_type}, page.body)
