"""The Job controller: runs Pods until enough of them have succeeded.

Kubernetes' `pkg/controller/job/job_controller.go` as of 1.34. The real one looks at a Job at most
once a second; this one looks at once. Up to 1.30 a Job got its last condition as soon as that was
decided; since then it is announced (SuccessCriteriaMet, FailureTarget) until the last Pod is gone.
"""

import asyncio
from collections.abc import Sequence

from kubesim.apimachinery.objects import (
    Object,
    controller_of,
    is_being_deleted,
    is_controlled_by,
    key,
    pod_is_ready,
    split_key,
    timestamp,
    uid,
)
from kubesim.apiserver.errors import StatusError
from kubesim.clientgo.client import Client
from kubesim.clientgo.informer import Change, InformerFactory
from kubesim.clientgo.workqueue import WorkQueue
from kubesim.clock import Clock
from kubesim.controllers import job_tally as tally
from kubesim.controllers.controller import Controller
from kubesim.controllers.expectations import Expectations
from kubesim.controllers.job_indexes import first_pending, index_of, is_indexed, show, with_index
from kubesim.controllers.job_policies import (
    Backoff,
    failure_counts,
    index_backoff,
    only_replaces_failed,
)
from kubesim.controllers.job_tally import Tally, ensure, finished, is_suspended, make, terminal
from kubesim.controllers.job_tracking import FINALIZER, Finalizers, count, has_finalizer
from kubesim.controllers.ownership import Ownership, concerned, owner_in
from kubesim.controllers.podcontrol import PodControl, delete_all, first_failure, slow_start
from kubesim.controllers.pods import choose_for_deletion, from_template

JOBS = "jobs.batch"
MANAGER = "kubernetes.io/job-controller"
MOST_PODS_PER_SYNC = 500


