"""What goes into the API server and what comes out, free of any transport."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubesim.apiserver import errors


@dataclass(frozen=True)
class UserInfo:
    """Who asks, as authentication found out (authentication.k8s.io/v1 UserInfo)."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Certificate:
    """The subject of a verified client certificate."""

    common_name: str
    organizations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Credentials:
    """What the transport saw of the caller's identity, not yet judged."""

    token: str | None = None
    certificate: Certificate | None = None


@dataclass(frozen=True)
class Request:
    """One HTTP request. `user` is set by callers inside this process only.

    So is `native`: such a caller sends `content` instead of a body and gets objects instead of
    their JSON. They are shared with the server: neither side may change what it has sent or got.
    """

    method: str
    path: str
    query: Mapping[str, list[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    user: UserInfo | None = None
    credentials: Credentials = Credentials()
    remote: str = "127.0.0.1"
    native: bool = False
    content: Any = None
    annotations: dict[str, str] = field(default_factory=dict)  # what the audit log will add

    def parameter(self, name: str, default: str = "") -> str:
        """Return a query parameter's first value."""
        values = self.query.get(name)
        return values[0] if values else default

    def flag(self, name: str) -> bool:
        """Return a boolean query parameter: absent, empty, 0 and false are false, all else true."""
        value = self.parameter(name)
        return name in self.query and value.lower() not in ("0", "false", "f", "")


WEBSOCKET = "websocket"
SPDY = "SPDY/3.1"


@dataclass(frozen=True)
class Upgrade:
    """A switch of protocol: the transport calls `serve` with its duplex channel.

    A WebSocket's channel carries messages of the subprotocol `protocol`, that of SPDY bytes.
    """

    serve: Callable[[Any], Awaitable[None]]
    protocol: str
    over: str = WEBSOCKET


@dataclass
class Response:
    """One HTTP response; the body is bytes, a stream of chunks, or a switch of protocol.

    A native caller finds an object in `content`, and in a stream lists of (type, object).
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | AsyncIterator[Any] | Upgrade = b""
    content: Any = None


@dataclass(frozen=True)
class RequestInfo:
    """What a request asks for, as authorization and audit see it.

    The same fields as k8s.io/apiserver's RequestInfo. `resource` is empty for paths that are
    not resources, such as /version.
    """

    verb: str
    path: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def is_resource(self) -> bool:
        """Whether the path names a resource."""
        return bool(self.resource)

    @property
    def full_resource(self) -> str:
        """The resource with its group, as "deployments.apps"."""
        return f"{self.resource}.{self.group}" if self.group else self.resource


RESOURCE_PATH = re.compile(r"/(?:api/(?P<core>v1)|apis/(?P<group>[^/]+)/(?P<version>[^/]+))/(.+)")
NAMESPACE_SUBRESOURCES = ("status", "finalize")
VERBS = {
    "POST": "create",
    "GET": "get",
    "HEAD": "get",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}


def parse(request: Request) -> RequestInfo:
    """Find out what a request asks for.

    The rules are those of k8s.io/apiserver/pkg/endpoints/request/requestinfo.go.
    """
    match = RESOURCE_PATH.fullmatch(request.path.rstrip("/"))
    if not match:
        return RequestInfo(request.method.lower(), request.path)
    if request.method not in VERBS:
        raise errors.method_not_supported()
    parts = match[4].split("/")
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 1:
        namespace = parts[1]
        if len(parts) > 2 and parts[2] not in NAMESPACE_SUBRESOURCES:
            parts = parts[2:]
    resource, name, subresource = [*parts, "", ""][:3]
    verb = VERBS[request.method]
    if not name:
        verb = _collection_verb(request, verb)
    elif verb == "get" and request.flag("watch") and not subresource:
        verb = "watch"
    return RequestInfo(
        verb=verb,
        path=request.path,
        group=match["group"] or "",
        version=match["core"] or match["version"],
        resource=resource,
        subresource=subresource,
        namespace=namespace,
        name=name,
    )


def _collection_verb(request: Request, verb: str) -> str:
    if verb == "get":
        return "watch" if request.flag("watch") else "list"
    return "deletecollection" if verb == "delete" else verb
