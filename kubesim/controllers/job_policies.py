"""What a Job's Pods that ended mean for it: back-off, failure policy, success policy.

Pure functions; `pkg/controller/job` (`backoff_utils.go`, `pod_failure_policy.go`,
`success_policy.go`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from kubesim.apimachinery.objects import (
    Object,
    annotations_of,
    condition,
    is_being_deleted,
    key,
    parse_time,
)
from kubesim.controllers.job_indexes import parse

FIRST_BACKOFF = timedelta(seconds=10)
LONGEST_BACKOFF = timedelta(minutes=10)  # 6 minutes up to Kubernetes 1.25
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED_FAILURES = "batch.kubernetes.io/job-index-ignored-failure-count"


def has_failed(pod: Object, job: Object) -> bool:
    """Whether a Pod counts as failed: also while it is deleted, unless only real failures count."""
    if pod["status"].get("phase") == "Failed":
        return True
    if only_replaces_failed(job):
        return False
    return is_being_deleted(pod) and not has_succeeded(pod)


def has_succeeded(pod: Object) -> bool:
    """Whether all containers of a Pod ended well."""
    return bool(pod["status"].get("phase") == "Succeeded")


def only_replaces_failed(job: Object) -> bool:
    """Whether a Pod is replaced only when it has really ended, not as soon as it is deleted."""
    spec = job["spec"]
    return spec.get("podReplacementPolicy") == "Failed" or "podFailurePolicy" in spec


# Back-off


@dataclass(frozen=True)
class Backoff:
    """The failures in a row, and when the last one was."""

    failures: int = 0
    last: datetime | None = None

    def after(self, succeeded: Sequence[Object], failed: Sequence[Object]) -> "Backoff":
        """The same after some more Pods have ended: a success begins the count anew."""
        if not succeeded and not failed:
            return self
        last_success = max(map(finished_at, succeeded), default=None)
        counted = [finished_at(pod) for pod in failed]
        if last_success is None:
            return Backoff(self.failures + len(counted), max(counted))
        later = [moment for moment in counted if moment > last_success]
        return Backoff(len(later), max(later, default=None))

    def remaining(self, now: datetime) -> float:
        """How many seconds to wait before the next Pod."""
        if not self.failures or self.last is None:
            return 0.0
        doublings = min(self.failures - 1, 10)
        delay: timedelta = min(FIRST_BACKOFF * 2**doublings, LONGEST_BACKOFF)
        return max(0.0, (self.last + delay - now).total_seconds())


def index_backoff(pod: Object) -> Backoff:
    """The back-off of one index, whose last failed Pod this is."""
    failures = failures_of(pod) + _number(pod, IGNORED_FAILURES) + 1
    return Backoff(failures, finished_at(pod))


def finished_at(pod: Object) -> datetime:
    """When a Pod ended, as well as one can tell."""
    states = [each.get("state") or {} for each in pod["status"].get("containerStatuses") or ()]
    ends = [(state.get("terminated") or {}).get("finishedAt") for state in states]
    known = [parse_time(end) for end in ends if end]
    if known and len(known) == len(ends):
        return max(known)
    ready = condition(pod, "Ready")
    if ready and ready["status"] == "False" and ready.get("lastTransitionTime"):
        return parse_time(ready["lastTransitionTime"])
    meta = pod["metadata"]
    if is_being_deleted(pod):
        grace = timedelta(seconds=meta.get("deletionGracePeriodSeconds") or 0)
        return parse_time(meta["deletionTimestamp"]) - grace
    return parse_time(meta["creationTimestamp"])


def restarts_exceed(job: Object, pods: Iterable[Object]) -> bool:
    """Whether containers that are restarted in their Pods have used up the Job's back-off limit."""
    if job["spec"]["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    restarts = sum(
        status.get("restartCount", 0)
        for pod in pods
        if pod["status"].get("phase") in ("Pending", "Running")
        for field in ("initContainerStatuses", "containerStatuses")
        for status in pod["status"].get(field) or ()
    )
    limit = job["spec"]["backoffLimit"]
    return bool(restarts >= max(limit, 1))


