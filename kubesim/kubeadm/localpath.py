"""What kind installs for storage: the local-path provisioner's account and the default class."""

from collections.abc import Iterator
from typing import Any

from kubesim.kubeadm.rbac_policy import READ, rule
from kubesim.storage.localpath import ACCOUNT, NAMESPACE, PROVISIONER

Object = dict[str, Any]
RBAC = "rbac.authorization.k8s.io"
ROLE = "local-path-provisioner-role"


def objects() -> Iterator[tuple[str, Object]]:
    """Every object with its resource."""
    yield "namespaces", {"metadata": {"name": NAMESPACE}}
    yield "serviceaccounts", {"metadata": {"name": ACCOUNT, "namespace": NAMESPACE}}
    rules = [
        rule(READ, "nodes persistentvolumeclaims configmaps pods pods/log"),
        rule("create patch update delete", "pods"),
        rule(f"{READ} create patch update delete", "persistentvolumes"),
        rule("create patch", "events"),
        rule(READ, "storageclasses", "storage.k8s.io"),
    ]
    yield f"clusterroles.{RBAC}", {"metadata": {"name": ROLE}, "rules": rules}
    yield (
        f"clusterrolebindings.{RBAC}",
        {
            "metadata": {"name": "local-path-provisioner-bind"},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": ROLE},
            "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}],
        },
    )
    yield (
        "storageclasses.storage.k8s.io",
        {
            "metadata": {
                "name": "standard",
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "provisioner": PROVISIONER,
            "reclaimPolicy": "Delete",
            "volumeBindingMode": "WaitForFirstConsumer",
        },
    )
