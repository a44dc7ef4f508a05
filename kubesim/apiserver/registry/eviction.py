"""Eviction: a deletion that asks the Pod's disruption budget first.

As pkg/registry/core/pod/storage/eviction.go.
"""

from datetime import datetime

from kubesim.api import resources
from kubesim.apimachinery.labels import matches
from kubesim.apimachinery.objects import Object, pod_is_finished, pod_is_ready, timestamp
from kubesim.apiserver import errors
from kubesim.apiserver.registry.storage import Storage, Stored

BUDGETS = resources.named("poddisruptionbudgets.policy")
VIOLATION = "Cannot evict pod as it would violate the pod's disruption budget."
SEVERAL = (
    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not "
    "support."
)
MAX_PENDING = 2000  # disrupted Pods that a budget remembers
RETRY_SECONDS = 10
DISRUPTED = "DisruptionTarget"


def allow(storage: Storage, pod: Object, now: datetime, dry_run: bool) -> None:
    """Take one disruption from the Pod's budget. Raises 429 when there is none, 500 for several."""
    if _needs_no_budget(pod):
        return
    budgets = _budgets_of(storage, pod)
    if len(budgets) > 1:
        raise errors.StatusError(500, SEVERAL, reason="InternalError", details={})
    for budget in budgets:
        if not _unready_and_free(budget.object, pod):
            _take(storage, budget, pod, now, dry_run)


def _needs_no_budget(pod: Object) -> bool:
    """A Pod that is over, going or not running yet is missed by nobody."""
    pending = pod.get("status", {}).get("phase") == "Pending"
    return pod_is_finished(pod) or pending or "deletionTimestamp" in pod["metadata"]


def _budgets_of(storage: Storage, pod: Object) -> list[Stored]:
    labels = pod["metadata"].get("labels") or {}
    found = storage.list(BUDGETS, pod["metadata"]["namespace"])
    return [each for each in found if matches(each.object["spec"].get("selector"), labels)]


def _unready_and_free(budget: Object, pod: Object) -> bool:
    """Whether a Pod that is not ready may go without being counted."""
    if pod_is_ready(pod):
        return False
    policy = budget["spec"].get("unhealthyPodEvictionPolicy", "IfHealthyBudget")
    status = budget.get("status") or {}
    enough = status.get("currentHealthy", 0) >= status.get("desiredHealthy", 0) > 0
    return bool(policy == "AlwaysAllow" or enough)


def _take(storage: Storage, budget: Stored, pod: Object, now: datetime, dry_run: bool) -> None:
    metadata, status = budget.object["metadata"], budget.object.get("status") or {}
    name = metadata["name"]
    if status.get("observedGeneration", 0) < metadata.get("generation", 0):
        raise _refused(f"The disruption budget {name} is still being processed by the server.")
    allowed = status.get("disruptionsAllowed", 0)
    if allowed < 0:
        raise errors.forbidden(BUDGETS.full_name, name, "pdb disruptions allowed is negative")
    if len(status.get("disruptedPods") or {}) > MAX_PENDING:
        why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise errors.forbidden(BUDGETS.full_name, name, why)
    if allowed == 0:
        healthy, needed = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
        raise _refused(
            f"The disruption budget {name} needs {needed} healthy pods and has {healthy} currently"
        )
    disrupted = (status.get("disruptedPods") or {}) | {pod["metadata"]["name"]: timestamp(now)}
    changed = status | {"disruptionsAllowed": allowed - 1, "disruptedPods": disrupted}
    if not dry_run:
        storage.update(budget, budget.object | {"status": changed})


def _refused(why: str) -> errors.StatusError:
    cause = {"reason": "DisruptionBudget", "message": why}
    details = {"causes": [cause]}
    if "still being processed" in why:
        details["retryAfterSeconds"] = RETRY_SECONDS  # type: ignore[assignment]
    return errors.StatusError(429, VIOLATION, reason="TooManyRequests", details=details)


def marked(pod: Object, now: datetime) -> Object:
    """Return a Pod with the condition that tells why it goes."""
    status = pod.get("status") or {}
    condition = {
        "type": DISRUPTED,
        "status": "True",
        "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
        "lastTransitionTime": timestamp(now),
    }
    others = [each for each in status.get("conditions") or () if each["type"] != DISRUPTED]
    return pod | {"status": status | {"conditions": [*others, condition]}}
