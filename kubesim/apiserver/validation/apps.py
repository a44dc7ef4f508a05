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
from kubesim.apiserver.validation.metadata import each, selector
from kubesim.apiserver.validation.pods import pod_template_spec, template_metadata

Object = dict[str, Any]
STRATEGIES = ("Recreate", "RollingUpdate")
DAEMON_STRATEGIES = ("RollingUpdate", "OnDelete")
MANAGEMENT_POLICIES = ("OrderedReady", "Parallel")
RETENTIONS = ("Retain", "Delete")
STATEFUL_CHANGES = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)
STATEFUL_FROZEN = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
    "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
    "'minReadySeconds' are forbidden"
)


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


def daemon_set(obj: Object) -> Iterator[Cause]:
    """Check a DaemonSet's spec; one without a selector selects nothing, not even its own Pods."""
    spec = obj["spec"]
    if "selector" in spec:
        yield from _selector(spec["selector"], "daemonset")
    yield from _template(spec["template"], spec.get("selector"), "DaemonSet")
    yield from not_negative(spec.get("minReadySeconds", 0), "spec.minReadySeconds")
    yield from _daemon_strategy(spec["updateStrategy"], "spec.updateStrategy")
    yield from not_negative(spec["revisionHistoryLimit"], "spec.revisionHistoryLimit")


def stateful_set(obj: Object) -> Iterator[Cause]:
    """Check a StatefulSet's spec."""
    spec = obj["spec"]
    policy = spec["podManagementPolicy"]
    if policy not in MANAGEMENT_POLICIES:
        yield invalid("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'")
    yield from _stateful_strategy(spec["updateStrategy"], "spec.updateStrategy")
    for field, value in spec["persistentVolumeClaimRetentionPolicy"].items():
        if value not in RETENTIONS:
            path = f"spec.persistentVolumeClaimRetentionPolicy.{field}"
            yield not_supported(path, value, RETENTIONS)
    yield from not_negative(spec["replicas"], "spec.replicas")
    yield from not_negative(spec.get("minReadySeconds", 0), "spec.minReadySeconds")
    start = spec.get("ordinals", {}).get("start", 0)
    yield from not_negative(start, "spec.ordinals.start")
    yield from not_negative(spec["revisionHistoryLimit"], "spec.revisionHistoryLimit")
    yield from _selector_and_template(spec, "statefulset", "StatefulSet")


def stateful_set_update(new: Object, old: Object) -> Iterator[Cause]:
    """Check that what the Pods and claims depend on stays as it was created."""
    after, before = (
        {name: value for name, value in obj["spec"].items() if name not in STATEFUL_CHANGES}
        for obj in (new, old)
    )
    if after != before:
        yield forbidden("spec", STATEFUL_FROZEN)


def _stateful_strategy(strategy: Object, path: str) -> Iterator[Cause]:
    kind, rolling = strategy["type"], strategy.get("rollingUpdate")
    if kind not in DAEMON_STRATEGIES:
        yield invalid(path, strategy, "must be 'RollingUpdate' or 'OnDelete'")
    elif kind == "OnDelete" and rolling is not None:
        why = "only allowed for updateStrategy 'RollingUpdate'"
        yield invalid(f"{path}.rollingUpdate", rolling, why)
    elif rolling is not None:
        yield from not_negative(rolling["partition"], f"{path}.rollingUpdate.partition")
        if "maxUnavailable" in rolling:
            yield from _at_least_one(rolling["maxUnavailable"], f"{path}.rollingUpdate")


def _at_least_one(value: int | str, path: str) -> Iterator[Cause]:
    yield from _at_most_all(value, f"{path}.maxUnavailable")
    if value in (0, "0%"):
        yield invalid(f"{path}.maxUnavailable", value, "cannot be 0")


def controller_revision(obj: Object) -> Iterator[Cause]:
    """Check a ControllerRevision."""
    if obj.get("data") is None:
        yield required("data", "data is mandatory")
    yield from not_negative(obj["revision"], "revision")


def controller_revision_update(new: Object, old: Object) -> Iterator[Cause]:
    """Check that a ControllerRevision's data, once written, stays."""
    yield from immutable("data", new.get("data"), old.get("data"))


def selector_update(new: Object, old: Object) -> Iterator[Cause]:
    """Check that the selector, which says whose Pods are whose, stays as it was created."""
    yield from immutable("spec.selector", new["spec"].get("selector"), old["spec"]["selector"])


