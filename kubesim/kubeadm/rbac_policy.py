"""The roles and bindings that every cluster starts with, as data.

From plugin/pkg/auth/authorizer/rbac/bootstrappolicy of Kubernetes, and from kubeadm for the admin's
binding. Roles of controllers that kubesim does not have are left out.
"""

from collections.abc import Iterator, Sequence
from typing import Any

Object = dict[str, Any]

API_VERSION = "rbac.authorization.k8s.io/v1"
AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"
CORE = ""
EXTENDED = "apps extensions"
READ = "get list watch"
CERTIFICATES = "certificates.k8s.io"
SIGNERS = (
    "kube-apiserver-client",
    "kube-apiserver-client-kubelet",
    "kubelet-serving",
    "legacy-unknown",
)
WRITE = "create delete deletecollection patch update"


def rule(verbs: str, resources: str, groups: str = CORE, names: str = "") -> Object:
    """A rule about resources; every argument is a list of words."""
    made: Object = {
        "verbs": sorted(verbs.split()),
        "apiGroups": sorted(groups.split()) or [CORE],
        "resources": sorted(resources.split()),
    }
    if names:
        made["resourceNames"] = names.split()
    return made


def path_rule(verbs: str, paths: str) -> Object:
    """A rule about URLs that are not resources."""
    return {"verbs": verbs.split(), "nonResourceURLs": sorted(paths.split())}


def _events() -> Object:
    made = rule("create patch update", "events")
    return {**made, "apiGroups": [CORE, "events.k8s.io"]}


def _leader_lease(name: str) -> list[Object]:
    return [
        rule("create", "leases", "coordination.k8s.io"),
        rule("get update", "leases", "coordination.k8s.io", name),
    ]


_SCALABLE = "deployments deployments/scale replicasets replicasets/scale statefulsets "
_WORKLOADS = _SCALABLE + "statefulsets/scale daemonsets"
_STATUSES = " deployments/status replicasets/status statefulsets/status daemonsets/status"
_REVIEWS = [
    rule("create", "tokenreviews", "authentication.k8s.io"),
    rule("create", "subjectaccessreviews", "authorization.k8s.io"),
]
_CONNECT = "pods/attach pods/exec pods/portforward pods/proxy"
_DISCOVERY_PATHS = "/api /api/* /apis /apis/* /openapi /openapi/*"
_INFO_PATHS = "/healthz /livez /readyz /version /version/"

