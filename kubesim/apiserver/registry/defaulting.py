"""The values that the API server fills in when a client leaves them out.

The defaults are those of pkg/apis/*/v1/defaults.go in Kubernetes 1.37.
"""

import base64
from collections.abc import Callable, Iterator
from typing import Any

from kubesim.api import schema
from kubesim.apiserver.registry import volume_defaults

Object = dict[str, Any]
FILE_MODE = 0o644
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
RBAC_GROUP = "rbac.authorization.k8s.io"


def default_pod(pod: Object) -> None:
    """Defaults of a Pod, including those that a Pod template does not get."""
    spec = pod.setdefault("spec", {})
    spec.setdefault("enableServiceLinks", True)
    for container in containers(spec):
        resources = container.setdefault("resources", {})
        if "limits" in resources:
            resources["requests"] = resources["limits"] | resources.get("requests", {})
    default_pod_spec(spec)


def default_pod_spec(spec: Object) -> None:
    """Defaults of a Pod's spec, wherever it stands."""
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for container in (*containers(spec), *spec.get("ephemeralContainers", ())):
        _default_container(container, host_network=spec.get("hostNetwork", False))
    for volume in spec.get("volumes", ()):
        _default_volume(volume)


def containers(spec: Object) -> Iterator[Object]:
    """Yield every container of a Pod's spec, init containers first."""
    yield from spec.get("initContainers", ())
    yield from spec.get("containers", ())


def _default_container(container: Object, *, host_network: bool) -> None:
    container.setdefault("resources", {})
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    if "imagePullPolicy" not in container:
        container["imagePullPolicy"] = pull_policy(container.get("image", ""))
    for port in container.get("ports", ()):
        port.setdefault("protocol", "TCP")
        if host_network and "containerPort" in port:
            port.setdefault("hostPort", port["containerPort"])
    for name in PROBES:
        if name in container:
            _default_probe(container[name])
    for hook in container.get("lifecycle", {}).values():
        if isinstance(hook, dict):
            _default_http_get(hook)
    for variable in container.get("env", ()):
        _default_field_reference(variable.get("valueFrom", {}))


def pull_policy(image: str) -> str:
    """Return Always for the tag latest, given or implied, else IfNotPresent."""
    if "@" in image:
        return "IfNotPresent"
    _, separator, tag = image.rpartition("/")[2].partition(":")
    return "Always" if not separator or tag == "latest" else "IfNotPresent"


def _default_probe(probe: Object) -> None:
    probe.setdefault("timeoutSeconds", 1)
    probe.setdefault("periodSeconds", 10)
    probe.setdefault("successThreshold", 1)
    probe.setdefault("failureThreshold", 3)
    _default_http_get(probe)
    if "grpc" in probe:
        probe["grpc"].setdefault("service", "")


def _default_http_get(handler: Object) -> None:
    if "httpGet" in handler:
        handler["httpGet"].setdefault("path", "/")
        handler["httpGet"].setdefault("scheme", "HTTP")


def _default_field_reference(source: Object) -> None:
    if "fieldRef" in source:
        source["fieldRef"].setdefault("apiVersion", "v1")


def _default_volume(volume: Object) -> None:
    if len(volume) == 1:  # a name and no source
        volume["emptyDir"] = {}
    for kind in ("configMap", "secret", "projected", "downwardAPI"):
        if kind in volume:
            volume[kind].setdefault("defaultMode", FILE_MODE)
    if "hostPath" in volume:
        volume["hostPath"].setdefault("type", "")
    if "ephemeral" in volume:
        template = volume["ephemeral"].setdefault("volumeClaimTemplate", {})
        volume_defaults.default_claim_spec(template.setdefault("spec", {}))
    for item in volume.get("downwardAPI", {}).get("items", ()):
        _default_field_reference(item)
    for source in volume.get("projected", {}).get("sources", ()):
        if "serviceAccountToken" in source:
            source["serviceAccountToken"].setdefault("expirationSeconds", 3600)
        for item in source.get("downwardAPI", {}).get("items", ()):
            _default_field_reference(item)


def _default_service(service: Object) -> None:
    spec = service.setdefault("spec", {})
    spec.setdefault("sessionAffinity", "None")
    spec.setdefault("type", "ClusterIP")
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        client_ip = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
        client_ip.setdefault("timeoutSeconds", 10800)
    for port in spec.get("ports", ()):
        port.setdefault("protocol", "TCP")
        if not port.get("targetPort"):
            port["targetPort"] = port.get("port", 0)
    external = spec["type"] in ("NodePort", "LoadBalancer")
    if external or spec.get("externalIPs"):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if external or spec["type"] == "ClusterIP":
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    service.setdefault("status", {}).setdefault("loadBalancer", {})


def _default_namespace(namespace: Object) -> None:
    name = namespace["metadata"].get("name")
    if name:
        labels = namespace["metadata"].setdefault("labels", {})
        labels.setdefault("kubernetes.io/metadata.name", name)
    namespace.setdefault("spec", {})
    namespace.setdefault("status", {}).setdefault("phase", "Active")


def _default_node(node: Object) -> None:
    node.setdefault("spec", {})
    status = node.setdefault("status", {})
    status.setdefault("daemonEndpoints", {"kubeletEndpoint": {"Port": 0}})
    info = schema.type_of("", "v1", "Node").fields["status"].fields["nodeInfo"]
    status.setdefault("nodeInfo", dict(info.zeros))
    if "capacity" in status:
        status["allocatable"] = status["capacity"] | status.get("allocatable", {})


def _default_lease(lease: Object) -> None:
    lease.setdefault("spec", {})


def _default_secret(secret: Object) -> None:
    secret.setdefault("type", "Opaque")
    clear = secret.pop("stringData", {})
    if clear:
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in clear.items()}
        secret["data"] = secret.get("data", {}) | encoded


def _default_endpoints(endpoints: Object) -> None:
    for subset in endpoints.get("subsets", ()):
        for port in subset.get("ports", ()):
            port.setdefault("protocol", "TCP")


def _default_endpoint_slice(endpoint_slice: Object) -> None:
    endpoint_slice.setdefault("endpoints", None)
    endpoint_slice.setdefault("ports", None)
    for port in endpoint_slice["ports"] or ():
        port.setdefault("name", "")
        port.setdefault("protocol", "TCP")


def _default_binding(binding: Object) -> None:
    reference = binding.get("roleRef", {})
    group = reference.get("apiGroup") or RBAC_GROUP
    others = {key: value for key, value in reference.items() if key != "apiGroup"}
    binding["roleRef"] = {"apiGroup": group} | others
    for subject in binding.get("subjects", ()):
        if subject.get("kind") in ("User", "Group"):
            subject.setdefault("apiGroup", RBAC_GROUP)


DEFAULTS: dict[str, Callable[[Object], None]] = {
    "pods": default_pod,
    "services": _default_service,
    "namespaces": _default_namespace,
    "nodes": _default_node,
    "secrets": _default_secret,
    "endpoints": _default_endpoints,
    "endpointslices.discovery.k8s.io": _default_endpoint_slice,
    "leases.coordination.k8s.io": _default_lease,
    "persistentvolumeclaims": volume_defaults.default_claim,
    "persistentvolumes": volume_defaults.default_volume,
    "storageclasses.storage.k8s.io": volume_defaults.default_class,
    "rolebindings.rbac.authorization.k8s.io": _default_binding,
    "clusterrolebindings.rbac.authorization.k8s.io": _default_binding,
}