# Failures by index


def failures_of(pod: Object) -> int:
    """How many Pods of the same index had failed before this one."""
    return _number(pod, FAILURES)


def _number(pod: Object, annotation: str) -> int:
    text = annotations_of(pod).get(annotation, "")
    return int(text) if text.isdecimal() else 0


def failure_counts(job: Object, replaced: Object | None) -> dict[str, str]:
    """The annotations of an index's next Pod, which count the failures before it."""
    failures, ignored = 0, 0
    if replaced is not None:
        counts = judge(job, replaced).counts
        failures = failures_of(replaced) + counts
        ignored = _number(replaced, IGNORED_FAILURES) + (not counts)
    return {FAILURES: str(failures), **({IGNORED_FAILURES: str(ignored)} if ignored else {})}


def index_has_failed(job: Object, pod: Object) -> bool:
    """Whether a failed Pod was the last try of its index."""
    if judge(job, pod).action == "FailIndex":
        return True
    return bool(failures_of(pod) >= job["spec"]["backoffLimitPerIndex"])


# Pod failure policy


@dataclass(frozen=True)
class Verdict:
    """What a Job's failure policy says of one failed Pod."""

    action: str = ""
    message: str = ""

    @property
    def counts(self) -> bool:
        """Whether the failure counts against the back-off limit."""
        return self.action != "Ignore"


def judge(job: Object, pod: Object) -> Verdict:
    """Apply the first rule that matches."""
    rules = (job["spec"].get("podFailurePolicy") or {}).get("rules") or ()
    for number, rule in enumerate(rules):
        why = _matches(rule, pod)
        if why:
            message = f"{why} matching {rule['action']} rule at index {number}"
            return Verdict(rule["action"], message)
    return Verdict()


def _matches(rule: Object, pod: Object) -> str:
    """What about a Pod a rule matches, in the words of the Job's condition."""
    if "onExitCodes" in rule:
        for field in ("containerStatuses", "initContainerStatuses"):
            for status in pod["status"].get(field) or ():
                code = ((status.get("state") or {}).get("terminated") or {}).get("exitCode", 0)
                name = status["name"]
                if code and _has_code(rule["onExitCodes"], name, code):
                    return f"Container {name} for pod {key(pod)} failed with exit code {code}"
    for found in pod["status"].get("conditions") or ():
        for pattern in rule.get("onPodConditions") or ():
            if (found["type"], found["status"]) == (pattern["type"], pattern["status"]):
                return f"Pod {key(pod)} has condition {found['type']}"
    return ""


def _has_code(requirement: Object, container: str, code: int) -> bool:
    if requirement.get("containerName", container) != container:
        return False
    return bool((code in requirement["values"]) == (requirement["operator"] == "In"))


def failing_message(job: Object, pods: Iterable[Object]) -> str:
    """Why a failed Pod fails the whole Job at once; empty when none does."""
    for pod in pods:
        if "podFailurePolicy" in job["spec"] and has_failed(pod, job):
            verdict = judge(job, pod)
            if verdict.action == "FailJob":
                return verdict.message
    return ""


# Success policy


def success_message(job: Object, succeeded: set[int]) -> str:
    """Which rule makes the succeeded indexes enough; empty when none does."""
    spec = job["spec"]
    for number, rule in enumerate((spec.get("successPolicy") or {}).get("rules") or ()):
        of_rule, needed = succeeded, rule.get("succeededCount")
        if "succeededIndexes" in rule:
            named = parse(rule["succeededIndexes"], spec["completions"])
            of_rule = succeeded & named
            needed = len(named) if needed is None else min(needed, len(named))
        if needed and len(of_rule) >= needed:
            return f"Matched rules at index {number}"
    return ""