CLUSTER_ROLES: dict[str, list[Object]] = {
    "cluster-admin": [rule("*", "*", "*"), path_rule("*", "*")],
    "system:aggregate-to-admin": [
        rule("create", "localsubjectaccessreviews", "authorization.k8s.io"),
        rule(f"{READ} {WRITE}", "roles rolebindings", "rbac.authorization.k8s.io"),
    ],
    "system:aggregate-to-edit": [
        rule(READ, f"{_CONNECT} secrets services/proxy"),
        rule("impersonate", "serviceaccounts"),
        rule(WRITE, f"pods {_CONNECT}"),
        rule("create", "pods/eviction serviceaccounts/token"),
        rule(
            WRITE,
            "configmaps events persistentvolumeclaims replicationcontrollers "
            "replicationcontrollers/scale secrets serviceaccounts services services/proxy",
        ),
        rule(WRITE, f"{_WORKLOADS} deployments/rollback", "apps"),
        rule(WRITE, "horizontalpodautoscalers", "autoscaling"),
        rule(WRITE, "jobs cronjobs", "batch"),
        rule(WRITE, "poddisruptionbudgets", "policy"),
        rule(WRITE, "ingresses networkpolicies", "networking.k8s.io"),
        rule(f"{READ} {WRITE}", "leases", "coordination.k8s.io"),
    ],
    "system:aggregate-to-view": [
        rule("get list watch", "pods nodes", "metrics.k8s.io"),
        rule(
            READ,
            "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods "
            "replicationcontrollers replicationcontrollers/scale serviceaccounts services "
            "services/status",
        ),
        rule(
            READ,
            "bindings events limitranges namespaces/status pods/log pods/status "
            "replicationcontrollers/status resourcequotas resourcequotas/status",
        ),
        rule(READ, "namespaces"),
        rule(READ, "endpointslices", "discovery.k8s.io"),
        rule(READ, f"controllerrevisions {_WORKLOADS}{_STATUSES}", "apps"),
        rule(READ, "horizontalpodautoscalers horizontalpodautoscalers/status", "autoscaling"),
        rule(READ, "jobs jobs/status cronjobs cronjobs/status", "batch"),
        rule(READ, "poddisruptionbudgets poddisruptionbudgets/status", "policy"),
        rule(READ, "ingresses ingresses/status networkpolicies", "networking.k8s.io"),
    ],
    "system:auth-delegator": _REVIEWS,
    "system:basic-user": [
        rule("create", "selfsubjectaccessreviews selfsubjectrulesreviews", "authorization.k8s.io"),
        rule("create", "selfsubjectreviews", "authentication.k8s.io"),
    ],
    "system:discovery": [path_rule("get", f"{_DISCOVERY_PATHS} {_INFO_PATHS}")],
    "system:public-info-viewer": [path_rule("get", _INFO_PATHS)],
    "system:monitoring": [
        path_rule("get", "/healthz /healthz/* /livez /livez/* /readyz /readyz/*")
    ],
    "system:kube-controller-manager": [
        _events(),
        *_leader_lease("kube-controller-manager"),
        rule("create", "secrets serviceaccounts serviceaccounts/token"),
        rule("delete", "secrets"),
        rule("get", "configmaps namespaces secrets serviceaccounts"),
        rule("update", "secrets serviceaccounts"),
        *_REVIEWS,
        rule("list watch", "*", "*"),
    ],
    "system:kube-scheduler": [
        _events(),
        *_leader_lease("kube-scheduler"),
        rule(READ, "nodes namespaces"),
        rule(f"{READ} delete", "pods"),
        rule("create", "bindings pods/binding"),
        rule("patch update", "pods/status"),
        rule(READ, "replicationcontrollers services persistentvolumeclaims persistentvolumes"),
        rule(READ, "replicasets", EXTENDED),
        rule(READ, "statefulsets", "apps"),
        rule(READ, "poddisruptionbudgets", "policy"),
        rule(READ, "storageclasses csinodes csidrivers csistoragecapacities", "storage.k8s.io"),
        rule("patch update", "persistentvolumeclaims persistentvolumes"),
        *_REVIEWS,
    ],
    "system:coredns": [
        rule("list watch", "endpoints services pods namespaces"),
        rule("list watch", "endpointslices", "discovery.k8s.io"),
    ],
    "system:node-proxier": [
        rule("list watch", "endpoints services"),
        rule(READ, "nodes"),
        _events(),
        rule("list watch", "endpointslices", "discovery.k8s.io"),
    ],
    "system:node": [
        *_REVIEWS,
        rule(READ, "services"),
        rule("create get list watch", "nodes"),
        rule("patch update", "nodes/status nodes"),
        rule("create delete get list watch", "pods"),
        rule("patch update", "pods/status"),
        rule("create", "pods/eviction"),
        rule(READ, "configmaps secrets"),
        rule("get", "persistentvolumeclaims persistentvolumes"),
        rule("create", "serviceaccounts/token"),
        rule("get", "serviceaccounts"),
        rule("create delete get patch update", "leases", "coordination.k8s.io"),
        rule("create get list watch", "certificatesigningrequests", CERTIFICATES),
        _events(),
    ],
    f"system:{CERTIFICATES}:certificatesigningrequests:nodeclient": [
        rule("create", "certificatesigningrequests/nodeclient", CERTIFICATES),
    ],
    f"system:{CERTIFICATES}:certificatesigningrequests:selfnodeclient": [
        rule("create", "certificatesigningrequests/selfnodeclient", CERTIFICATES),
    ],
    **{
        f"system:{CERTIFICATES}:{signer}-approver": [
            rule("approve", "signers", CERTIFICATES, f"kubernetes.io/{signer}"),
        ]
        for signer in SIGNERS
    },
}

AGGREGATED = {
    "view": ("system:aggregate-to-view",),
    "edit": ("system:aggregate-to-edit", "view"),
    "admin": ("edit", "system:aggregate-to-admin"),
}

