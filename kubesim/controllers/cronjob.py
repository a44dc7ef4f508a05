"""The CronJob controller: starts a Job whenever its schedule says so.

Kubernetes' `pkg/controller/cronjob/cronjob_controllerv2.go` (1.21; the one before looked at every
CronJob each ten seconds).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from email.utils import format_datetime

from kubesim.apimachinery import cron
from kubesim.apimachinery.objects import (
    Object,
    is_being_deleted,
    is_controlled_by,
    key,
    object_reference,
    parse_time,
    split_key,
    timestamp,
    uid,
)
from kubesim.apiserver.errors import StatusError
from kubesim.clientgo.absence import NOT_FOUND, find
from kubesim.clientgo.informer import Change, InformerFactory
from kubesim.controllers.controller import Controller
from kubesim.controllers.cronjob_util import MANY, due, job_name, new_job, seconds_to_next
from kubesim.controllers.job_tally import finished
from kubesim.controllers.ownership import owner_in
from kubesim.controllers.podcontrol import namespace_is_terminating

CRONJOBS, JOBS = "cronjobs.batch", "jobs.batch"
ALREADY_ACTIVE = (
    "Not starting job because prior execution is running and concurrency policy is Forbid"
)
TOO_MANY = (
    "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
)


class CronJobController(Controller):
    """Keys are CronJobs; each is queued again for its next start."""

    name = "cronjob-controller"

    def watch(self, informers: InformerFactory) -> None:
        """CronJobs fill the queue, and so do their Jobs."""
        cron_jobs, jobs = informers.informer(CRONJOBS), informers.informer(JOBS)
        self.cron_jobs, self.jobs = cron_jobs.cache, jobs.cache
        cron_jobs.add_handler(self.enqueue)
        jobs.add_handler(self._job_changed)

    async def sync(self, key: str) -> None:
        """Note which Jobs have ended, start the one that is due, and forget the oldest."""
        cached = self.cron_jobs.get(*reversed(split_key(key)))
        if cached is None:
            return
        cron_job = cached | {"status": dict(cached.get("status") or {})}
        jobs = [
            job
            for job in self.jobs.list(cron_job["metadata"]["namespace"])
            if is_controlled_by(job, cron_job)
        ]
        self._note_ended(cron_job, jobs)
        await self._note_missing(cron_job, jobs)
        failure: StatusError | None = None
        try:
            if not is_being_deleted(cron_job):
                await self._start_due(cron_job)
        except StatusError as error:
            failure = error
        await self._clean_up(cron_job, jobs)
        if cron_job["status"] != (cached.get("status") or {}):
            await self.client.update(CRONJOBS, cron_job, subresource="status")
        if failure is not None:
            raise failure

    # Jobs that are there

    def _note_ended(self, cron_job: Object, jobs: Sequence[Object]) -> None:
        status = cron_job["status"]
        active = {each["uid"] for each in status.get("active") or ()}
        for job in jobs:
            end, name = finished(job), job["metadata"]["name"]
            if end is None and uid(job) not in active:
                message = f"Saw a job that the controller did not create or forgot: {name}"
                self.recorder.event(cron_job, "Warning", "UnexpectedJob", message)
            elif end is not None and uid(job) in active:
                _remove_active(cron_job, uid(job))
                message = f"Saw completed job: {name}, condition: {end['type']}"
                self.recorder.event(cron_job, "Normal", "SawCompletedJob", message)
            completed = job["status"].get("completionTime", "")
            if end is not None and end["type"] == "Complete":
                latest = max(status.get("lastSuccessfulTime", ""), completed)
                status["lastSuccessfulTime"] = latest

    async def _note_missing(self, cron_job: Object, jobs: Sequence[Object]) -> None:
        known = {uid(job) for job in jobs}
        for each in cron_job["status"].get("active") or ():
            if each["uid"] in known:
                continue
            if await find(self.client, JOBS, each["name"], each["namespace"]) is None:
                message = f"Active job went missing: {each['name']}"
                self.recorder.event(cron_job, "Normal", "MissingJob", message)
                _remove_active(cron_job, each["uid"])

    # Starting

    async def _start_due(self, cron_job: Object) -> None:
        spec, now = cron_job["spec"], self.clock.now()
        if spec.get("suspend"):
            return
        try:
            schedule = cron.parse(spec["schedule"], spec.get("timeZone", ""))
            found = due(cron_job, schedule, now)
        except cron.CronError as error:
            message = f"invalid schedule: {spec['schedule']} : {error}"
            self.recorder.event(cron_job, "Warning", "InvalidSchedule", message)
            return
        if found.missed > MANY:
            self.recorder.event(cron_job, "Warning", "TooManyMissedTimes", TOO_MANY)
        if found.latest is not None and self._may_start(cron_job, found.latest):
            await self._start(cron_job, found.latest)
        self.queue.add_after(key(cron_job), seconds_to_next(cron_job, schedule, now))

    def _may_start(self, cron_job: Object, latest: datetime) -> bool:
        """Whether the Job that is due is in time, new, and allowed beside those that run."""
        spec, status = cron_job["spec"], cron_job["status"]
        limit = spec.get("startingDeadlineSeconds")
        if limit is not None and latest + timedelta(seconds=limit) < self.clock.now():
            message = f"Missed scheduled time to start a job: {format_datetime(latest)}"
            self.recorder.event(cron_job, "Warning", "MissSchedule", message)
            return False
        active = status.get("active") or []
        if any(each["name"] == job_name(cron_job, latest) for each in active):
            return False
        last = status.get("lastScheduleTime")
        if last is not None and parse_time(last) == latest:
            return False
        if spec["concurrencyPolicy"] == "Forbid" and active:
            self.recorder.event(cron_job, "Normal", "JobAlreadyActive", ALREADY_ACTIVE)
            return False
        return True

    async def _start(self, cron_job: Object, scheduled: datetime) -> None:
        status = cron_job["status"]
        if cron_job["spec"]["concurrencyPolicy"] == "Replace":
            for each in status.get("active") or ():
                await self._delete(cron_job, each["name"], each["uid"])
        job = await self._create(cron_job, scheduled)
        if job is None or any(each["uid"] == uid(job) for each in status.get("active") or ()):
            return
        status["active"] = [*(status.get("active") or ()), object_reference(job)]
        status["lastScheduleTime"] = timestamp(scheduled)

    async def _create(self, cron_job: Object, scheduled: datetime) -> Object | None:
        """The Job of this start, new or made by an attempt before; None if it is not ours."""
        zone = cron_job["spec"].get("timeZone")
        told = scheduled.astimezone(cron.time_zone(zone)) if zone else scheduled
        made = new_job(cron_job, scheduled, told)
        try:
            job = await self.client.create(JOBS, made)
        except StatusError as error:
            if error.reason == "AlreadyExists":
                meta = made["metadata"]
                existing = await self.client.get(JOBS, meta["name"], meta["namespace"])
                return existing if is_controlled_by(existing, cron_job) else None
            if not namespace_is_terminating(error):
                message = f"Error creating job: {error}"
                self.recorder.event(cron_job, "Warning", "FailedCreate", message)
            raise
        message = f"Created job {job['metadata']['name']}"
        self.recorder.event(cron_job, "Normal", "SuccessfulCreate", message)
        return job

    # Forgetting

    async def _clean_up(self, cron_job: Object, jobs: Sequence[Object]) -> None:
        """Delete the oldest Jobs that have ended, beyond what the history limits keep."""
        for kind, field in (
            ("Failed", "failedJobsHistoryLimit"),
            ("Complete", "successfulJobsHistoryLimit"),
        ):
            ended = [job for job in jobs if (finished(job) or {}).get("type") == kind]
            ended.sort(key=_by_start)
            for job in ended[: max(0, len(ended) - cron_job["spec"][field])]:
                await self._delete(cron_job, job["metadata"]["name"], uid(job))

    async def _delete(self, cron_job: Object, name: str, job_uid: str) -> None:
        namespace = cron_job["metadata"]["namespace"]
        try:
            await self.client.delete(JOBS, name, namespace, uid=job_uid, propagation="Background")
        except StatusError as error:
            if error.code != NOT_FOUND:
                message = f"Deleted job: {error}"
                self.recorder.event(cron_job, "Warning", "FailedDelete", message)
                raise
        _remove_active(cron_job, job_uid)
        self.recorder.event(cron_job, "Normal", "SuccessfulDelete", f"Deleted job {name}")

    def _job_changed(self, change: Change) -> None:
        owner = owner_in(self.cron_jobs, "CronJob", change.object)
        if owner is not None:
            self.queue.add(key(owner))


def _by_start(job: Object) -> tuple[str, str]:
    return job["status"].get("startTime", ""), job["metadata"]["name"]


def _remove_active(cron_job: Object, job_uid: str) -> None:
    status = cron_job["status"]
    left = [each for each in status.get("active") or () if each["uid"] != job_uid]
    if left:
        status["active"] = left
    else:
        status.pop("active", None)
