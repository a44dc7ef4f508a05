"""The table of the resources that are built in.

A row says what https://kubernetes.io/docs/reference/kubernetes-api/ says of the resource. What a
server serves beside them, and who asks for it, is in `served`.
"""

from dataclasses import dataclass, field
from typing import Any

from kubesim.api import schema
from kubesim.api.schema import Type

CRUD = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
REVIEW = ("create",)


@dataclass(frozen=True)
class Subresource:
    """A path below an object, with the kind it speaks."""

    name: str
    kind: str
    verbs: tuple[str, ...]
    group: str = ""
    version: str = ""


STATUS = ("get", "patch", "update")


@dataclass(frozen=True)
class Resource:
    """One resource: its names, where it lives, what can be done with it."""

    plural: str
    kind: str
    group: str = ""
    version: str = "v1"
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = CRUD
    subresources: tuple[Subresource, ...] = ()
    stored_as: str = ""
    deprecation: str = ""  # what a client is warned of
    field_labels: tuple[str, ...] = ()
    singular: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "singular", self.kind.lower())

    @property
    def full_name(self) -> str:
        """The plural with its group, as "deployments.apps"."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def full_kind(self) -> str:
        """The kind with its group, as "Deployment.apps"."""
        return f"{self.kind}.{self.group}" if self.group else self.kind

    @property
    def api_version(self) -> str:
        """The group and version as objects carry them, as "apps/v1"."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def list_kind(self) -> str:
        """The kind of a list of these objects."""
        return f"{self.kind}List"

    @property
    def prefix(self) -> str:
        """The store's prefix, the same that the real API server uses in etcd."""
        return f"/registry/{self.stored_as or self.plural}/"

    @property
    def type(self) -> Type:
        """The type of these objects, which drives decoding, patching and field ownership."""
        return schema.type_of(self.group, self.version, self.kind)

    def to_storage(self, obj: dict[str, Any]) -> dict[str, Any]:
        """Return an object as it is stored."""
        return obj

    def from_storage(self, obj: dict[str, Any]) -> dict[str, Any]:
        """Return a stored object as it is read."""
        return obj

    def subresource(self, name: str) -> Subresource | None:
        """Return the named subresource, if there is one."""
        return next((sub for sub in self.subresources if sub.name == name), None)


def _status(kind: str, *others: Subresource) -> tuple[Subresource, ...]:
    return (*others, Subresource("status", kind, STATUS))


_SCALE = Subresource("scale", "Scale", STATUS, "autoscaling", "v1")
_RBAC = "rbac.authorization.k8s.io"
_NETWORKING = "networking.k8s.io"
_PROXIED = ("create", "delete", "get", "patch", "update")
_AUTHENTICATION = "authentication.k8s.io"
_AUTHORIZATION = "authorization.k8s.io"