CONTROLLER_ROLES: dict[str, list[Object]] = {
    "certificate-controller": [
        rule(f"{READ} delete", "certificatesigningrequests", CERTIFICATES),
        rule(
            "update",
            "certificatesigningrequests/approval certificatesigningrequests/status",
            CERTIFICATES,
        ),
        rule("approve", "signers", CERTIFICATES, "kubernetes.io/kube-apiserver-client-kubelet"),
        rule("sign", "signers", CERTIFICATES, " ".join(f"kubernetes.io/{s}" for s in SIGNERS)),
        rule("create", "subjectaccessreviews", "authorization.k8s.io"),
        _events(),
    ],
    "clusterrole-aggregation-controller": [
        rule(f"{READ} escalate patch update", "clusterroles", "rbac.authorization.k8s.io"),
    ],
    "cronjob-controller": [
        rule(f"{READ} create delete patch update", "jobs", "batch"),
        rule(f"{READ} update", "cronjobs", "batch"),
        rule("update", "cronjobs/status cronjobs/finalizers", "batch"),
        rule("delete list", "pods"),
        _events(),
    ],
    "daemon-set-controller": [
        rule(READ, "daemonsets", EXTENDED),
        rule("update", "daemonsets/status daemonsets/finalizers", EXTENDED),
        rule("list watch", "nodes"),
        rule(f"{READ} create delete patch", "pods"),
        rule("create", "pods/binding"),
        rule(f"{READ} create delete patch update", "controllerrevisions", "apps"),
        _events(),
    ],
    "deployment-controller": [
        rule(f"{READ} update", "deployments", EXTENDED),
        rule("update", "deployments/status deployments/finalizers", EXTENDED),
        rule(f"{READ} create delete patch update", "replicasets", EXTENDED),
        rule(f"{READ} update", "pods"),
        _events(),
    ],
    "endpoint-controller": [
        rule(READ, "pods services"),
        rule(f"{READ} create delete update", "endpoints"),
        rule("create", "endpoints/restricted"),
        _events(),
    ],
    "endpointslice-controller": [
        rule(READ, "services pods nodes"),
        rule("update", "services/finalizers"),
        rule("get list create update delete", "endpointslices", "discovery.k8s.io"),
        _events(),
    ],
    "endpointslicemirroring-controller": [
        rule(READ, "services endpoints"),
        rule("update", "services/finalizers endpoints/finalizers"),
        rule("get list create update delete", "endpointslices", "discovery.k8s.io"),
        _events(),
    ],
    "generic-garbage-collector": [rule(f"{READ} delete patch update", "*", "*"), _events()],
    "job-controller": [
        rule(f"{READ} patch update", "jobs", "batch"),
        rule("update", "jobs/status jobs/finalizers", "batch"),
        rule(f"{READ} create delete patch", "pods"),
        _events(),
    ],
    "namespace-controller": [
        rule(f"{READ} delete", "namespaces"),
        rule("update", "namespaces/finalize namespaces/status"),
        rule(f"{READ} delete deletecollection", "*", "*"),
    ],
    "disruption-controller": [
        rule(READ, "deployments", EXTENDED),
        rule(READ, "replicasets", EXTENDED),
        rule(READ, "replicationcontrollers"),
        rule(READ, "poddisruptionbudgets", "policy"),
        rule(READ, "statefulsets", "apps"),
        rule("update", "poddisruptionbudgets/status", "policy"),
        rule("patch update", "pods/status"),
        rule("get", "*/scale", "*"),
        _events(),
    ],
    "horizontal-pod-autoscaler": [
        rule(READ, "horizontalpodautoscalers", "autoscaling"),
        rule("update", "horizontalpodautoscalers/status", "autoscaling"),
        rule("get update", "*/scale", "*"),
        rule("list", "pods"),
        rule("list", "pods", "metrics.k8s.io"),
        rule("get list", "*", "custom.metrics.k8s.io"),
        rule("get list", "*", "external.metrics.k8s.io"),
        _events(),
    ],
    "node-controller": [
        rule(f"{READ} delete patch update", "nodes"),
        rule("patch update", "nodes/status pods/status"),
        rule("delete get list", "pods"),
        rule("get list watch", "leases", "coordination.k8s.io"),
        _events(),
    ],
    "ephemeral-volume-controller": [
        rule(READ, "pods"),
        rule("update", "pods/finalizers"),
        rule(f"{READ} create", "persistentvolumeclaims"),
        _events(),
    ],
    "persistent-volume-binder": [
        rule(f"{READ} create delete update", "persistentvolumes"),
        rule("update", "persistentvolumes/status persistentvolumeclaims/status"),
        rule(f"{READ} update", "persistentvolumeclaims"),
        rule(f"{READ} create delete", "pods"),
        rule(READ, "storageclasses", "storage.k8s.io"),
        rule("get list", "nodes secrets"),
        _events(),
    ],
    "pod-garbage-collector": [
        rule(f"{READ} delete", "pods"),
        rule("get list", "nodes"),
        rule("patch update", "pods/status"),
    ],
    "pv-protection-controller": [
        rule(f"{READ} update", "persistentvolumes"),
        _events(),
    ],
    "pvc-protection-controller": [
        rule(f"{READ} update", "persistentvolumeclaims"),
        rule(READ, "pods"),
        _events(),
    ],
    "replicaset-controller": [
        rule(f"{READ} update", "replicasets", EXTENDED),
        rule("update", "replicasets/status replicasets/finalizers", EXTENDED),
        rule(f"{READ} create delete patch", "pods"),
        _events(),
    ],
    "replication-controller": [
        rule(f"{READ} update", "replicationcontrollers"),
        rule("update", "replicationcontrollers/status replicationcontrollers/finalizers"),
        rule(f"{READ} create delete patch", "pods"),
        _events(),
    ],
    "resourcequota-controller": [
        rule("list watch", "*", "*"),
        rule("update", "resourcequotas/status"),
        _events(),
    ],
    "root-ca-cert-publisher": [rule("create update", "configmaps"), _events()],
    "service-account-controller": [rule("create", "serviceaccounts"), _events()],
    "statefulset-controller": [
        rule("list watch", "pods"),
        rule(READ, "statefulsets", "apps"),
        rule("update", "statefulsets/status statefulsets/finalizers", "apps"),
        rule("create delete get patch update", "pods"),
        rule(f"{READ} create delete patch update", "controllerrevisions", "apps"),
        rule("create delete get update", "persistentvolumeclaims"),
        _events(),
    ],
    "ttl-after-finished-controller": [rule(f"{READ} delete", "jobs", "batch"), _events()],
    "taint-eviction-controller": [
        rule(f"{READ} delete", "pods"),
        rule(READ, "nodes"),
        rule("patch update", "pods/status"),
        _events(),
    ],
}

