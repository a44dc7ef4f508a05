"""Rules of HorizontalPodAutoscalers, in both versions."""

from collections.abc import Iterator
from typing import Any

from kubesim.apimachinery.quantity import parse
from kubesim.apiserver.patch.fields import Cause, forbidden, invalid, not_supported, required

Object = dict[str, Any]
METRICS = ("ContainerResource", "External", "Object", "Pods", "Resource")
SOURCES = {
    "ContainerResource": "containerResource",
    "External": "external",
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
}
TARGETS = ("AverageValue", "Utilization", "Value")
SELECTS = ("Disabled", "Max", "Min")
LONGEST_WINDOW, LONGEST_PERIOD = 3600, 1800


def horizontal_pod_autoscaler(autoscaler: Object) -> Iterator[Cause]:
    """A target, a sensible range, and metrics that say one thing each."""
    spec = autoscaler["spec"]
    least, most = spec.get("minReplicas", 1), spec.get("maxReplicas", 0)
    if least < 1:
        yield invalid("spec.minReplicas", least, "must be greater than or equal to 1")
    if most < 1:
        yield invalid("spec.maxReplicas", most, "must be greater than 0")
    if most < least:
        yield invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`")
    target = spec.get("scaleTargetRef") or {}
    for field in ("kind", "name"):
        if not target.get(field):
            yield required(f"spec.scaleTargetRef.{field}")
    percentage = spec.get("targetCPUUtilizationPercentage", 1)
    if percentage < 1:
        yield invalid("spec.targetCPUUtilizationPercentage", percentage, "must be greater than 0")
    for index, metric in enumerate(spec.get("metrics") or ()):
        yield from _metric(f"spec.metrics[{index}]", metric)
    for field, rules in (spec.get("behavior") or {}).items():
        yield from _rules(f"spec.behavior.{field}", rules)


def _metric(path: str, metric: Object) -> Iterator[Cause]:
    kind = metric.get("type", "")
    if not kind:
        yield required(f"{path}.type", "must specify a metric source type")
        return
    if kind not in METRICS:
        yield not_supported(f"{path}.type", kind, METRICS)
        return
    given = [field for field in SOURCES.values() if metric.get(field) is not None]
    field = SOURCES[kind]
    if field not in given:
        why = "must populate information for the given metric source"
        yield required(f"{path}.{field}", why)
    for other in given:
        if other != field:
            yield forbidden(f"{path}.{other}", "must populate the given metric source only")
    if field in given and kind in ("Resource", "ContainerResource"):
        yield from _resource_source(f"{path}.{field}", metric[field])


def _resource_source(path: str, source: Object) -> Iterator[Cause]:
    if not source.get("name"):
        yield required(f"{path}.name", "must specify a resource name")
    target = source.get("target") or {}
    kind = target.get("type", "")
    if not kind:
        yield required(f"{path}.target.type", "must specify a metric target type")
    elif kind not in TARGETS:
        choices = "must be either Utilization, Value, or AverageValue"
        yield invalid(f"{path}.target.type", kind, choices)
    utilization = target.get("averageUtilization")
    if utilization is not None and utilization < 1:
        yield invalid(f"{path}.target.averageUtilization", utilization, "must be greater than 0")
    value = target.get("averageValue")
    if value is not None and parse(value) <= 0:
        yield invalid(f"{path}.target.averageValue", value, "must be positive")
    if utilization is None and value is None:
        why = "must set either a target raw value or a target utilization"
        yield required(f"{path}.target.averageUtilization", why)
    if utilization is not None and value is not None:
        why = "may not set both a target raw value and a target utilization"
        yield forbidden(f"{path}.target.averageValue", why)


def _rules(path: str, rules: Object) -> Iterator[Cause]:
    window = rules.get("stabilizationWindowSeconds", 0) or 0
    if window < 0:
        hint = "must be greater than or equal to zero"
        yield invalid(f"{path}.stabilizationWindowSeconds", window, hint)
    if window > LONGEST_WINDOW:
        hint = f"must be less than or equal to {LONGEST_WINDOW}"
        yield invalid(f"{path}.stabilizationWindowSeconds", window, hint)
    select = rules.get("selectPolicy")
    if select is not None and select not in SELECTS:
        yield not_supported(f"{path}.selectPolicy", select, SELECTS)
    for index, policy in enumerate(rules.get("policies") or ()):
        yield from _policy(f"{path}.policies[{index}]", policy)


def _policy(path: str, policy: Object) -> Iterator[Cause]:
    if policy.get("type") not in ("Percent", "Pods"):
        yield not_supported(f"{path}.type", policy.get("type", ""), ("Percent", "Pods"))
    if policy.get("value", 0) <= 0:
        yield invalid(f"{path}.value", policy.get("value", 0), "must be greater than zero")
    period = policy.get("periodSeconds", 0)
    if period <= 0:
        yield invalid(f"{path}.periodSeconds", period, "must be greater than zero")
    if period > LONGEST_PERIOD:
        hint = f"must be less than or equal to {LONGEST_PERIOD}"
        yield invalid(f"{path}.periodSeconds", period, hint)
