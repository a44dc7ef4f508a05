"""Which resource a path names, and what is answered when it names none.

An unknown resource of a served group is a Status, an unknown group plain text, any other unknown
path the list of those that there are: as the real server's muxes answer in turn.
"""

from kubesim.api.resources import Resource
from kubesim.api.served import Resources
from kubesim.apiserver import errors
from kubesim.apiserver.request import Request, RequestInfo, Response
from kubesim.apiserver.responses import json_response, text_response

ROOTS = ("/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v3", "/readyz", "/version")
UNSIMULATED = (
    "kubesim does not simulate it; a real cluster, for example the course's kind engine, has it"
)
# What Kubernetes 1.37 serves by default beyond this server (kubernetes/kubernetes,
# pkg/controlplane/instance.go: DefaultAPIResourceConfigSource).
ELSEWHERE = {
    "admissionregistration.k8s.io": "mutatingadmissionpolicies mutatingadmissionpolicybindings "
    "mutatingwebhookconfigurations validatingwebhookconfigurations",
    "flowcontrol.apiserver.k8s.io": "flowschemas prioritylevelconfigurations",
    "networking.k8s.io": "ipaddresses servicecidrs",
    "resource.k8s.io": "deviceclasses resourceclaims resourceclaimtemplates resourceslices",
    "storage.k8s.io": "csidrivers csinodes csistoragecapacities volumeattachments "
    "volumeattributesclasses",
}


def find(served: Resources, info: RequestInfo) -> Resource:
    """Return the resource that a path names. Raises 404 and 405."""
    resource = served.find(info.group, info.version, info.resource)
    if not resource:
        raise errors.no_such_resource(_hint(info))
    if info.namespace and not resource.namespaced and resource.plural != "namespaces":
        raise errors.no_such_resource()
    subresource = resource.subresource(info.subresource)
    if info.subresource and not subresource:
        raise errors.no_such_resource(_subresource_hint(info))
    verbs = subresource.verbs if subresource else resource.verbs
    if info.verb not in verbs or not _fits(info, resource):
        raise errors.method_not_supported()
    return resource


def _hint(info: RequestInfo) -> str:
    """Say where a resource is to be had, if it is one that Kubernetes has."""
    if info.resource in ELSEWHERE.get(info.group, "").split():
        return f"{info.full_resource}: {UNSIMULATED}"
    return ""


def _subresource_hint(info: RequestInfo) -> str:
    if (info.full_resource, info.subresource) in UNSIMULATED_SUBRESOURCES:
        return f"{info.full_resource}/{info.subresource}: {UNSIMULATED}"
    return ""


UNSIMULATED_SUBRESOURCES = {
    ("pods", "resize"),
}


def _fits(info: RequestInfo, resource: Resource) -> bool:
    """Whether the path has the parts that the verb needs."""
    if resource.namespaced and not info.namespace and info.verb not in ("list", "watch"):
        return False
    if info.verb == "create" and not info.subresource:
        return not info.name
    return bool(info.name) or info.verb not in ("update", "patch")


def knows_group(served: Resources, info: RequestInfo) -> bool:
    """Whether a resource's group is served, or at least known to exist in Kubernetes."""
    return info.group in served.by_group() or info.group in ELSEWHERE


def nowhere(served: Resources, request: Request) -> Response:
    """Return the answer for a path that is neither a resource's nor any other."""
    match request.path.strip("/").split("/"):
        case ["apis", group, *_]:
            if group not in served.by_group():
                return text_response("404 page not found\n", 404)
            return json_response(errors.no_such_resource().status, 404)
        case ["api", *_]:
            return json_response(errors.no_such_resource().status, 404)
    return json_response({"paths": root_paths(served)}, 404)


def root_paths(served: Resources) -> list[str]:
    """Return the paths that there are."""
    roots = [*ROOTS]
    for group, version in served.group_versions():
        if group:
            roots += [f"/apis/{group}", f"/apis/{group}/{version}"]
    return sorted(set(roots))