GROUP_BINDINGS: dict[str, tuple[str, Sequence[str]]] = {
    "cluster-admin": ("cluster-admin", ("system:masters",)),
    "kubeadm:cluster-admins": ("cluster-admin", ("kubeadm:cluster-admins",)),
    "kubeadm:node-autoapprove-bootstrap": (
        f"system:{CERTIFICATES}:certificatesigningrequests:nodeclient",
        ("system:bootstrappers:kubeadm:default-node-token",),
    ),
    "kubeadm:node-autoapprove-certificate-rotation": (
        f"system:{CERTIFICATES}:certificatesigningrequests:selfnodeclient",
        ("system:nodes",),
    ),
    "system:basic-user": ("system:basic-user", ("system:authenticated",)),
    "system:discovery": ("system:discovery", ("system:authenticated",)),
    "system:monitoring": ("system:monitoring", ("system:monitoring",)),
    "system:node": ("system:node", ()),
    "system:public-info-viewer": (
        "system:public-info-viewer",
        ("system:authenticated", "system:unauthenticated"),
    ),
}
USER_BINDINGS = {
    "system:kube-controller-manager": "system:kube-controller-manager",
    "system:kube-scheduler": "system:kube-scheduler",
    "system:node-proxier": "system:kube-proxy",
}


def binding_to(name: str, role: str, account: str) -> Object:
    """A ClusterRoleBinding of one's own, of a role to an account of kube-system."""
    made = _binding(name, role, [_account(account)])
    return {**made, "metadata": {"name": name}}


def cluster_roles() -> Iterator[Object]:
    """Every default ClusterRole."""
    rules = dict(CLUSTER_ROLES)
    for name, parts in AGGREGATED.items():
        rules[name] = [part for source in parts for part in rules[source]]
    rules |= {f"system:controller:{name}": found for name, found in CONTROLLER_ROLES.items()}
    for name, found in rules.items():
        role = _object("ClusterRole", name, _aggregation_labels(name))
        if name in AGGREGATED:
            selector = {"matchLabels": {f"{AGGREGATE}{name}": "true"}}
            role["aggregationRule"] = {"clusterRoleSelectors": [selector]}
        yield {**role, "rules": found}


def cluster_role_bindings() -> Iterator[Object]:
    """Every default ClusterRoleBinding."""
    for name, (role, groups) in GROUP_BINDINGS.items():
        yield _binding(name, role, [_subject("Group", group) for group in groups])
    for role, user in USER_BINDINGS.items():
        yield _binding(role, role, [_subject("User", user)])
    yield _binding("system:coredns", "system:coredns", [_account("coredns")])
    for controller in CONTROLLER_ROLES:
        name = f"system:controller:{controller}"
        yield _binding(name, name, [_account(controller)])


def _aggregation_labels(name: str) -> dict[str, str]:
    into = [target for target, sources in AGGREGATED.items() if name in sources]
    return {f"{AGGREGATE}{target}": "true" for target in into}


def _object(kind: str, name: str, labels: dict[str, str] | None = None) -> Object:
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/bootstrapping": "rbac-defaults", **(labels or {})},
            "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
        },
    }


def _binding(name: str, role: str, subjects: list[Object]) -> Object:
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
    return {
        **_object("ClusterRoleBinding", name),
        "roleRef": reference,
        "subjects": subjects,
    }


def _account(name: str) -> Object:
    return {"kind": "ServiceAccount", "name": name, "namespace": "kube-system"}


def _subject(kind: str, name: str) -> Object:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}
