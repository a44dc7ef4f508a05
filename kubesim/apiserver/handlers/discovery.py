"""What this server can do: groups, versions and resources, its version, and its health.

Clients ask for these before anything else. The aggregated form answers in two requests what the
plain form needs one request a group for: https://kubernetes.io/docs/concepts/overview/kubernetes-api/.
"""

from collections.abc import Callable, Iterable
from typing import Any

from kubesim.api.resources import Resource, Subresource
from kubesim.api.served import Resources
from kubesim.apiserver.request import Request, Response, UserInfo
from kubesim.apiserver.responses import json_response, text_response
from kubesim.apiserver.routing import root_paths

Object = dict[str, Any]

VERSION: Object = {
    "major": "1",
    "minor": "37",
    "gitVersion": "v1.37.0+kubesim",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "linux/amd64",
}
DEFAULT_VERSION = "v1.37.0"
AGGREGATED = ("v2", "v2beta1")
HEALTH_CHECKS = ("ping", "log", "etcd")


def version_info(version: str) -> Object:
    """Return what /version answers of a release of Kubernetes: v1.37.0."""
    minor = version.split(".")[1]
    return VERSION | {"minor": minor, "gitVersion": f"{version}+kubesim"}


class Discovery:
    """Answers the paths of discovery, version and health; the server's address is for clients."""

    def __init__(
        self,
        resources: Resources,
        address: Callable[[], str],
        version: Callable[[], str] = lambda: DEFAULT_VERSION,
    ) -> None:
        self._resources = resources
        self._version = version
        self._address = address

    async def __call__(self, request: Request, user: UserInfo) -> Response | None:
        """The answer, or None when the path is not one of discovery's."""
        if request.method not in ("GET", "HEAD"):
            return None
        response: Response | None = None
        match request.path.strip("/").split("/"):
            case [""]:
                response = json_response({"paths": root_paths(self._resources)})
            case ["version"]:
                response = json_response(version_info(self._version()))
            case ["healthz" | "livez" | "readyz" as path, *rest]:
                response = self._health(request, path, "/".join(rest))
            case ["api" | "apis" as root]:
                response = self._groups(request, root)
            case ["api", "v1"]:
                response = self._resource_list("", "v1")
            case ["apis", group] if group in self._resources.by_group():
                response = json_response(self._group(group))
            case ["apis", group, version]:
                response = self._resource_list(group, version)
        return response

    def _groups(self, request: Request, root: str) -> Response:
        version = _aggregated_version(request.headers.get("accept", ""))
        names = [name for name in self._resources.by_group() if bool(name) == (root == "apis")]
        if version:
            return self._aggregated(names, version)
        if root == "api":
            address = {"clientCIDR": "0.0.0.0/0", "serverAddress": self._address()}
            versions = {"kind": "APIVersions", "versions": ["v1"]}
            return json_response({**versions, "serverAddressByClientCIDRs": [address]})
        groups = [self._group(name, nested=True) for name in names]
        return json_response({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})

    def _health(self, request: Request, path: str, check: str) -> Response | None:
        if check:
            return text_response("ok") if check in HEALTH_CHECKS else None
        if "verbose" not in request.query:
            return text_response("ok")
        lines = [f"[+]{name} ok\n" for name in HEALTH_CHECKS]
        return text_response("".join(lines) + f"{path} check passed\n")

    def _aggregated(self, names: list[str], version: str) -> Response:
        items = [
            {"metadata": {"name": name}, "versions": _aggregated_versions(versions)}
            for name, versions in self._resources.by_group().items()
            if name in names
        ]
        body = {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": f"apidiscovery.k8s.io/{version}",
            "metadata": {},
            "items": items,
        }
        media_type = "application/json;g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList"
        return json_response(body, content_type=media_type.format(version))

    def _group(self, name: str, *, nested: bool = False) -> Object:
        versions = self._resources.by_group()[name]
        described = [{"groupVersion": f"{name}/{v}", "version": v} for v in versions]
        head = {} if nested else {"kind": "APIGroup", "apiVersion": "v1"}
        return {**head, "name": name, "versions": described, "preferredVersion": described[0]}

    def _resource_list(self, group: str, version: str) -> Response | None:
        found = self._resources.by_group().get(group, {}).get(version)
        if not found:
            return None
        described = [entry for resource in found for entry in _plain_entries(resource)]
        return json_response(
            {
                "kind": "APIResourceList",
                "apiVersion": "v1",
                "groupVersion": found[0].api_version,
                "resources": described,
            }
        )


def _aggregated_version(accept: str) -> str | None:
    """The newest aggregated form that an Accept header names and that we have."""
    asked = [choice for choice in accept.split(",") if "as=APIGroupDiscoveryList" in choice]
    return next((v for v in AGGREGATED if any(f"v={v};" in c + ";" for c in asked)), None)


def _aggregated_versions(versions: dict[str, list[Resource]]) -> list[Object]:
    return [
        {
            "version": version,
            "resources": [_aggregated_resource(resource) for resource in resources],
            "freshness": "Current",
        }
        for version, resources in versions.items()
    ]


def _aggregated_resource(resource: Resource) -> Object:
    described: Object = {
        "resource": resource.plural,
        "responseKind": _kind(resource.group, resource.version, resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
        **_nicknames(resource),
    }
    if resource.subresources:
        described["subresources"] = [
            {
                "subresource": sub.name,
                "responseKind": _kind(*_subresource_version(resource, sub), sub.kind),
                "verbs": list(sub.verbs),
            }
            for sub in resource.subresources
        ]
    return described


def _nicknames(resource: Resource) -> Object:
    """What else kubectl may call a resource, if there is any such name."""
    names = {"shortNames": resource.short_names, "categories": resource.categories}
    return {field: list(given) for field, given in names.items() if given}


def _kind(group: str, version: str, kind: str) -> Object:
    return {"group": group, "version": version, "kind": kind}


def _subresource_version(resource: Resource, sub: Subresource) -> tuple[str, str]:
    return (sub.group, sub.version) if sub.version else (resource.group, resource.version)


def _plain_entries(resource: Resource) -> Iterable[Object]:
    yield {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
        **_nicknames(resource),
    }
    for sub in resource.subresources:
        yield {
            "name": f"{resource.plural}/{sub.name}",
            "singularName": "",
            "namespaced": resource.namespaced,
            **({"group": sub.group, "version": sub.version} if sub.version else {}),
            "kind": sub.kind,
            "verbs": list(sub.verbs),
        }
