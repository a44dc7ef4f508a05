"""What is particular to each resource in a write: what it may set, and what it starts as.

A strategy is what k8s.io/apiserver/pkg/registry/rest calls so: the generic registry does the
work, and asks the resource's strategy at each step.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from kubesim.api.resources import Resource
from kubesim.apimachinery.objects import timestamp
from kubesim.apimachinery.quantity import parse
from kubesim.apiserver import validation
from kubesim.apiserver.registry import addresses, subresources
from kubesim.apiserver.registry.defaulting import containers
from kubesim.apiserver.registry.storage import Storage

Object = dict[str, Any]
COMPUTE = ("cpu", "memory")


class Strategy:
    """The common case: a spec of the user's and, maybe, a status of a controller's."""

    create_on_update = False  # a PUT of a name that does not exist creates it
    unconditional_update = True  # a PUT without a resourceVersion overwrites
    returns_deleted = False  # a DELETE answers with the object instead of a Status
    graceful = False  # deletion waits for a grace period
    orphans_by_default = False  # a DELETE that says nothing leaves the dependents alone
    orphaning_warning = ""  # what is told to whom that might surprise
    counts_generation = False  # metadata.generation counts the changes of the spec
    status_metadata: tuple[str, ...] = ("labels", "annotations", "finalizers", "ownerReferences")

    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        self.has_status = resource.subresource("status") is not None

    def reset_fields(self, subresource: str) -> tuple[str, ...]:
        """Return the fields that a write cannot set, and so nobody comes to own by it."""
        if subresource == "status":
            return ("spec",)
        return ("status",) if self.has_status else ()

    def prepare_create(self, obj: Object) -> None:
        """Take out what a creator may not set, and put in what every new object has."""
        if self.has_status:
            obj["status"] = self.initial_status(obj)
        if self.counts_generation:
            obj["metadata"]["generation"] = 1

    def initial_status(self, obj: Object) -> Object:
        """Return the status that a new object starts with."""
        return {}

    def prepare_update(self, new: Object, old: Object) -> None:
        """Keep from the old object what an update of the main resource may not change."""
        keep(new, old, "status")
        if self.counts_generation:
            generation: int = old["metadata"].get("generation", 1)
            new["metadata"]["generation"] = generation + self.is_new_generation(new, old)

    def is_new_generation(self, new: Object, old: Object) -> bool:
        """Whether an update changes what controllers act on."""
        return bool(new["spec"] != old["spec"])

    def prepare_status_update(self, new: Object, old: Object) -> Object:
        """Return the old object with the new status."""
        kept = {**old, "metadata": dict(old["metadata"])}
        keep(kept, new, "status")
        for field in (*self.status_metadata, "resourceVersion", "managedFields"):
            keep(kept["metadata"], new["metadata"], field)
        return kept

    def prepare_approval(self, new: Object, old: Object, now: datetime) -> Object:
        """Return the old object with what its subresource approval may change."""
        return self.prepare_status_update(new, old)

    def validate(self, obj: Object) -> None:
        """Refuse a new object that breaks a rule. Raises 422."""
        validation.validate(self.resource, obj)

    def validate_update(self, new: Object, old: Object) -> None:
        """Refuse a change that breaks a rule. Raises 422."""
        validation.validate_update(self.resource, new, old)

    def complete(self, storage: Storage, obj: Object) -> None:
        """Add to a valid object what only the server can choose."""

    def scale_of(self, obj: Object) -> Object:
        """Return the Scale of an object."""
        return subresources.scale_of(obj)

    def rescale(self, obj: Object, scale: Object) -> Object:
        """Return an object with the replicas that a Scale asks for. Raises 422."""
        return subresources.rescale(obj, scale)

    def before_deletion(self, obj: Object, now: datetime) -> Object:
        """Return an object as it is when its deletion begins."""
        return obj

    def grace_period(self, obj: Object, asked: int | None) -> int:
        """Return the seconds that a deletion of a graceful resource waits."""
        return 0

    def may_go(self, obj: Object) -> bool:
        """Whether an object that is being deleted waits for nothing any more."""
        metadata = obj["metadata"]
        return not metadata.get("finalizers") and not metadata.get("deletionGracePeriodSeconds")


def keep(new: Object, old: Object, field: str) -> None:
    """Make a field of the new object what it is in the old one, also absent."""
    if field in old:
        new[field] = old[field]
    else:
        new.pop(field, None)


class PodStrategy(Strategy):
    """Pods: they die gracefully, and the server works out their quality of service."""

    returns_deleted = True
    graceful = True
    counts_generation = True

    def initial_status(self, obj: Object) -> Object:
        """A new Pod is Pending, and says so if it does not want to be scheduled yet."""
        status: Object = {"phase": "Pending", "qosClass": quality_of_service(obj["spec"])}
        if obj["spec"].get("schedulingGates"):
            gated = {
                "type": "PodScheduled",
                "status": "False",
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
            }
            status["conditions"] = [gated]
        return status

    def prepare_status_update(self, new: Object, old: Object) -> Object:
        """The quality of service cannot change, whatever a status says."""
        updated = super().prepare_status_update(new, old)
        updated["status"] = updated.get("status", {}) | {"qosClass": old["status"]["qosClass"]}
        return updated

    def grace_period(self, obj: Object, asked: int | None) -> int:
        """A Pod that runs nowhere, or no more, needs no grace."""
        if not obj["spec"].get("nodeName"):
            return 0
        if obj["status"].get("phase") in ("Failed", "Succeeded"):
            return 0
        default: int = obj["spec"].get("terminationGracePeriodSeconds", 0)
        period = default if asked is None else asked
        return period if period >= 0 else 1


def quality_of_service(spec: Object) -> str:
    """Return the QoS class of a Pod (pkg/apis/core/v1/helper/qos)."""
    requests: list[dict[str, Decimal]] = []
    limits: list[dict[str, Decimal]] = []
    for container in containers(spec):
        resources = container.get("resources", {})
        requests.append(_compute(resources.get("requests", {})))
        limits.append(_compute(resources.get("limits", {})))
    if not any(requests) and not any(limits):
        return "BestEffort"
    guaranteed = all(
        set(limit) == set(COMPUTE) and limit == request
        for limit, request in zip(limits, requests, strict=True)
    )
    return "Guaranteed" if guaranteed else "Burstable"


def _compute(resources: Object) -> dict[str, Decimal]:
    amounts = {name: parse(resources[name]) for name in COMPUTE if name in resources}
    return {name: amount for name, amount in amounts.items() if amount > 0}


class ServiceStrategy(Strategy):
    """Services."""

    returns_deleted = True
    create_on_update = True

    def initial_status(self, obj: Object) -> Object:
        """No load balancer has been set up."""
        return {"loadBalancer": {}}

    def prepare_update(self, new: Object, old: Object) -> None:
        """An update that leaves the addresses out keeps them."""
        super().prepare_update(new, old)
        addresses.keep_addresses(new["spec"], old["spec"])

    def complete(self, storage: Storage, obj: Object) -> None:
        """Hand out a ClusterIP and NodePorts."""
        addresses.allocate(storage, obj)


class EndpointSliceStrategy(Strategy):
    """EndpointSlices: their generation tells their controller what its cache has not seen yet."""

    counts_generation = True

    def is_new_generation(self, new: Object, old: Object) -> bool:
        """Everything counts but the metadata, and of that the labels."""
        labels = [obj["metadata"].get("labels") for obj in (new, old)]
        return labels[0] != labels[1] or any(
            new.get(field) != old.get(field) for field in ("addressType", "endpoints", "ports")
        )


class ClaimStrategy(Strategy):
    """PersistentVolumeClaims."""

    returns_deleted = True

    def initial_status(self, obj: Object) -> Object:
        """A new claim has no volume yet."""
        return {"phase": "Pending"}


class VolumeStrategy(Strategy):
    """PersistentVolumes."""

    returns_deleted = True

    def initial_status(self, obj: Object) -> Object:
        """A new volume waits to be looked at."""
        since = obj["metadata"]["creationTimestamp"]
        return {"phase": "Pending", "lastPhaseTransitionTime": since}


class StorageClassStrategy(Strategy):
    """StorageClasses."""

    returns_deleted = True


class NamespaceStrategy(Strategy):
    """Namespaces: they stay until the namespace controller has emptied them."""

    def prepare_create(self, obj: Object) -> None:
        """Put in the finalizer that the namespace controller takes out again."""
        super().prepare_create(obj)
        obj["spec"] = {"finalizers": ["kubernetes"]}

    def initial_status(self, obj: Object) -> Object:
        """A new namespace can be used."""
        return {"phase": "Active"}

    def prepare_update(self, new: Object, old: Object) -> None:
        """The spec's finalizers change through the subresource finalize only."""
        super().prepare_update(new, old)
        new["spec"] = old["spec"]

    def may_go(self, obj: Object) -> bool:
        """A namespace has two lists of finalizers."""
        return super().may_go(obj) and not obj["spec"].get("finalizers")


