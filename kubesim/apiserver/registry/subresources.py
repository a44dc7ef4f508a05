"""Subresources that are something else than the object they belong to: scale, binding, eviction.

Each is a change of its object, made by the same registry.
"""

from datetime import datetime
from typing import Any

from kubesim.apimachinery.labels import selector_text
from kubesim.apimachinery.objects import timestamp
from kubesim.apiserver import errors
from kubesim.apiserver.patch import fields

Object = dict[str, Any]


def scale_of(obj: Object) -> Object:
    """Return the autoscaling/v1 Scale of a workload."""
    metadata = obj["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    scale: Object = {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {field: metadata[field] for field in kept},
        "spec": {"replicas": obj["spec"].get("replicas", 0)},
        "status": {"replicas": obj.get("status", {}).get("replicas", 0)},
    }
    if not scale["spec"]["replicas"]:
        scale["spec"] = {}
    chosen = obj["spec"].get("selector", {})
    is_map = obj["kind"] == "ReplicationController"
    selector = selector_text({"matchLabels": chosen} if is_map else chosen)
    if selector:
        scale["status"]["selector"] = selector
    return scale


def rescale(obj: Object, scale: Object) -> Object:
    """Return an object with the replicas that a Scale asks for. Raises 422."""
    spec = obj["spec"] | {"replicas": wanted_replicas(obj, scale)}
    return at_version_of(obj | {"spec": spec}, scale)


def wanted_replicas(obj: Object, scale: Object) -> int:
    """Return how many replicas a Scale asks for. Raises 422."""
    replicas: int = scale.get("spec", {}).get("replicas", 0)
    if replicas < 0:
        cause = fields.invalid("spec.replicas", replicas, "must be greater than or equal to 0")
        raise errors.invalid("Scale.autoscaling", obj["metadata"]["name"], [cause])
    return replicas


def at_version_of(obj: Object, scale: Object) -> Object:
    """Return an object that is only to be written if it is still what the Scale was made of."""
    metadata = dict(obj["metadata"])
    version = scale.get("metadata", {}).get("resourceVersion")
    if version:
        metadata["resourceVersion"] = version
    return obj | {"metadata": metadata}


def bind(pod: Object, binding: Object, now: datetime) -> Object:
    """Return a Pod bound to the node that a Binding names. Raises 409."""
    metadata = dict(pod["metadata"])
    name, target = metadata["name"], binding.get("target", {})
    if metadata.get("deletionTimestamp"):
        why = f"pod {name} is being deleted, cannot be assigned to a host"
        raise errors.conflict("pods/binding", name, why)
    if pod["spec"].get("nodeName"):
        why = f'pod {name} is already assigned to node "{pod["spec"]["nodeName"]}"'
        raise errors.conflict("pods/binding", name, why)
    annotations = metadata.get("annotations", {}) | binding["metadata"].get("annotations", {})
    if annotations:
        metadata["annotations"] = annotations
    scheduled = {
        "type": "PodScheduled",
        "status": "True",
        "lastTransitionTime": timestamp(now),
    }
    conditions = [
        condition
        for condition in pod["status"].get("conditions", ())
        if condition["type"] != "PodScheduled"
    ]
    return pod | {
        "metadata": metadata,
        "spec": pod["spec"] | {"nodeName": target["name"]},
        "status": pod["status"] | {"conditions": [*conditions, scheduled]},
    }


def check_binding(binding: Object) -> None:
    """Refuse a Binding to nothing; the real server does not say whose fault that is."""
    target, causes = binding.get("target", {}), []
    if target.get("kind", "") not in ("", "Node"):
        causes.append(fields.not_supported("target.kind", target["kind"], ("Node", "<empty>")))
    if not target.get("name"):
        causes.append(fields.required("target.name"))
    if causes:
        told = [f"{cause['field']}: {cause['message']}" for cause in causes]
        message = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
        raise errors.StatusError(500, message, reason="")


def succeeded(code: int) -> Object:
    """Return the Status of a subresource that has nothing else to say."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "code": code,
    }
