"""HorizontalPodAutoscalers in two versions: v2, which is stored, and v1, which knows CPU only.

What v1 has no field for, it carries in annotations (pkg/apis/autoscaling/v1/conversion.go).
"""

import json
from typing import Any

from kubesim.api.resources import Resource

Object = dict[str, Any]
PREFIX = "autoscaling.alpha.kubernetes.io/"
METRICS, CURRENT, CONDITIONS, BEHAVIOR = (
    f"{PREFIX}{name}" for name in ("metrics", "current-metrics", "conditions", "behavior")
)

DEFAULT_UP: tuple[Object, ...] = (
    {"type": "Pods", "value": 4, "periodSeconds": 15},
    {"type": "Percent", "value": 100, "periodSeconds": 15},
)
DEFAULT_DOWN: tuple[Object, ...] = ({"type": "Percent", "value": 100, "periodSeconds": 15},)


class HorizontalPodAutoscalerV1(Resource):
    """autoscaling/v1: the same objects, seen through one CPU percentage."""

    def from_storage(self, obj: Object) -> Object:
        """Return a stored object as v1 shows it."""
        spec, status = dict(obj["spec"]), dict(obj.get("status") or {})
        carried: dict[str, Any] = {}
        cpu, others = _split(spec.pop("metrics", None) or [])
        if cpu is not None:
            spec["targetCPUUtilizationPercentage"] = cpu["resource"]["target"]["averageUtilization"]
        carried[METRICS] = others
        carried[BEHAVIOR] = spec.pop("behavior", None)
        current, other_current = _split(status.pop("currentMetrics", None) or [])
        if current is not None:
            utilization = current["resource"]["current"].get("averageUtilization")
            status["currentCPUUtilizationPercentage"] = utilization
        carried[CURRENT] = other_current
        carried[CONDITIONS] = status.pop("conditions", None)
        notes = {key: json.dumps(value) for key, value in carried.items() if value}
        metadata = dict(obj["metadata"])
        if notes:
            metadata["annotations"] = (metadata.get("annotations") or {}) | notes
        head = {"kind": self.kind, "apiVersion": self.api_version, "metadata": metadata}
        return head | {"spec": spec, "status": status}

    def to_storage(self, obj: Object) -> Object:
        """Return a v1 object as it is stored."""
        spec, status = dict(obj["spec"]), dict(obj.get("status") or {})
        metadata = dict(obj["metadata"])
        notes = dict(metadata.get("annotations") or {})
        metrics = json.loads(notes.pop(METRICS, "[]"))
        percentage = spec.pop("targetCPUUtilizationPercentage", None)
        if percentage is not None:
            metrics.insert(0, cpu_metric(percentage))
        if metrics:
            spec["metrics"] = metrics
        if BEHAVIOR in notes:
            spec["behavior"] = json.loads(notes.pop(BEHAVIOR))
        current = json.loads(notes.pop(CURRENT, "[]"))
        utilization = status.pop("currentCPUUtilizationPercentage", None)
        if utilization is not None:
            now = {"averageUtilization": utilization}
            current.insert(0, {"type": "Resource", "resource": {"name": "cpu", "current": now}})
        if current:
            status["currentMetrics"] = current
        if CONDITIONS in notes:
            status["conditions"] = json.loads(notes.pop(CONDITIONS))
        metadata.pop("annotations", None)
        if notes:
            metadata["annotations"] = notes
        head = {"kind": self.kind, "apiVersion": "autoscaling/v2", "metadata": metadata}
        return head | {"spec": spec, "status": status}


def cpu_metric(percentage: int) -> Object:
    """Return the v2 metric for an average CPU utilization."""
    target = {"type": "Utilization", "averageUtilization": percentage}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


def _split(metrics: list[Object]) -> tuple[Object | None, list[Object]]:
    """Return the CPU utilization, and all other metrics."""
    for index, metric in enumerate(metrics):
        resource = metric.get("resource") or {}
        aim = resource.get("target") or resource.get("current") or {}
        if resource.get("name") == "cpu" and aim.get("averageUtilization") is not None:
            return metric, metrics[:index] + metrics[index + 1 :]
    return None, metrics
