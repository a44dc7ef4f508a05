"""Rules of budgets, quotas, limit ranges and priority classes."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from kubesim.apimachinery.quantity import parse
from kubesim.apiserver.patch.fields import (
    Cause,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from kubesim.apiserver.validation import names
from kubesim.apiserver.validation.metadata import each, selector

Object = dict[str, Any]
POLICIES = ("AlwaysAllow", "IfHealthyBudget")
SCOPES = (
    *("Terminating", "NotTerminating", "BestEffort", "NotBestEffort", "PriorityClass"),
    *("CrossNamespacePodAffinity", "VolumeAttributesClass"),
)
OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")
HIGHEST_USER_PRIORITY = 1_000_000_000
SYSTEM_PREFIX = "system-"
SYSTEM_CLASSES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
PREEMPTION = ("Never", "PreemptLowerPriority")
STANDARD = ("cpu", "memory", "ephemeral-storage", "storage")
COUNTED = (
    *("pods", "services", "replicationcontrollers", "resourcequotas", "secrets", "configmaps"),
    *("persistentvolumeclaims", "services.nodeports", "services.loadbalancers"),
)


def disruption_budget(budget: Object) -> Iterator[Cause]:
    """A budget says one of two numbers, and of which Pods."""
    spec = budget["spec"]
    if "minAvailable" in spec and "maxUnavailable" in spec:
        both = {"minAvailable": spec["minAvailable"], "maxUnavailable": spec["maxUnavailable"]}
        yield invalid("spec", both, "minAvailable and maxUnavailable cannot be both set")
    for field in ("minAvailable", "maxUnavailable"):
        if field in spec:
            yield from _int_or_percent(f"spec.{field}", spec[field])
    if spec.get("selector") is not None:
        yield from selector(spec["selector"], "spec.selector")
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None and policy not in POLICIES:
        yield not_supported("spec.unhealthyPodEvictionPolicy", policy, POLICIES)


def _int_or_percent(path: str, value: int | str) -> Iterator[Cause]:
    if isinstance(value, int):
        if value < 0:
            yield invalid(path, value, "must be greater than or equal to 0")
    elif problems := [*names.percent(value)]:
        yield from each(path, value, problems)
    elif int(value[:-1]) > 100:
        yield invalid(path, value, "must not be greater than 100%")


def resource_quota(quota: Object) -> Iterator[Cause]:
    """A quota names known resources and not negative amounts, within compatible scopes."""
    spec = quota.get("spec", {})
    for name, text in sorted((spec.get("hard") or {}).items()):
        path = f"spec.hard[{name}]"
        yield from _quota_name(path, name)
        if parse(text) < 0:
            yield invalid(path, text, "must be greater than or equal to 0")
    yield from _scopes("spec.scopes", spec.get("scopes") or [])
    scoped = (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    for index, expression in enumerate(scoped):
        yield from _scope_expression(f"spec.scopeSelector.matchExpressions[{index}]", expression)


def _quota_name(path: str, name: str) -> Iterator[Cause]:
    if "/" in name:
        for fault in names.qualified_name(name):
            yield invalid(path, name, fault)
        return
    bare = re.sub(r"^(requests|limits)\.", "", name)
    if bare not in STANDARD and name not in COUNTED and not bare.startswith("hugepages-"):
        yield invalid(path, name, "must be a standard resource for quota")


def _scopes(path: str, scopes: list[str]) -> Iterator[Cause]:
    for scope in scopes:
        if scope not in SCOPES:
            yield invalid(path, scope, "unsupported scope")
    for pair in (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating")):
        if set(pair) <= set(scopes):
            yield invalid(path, scopes, "conflicting scopes")


def _scope_expression(path: str, expression: Object) -> Iterator[Cause]:
    if expression.get("scopeName") not in SCOPES:
        yield invalid(f"{path}.scopeName", expression.get("scopeName", ""), "unsupported scope")
    operator, values = expression.get("operator", ""), expression.get("values") or []
    if operator not in OPERATORS:
        yield invalid(f"{path}.operator", operator, "not a valid selector operator")
    elif operator in ("In", "NotIn") and not values:
        hint = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
        yield required(f"{path}.values", hint)
    elif operator in ("Exists", "DoesNotExist") and values:
        hint = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
        yield invalid(f"{path}.values", values, hint)


def resource_quota_update(new: Object, old: Object) -> Iterator[Cause]:
    """A quota's scopes stay."""
    if new["spec"].get("scopes") != old["spec"].get("scopes"):
        yield invalid("spec.scopes", new["spec"].get("scopes"), "field is immutable")


