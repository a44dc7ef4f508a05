"""Questions that every client of the API asks of an object in its JSON form."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]
CONFIG_MIRROR = "kubernetes.io/config.mirror"  # marks a mirror Pod


def key(obj: Mapping[str, Any]) -> str:
    """The key of an object in caches and work queues: `namespace/name`, or `name` alone."""
    meta = obj["metadata"]
    namespace = meta.get("namespace", "")
    return f"{namespace}/{meta['name']}" if namespace else str(meta["name"])


def split_key(text: str) -> tuple[str, str]:
    """The (namespace, name) of a key; the namespace of a cluster-scoped object is empty."""
    namespace, _, name = text.rpartition("/")
    return namespace, name


def uid(obj: Mapping[str, Any]) -> str:
    """The identity that outlives renames and tells an object from its namesake's successor."""
    return str(obj["metadata"].get("uid", ""))


def is_being_deleted(obj: Mapping[str, Any]) -> bool:
    """Whether a deletion was asked for and waits for finalizers or a grace period."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def labels_of(obj: Mapping[str, Any]) -> dict[str, str]:
    """The labels of an object, empty when it has none."""
    return obj["metadata"].get("labels") or {}


def annotations_of(obj: Mapping[str, Any]) -> dict[str, str]:
    """The annotations of an object, empty when it has none."""
    return obj["metadata"].get("annotations") or {}


def controller_of(obj: Mapping[str, Any]) -> Object | None:
    """The owner reference that says which controller manages this object, if any does."""
    owners = obj["metadata"].get("ownerReferences") or []
    return next((owner for owner in owners if owner.get("controller")), None)


def is_controlled_by(obj: Mapping[str, Any], owner: Mapping[str, Any]) -> bool:
    """Whether `owner`, this very object and not a namesake, manages `obj`."""
    reference = controller_of(obj)
    return reference is not None and reference["uid"] == uid(owner)


def controller_reference(owner: Mapping[str, Any]) -> Object:
    """The owner reference that makes `owner` the managing controller of another object."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": uid(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def object_reference(obj: Mapping[str, Any]) -> Object:
    """What Events and Endpoints use to point at an object (core/v1 ObjectReference)."""
    meta = obj["metadata"]
    reference = {
        "kind": obj["kind"],
        "namespace": meta.get("namespace", ""),
        "name": meta["name"],
        "uid": uid(obj),
        "apiVersion": obj["apiVersion"],
        "resourceVersion": meta.get("resourceVersion", ""),
    }
    return {name: value for name, value in reference.items() if value}


def condition(obj: Mapping[str, Any], kind: str) -> Object | None:
    """The condition of that type in an object's status, if it is there."""
    conditions = (obj.get("status") or {}).get("conditions") or []
    return next((each for each in conditions if each["type"] == kind), None)


def condition_status(obj: Mapping[str, Any], kind: str) -> str:
    """`True`, `False` or `Unknown`; an absent condition is `Unknown`, as the API says."""
    found = condition(obj, kind)
    return str(found["status"]) if found else "Unknown"


def pod_is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether a Pod may receive traffic, by its Ready condition."""
    return condition_status(pod, "Ready") == "True"


def pod_is_mirror(pod: Mapping[str, Any]) -> bool:
    """Whether a Pod of the API is the picture of a static one."""
    return CONFIG_MIRROR in annotations_of(pod)


def pod_is_finished(pod: Mapping[str, Any]) -> bool:
    """Whether a Pod has run to its end, well or badly; it will never run again."""
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


def pod_is_active(pod: Mapping[str, Any]) -> bool:
    """Whether a Pod counts for its controller: neither finished nor being deleted."""
    return not pod_is_finished(pod) and not is_being_deleted(pod)


def timestamp(moment: datetime) -> str:
    """metav1.Time: seconds, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_timestamp(moment: datetime) -> str:
    """metav1.MicroTime: microseconds, in UTC (Leases and the newer Event fields)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> datetime:
    """The moment that a metav1.Time or MicroTime names."""
    return datetime.fromisoformat(text)