def replication_controller(obj: Object) -> Iterator[Cause]:
    """Check a ReplicationController's spec."""
    spec = obj["spec"]
    yield from not_negative(spec.get("minReadySeconds", 0), "spec.minReadySeconds")
    chosen, template = spec.get("selector"), spec.get("template")
    if not chosen:
        yield required("spec.selector")
    yield from not_negative(spec["replicas"], "spec.replicas")
    if template is None:
        yield required("spec.template")
    else:
        wanted = {"matchLabels": chosen} if chosen else {}
        yield from _template(template, wanted, "ReplicationController")


def pod_template(obj: Object) -> Iterator[Cause]:
    """Check a PodTemplate."""
    yield from pod_template_spec(obj["template"], "template")


def _selector_and_template(spec: Object, told: str, kind: str) -> Iterator[Cause]:
    chosen = spec.get("selector")
    yield from _selector(chosen, told)
    yield from _template(spec["template"], chosen, kind)


def _template(template: Object, chosen: Object | None, kind: str) -> Iterator[Cause]:
    """Check the template of Pods that run for ever, and that their owner selects them."""
    given, path = template["metadata"].get("labels", {}), "spec.template"
    if chosen != {} and not list(selector(chosen or {}, "")) and not matches(chosen, given):
        why = "`selector` does not match template `labels`"
        yield invalid(f"{path}.metadata.labels", given or None, why)
    if kind == "StatefulSet":  # the spec is not looked at: its volumes may come from claims
        yield from template_metadata(template, path)
    else:
        yield from pod_template_spec(template, path)
    policy = template["spec"]["restartPolicy"]
    if policy in ("OnFailure", "Never"):
        yield not_supported(f"{path}.spec.restartPolicy", policy, ("Always",))
    if "activeDeadlineSeconds" in template["spec"]:
        meant = "ReplicaSet" if kind == "Deployment" else kind  # who will make the Pods
        why = f"activeDeadlineSeconds in {meant} is not Supported"
        yield forbidden(f"{path}.spec.activeDeadlineSeconds", why)


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
        yield not_supported(path, strategy, STRATEGIES)
    elif kind == "Recreate" and rolling is not None:
        why = "may not be specified when strategy `type` is 'Recreate'"
        yield forbidden(f"{path}.rollingUpdate", why)
    elif kind == "RollingUpdate":
        yield from _rolling_update(rolling or {}, f"{path}.rollingUpdate")


def _rolling_update(rolling: Object, path: str) -> Iterator[Cause]:
    surge, unavailable = rolling["maxSurge"], rolling["maxUnavailable"]
    yield from _at_most_all(unavailable, f"{path}.maxUnavailable")
    yield from _count_or_percent(surge, f"{path}.maxSurge")
    if surge in (0, "0%") and unavailable in (0, "0%"):
        why = "may not be 0 when `maxSurge` is 0"
        yield invalid(f"{path}.maxUnavailable", unavailable, why)


def _daemon_strategy(strategy: Object, path: str) -> Iterator[Cause]:
    kind, rolling = strategy["type"], strategy.get("rollingUpdate")
    if kind == "RollingUpdate" and rolling is not None:
        yield from _daemon_rolling_update(rolling, f"{path}.rollingUpdate")
    elif kind not in DAEMON_STRATEGIES:
        yield not_supported(path, strategy, DAEMON_STRATEGIES)


def _daemon_rolling_update(rolling: Object, path: str) -> Iterator[Cause]:
    surge, unavailable = rolling["maxSurge"], rolling["maxUnavailable"]
    yield from _at_most_all(unavailable, f"{path}.maxUnavailable")
    yield from _at_most_all(surge, f"{path}.maxSurge")
    surges, replaces = surge not in (0, "0%"), unavailable not in (0, "0%")
    if surges and replaces:
        yield invalid(f"{path}.maxSurge", surge, "may not be set when maxUnavailable is non-zero")
    elif not surges and not replaces:
        yield required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0")


def _at_most_all(value: int | str, path: str) -> Iterator[Cause]:
    """Check a number or percentage of Pods that cannot be more than all."""
    yield from _count_or_percent(value, path)
    if isinstance(value, str) and value[:-1].isdecimal() and int(value[:-1]) > 100:
        yield invalid(path, value, "must not be greater than 100%")


def _count_or_percent(value: int | str, path: str) -> Iterator[Cause]:
    if isinstance(value, int):
        yield from not_negative(value, path)
    else:
        yield from each(path, value, names.percent(value))
