"""What kubelets may do: what the Pods on their own node need, and no more.

See https://kubernetes.io/docs/reference/access-authn-authz/node/. Secrets, ConfigMaps
and claims follow the Pods: a kubelet can read those that a Pod bound to its node uses.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from kubesim.apimachinery.volumes import claim_names
from kubesim.apiserver.auth.authorization import allows
from kubesim.apiserver.registry.lookup import Lookup
from kubesim.apiserver.registry.storage import Object
from kubesim.apiserver.request import RequestInfo, UserInfo
from kubesim.kubeadm import rbac_policy

GROUP = "system:nodes"
PREFIX = "system:node:"
LEASE_NAMESPACE = "kube-node-lease"
FOLLOW_PODS = ("configmaps", "persistentvolumeclaims", "secrets", "serviceaccounts")

Edge = tuple[str, str, str, str]  # node, resource, namespace, name


def node_of(user: UserInfo) -> str | None:
    """The name of the node whose kubelet a user is."""
    if GROUP in user.groups and user.name.startswith(PREFIX):
        return user.name.removeprefix(PREFIX)
    return None


class NodeAuthorizer:
    """Allows kubelets what the role system:node says, as far as it concerns their own node."""

    def __init__(self, objects: Lookup) -> None:
        self._objects = objects
        self._graph = Graph(objects)
        self._rules = rbac_policy.CLUSTER_ROLES["system:node"]
        self._known: dict[tuple[str, ...], bool] = {}

    async def authorize(self, user: UserInfo, info: RequestInfo) -> tuple[bool, str]:
        """Whether the kubelet may; no opinion about anybody else."""
        node = node_of(user)
        if node is None or not self._in_role(info):
            return False, ""
        if info.resource in FOLLOW_PODS:
            return self._used_by_pods(node, info)
        if info.resource == "persistentvolumes":
            return self._bound_for_pods(node, info)
        if info.resource == "leases" and not _own_lease(node, info):
            return False, "can only access node lease with the same name as the requesting node"
        return True, ""

    def _in_role(self, info: RequestInfo) -> bool:
        """Whether a rule of the role allows such a request; the rules name no single objects."""
        key = (info.verb, info.group, info.resource, info.subresource, info.resource or info.path)
        if key not in self._known:
            self._known[key] = any(allows(rule, info) for rule in self._rules)
        return self._known[key]

    def _bound_for_pods(self, node: str, info: RequestInfo) -> tuple[bool, str]:
        """A volume belongs to those who use the claim that it is bound to."""
        volume = self._objects.get("persistentvolumes", info.name) if info.name else None
        reference = (volume or {"spec": {}})["spec"].get("claimRef") or {}
        namespace, name = reference.get("namespace", ""), reference.get("name", "")
        claim = replace(info, resource="persistentvolumeclaims", namespace=namespace, name=name)
        return self._used_by_pods(node, claim)

    def _used_by_pods(self, node: str, info: RequestInfo) -> tuple[bool, str]:
        if not info.name:
            return False, "No Object name found"
        if self._graph.connects(node, info.resource, info.namespace, info.name):
            return True, ""
        return False, f"no relationship found between node '{node}' and this object"


class Graph:
    """Which nodes the objects are needed on, kept current as Pods come and go.

    The real one is plugin/pkg/auth/authorizer/node/graph.go.
    """

    def __init__(self, objects: Lookup) -> None:
        self._pods = objects.feed("pods")
        self._edges: dict[str, set[Edge]] = {}  # by the Pod's key
        self._counts: Counter[Edge] = Counter()

    def connects(self, node: str, resource: str, namespace: str, name: str) -> bool:
        """Whether a Pod on the node uses the object."""
        anew, changed = self._pods.take()
        if anew:
            self._edges.clear()
            self._counts.clear()
        for key, pod in changed.items():
            self._counts.subtract(self._edges.pop(key, ()))
            if pod and pod["spec"].get("nodeName"):
                self._edges[key] = set(_edges(pod))
                self._counts.update(self._edges[key])
        return self._counts[node, resource, namespace, name] > 0


def _edges(pod: Object) -> Iterator[Edge]:
    node, namespace = pod["spec"]["nodeName"], pod["metadata"]["namespace"]
    for resource in FOLLOW_PODS:
        for name in _references(pod, resource):
            yield node, resource, namespace, name


def _own_lease(node: str, info: RequestInfo) -> bool:
    return info.namespace == LEASE_NAMESPACE and info.name in (node, "")


def _references(pod: Object, resource: str) -> Iterator[str]:
    """The names of the objects of a resource that a Pod uses."""
    spec = pod["spec"]
    if resource == "persistentvolumeclaims":
        yield from (name for name, _ in claim_names(pod))
        return
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
