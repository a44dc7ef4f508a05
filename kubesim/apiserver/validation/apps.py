"""Validation of Deployments and ReplicaSets (pkg/apis/apps/validation)."""

from collections.abc import Iterator
from typing import Any

from kubesim.apimachinery.labels import matches
from kubesim.apiserver.patch.fields import (
    Cause,
    forbidden,
    immutable,
    invalid,
    not_supported,
    required,
)
from kubesim.apiserver.validation import names
from kubesim.apiserver.validation.containers import not_negative
from kubesim.apiserver.validation.metadata import annotations, each, labels, selector
from kubesim.apiserver.validation.pods import pod_spec

Object = dict[str, Any]
STRATEGIES = ("Recreate", "RollingUpdate")


def deployment(obj: Object) -> Iterator[Cause]:
    """Check a Deployment's spec."""
    spec = obj["spec"]
    yield from not_negative(spec["replicas"], "spec.replicas")
    yield from _selector_and_template(spec, "deployment", "Deployment")
    yield from _strategy(spec["strategy"], "spec.strategy")
    ready_after = spec.get("minReadySeconds", 0)
    yield from not_negative(ready_after, "spec.minReadySeconds")
    yield from not_negative(spec["revisionHistoryLimit"], "spec.revisionHistoryLimit")
    deadline = spec["progressDeadlineSeconds"]
    yield from not_negative(deadline, "spec.progressDeadlineSeconds")
    if deadline <= ready_after:
        why = "must be greater than minReadySeconds"
        yield invalid("spec.progressDeadlineSeconds", deadline, why)


def replica_set(obj: Object) -> Iterator[Cause]:
    """Check a ReplicaSet's spec."""
    spec = obj["spec"]
    yield from not_negative(spec["replicas"], "spec.replicas")
    yield from not_negative(spec.get("minReadySeconds", 0), "spec.minReadySeconds")
    yield from _selector_and_template(spec, "deployment", "ReplicaSet")


def selector_update(new: Object, old: Object) -> Iterator[Cause]:
    """Check that the selector, which says whose Pods are whose, stays as it was created."""
    yield from immutable("spec.selector", new["spec"].get("selector"), old["spec"]["selector"])


def _selector_and_template(spec: Object, told: str, kind: str) -> Iterator[Cause]:
    chosen, template = spec.get("selector"), spec["template"]
    yield from _selector(chosen, told)
    metadata = template["metadata"]
    if (
        chosen
        and not list(selector(chosen, ""))
        and not matches(chosen, metadata.get("labels", {}))
    ):
        why = "`selector` does not match template `labels`"
        yield invalid("spec.template.metadata.labels", metadata.get("labels"), why)
    yield from labels(metadata.get("labels", {}), "spec.template.metadata.labels")
    yield from annotations(metadata.get("annotations", {}), "spec.template.metadata.annotations")
    yield from pod_spec(template["spec"], "spec.template.spec")
    if template["spec"]["restartPolicy"] in ("OnFailure", "Never"):
        policy = template["spec"]["restartPolicy"]
        yield not_supported("spec.template.spec.restartPolicy", policy, ("Always",))
    if "activeDeadlineSeconds" in template["spec"]:
        why = f"activeDeadlineSeconds in {kind} is not Supported"
        yield forbidden("spec.template.spec.activeDeadlineSeconds", why)


def _selector(chosen: Object | None, told: str) -> Iterator[Cause]:
    if chosen is None:
        yield required("spec.selector")
    elif not chosen.get("matchLabels") and not chosen.get("matchExpressions"):
        yield invalid("spec.selector", chosen, f"empty selector is invalid for {told}")
    else:
        problems = list(selector(chosen, "spec.selector"))
        yield from problems
        if problems:
            yield invalid("spec.selector", chosen, "invalid label selector")


def _strategy(strategy: Object, path: str) -> Iterator[Cause]:
    kind, rolling = strategy["type"], strategy.get("rollingUpdate")
    if kind not in STRATEGIES:
        yield not_supported(path, kind, STRATEGIES)
    elif kind == "Recreate" and rolling is not None:
        why = "may not be specified when strategy `type` is 'Recreate'"
        yield forbidden(f"{path}.rollingUpdate", why)
    elif kind == "RollingUpdate":
        yield from _rolling_update(rolling or {}, f"{path}.rollingUpdate")


def _rolling_update(rolling: Object, path: str) -> Iterator[Cause]:
    surge, unavailable = rolling["maxSurge"], rolling["maxUnavailable"]
    yield from _count_or_percent(unavailable, f"{path}.maxUnavailable")
    yield from _count_or_percent(surge, f"{path}.maxSurge")
    if surge in (0, "0%") and unavailable in (0, "0%"):
        why = "may not be 0 when `maxSurge` is 0"
        yield invalid(f"{path}.maxUnavailable", unavailable, why)
    if (
        isinstance(unavailable, str)
        and unavailable[:-1].isdecimal()
        and int(unavailable[:-1]) > 100
    ):
        yield invalid(f"{path}.maxUnavailable", unavailable, "must not be greater than 100%")


def _count_or_percent(value: int | str, path: str) -> Iterator[Cause]:
    if isinstance(value, int):
        yield from not_negative(value, path)
    else:
        yield from each(path, value, names.percent(value))