def limit_range(limits: Object) -> Iterator[Cause]:
    """Each type once; a minimum is not above the defaults, nor those above the maximum."""
    seen = set()
    for index, item in enumerate(limits.get("spec", {}).get("limits") or ()):
        path = f"spec.limits[{index}]"
        if item.get("type") in seen:
            yield duplicate(f"{path}.type", item["type"])
        seen.add(item.get("type"))
        yield from _limit_item(path, item)


def _limit_item(path: str, item: Object) -> Iterator[Cause]:
    if item["type"] == "Pod":
        for field in ("default", "defaultRequest"):
            if item.get(field):
                yield forbidden(f"{path}.{field}", "may not be specified when `type` is 'Pod'")
    if item["type"] == "PersistentVolumeClaim":
        stated = {name for field in ("min", "max") for name in item.get(field) or ()}
        if "storage" not in stated:
            hint = "either minimum or maximum storage value is required, but neither was provided"
            yield required(f"{path}.limits", hint)
    everything = {
        name
        for field in ("min", "max", "default", "defaultRequest")
        for name in item.get(field) or ()
    }
    for name in sorted(everything):
        yield from _ordered(path, item, name)
    yield from _ratios(path, item)


def _ordered(path: str, item: Object, name: str) -> Iterator[Cause]:
    """Min <= defaultRequest <= default <= max."""
    spoken = {"min": "min value", "max": "max value", "default": "default value"}
    spoken["defaultRequest"] = "default request value"
    pairs = (
        ("min", "max"),
        ("min", "defaultRequest"),
        ("min", "default"),
        ("defaultRequest", "max"),
        ("defaultRequest", "default"),
        ("default", "max"),
    )
    for low, high in pairs:
        one, other = (item.get(low) or {}).get(name), (item.get(high) or {}).get(name)
        if one is None or other is None or parse(one) <= parse(other):
            continue
        told = f"{spoken[low]} {one} is greater than {spoken[high]} {other}"
        yield invalid(f"{path}.{low}[{name}]", one, told)


def _ratios(path: str, item: Object) -> Iterator[Cause]:
    for name, text in sorted((item.get("maxLimitRequestRatio") or {}).items()):
        where = f"{path}.maxLimitRequestRatio[{name}]"
        if parse(text) < Decimal(1):
            yield invalid(where, text, f"ratio {text} is less than 1")
        low, high = (item.get("min") or {}).get(name), (item.get("max") or {}).get(name)
        if low and high and parse(low) and parse(text) > parse(high) / parse(low):
            widest = f"{float(parse(high) / parse(low)):f}"
            yield invalid(where, text, f"ratio {text} is greater than max/min = {widest}")


def priority_class(obj: Object) -> Iterator[Cause]:
    """Values above a billion, and names that begin with system-, are the system's."""
    name, value = obj["metadata"].get("name", ""), obj["value"]
    if name.startswith(SYSTEM_PREFIX):
        if SYSTEM_CLASSES.get(name) != value:
            why = (
                "priority class names with 'system-' prefix are reserved for system use only. "
                f"error: {name} is not a known system priority class"
            )
            yield forbidden("metadata.name", why)
    elif value > HIGHEST_USER_PRIORITY:
        limit = f"maximum allowed value of a user defined priority is {HIGHEST_USER_PRIORITY}"
        yield forbidden("value", limit)
    policy = obj.get("preemptionPolicy")
    if policy is not None and policy not in PREEMPTION:
        yield not_supported("preemptionPolicy", policy, PREEMPTION)


def priority_class_update(new: Object, old: Object) -> Iterator[Cause]:
    """Value and policy stay: Pods have been given them."""
    if new["value"] != old["value"]:
        yield forbidden("value", "may not be changed in an update.")
    if new.get("preemptionPolicy") != old.get("preemptionPolicy"):
        yield invalid("preemptionPolicy", new.get("preemptionPolicy"), "field is immutable")
