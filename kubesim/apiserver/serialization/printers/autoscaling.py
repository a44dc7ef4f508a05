"""Columns of autoscalers and of the metrics that they read."""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import ROUND_CEILING, Decimal

from kubesim.api.autoscaling import cpu_metric
from kubesim.apimachinery.quantity import parse
from kubesim.apiserver.serialization.printers.column import (
    AGE,
    NAME,
    UNKNOWN,
    Column,
    Object,
    Printer,
    field,
)

UNSET = "<unset>"
MAX_METRICS = 2
MIB = 1024 * 1024
SOURCES = {"Resource": "resource", "ContainerResource": "containerResource"}


def _reference(autoscaler: Object, _now: datetime) -> str:
    target = autoscaler["spec"].get("scaleTargetRef") or {}
    return f"{target.get('kind', '')}/{target.get('name', '')}"


def _targets(autoscaler: Object, _now: datetime) -> str:
    """What each metric is, of what it should be."""
    spec, status = autoscaler["spec"], autoscaler.get("status") or {}
    metrics = list(spec.get("metrics") or ())
    current = list(status.get("currentMetrics") or ())
    if "targetCPUUtilizationPercentage" in spec:
        metrics.insert(0, cpu_metric(spec["targetCPUUtilizationPercentage"]))
        now = {"averageUtilization": status.get("currentCPUUtilizationPercentage")}
        current.insert(0, {"type": "Resource", "resource": {"name": "cpu", "current": now}})
    told = [
        _target(metric, current[index] if index < len(current) else {})
        for index, metric in enumerate(metrics)
    ]
    more = f" + {len(told) - MAX_METRICS} more..." if len(told) > MAX_METRICS else ""
    return ", ".join(told[:MAX_METRICS]) + more if told else "<none>"


def _target(metric: Object, current: Object) -> str:
    kind = metric["type"]
    if kind not in SOURCES:
        return f"{UNKNOWN}/{UNSET}"
    source = metric[SOURCES[kind]]
    value = (current.get(SOURCES[kind]) or {}).get("current") or {}
    target = source["target"]
    if target.get("averageUtilization") is not None:
        now = value.get("averageUtilization")
        shown = UNKNOWN if now is None else f"{now}%"
        return f"{source['name']}: {shown}/{target['averageUtilization']}%"
    return f"{source['name']}: {value.get('averageValue', UNKNOWN)}/{target['averageValue']}"


def _least(autoscaler: Object, _now: datetime) -> str:
    return str(autoscaler["spec"].get("minReplicas", UNSET))


def _total(name: str, spelled: Callable[[Decimal], str]) -> Printer:
    def cell(metrics: Object, _now: datetime) -> str:
        parts = metrics.get("containers") or [metrics]
        return spelled(sum((parse(each["usage"][name]) for each in parts), Decimal(0)))

    return cell


def _milli(amount: Decimal) -> str:
    return f"{int((amount * 1000).to_integral_value(ROUND_CEILING))}m"


def _mebi(amount: Decimal) -> str:
    return f"{int(amount) // MIB}Mi"


_MEASURED = (
    NAME,
    Column("CPU", _total("cpu", _milli)),
    Column("Memory", _total("memory", _mebi)),
    Column("Window", field("window")),
)
COLUMNS: dict[str, Sequence[Column]] = {
    "horizontalpodautoscalers.autoscaling": (
        NAME,
        Column("Reference", _reference),
        Column("Targets", _targets),
        Column("MinPods", _least),
        Column("MaxPods", field("spec", "maxReplicas")),
        Column("Replicas", field("status", "currentReplicas", default=0)),
        AGE,
    ),
    "nodes.metrics.k8s.io": _MEASURED,
    "pods.metrics.k8s.io": _MEASURED,
}