class JobController(Controller):
    """Creates and deletes Pods, counts how they end, and ends the Job."""

    name = "job-controller"

    def __init__(self, client: Client, informers: InformerFactory, clock: Clock) -> None:
        self.expectations = Expectations(clock)
        self.ownership = Ownership(client, JOBS, "pods", FINALIZER)
        self.finalizers = Finalizers(client)
        self.orphans = WorkQueue(clock, f"{self.name}.orphans")
        self._backoffs: dict[str, Backoff] = {}
        super().__init__(client, informers, clock)
        self.pod_control = PodControl(client, self.recorder)

    def watch(self, informers: InformerFactory) -> None:
        """Jobs fill the queue, and so do Pods that belong or might belong to one."""
        jobs, pods = informers.informer(JOBS), informers.informer("pods")
        self.jobs, self.pods = jobs.cache, pods.cache
        jobs.add_handler(self._job_changed)
        pods.add_handler(self._pod_changed)

    async def run(self) -> None:
        """Work until cancelled, on Jobs and on Pods that no Job counts."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(super().run())
            tasks.create_task(self.orphans.run(self._free_orphan))

    async def sync(self, key: str) -> None:
        """Decide whether the Job has ended; if not, see to its Pods; then write down what is."""
        cached = self.jobs.get(*reversed(split_key(key)))
        if cached is None or finished(cached):
            self._backoffs.pop(key, None)
            return
        if cached["spec"].get("managedBy", MANAGER) != MANAGER:
            return
        job = cached | {"status": {"uncountedTerminatedPods": {}, **(cached.get("status") or {})}}
        now = self.clock.now()
        if "startTime" not in job["status"] and not is_suspended(job):
            job["status"]["startTime"] = timestamp(now)
        settled = self.expectations.satisfied(key)
        pods = await self.ownership.claim(job, self.pods.list(job["metadata"]["namespace"]))
        waiting = [pod for pod in pods if self.finalizers.waits(key, pod)]
        state = Tally(job, pods, waiting, self._backoffs.get(key, Backoff()), now)
        end = state.end()
        active, failure = len(state.active), None
        if end is not None:
            left, failure = await self._delete_pods(state, state.active)
            active, end = left, end if settled and not left else None
        else:
            if settled and not is_being_deleted(job):
                active, failure = await self._manage(state)
            end = state.success(active)
            if end is None and settled and not is_being_deleted(job):
                self._tell_suspension(state)
        await self._track(cached, state, active, end)
        self._come_back_at_deadline(job)
        if failure is not None:
            raise failure

    # Pods

    async def _manage(self, state: Tally) -> tuple[int, StatusError | None]:
        """Create or delete Pods; how many are active then, and the first failure."""
        active = len(state.active)
        wanted = 0 if is_suspended(state.job) else state.wanted()
        doomed = _superfluous(state, active - wanted)[:MOST_PODS_PER_SYNC]
        if doomed:
            self.expectations.expect_deletions(key(state.job), map(key, doomed))
            left, failure = await self._delete_pods(state, doomed)
            return active - len(doomed) + left, failure
        if is_suspended(state.job):
            return active, None
        if only_replaces_failed(state.job):
            wanted -= state.terminating
        return await self._create_pods(state, min(wanted - active, MOST_PODS_PER_SYNC))

    async def _create_pods(self, state: Tally, missing: int) -> tuple[int, StatusError | None]:
        active, name = len(state.active), key(state.job)
        pods, wait = self._next_pods(state, missing)
        if wait:
            self.queue.add_after(name, wait)
        if not pods:
            return active, None
        self.expectations.expect_creations(name, len(pods))
        created, failure = await slow_start(
            len(pods), lambda number: self.pod_control.create(state.job, pods[number])
        )
        for _ in range(len(pods) - created):
            self.expectations.creation_observed(name)
        return active + created, failure

    def _next_pods(self, state: Tally, missing: int) -> tuple[list[Object], float]:
        """The Pods to create now, and how many seconds later there may be more."""
        job, now = state.job, state.now
        if missing <= 0:
            return [], 0.0
        by_index = tally.has_limit_per_index(job)
        wait = 0.0 if by_index else state.backoff.remaining(now)
        if wait:
            return [], wait
        pod = from_template(job["spec"]["template"], job)
        finalizers = {"finalizers": [*pod["metadata"].get("finalizers", ()), FINALIZER]}
        pod["metadata"] |= finalizers
        if not is_indexed(job):
            return [pod] * missing, 0.0
        indexes = first_pending(state.taken(), missing, job["spec"]["completions"])
        if not by_index:
            return [with_index(pod, job, index) for index in indexes], 0.0
        failed = state.delayed
        waits = {
            i: index_backoff(failed[i]).remaining(now) if i in failed else 0.0 for i in indexes
        }
        ready = [index for index, seconds in waits.items() if not seconds]
        counted = [
            _with_annotations(with_index(pod, job, index), failure_counts(job, failed.get(index)))
            for index in ready
        ]
        return counted, 0.0 if ready else min(waits.values(), default=0.0)

    async def _delete_pods(
        self, state: Tally, doomed: Sequence[Object]
    ) -> tuple[int, StatusError | None]:
        """Delete Pods; how many are left, and the first failure."""
        results = await delete_all(self.pod_control, self.expectations, state.job, doomed)
        gone = [pod for pod, failure in zip(doomed, results, strict=True) if failure is None]
        state.ready -= sum(map(pod_is_ready, gone))
        state.terminating += len(gone)
        return len(doomed) - len(gone), first_failure(results)

    # Status

    def _tell_suspension(self, state: Tally) -> None:
        """Note that the Job was suspended, or goes on: then its time begins anew."""
        status = state.job["status"]
        listed, now = status.get("conditions") or [], state.now
        if is_suspended(state.job):
            reason, message = "Suspended", "Job suspended"
            new = make("Suspended", "JobSuspended", message, now)
        else:
            reason, message = "Resumed", "Job resumed"
            new = make("Suspended", "JobResumed", message, now, "False")
        changed = ensure(listed, new)
        if changed is listed:
            return
        status["conditions"] = changed
        self.recorder.event(state.job, "Normal", reason, message)
        if reason == "Resumed":
            status["startTime"] = timestamp(now)

    async def _track(self, job: Object, state: Tally, active: int, end: Object | None) -> None:
        """Write down which Pods have ended, let them go, count them, and end the Job."""
        name = key(job)
        state.job["status"] = count(state.job["status"], {uid(pod) for pod in state.waiting})
        status, freed = state.uncounted_status(end)
        status |= {"ready": state.ready, "terminating": state.terminating, "active": active}
        if not active:
            del status["active"]
        if is_indexed(job):
            status = _with_indexes(status, state)
        listed = status.get("conditions") or []
        if end is not None and end["type"] != "Failed":
            if not any(each["type"] == end["type"] for each in listed):
                status["conditions"] = [*listed, end]
            end = terminal(end, state.now)
        if status != job.get("status"):
            job = await self._write(job, status)
            self._backoffs[name] = state.backoff
        await self.finalizers.remove_all(name, freed)
        gone = {uid(pod) for pod in freed}
        status = count(status, {uid(pod) for pod in state.waiting} - gone)
        ended = end is not None and not any(status["uncountedTerminatedPods"].values())
        if end is not None and ended and not state.terminating:
            status["conditions"] = ensure(status.get("conditions") or [], end)
            if end["type"] == "Complete":
                status["completionTime"] = end["lastTransitionTime"]
        if status != job.get("status"):
            job = await self._write(job, status)
            self._tell_end(job)

    async def _write(self, job: Object, status: Object) -> Object:
        """Write status, unless the Job has changed: then everything is looked at again."""
        changed = job | {"status": status}
        return await self.client.update(JOBS, changed, subresource="status")

    def _tell_end(self, job: Object) -> None:
        end = finished(job)
        if end is None:
            return
        if end["type"] == "Failed":
            self.recorder.event(job, "Warning", end["reason"], end["message"])
            return
        if job["status"].get("succeeded", 0) > job["spec"].get("completions", 2**31):
            message = "Too many succeeded pods running after completion count reached"
            self.recorder.event(job, "Warning", "TooManySucceededPods", message)
        self.recorder.event(job, "Normal", "Completed", "Job completed")

    def _come_back_at_deadline(self, job: Object) -> None:
        left = tally.remaining_seconds(job, self.clock.now())
        if left is not None and left > 0:
            self.queue.add_after(key(job), left)

    # Pods that no Job counts

    async def _free_orphan(self, name: str) -> None:
        """Take the finalizer off a Pod whose Job is gone or has ended."""
        pod = self.pods.get(*reversed(split_key(name)))
        if pod is not None and has_finalizer(pod) and self._is_orphan(pod):
            await self.finalizers.remove(pod)

    def _is_orphan(self, pod: Object) -> bool:
        owner = controller_of(pod)
        if owner is not None and owner["kind"] != "Job":
            return False
        job = owner_in(self.jobs, "Job", pod)
        return job is None or finished(job) is not None

    # What wakes us

    def _job_changed(self, change: Change) -> None:
        job = change.object
        if change.new is None:
            self.expectations.forget(key(job))
            self.finalizers.forget(key(job))
        if change.new is None or finished(job):
            for pod in self.pods.list(job["metadata"]["namespace"]):
                if has_finalizer(pod) and is_controlled_by(pod, job):
                    self.orphans.add(key(pod))
        self.enqueue(change)

    def _pod_changed(self, change: Change) -> None:
        for owner in concerned(self.jobs, "Job", change):
            self.queue.add(key(owner))
        pod, job = change.object, owner_in(self.jobs, "Job", change.object)
        if change.new is not None and has_finalizer(pod) and self._is_orphan(pod):
            self.orphans.add(key(pod))
        if job is None:
            return
        if change.new is None or not has_finalizer(pod):
            self.finalizers.observed(key(job), pod)
        if change.new is None or is_being_deleted(pod):
            self.expectations.deletion_observed(key(job), key(pod))
        elif change.old is None:
            self.expectations.creation_observed(key(job))


def _superfluous(state: Tally, excess: int) -> list[Object]:
    """The active Pods to delete: those that share an index or have none, then as many as needed."""
    doomed: list[Object] = []
    kept = state.active
    if is_indexed(state.job):
        kept = [*{index_of(pod, state.job): pod for pod in state.active}.values()]
        kept = [pod for pod in kept if index_of(pod, state.job) is not None]
        names = {key(pod) for pod in kept}
        doomed = [pod for pod in state.active if key(pod) not in names]
    more = max(0, excess - len(doomed))
    return [*doomed, *(choose_for_deletion(kept, (), more, state.now) if more else ())]


def _with_indexes(status: Object, state: Tally) -> Object:
    """The status of an Indexed Job, which counts successes by index."""
    shown = {"completedIndexes": show(state.succeeded_indexes)}
    counted = {"succeeded": len(state.succeeded_indexes)}
    rest = {name: value for name, value in status.items() if name not in (*shown, *counted)}
    failed = {}
    if tally.has_limit_per_index(state.job):
        failed = {"failedIndexes": show(state.failed_indexes)}
    return rest | failed | ({**shown, **counted} if state.succeeded_indexes else {})


def _with_annotations(pod: Object, added: dict[str, str]) -> Object:
    meta = pod["metadata"]
    return pod | {"metadata": meta | {"annotations": (meta.get("annotations") or {}) | added}}
