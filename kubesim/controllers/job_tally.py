"""What a Job's Pods amount to at one moment, and whether that ends the Job.

Pure functions (the `syncJobCtx` of `pkg/controller/job/job_controller.go`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from kubesim.apimachinery.objects import (
    Object,
    is_being_deleted,
    parse_time,
    pod_is_active,
    pod_is_finished,
    pod_is_ready,
    timestamp,
    uid,
)
from kubesim.controllers import job_policies as policies
from kubesim.controllers.conditions import find
from kubesim.controllers.job_indexes import index_of, is_indexed, parse
from kubesim.controllers.job_policies import Backoff, has_failed, has_succeeded
from kubesim.controllers.job_tracking import uncounted

TOO_MANY_FAILURES = "Job has reached the specified backoff limit"
TOO_LATE = "Job was active longer than specified deadline"
TOO_MANY_INDEXES = "Job has exceeded the specified maximal number of failed indexes"
SOME_INDEXES = "Job has failed indexes"
ENOUGH = "Reached expected number of succeeded pods"


@dataclass
class Tally:
    """The Pods of a Job, sorted and counted."""

    job: Object
    pods: Sequence[Object]
    waiting: Sequence[Object]  # the Pods that the status does not count yet
    backoff: Backoff
    now: datetime

    def __post_init__(self) -> None:
        job, status = self.job, self.job["status"]
        self.active = [pod for pod in self.pods if pod_is_active(pod)]
        self.ready = sum(map(pod_is_ready, self.active))
        self.terminating = sum(map(is_terminating, self.pods))
        known = {outcome: uncounted(status, outcome) for outcome in ("succeeded", "failed")}
        valid = [
            pod for pod in self.waiting if not is_indexed(job) or index_of(pod, job) is not None
        ]
        succeeded = [p for p in valid if has_succeeded(p) and uid(p) not in known["succeeded"]]
        failed = [p for p in valid if has_failed(p, job) and uid(p) not in known["failed"]]
        self.backoff = self.backoff.after(succeeded, failed)
        self.succeeded = status.get("succeeded", 0) + len(succeeded) + len(known["succeeded"])
        counted = sum(policies.judge(job, pod).counts for pod in failed)
        self.failed = status.get("failed", 0) + counted + len(known["failed"])
        self.succeeded_before: set[int] = set()
        self.succeeded_indexes: set[int] = set()
        self.failed_indexes: set[int] = set()
        self.delayed: dict[int, Object] = {}
        if is_indexed(job):
            self._count_indexes()

    def _count_indexes(self) -> None:
        job, completions = self.job, self.job["spec"]["completions"]
        self.succeeded_before = parse(job["status"].get("completedIndexes", ""), completions)
        self.succeeded_indexes = self.succeeded_before | self._indexes(
            pod for pod in self.waiting if has_succeeded(pod)
        )
        self.succeeded = len(self.succeeded_indexes)
        if has_limit_per_index(job):
            failed = [pod for pod in self.waiting if has_failed(pod, job)]
            self.failed_indexes = parse(job["status"].get("failedIndexes", ""), completions)
            self.failed_indexes |= self._indexes(
                pod for pod in failed if policies.index_has_failed(job, pod)
            )
            self.delayed = self._last_failures(failed)

    def _indexes(self, pods: Iterable[Object]) -> set[int]:
        found = (index_of(pod, self.job) for pod in pods)
        return {index for index in found if index is not None}

    def _last_failures(self, failed: Sequence[Object]) -> dict[int, Object]:
        """The latest failed Pod of each index that is to be tried again.

        It must stay until its successor is there, which is told how many failures there were.
        """
        done = self.succeeded_indexes | self.failed_indexes | self._indexes(self.active)
        last: dict[int, Object] = {}
        for pod in sorted(failed, key=policies.finished_at):
            index = index_of(pod, self.job)
            if index is not None and index not in done:
                last[index] = pod
        return last

    def taken(self) -> set[int]:
        """The indexes that need no new Pod."""
        taken = self.succeeded_indexes | self.failed_indexes | self._indexes(self.active)
        if policies.only_replaces_failed(self.job):
            taken |= self._indexes(pod for pod in self.pods if is_terminating(pod))
        return taken

    def end(self) -> Object | None:
        """The condition that ends the Job, whatever its Pods still do; None to go on."""
        listed = self.job["status"].get("conditions") or []
        met, target = (_true(listed, kind) for kind in ("SuccessCriteriaMet", "FailureTarget"))
        if met is not None:
            return met
        if target is not None:
            return terminal(target, self.now)
        message = policies.failing_message(self.job, self.pods)
        if message:
            return self._failure("PodFailurePolicy", message)
        if self.failed > self.job["spec"]["backoffLimit"] or policies.restarts_exceed(
            self.job, self.pods
        ):
            return self._failure("BackoffLimitExceeded", TOO_MANY_FAILURES)
        left = remaining_seconds(self.job, self.now)
        if left is not None and left <= 0:
            return self._failure("DeadlineExceeded", TOO_LATE)
        return self._end_by_indexes()

    def _end_by_indexes(self) -> Object | None:
        spec, failed = self.job["spec"], len(self.failed_indexes)
        if failed > spec.get("maxFailedIndexes", failed):
            return self._failure("MaxFailedIndexesExceeded", TOO_MANY_INDEXES)
        if failed and failed + len(self.succeeded_indexes) >= spec["completions"]:
            return self._failure("FailedIndexes", SOME_INDEXES)
        message = policies.success_message(self.job, self.succeeded_indexes)
        if message:
            return make("SuccessCriteriaMet", "SuccessPolicy", message, self.now)
        return None

    def _failure(self, reason: str, message: str) -> Object:
        return make("FailureTarget", reason, message, self.now)

    def success(self, active: int) -> Object | None:
        """The condition that ends a Job which has done its work and has no Pod left."""
        completions = self.job["spec"].get("completions")
        enough = self.succeeded >= (1 if completions is None else completions)
        if active or not enough:
            return None
        return make("SuccessCriteriaMet", "CompletionsReached", ENOUGH, self.now)

    def wanted(self) -> int:
        """How many Pods should be active."""
        spec = self.job["spec"]
        if "completions" in spec:
            return int(max(0, min(spec["completions"] - self.succeeded, spec["parallelism"])))
        return len(self.active) if self.succeeded else int(spec["parallelism"])

    def uncounted_status(self, end: Object | None) -> tuple[Object, list[Object]]:
        """The status with the UIDs of the Pods that have ended, and those Pods."""
        job, status = self.job, dict(self.job["status"])
        outcomes = {outcome: [*uncounted(status, outcome)] for outcome in ("succeeded", "failed")}
        freed = [pod for pod in self.waiting if self._may_go(pod, end)]
        for pod in freed:
            valid = not is_indexed(job) or index_of(pod, job) is not None
            if has_succeeded(pod) and uid(pod) not in outcomes["failed"]:
                if not is_indexed(job) and uid(pod) not in outcomes["succeeded"]:
                    outcomes["succeeded"].append(uid(pod))
            elif self._counts_as_failed(pod, end) and valid and uid(pod) not in outcomes["failed"]:
                outcomes["failed"].append(uid(pod))
        status["uncountedTerminatedPods"] = {name: uids for name, uids in outcomes.items() if uids}
        return status, freed

    def _may_go(self, pod: Object, end: Object | None) -> bool:
        """Whether a Pod has ended as far as its Job is concerned."""
        if end is not None or is_being_deleted(self.job) or has_succeeded(pod):
            return True
        if not has_failed(pod, self.job):
            return False
        return all(uid(pod) != uid(each) for each in self.delayed.values())

    def _counts_as_failed(self, pod: Object, end: Object | None) -> bool:
        """A Pod that is cut short by the end of a failed Job counts, too."""
        ended_badly = end is not None and end["type"] in ("FailureTarget", "Failed")
        counts = policies.judge(self.job, pod).counts
        return (has_failed(pod, self.job) or ended_badly) and counts


def is_terminating(pod: Object) -> bool:
    """Whether a Pod is on its way out and has not ended yet."""
    return is_being_deleted(pod) and not pod_is_finished(pod)


def has_limit_per_index(job: Object) -> bool:
    """Whether each index may fail so often by itself."""
    return "backoffLimitPerIndex" in job["spec"]


def is_suspended(job: Object) -> bool:
    """Whether a Job is to have no Pods for now."""
    return bool(job["spec"].get("suspend"))


def finished(job: Object) -> Object | None:
    """The condition Complete or Failed of a Job that has one."""
    listed = (job.get("status") or {}).get("conditions") or []
    return _true(listed, "Complete") or _true(listed, "Failed")


def remaining_seconds(job: Object, now: datetime) -> float | None:
    """How long a Job may go on, if there is a limit."""
    limit, start = job["spec"].get("activeDeadlineSeconds"), job["status"].get("startTime")
    if limit is None or start is None or is_suspended(job):
        return None
    return (parse_time(start) + timedelta(seconds=limit) - now).total_seconds()


def make(kind: str, reason: str, message: str, now: datetime, status: str = "True") -> Object:
    """A condition of a Job."""
    return {
        "type": kind,
        "status": status,
        "lastProbeTime": timestamp(now),
        "lastTransitionTime": timestamp(now),
        "reason": reason,
        "message": message,
    }


def terminal(interim: Object, now: datetime) -> Object:
    """What becomes of FailureTarget or SuccessCriteriaMet when the last Pod is gone."""
    kind = {"FailureTarget": "Failed", "SuccessCriteriaMet": "Complete"}[interim["type"]]
    return make(kind, interim["reason"], interim["message"], now)


def ensure(listed: list[Object], new: Object) -> list[Object]:
    """The conditions with `new` in its namesake's place, the same list if it says nothing new."""
    old = find(listed, new["type"])
    if old is None:
        return [*listed, new] if new["status"] == "True" else listed
    if all(old.get(field) == new[field] for field in ("status", "reason", "message")):
        return listed
    return [new if each is old else each for each in listed]


def _true(listed: list[Object], kind: str) -> Object | None:
    found = find(listed, kind)
    return found if found is not None and found["status"] == "True" else None
