"""The TTL-after-finished controller: deletes Jobs some time after they have ended.

Kubernetes' `pkg/controller/ttlafterfinished/ttlafterfinished_controller.go`.
"""

from datetime import timedelta

from kubesim.apimachinery.objects import Object, is_being_deleted, key, parse_time, split_key, uid
from kubesim.clientgo.absence import NOT_FOUND, find, tolerating
from kubesim.clientgo.informer import Change, InformerFactory
from kubesim.controllers.controller import Controller
from kubesim.controllers.job_tally import finished

JOBS = "jobs.batch"


class TTLAfterFinishedController(Controller):
    """Keys are Jobs that have ended and name a time to live."""

    name = "ttl-after-finished-controller"

    def watch(self, informers: InformerFactory) -> None:
        """Jobs fill the queue."""
        jobs = informers.informer(JOBS)
        self.jobs = jobs.cache
        jobs.add_handler(self._job_changed)

    async def sync(self, key: str) -> None:
        """Delete the Job if its time is up, by the API server's own view of it."""
        job = self.jobs.get(*reversed(split_key(key)))
        if job is None or not _will_expire(job) or self._comes_back(job):
            return
        namespace, name = split_key(key)
        fresh = await find(self.client, JOBS, name, namespace)
        if fresh is None or not _will_expire(fresh) or self._comes_back(fresh):
            return
        with tolerating(NOT_FOUND):
            await self.client.delete(
                JOBS, name, namespace, uid=uid(fresh), propagation="Foreground"
            )

    def _comes_back(self, job: Object) -> bool:
        """Whether the Job's time is not up yet; then it is queued for when it will be."""
        end = finished(job)
        assert end is not None
        expires = parse_time(end["lastTransitionTime"]) + timedelta(
            seconds=job["spec"]["ttlSecondsAfterFinished"]
        )
        left = (expires - self.clock.now()).total_seconds()
        if left > 0:
            self.queue.add_after(key(job), left)
        return left > 0

    def _job_changed(self, change: Change) -> None:
        if change.new is not None and _will_expire(change.new):
            self.enqueue(change)


def _will_expire(job: Object) -> bool:
    limited = "ttlSecondsAfterFinished" in job["spec"]
    return limited and finished(job) is not None and not is_being_deleted(job)
