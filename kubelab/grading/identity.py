"""A fresh namespace for one answer, and an identity that may work in it and nowhere else.

The learner's code gets a ServiceAccount of that namespace: everything inside it, and to look at
the nodes. So an answer can neither disturb another's grading nor change the cluster.
"""

import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kubelab import waiting

LEARNER = "learner"
GRADER_LABEL = "kubelab.grading/process"
TOKEN_SECONDS = 3600
RULES = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
NODE_RULES = [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]}]


@dataclass(frozen=True)
class Workplace:
    """A namespace made for one grading; `kubeconfig` is the learner's, limited to it."""

    api_client: Any
    namespace: str
    kubeconfig: dict[str, Any]

    def delete(self) -> None:
        """Have the cluster delete it; the cluster goes on with that after this returns."""
        _delete(self.api_client, self.namespace)


def create(cluster: Any, exercise: str) -> Workplace:
    """Make a namespace named after the exercise, with the learner's identity in it.

    What gradings left behind whose process was killed is deleted first.
    """
    api_client = cluster.api_client()
    delete_leftovers(api_client)
    namespace = f"{exercise.rpartition('/')[2][:40]}-{secrets.token_hex(3)}"
    try:
        _create_objects(cluster, namespace)
        token = _token(api_client, namespace)
    except BaseException:
        _delete(api_client, namespace)
        raise
    return Workplace(api_client, namespace, _kubeconfig(cluster.kubeconfig, namespace, token))


def _create_objects(cluster: Any, namespace: str) -> None:
    from kubernetes.client import CoreV1Api, RbacAuthorizationV1Api

    api_client = cluster.api_client()
    core, rbac = CoreV1Api(api_client), RbacAuthorizationV1Api(api_client)
    labels = {GRADER_LABEL: _this_process()}
    core.create_namespace({"metadata": {"name": namespace, "labels": labels}})
    core.create_namespaced_service_account(namespace, {"metadata": {"name": LEARNER}})
    rbac.create_namespaced_role(namespace, {"metadata": {"name": LEARNER}, "rules": RULES})
    rbac.create_namespaced_role_binding(namespace, _binding("Role", LEARNER, namespace))
    name = _cluster_wide_name(namespace)
    rbac.create_cluster_role({"metadata": {"name": name}, "rules": NODE_RULES})
    rbac.create_cluster_role_binding(_binding("ClusterRole", name, namespace))
    # Before 1.24 a Pod is refused until its ServiceAccount has a token Secret.
    needs_secret = not cluster.version_at_least(1, 24)
    waiting.until(
        lambda: _usable(core.read_namespaced_service_account("default", namespace), needs_secret),
        what=f"the default ServiceAccount of namespace {namespace}",
    )
    # The authorizer learns of new roles by a watch, so a moment after they are written.
    waiting.until(
        lambda: (
            _may(api_client, namespace, "create", "pods", namespace)
            and _may(api_client, namespace, "list", "nodes", "")
        ),
        what="the learner's permissions",
    )


def _usable(account: Any, needs_secret: bool) -> bool:
    return bool(account.secrets) or not needs_secret


def _binding(kind: str, role: str, namespace: str) -> dict[str, Any]:
    """Return a binding, of the same name as the role that it gives to the learner."""
    return {
        "metadata": {"name": role},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": LEARNER, "namespace": namespace}],
    }


def _may(api_client: Any, namespace: str, verb: str, resource: str, where: str) -> bool:
    from kubernetes.client import AuthorizationV1Api

    review = {
        "spec": {
            "user": f"system:serviceaccount:{namespace}:{LEARNER}",
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}"],
            "resourceAttributes": {"verb": verb, "resource": resource, "namespace": where},
        }
    }
    answer = AuthorizationV1Api(api_client).create_subject_access_review(review)
    return bool(answer.status.allowed)


def _token(api_client: Any, namespace: str) -> str:
    from kubernetes.client import CoreV1Api

    request = {"spec": {"audiences": [], "expirationSeconds": TOKEN_SECONDS}}
    core = CoreV1Api(api_client)
    answer = core.create_namespaced_service_account_token(LEARNER, namespace, request)
    return str(answer.status.token)


def _kubeconfig(admins: Path, namespace: str, token: str) -> dict[str, Any]:
    """Return a kubeconfig for the same cluster as the admins', with the learner's token."""
    found = yaml.safe_load(admins.read_text())
    current = next(c for c in found["contexts"] if c["name"] == found["current-context"])
    name = current["context"]["cluster"]
    cluster = next(c for c in found["clusters"] if c["name"] == name)
    context = {"cluster": name, "user": LEARNER, "namespace": namespace}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [cluster],
        "users": [{"name": LEARNER, "user": {"token": token}}],
        "contexts": [{"name": LEARNER, "context": context}],
        "current-context": LEARNER,
    }


def delete_leftovers(api_client: Any) -> None:
    """Delete the workplaces of graders on this machine that are no longer running."""
    from kubernetes.client import CoreV1Api

    for found in CoreV1Api(api_client).list_namespace(label_selector=GRADER_LABEL).items:
        host, _, process = found.metadata.labels[GRADER_LABEL].rpartition(".")
        if host == _host() and not found.metadata.deletion_timestamp and not _runs(int(process)):
            _delete(api_client, found.metadata.name)


def _this_process() -> str:
    return f"{_host()}.{os.getpid()}"


def _host() -> str:
    """Return this machine's name, in the form that a label allows."""
    name = "".join(c if c.isalnum() else "-" for c in socket.gethostname())[:40]
    return name.strip("-") or "localhost"


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _cluster_wide_name(namespace: str) -> str:
    return f"kubelab-grading-{namespace}"


def _delete(api_client: Any, namespace: str) -> None:
    from kubernetes.client import CoreV1Api, RbacAuthorizationV1Api

    rbac = RbacAuthorizationV1Api(api_client)
    name = _cluster_wide_name(namespace)
    # The namespace last: as long as it is there, a later run can find what is left of the rest.
    for delete, what in (
        (rbac.delete_cluster_role_binding, name),
        (rbac.delete_cluster_role, name),
        (CoreV1Api(api_client).delete_namespace, namespace),
    ):
        try:
            delete(what)
        except Exception as error:
            if not waiting.is_missing(error):
                raise