RESOURCES: tuple[Resource, ...] = (
    Resource(
        "componentstatuses",
        "ComponentStatus",
        namespaced=False,
        short_names=("cs",),
        verbs=("get", "list"),
        deprecation="v1 ComponentStatus is deprecated in v1.19+",
    ),
    Resource("bindings", "Binding", verbs=("create",)),
    Resource("configmaps", "ConfigMap", short_names=("cm",)),
    Resource(
        "endpoints",
        "Endpoints",
        short_names=("ep",),
        stored_as="services/endpoints",
        deprecation="v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
    ),
    Resource(
        "events",
        "Event",
        short_names=("ev",),
        field_labels=(
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ),
    ),
    Resource("limitranges", "LimitRange", short_names=("limits",)),
    Resource(
        "namespaces",
        "Namespace",
        namespaced=False,
        short_names=("ns",),
        verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
        subresources=_status("Namespace", Subresource("finalize", "Namespace", ("update",))),
        field_labels=("status.phase",),
    ),
    Resource(
        "nodes",
        "Node",
        namespaced=False,
        short_names=("no",),
        subresources=_status("Node", Subresource("proxy", "NodeProxyOptions", _PROXIED)),
        stored_as="minions",
        field_labels=("spec.unschedulable",),
    ),
    Resource(
        "persistentvolumeclaims",
        "PersistentVolumeClaim",
        short_names=("pvc",),
        subresources=_status("PersistentVolumeClaim"),
    ),
    Resource(
        "persistentvolumes",
        "PersistentVolume",
        namespaced=False,
        short_names=("pv",),
        subresources=_status("PersistentVolume"),
    ),
    Resource(
        "pods",
        "Pod",
        short_names=("po",),
        categories=("all",),
        subresources=_status(
            "Pod",
            Subresource("attach", "PodAttachOptions", ("create", "get")),
            Subresource("binding", "Binding", ("create",)),
            Subresource("eviction", "Eviction", ("create",), "policy", "v1"),
            Subresource("ephemeralcontainers", "Pod", ("get", "patch", "update")),
            Subresource("exec", "PodExecOptions", ("create", "get")),
            Subresource("log", "Pod", ("get",)),
            Subresource("portforward", "PodPortForwardOptions", ("create", "get")),
            Subresource("proxy", "PodProxyOptions", _PROXIED),
        ),
        field_labels=(
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ),
    ),
    Resource("podtemplates", "PodTemplate"),
    Resource(
        "replicationcontrollers",
        "ReplicationController",
        short_names=("rc",),
        categories=("all",),
        subresources=_status("ReplicationController", _SCALE),
        stored_as="controllers",
        field_labels=("status.replicas",),
    ),
    Resource(
        "resourcequotas",
        "ResourceQuota",
        short_names=("quota",),
        subresources=_status("ResourceQuota"),
    ),
    Resource("secrets", "Secret", field_labels=("type",)),
    Resource(
        "serviceaccounts",
        "ServiceAccount",
        short_names=("sa",),
        subresources=(Subresource("token", "TokenRequest", ("create",), _AUTHENTICATION, "v1"),),
    ),
    Resource(
        "services",
        "Service",
        short_names=("svc",),
        categories=("all",),
        subresources=_status("Service", Subresource("proxy", "ServiceProxyOptions", _PROXIED)),
        stored_as="services/specs",
        field_labels=("spec.clusterIP", "spec.type"),
    ),
    Resource("controllerrevisions", "ControllerRevision", "apps"),
    Resource(
        "daemonsets",
        "DaemonSet",
        "apps",
        short_names=("ds",),
        categories=("all",),
        subresources=_status("DaemonSet"),
    ),
    Resource(
        "deployments",
        "Deployment",
        "apps",
        short_names=("deploy",),
        categories=("all",),
        subresources=_status("Deployment", _SCALE),
    ),
    Resource(
        "replicasets",
        "ReplicaSet",
        "apps",
        short_names=("rs",),
        categories=("all",),
        subresources=_status("ReplicaSet", _SCALE),
        field_labels=("status.replicas",),
    ),
    Resource(
        "statefulsets",
        "StatefulSet",
        "apps",
        short_names=("sts",),
        categories=("all",),
        subresources=_status("StatefulSet", _SCALE),
    ),
    Resource(
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
        "autoscaling",
        "v2",
        short_names=("hpa",),
        categories=("all",),
        subresources=_status("HorizontalPodAutoscaler"),
    ),
    Resource(
        "cronjobs",
        "CronJob",
        "batch",
        short_names=("cj",),
        categories=("all",),
        subresources=_status("CronJob"),
    ),
    Resource(
        "jobs",
        "Job",
        "batch",
        categories=("all",),
        subresources=_status("Job"),
        field_labels=("status.successful",),
    ),
    Resource(
        "poddisruptionbudgets",
        "PodDisruptionBudget",
        "policy",
        short_names=("pdb",),
        subresources=_status("PodDisruptionBudget"),
    ),
    Resource("endpointslices", "EndpointSlice", "discovery.k8s.io"),
    Resource("leases", "Lease", "coordination.k8s.io"),
    Resource(
        "ingresses",
        "Ingress",
        _NETWORKING,
        short_names=("ing",),
        subresources=_status("Ingress"),
        stored_as="ingress",
    ),
    Resource("ingressclasses", "IngressClass", _NETWORKING, namespaced=False),
    Resource("networkpolicies", "NetworkPolicy", _NETWORKING, short_names=("netpol",)),
    Resource("runtimeclasses", "RuntimeClass", "node.k8s.io", namespaced=False),
    Resource(
        "priorityclasses",
        "PriorityClass",
        "scheduling.k8s.io",
        namespaced=False,
        short_names=("pc",),
    ),
    Resource(
        "storageclasses", "StorageClass", "storage.k8s.io", namespaced=False, short_names=("sc",)
    ),
    Resource(
        "certificatesigningrequests",
        "CertificateSigningRequest",
        "certificates.k8s.io",
        namespaced=False,
        short_names=("csr",),
        subresources=_status(
            "CertificateSigningRequest",
            Subresource("approval", "CertificateSigningRequest", STATUS),
        ),
        field_labels=("spec.signerName",),
    ),
    Resource(
        "customresourcedefinitions",
        "CustomResourceDefinition",
        "apiextensions.k8s.io",
        namespaced=False,
        short_names=("crd", "crds"),
        categories=("api-extensions",),
        subresources=_status("CustomResourceDefinition"),
        stored_as="apiextensions.k8s.io/customresourcedefinitions",
    ),
    Resource(
        "apiservices",
        "APIService",
        "apiregistration.k8s.io",
        namespaced=False,
        categories=("api-extensions",),
        subresources=_status("APIService"),
        stored_as="apiregistration.k8s.io/apiservices",
    ),
    Resource(
        "validatingadmissionpolicies",
        "ValidatingAdmissionPolicy",
        "admissionregistration.k8s.io",
        namespaced=False,
        categories=("api-extensions",),
        subresources=_status("ValidatingAdmissionPolicy"),
    ),
    Resource(
        "validatingadmissionpolicybindings",
        "ValidatingAdmissionPolicyBinding",
        "admissionregistration.k8s.io",
        namespaced=False,
        categories=("api-extensions",),
    ),
    Resource("roles", "Role", _RBAC),
    Resource("rolebindings", "RoleBinding", _RBAC),
    Resource("clusterroles", "ClusterRole", _RBAC, namespaced=False),
    Resource("clusterrolebindings", "ClusterRoleBinding", _RBAC, namespaced=False),
    Resource("tokenreviews", "TokenReview", _AUTHENTICATION, namespaced=False, verbs=REVIEW),
    Resource(
        "selfsubjectreviews", "SelfSubjectReview", _AUTHENTICATION, namespaced=False, verbs=REVIEW
    ),
    Resource("localsubjectaccessreviews", "LocalSubjectAccessReview", _AUTHORIZATION, verbs=REVIEW),
    Resource(
        "selfsubjectaccessreviews",
        "SelfSubjectAccessReview",
        _AUTHORIZATION,
        namespaced=False,
        verbs=REVIEW,
    ),
    Resource(
        "selfsubjectrulesreviews",
        "SelfSubjectRulesReview",
        _AUTHORIZATION,
        namespaced=False,
        verbs=REVIEW,
    ),
    Resource(
        "subjectaccessreviews",
        "SubjectAccessReview",
        _AUTHORIZATION,
        namespaced=False,
        verbs=REVIEW,
    ),
)

_BY_NAME = {r.full_name: r for r in RESOURCES}


def named(full_name: str) -> Resource:
    """Return the built-in resource "plural[.group]". Raises KeyError."""
    return _BY_NAME[full_name]
