"""The client of everything that runs in this process: controllers, scheduler, kubelets.

It plays client-go's part. Requests pass through the API server's front door and each part is
authorized under its own name, but what goes in and out are objects, not their JSON. Whatever a part
gets is shared with the server's cache and with all others: it is copied before it is changed.
"""

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

from kubesim.api.resources import Resource
from kubesim.api.served import Resources
from kubesim.apiserver.errors import StatusError
from kubesim.apiserver.request import Request, Response, UserInfo
from kubesim.clientgo import discovery

Object = dict[str, Any]
PATCH_TYPES = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


class Server(Protocol):
    """What answers requests, and knows about which resources."""

    @property
    def resources(self) -> Resources:
        """What it serves."""

    async def handle(self, request: Request) -> Response:
        """Answer a request; an error becomes its Status, nothing is ever raised."""


class Client:
    """Calls an API server in the name of a user. A resource is "plural[.group]"."""

    def __init__(
        self, server: Server, user: str, groups: Sequence[str] = ("system:authenticated",)
    ) -> None:
        self._server = server
        self._user = UserInfo(user, groups=tuple(groups))
        self._agent = _program(user)

    async def get(
        self,
        resource: str,
        name: str,
        namespace: str | None = None,
        *,
        subresource: str | None = None,
    ) -> Object:
        """Return an object or its scale or status. Raises StatusError, as every method here."""
        return await self._call("GET", self._path(resource, namespace, name, subresource))

    async def list(
        self,
        resource: str,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> Object:
        """Return the List object of a namespace or, without one, of all."""
        query = {"labelSelector": label_selector, "fieldSelector": field_selector}
        return await self._call("GET", self._path(resource, namespace), query)

    async def create(
        self,
        resource: str,
        obj: Object,
        namespace: str | None = None,
        *,
        subresource: str | None = None,
        name: str | None = None,
    ) -> Object:
        """Create an object, or post to a subresource of the object `name`."""
        metadata = obj.get("metadata", {})
        if subresource:
            name = name or metadata.get("name")
        path = self._path(resource, namespace or metadata.get("namespace"), name, subresource)
        return await self._call("POST", path, body=obj)

    async def update(self, resource: str, obj: Object, *, subresource: str | None = None) -> Object:
        """Replace an object, or its status or other subresource."""
        metadata = obj["metadata"]
        path = self._path(resource, metadata.get("namespace"), metadata["name"], subresource)
        return await self._call("PUT", path, body=obj)

    async def patch(
        self,
        resource: str,
        name: str,
        patch: Any,
        namespace: str | None = None,
        *,
        subresource: str | None = None,
        kind: str = "strategic",
    ) -> Object:
        """Change an object by a json, merge, strategic or apply patch."""
        path = self._path(resource, namespace, name, subresource)
        query = {"fieldManager": self._agent, "force": "true"} if kind == "apply" else {}
        return await self._call("PATCH", path, query, patch, PATCH_TYPES[kind])

    async def delete(
        self,
        resource: str,
        name: str,
        namespace: str | None = None,
        *,
        grace_period: int | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: str | None = None,
    ) -> Object:
        """Delete an object; `grace_period` in seconds, the rest are its preconditions."""
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        options = {
            "gracePeriodSeconds": grace_period,
            "propagationPolicy": propagation,
            "preconditions": {k: v for k, v in preconditions.items() if v} or None,
        }
        body = {key: value for key, value in options.items() if value is not None}
        return await self._call("DELETE", self._path(resource, namespace, name), body=body)

    async def watch(
        self,
        resource: str,
        namespace: str | None = None,
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        bookmarks: bool = True,
        timeout_seconds: float | None = None,
    ) -> AsyncIterator[tuple[str, Object]]:
        """Yield (type, object) for everything after a resource version.

        Ends when the server ends the stream; an ERROR event is raised.
        """
        query = {
            "watch": "true",
            "resourceVersion": resource_version,
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
            "allowWatchBookmarks": "true" if bookmarks else "",
            "timeoutSeconds": str(timeout_seconds or ""),
        }
        response = await self._send("GET", self._path(resource, namespace), query)
        if isinstance(response.body, bytes):
            raise StatusError.from_status(json.loads(response.body)["object"])
        assert isinstance(response.body, AsyncIterator)
        try:
            async for events in response.body:
                for event in events:
                    yield event
        finally:
            await response.body.aclose()  # type: ignore[attr-defined]

    async def discover(self) -> Sequence[Resource]:
        """Return every resource that the server serves, in its preferred version."""
        found: Sequence[Resource] = ()
        for root in ("/api", "/apis"):
            response = await self._send("GET", root, {}, accept=discovery.ACCEPT)
            assert isinstance(response.body, bytes)
            found = [*found, *discovery.preferred_resources(json.loads(response.body))]
        return found

    async def _call(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Object:
        response = await self._send(method, path, query or {}, body, content_type)
        answer: Object = response.content
        return answer

    async def _send(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        body: Any = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Response:
        request = Request(
            method,
            path,
            {key: [value] for key, value in query.items() if value},
            {"content-type": content_type, "accept": accept, "user-agent": self._agent},
            user=self._user,
            native=True,
            content=body,
        )
        response = await self._server.handle(request)
        if response.status >= 400:
            assert isinstance(response.body, bytes)
            raise StatusError.from_status(json.loads(response.body))
        return response

    def _path(
        self,
        resource: str,
        namespace: str | None = None,
        name: str | None = None,
        subresource: str | None = None,
    ) -> str:
        found = self._server.resources.named(resource)
        root = f"/apis/{found.group}/{found.version}" if found.group else f"/api/{found.version}"
        scope = f"/namespaces/{namespace}" if namespace and found.namespaced else ""
        below = "".join(f"/{part}" for part in (name, subresource) if part)
        return f"{root}{scope}/{found.plural}{below}"


def _program(user: str) -> str:
    """Return the name of the program that acts under an identity, for managedFields."""
    if user.startswith("system:node:"):
        return "kubelet"
    if user.startswith("system:serviceaccount:kube-system:"):
        return "kube-controller-manager"
    return user.rpartition(":")[2]
