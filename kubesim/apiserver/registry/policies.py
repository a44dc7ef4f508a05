"""Strategies and defaults of budgets, quotas, limit ranges and priority classes."""

from collections.abc import Callable
from typing import Any

from kubesim.apiserver.registry.strategy import Strategy

Object = dict[str, Any]


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


DEFAULTS: dict[str, Callable[[Object], None]] = {
    "limitranges": _default_limit_range,
    "priorityclasses.scheduling.k8s.io": _default_priority_class,
}
STRATEGIES: dict[str, type[Strategy]] = {"poddisruptionbudgets.policy": BudgetStrategy}