class NodeStrategy(Strategy):
    """Nodes: the kubelet that registers one sends its status along."""

    def prepare_create(self, obj: Object) -> None:
        """Keep the status."""
        obj.setdefault("status", {})


class AccountStrategy(Strategy):
    """Service accounts."""

    returns_deleted = True


class UpsertStrategy(Strategy):
    """Resources that a PUT creates when they do not exist."""

    create_on_update = True


class LeaseStrategy(UpsertStrategy):
    """Leases: two holders must not overwrite each other unknowingly."""

    unconditional_update = False


STRATEGIES: dict[str, type[Strategy]] = {
    "pods": PodStrategy,
    "services": ServiceStrategy,
    "endpointslices.discovery.k8s.io": EndpointSliceStrategy,
    "namespaces": NamespaceStrategy,
    "persistentvolumeclaims": ClaimStrategy,
    "persistentvolumes": VolumeStrategy,
    "storageclasses.storage.k8s.io": StorageClassStrategy,
    "nodes": NodeStrategy,
    "serviceaccounts": AccountStrategy,
    "endpoints": UpsertStrategy,
    "events": UpsertStrategy,
    "events.events.k8s.io": UpsertStrategy,
    "leases.coordination.k8s.io": LeaseStrategy,
    "roles.rbac.authorization.k8s.io": UpsertStrategy,
    "rolebindings.rbac.authorization.k8s.io": UpsertStrategy,
    "clusterroles.rbac.authorization.k8s.io": UpsertStrategy,
    "clusterrolebindings.rbac.authorization.k8s.io": UpsertStrategy,
}


def begin_deletion(metadata: Object, moment: datetime, grace: int) -> None:
    """Mark an object as being deleted; that, too, is a new generation."""
    metadata["deletionTimestamp"] = timestamp(moment)
    metadata["deletionGracePeriodSeconds"] = grace
    if "generation" in metadata:
        metadata["generation"] += 1
