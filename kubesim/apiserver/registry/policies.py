"""Strategies and defaults of budgets, quotas, limit ranges, priority classes and autoscalers."""

from collections.abc import Callable
from typing import Any

from kubesim.api.autoscaling import DEFAULT_DOWN, DEFAULT_UP, METRICS, cpu_metric
from kubesim.apimachinery.objects import annotations_of
from kubesim.apiserver.registry.strategy import Strategy

Object = dict[str, Any]
DEFAULT_UTILIZATION = 80  # percent


class BudgetStrategy(Strategy):
    """PodDisruptionBudgets: evictions ask whether the controller has seen the latest one."""

    counts_generation = True


def _default_limit_range(limits: Object) -> None:
    """A container's default limit is its maximum, its default request that limit or its minimum."""
    for item in limits.get("spec", {}).get("limits") or ():
        if item.get("type") != "Container":
            continue
        default = (item.get("max") or {}) | (item.get("default") or {})
        request = (item.get("min") or {}) | default | (item.get("defaultRequest") or {})
        for field, values in (("default", default), ("defaultRequest", request)):
            if values:
                item[field] = values


def _default_priority_class(obj: Object) -> None:
    obj.setdefault("preemptionPolicy", "PreemptLowerPriority")


def _default_autoscaler(autoscaler: Object) -> None:
    """At least one replica; without a metric, 80 % of the CPU asked for; rules as v2 has them."""
    spec = autoscaler.setdefault("spec", {})
    spec.setdefault("minReplicas", 1)
    if autoscaler["apiVersion"] == "autoscaling/v1":
        if METRICS not in annotations_of(autoscaler):
            spec.setdefault("targetCPUUtilizationPercentage", DEFAULT_UTILIZATION)
        return
    if not spec.get("metrics"):
        spec["metrics"] = [cpu_metric(DEFAULT_UTILIZATION)]
    behavior = spec.get("behavior")
    if behavior:
        up, down = behavior.setdefault("scaleUp", {}), behavior.setdefault("scaleDown", {})
        up.setdefault("stabilizationWindowSeconds", 0)
        for rules, policies in ((up, DEFAULT_UP), (down, DEFAULT_DOWN)):
            rules.setdefault("selectPolicy", "Max")
            if not rules.get("policies"):
                rules["policies"] = [dict(policy) for policy in policies]


DEFAULTS: dict[str, Callable[[Object], None]] = {
    "horizontalpodautoscalers.autoscaling": _default_autoscaler,
    "limitranges": _default_limit_range,
    "priorityclasses.scheduling.k8s.io": _default_priority_class,
}
STRATEGIES: dict[str, type[Strategy]] = {"poddisruptionbudgets.policy": BudgetStrategy}
