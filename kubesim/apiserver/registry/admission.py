"""Admission: what the cluster adds to an object, or refuses, after it knows who asks.

Each plugin carries the name of the real one, in the order in which the real ones run.
"""

from collections.abc import Callable, Iterator
from typing import Any

from kubesim.api import resources
from kubesim.apimachinery import rand
from kubesim.apimachinery.objects import pod_is_mirror
from kubesim.apiserver import errors
from kubesim.apiserver.admission.defaultclass import DefaultIngressClass
from kubesim.apiserver.admission.limitranger import LimitRanger
from kubesim.apiserver.admission.podsecurity import PodSecurity
from kubesim.apiserver.admission.priority import Priority
from kubesim.apiserver.admission.resourcequota import ResourceQuota
from kubesim.apiserver.admission.runtimeclass import RuntimeClass
from kubesim.apiserver.admission.storage import VolumeAdmission
from kubesim.apiserver.registry.certificates import note_requester
from kubesim.apiserver.registry.context import Context, Validator
from kubesim.apiserver.registry.defaulting import FILE_MODE, containers
from kubesim.apiserver.registry.storage import Storage

Object = dict[str, Any]
NAMESPACES = resources.named("namespaces")
ACCOUNTS = resources.named("serviceaccounts")
IMMORTAL = ("default", "kube-system", "kube-public")
TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105
TOKEN_SECONDS = 3607
EVICTION_SECONDS = 300


class Admission:
    """The chain of plugins."""

    def __init__(self, storage: Storage, disabled: frozenset[str] = frozenset()) -> None:
        self._storage = storage
        volumes = VolumeAdmission(storage)
        ingresses = DefaultIngressClass(storage)
        limit_ranger, priority = LimitRanger(storage), Priority(storage)
        self.validators: list[Validator] = [
            plugin
            for name, plugin in (
                ("LimitRanger", limit_ranger.check),
                ("PodSecurity", PodSecurity(storage).check),
                ("Priority", priority.check),
                ("ResourceQuota", ResourceQuota(storage).check),  # the last one: it counts
            )
            if name not in disabled
        ]
        self._plugins: list[Callable[[Context, Object], None]] = [
            plugin
            for name, plugin in (
                ("NamespaceLifecycle", self._namespace_lifecycle),
                ("LimitRanger", limit_ranger.set_defaults),
                ("ServiceAccount", self._service_account),
                ("Priority", priority.resolve),
                ("RuntimeClass", RuntimeClass(storage).resolve),
                ("DefaultTolerationSeconds", _default_toleration_seconds),
                ("TaintNodesByCondition", _taint_nodes_by_condition),
                ("StorageObjectInUseProtection", volumes.protect),
                ("DefaultStorageClass", volumes.default_class),
                ("DefaultIngressClass", ingresses.admit),
                ("CertificateRequester", note_requester),
            )
            if name not in disabled
        ]

    def create(self, context: Context, obj: Object) -> None:
        """Admit a new object, changing it in place. Raises 403 and 404."""
        for plugin in self._plugins:
            plugin(context, obj)

    def delete(self, context: Context, name: str) -> None:
        """Admit a deletion. Raises 403."""
        if context.resource is NAMESPACES and name in IMMORTAL:
            raise errors.forbidden("namespaces", name, "this namespace may not be deleted")

    def _namespace_lifecycle(self, context: Context, obj: Object) -> None:
        """Nothing is created in a namespace that does not exist or is going away."""
        if not context.resource.namespaced:
            return
        name = context.namespace
        namespace = self._storage.get(NAMESPACES, "", name)
        if not namespace:
            raise errors.not_found("namespaces", name)
        if "deletionTimestamp" in namespace.object["metadata"]:
            why = f"unable to create new content in namespace {name} because it is being terminated"
            error = errors.forbidden(context.resource.full_name, obj["metadata"]["name"], why)
            cause = {
                "reason": "NamespaceTerminating",
                "message": f"namespace {name} is being terminated",
                "field": "metadata.namespace",
            }
            error.details = (error.details or {}) | {"causes": [cause]}
            raise error

    def _service_account(self, context: Context, pod: Object) -> None:
        """Every Pod acts under an account, and is given a token for it."""
        if context.resource.plural != "pods" or context.subresource:
            return
        spec, metadata = pod["spec"], pod["metadata"]
        if pod_is_mirror(pod):  # a picture acts under none
            return
        name = spec.setdefault("serviceAccountName", "default")
        spec["serviceAccount"] = name
        account = self._storage.get(ACCOUNTS, context.namespace, name)
        if not account:
            raise errors.forbidden(
                "pods",
                metadata.get("name", ""),
                f"error looking up service account {context.namespace}/{name}: "
                f'serviceaccount "{name}" not found',
            )
        pull_secrets = account.object.get("imagePullSecrets")
        if pull_secrets and "imagePullSecrets" not in spec:
            spec["imagePullSecrets"] = list(pull_secrets)
        automount = account.object.get("automountServiceAccountToken", True)
        if spec.get("automountServiceAccountToken", automount):
            _mount_token(spec, rand.string(self._storage.random, 5))


def _mount_token(spec: Object, suffix: str) -> None:
    """Give every container that has nothing there yet the account's token, CA and namespace."""
    unmounted = [c for c in containers(spec) if not any(_mounts_token(c))]
    if not unmounted:
        return
    name = f"kube-api-access-{suffix}"
    spec.setdefault("volumes", []).append({"name": name, "projected": token_sources()})
    for container in unmounted:
        mount = {"name": name, "readOnly": True, "mountPath": TOKEN_PATH}
        container.setdefault("volumeMounts", []).append(mount)


def _mounts_token(container: Object) -> Iterator[bool]:
    for mount in container.get("volumeMounts", ()):
        yield mount.get("mountPath") == TOKEN_PATH


def token_sources() -> Object:
    """Return the projected volume that carries a Pod's credentials."""
    namespace = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    return {
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
            {
                "configMap": {
                    "name": "kube-root-ca.crt",
                    "items": [{"key": "ca.crt", "path": "ca.crt"}],
                }
            },
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": namespace}]}},
        ],
        "defaultMode": FILE_MODE,
    }


def _default_toleration_seconds(context: Context, pod: Object) -> None:
    """A Pod stays for five minutes on a node that fails."""
    if context.resource.plural != "pods" or context.subresource:
        return
    for condition in ("not-ready", "unreachable"):
        key = f"node.kubernetes.io/{condition}"
        tolerations = pod["spec"].setdefault("tolerations", [])
        if not any(_tolerates(toleration, key) for toleration in tolerations):
            tolerations.append(
                {
                    "key": key,
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": EVICTION_SECONDS,
                }
            )


def _tolerates(toleration: Object, key: str) -> bool:
    of_key = toleration.get("key", key) == key
    return bool(of_key and toleration.get("effect", "NoExecute") == "NoExecute")


def _taint_nodes_by_condition(context: Context, node: Object) -> None:
    """A new node takes no Pods until the node lifecycle controller has seen it ready."""
    if context.resource.plural != "nodes":
        return
    taints = node.setdefault("spec", {}).setdefault("taints", [])
    taint = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    if taint not in taints:
        taints.append(taint)
