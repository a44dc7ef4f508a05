"""What is in a cluster before anybody creates anything.

The API server itself makes the namespaces, the default roles and the `kubernetes` Service; kubeadm
adds its configuration, `cluster-info` and the addons. Objects that are there already are left as
they are, but for `cluster-info`.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from kubesim.apiserver.errors import StatusError
from kubesim.apiserver.validation.policy import SYSTEM_CLASSES
from kubesim.clientgo.client import Client
from kubesim.kubeadm import localpath, rbac_policy
from kubesim.kubeadm.addons import addons, made
from kubesim.kubeadm.config import ClusterConfig
from kubesim.kubeadm.uploadconfig import configuration

Object = dict[str, Any]

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
SERVICE_IP = "10.96.0.1"
SECURE_PORT = 6443


async def bootstrap(
    client: Client, config: ClusterConfig, *, address: str, cluster_info: str, ca_pem: str
) -> None:
    """Create what is missing.

    client: of a user who may do everything; address: IP of the control plane's node; cluster_info:
    a kubeconfig without credentials, as YAML; ca_pem: the certificate of the cluster's CA.
    """
    endpoint = f"{address}:{SECURE_PORT}"
    objects = chain(
        _objects(address),
        configuration(config, endpoint, ca_pem),
        addons(config, f"https://{endpoint}"),
    )
    for resource, obj in objects:
        try:
            await client.create(resource, obj)
        except StatusError as error:
            if error.reason != "AlreadyExists":
                raise
    info = _cluster_info(cluster_info)  # the server's port may be another one than last time
    await client.patch("configmaps", "cluster-info", info, "kube-public", kind="apply")


def _objects(address: str) -> Iterator[tuple[str, Object]]:
    for name in NAMESPACES:
        yield "namespaces", made("Namespace", name, "")
    for role in rbac_policy.cluster_roles():
        yield "clusterroles.rbac.authorization.k8s.io", role
    for binding in rbac_policy.cluster_role_bindings():
        yield "clusterrolebindings.rbac.authorization.k8s.io", binding
    for name, value in SYSTEM_CLASSES.items():
        yield "priorityclasses.scheduling.k8s.io", _priority_class(name, value)
    yield "services", _kubernetes_service()
    yield "endpoints", _kubernetes_endpoints(address)
    yield "endpointslices.discovery.k8s.io", _kubernetes_slice(address)
    yield "roles.rbac.authorization.k8s.io", _cluster_info_role()
    yield "rolebindings.rbac.authorization.k8s.io", _cluster_info_binding()
    yield from localpath.objects()


def _priority_class(name: str, value: int) -> Object:
    must = "not be moved from their node" if "node" in name else "run in the cluster"
    about = f"Used for system critical pods that must {must}."
    obj = made("PriorityClass", name, "", "scheduling.k8s.io/v1")
    return {**obj, "value": value, "description": about}


def _kubernetes_service() -> Object:
    service = made("Service", "kubernetes", "default")
    service["metadata"]["labels"] = {"component": "apiserver", "provider": "kubernetes"}
    port = {"name": "https", "port": 443, "protocol": "TCP", "targetPort": SECURE_PORT}
    return {**service, "spec": {"clusterIP": SERVICE_IP, "ports": [port]}}


def _kubernetes_endpoints(address: str) -> Object:
    endpoints = made("Endpoints", "kubernetes", "default")
    endpoints["metadata"]["labels"] = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    port = {"name": "https", "port": SECURE_PORT, "protocol": "TCP"}
    return {**endpoints, "subsets": [{"addresses": [{"ip": address}], "ports": [port]}]}


def _kubernetes_slice(address: str) -> Object:
    """The slice that the API server keeps for itself."""
    endpoint_slice = made("EndpointSlice", "kubernetes", "default", "discovery.k8s.io/v1")
    endpoint_slice["metadata"]["labels"] = {"kubernetes.io/service-name": "kubernetes"}
    port = {"name": "https", "port": SECURE_PORT, "protocol": "TCP"}
    endpoint = {"addresses": [address], "conditions": {"ready": True}}
    return {
        **endpoint_slice,
        "addressType": "IPv4",
        "endpoints": [endpoint],
        "ports": [port],
    }


def _cluster_info(kubeconfig: str) -> Object:
    return {
        **made("ConfigMap", "cluster-info", "kube-public"),
        "data": {"kubeconfig": kubeconfig},
    }


CLUSTER_INFO_ROLE = "kubeadm:bootstrap-signer-clusterinfo"


def _cluster_info_role() -> Object:
    role = made("Role", CLUSTER_INFO_ROLE, "kube-public", rbac_policy.API_VERSION)
    return {**role, "rules": [rbac_policy.rule("get", "configmaps", names="cluster-info")]}


def _cluster_info_binding() -> Object:
    binding = made("RoleBinding", CLUSTER_INFO_ROLE, "kube-public", rbac_policy.API_VERSION)
    group = "rbac.authorization.k8s.io"
    return {
        **binding,
        "roleRef": {"apiGroup": group, "kind": "Role", "name": CLUSTER_INFO_ROLE},
        "subjects": [{"apiGroup": group, "kind": "User", "name": "system:anonymous"}],
    }
