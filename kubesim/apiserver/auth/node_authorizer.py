"""What kubelets may do: what the Pods on their own node need, and no more.

See https://kubernetes.io/docs/reference/access-authn-authz/node/. Secrets and ConfigMaps follow the
Pods: a kubelet can read those that a Pod bound to its node uses.
"""

from collections.abc import Iterator

from kubesim.apiserver.auth.authorization import allows
from kubesim.apiserver.registry.lookup import Lookup
from kubesim.apiserver.registry.storage import Object
from kubesim.apiserver.request import RequestInfo, UserInfo
from kubesim.kubeadm import rbac_policy

GROUP = "system:nodes"
PREFIX = "system:node:"
LEASE_NAMESPACE = "kube-node-lease"


def node_of(user: UserInfo) -> str | None:
    """The name of the node whose kubelet a user is."""
    if GROUP in user.groups and user.name.startswith(PREFIX):
        return user.name.removeprefix(PREFIX)
    return None


class NodeAuthorizer:
    """Allows kubelets what the role system:node says, as far as it concerns their own node."""

    def __init__(self, objects: Lookup) -> None:
        self._objects = objects
        self._rules = rbac_policy.CLUSTER_ROLES["system:node"]

    async def authorize(self, user: UserInfo, info: RequestInfo) -> tuple[bool, str]:
        """Whether the kubelet may; no opinion about anybody else."""
        node = node_of(user)
        if node is None or not any(allows(rule, info) for rule in self._rules):
            return False, ""
        if info.resource in ("configmaps", "secrets", "serviceaccounts"):
            return self._used_by_pods(node, info)
        if info.resource == "leases" and not _own_lease(node, info):
            return False, "can only access node lease with the same name as the requesting node"
        return True, ""

    def _used_by_pods(self, node: str, info: RequestInfo) -> tuple[bool, str]:
        if not info.name:
            return False, "No Object name found"
        for pod in self._objects.list("pods", info.namespace):
            if pod["spec"].get("nodeName") != node:
                continue
            if info.name in _references(pod, info.resource):
                return True, ""
        return False, f"no relationship found between node '{node}' and this object"


def _own_lease(node: str, info: RequestInfo) -> bool:
    return info.namespace == LEASE_NAMESPACE and info.name in (node, "")


def _references(pod: Object, resource: str) -> Iterator[str]:
    """The names of the objects of a resource that a Pod uses."""
    spec = pod["spec"]
    if resource == "serviceaccounts":
        yield spec.get("serviceAccountName", "default")
        return
    for volume in spec.get("volumes") or ():
        yield from _volume_references(volume, resource)
    kind = "configMap" if resource == "configmaps" else "secret"
    for container in (*(spec.get("initContainers") or ()), *spec["containers"]):
        for source in container.get("envFrom") or ():
            yield source.get(f"{kind}Ref", {}).get("name", "")
        for variable in container.get("env") or ():
            reference = (variable.get("valueFrom") or {}).get(f"{kind}KeyRef") or {}
            yield reference.get("name", "")
    if resource == "secrets":
        yield from (reference["name"] for reference in spec.get("imagePullSecrets") or ())


def _volume_references(volume: Object, resource: str) -> Iterator[str]:
    sources = [volume, *((volume.get("projected") or {}).get("sources") or ())]
    for source in sources:
        if resource == "configmaps":
            yield (source.get("configMap") or {}).get("name", "")
        else:
            secret = source.get("secret") or {}
            yield secret.get("secretName") or secret.get("name", "")
