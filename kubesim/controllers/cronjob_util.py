"""When a CronJob is due, and the Job it starts then (`pkg/controller/cronjob/utils.go`)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from kubesim.apimachinery.cron import CronError, Schedule
from kubesim.apimachinery.objects import Object, controller_reference, parse_time

MANY = 100  # so many missed starts look like a clock that is wrong
DELAY = timedelta(milliseconds=100)
SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp"


@dataclass(frozen=True)
class Due:
    """The latest moment at which a Job should have started, if any, and how many there were."""

    earliest: datetime
    latest: datetime | None = None
    missed: int = 0


def due(cron_job: Object, schedule: Schedule, now: datetime, *, deadline: bool = True) -> Due:
    """What has come due since the last start, or since the CronJob is there. Raises CronError.

    With `deadline`, what is older than startingDeadlineSeconds does not count.
    """
    earliest = parse_time(
        (cron_job.get("status") or {}).get("lastScheduleTime")
        or cron_job["metadata"]["creationTimestamp"]
    )
    limit = cron_job["spec"].get("startingDeadlineSeconds")
    if deadline and limit is not None:
        earliest = max(earliest, now - timedelta(seconds=limit))
    first = schedule.next(earliest)
    second = schedule.next(first) if first else None
    if first is None or second is None:
        raise CronError("time difference between two schedules is less than 1 second")
    if now < first:
        return Due(earliest)
    if now < second:
        return Due(earliest, first)
    between = second - first
    missed = (now - first) // between + 1
    latest = None
    moment = schedule.next(first + (missed - 2) * between)
    while moment is not None and moment <= now:
        latest, moment = moment, schedule.next(moment)
    return Due(earliest, latest, missed)


def seconds_to_next(cron_job: Object, schedule: Schedule, now: datetime) -> float:
    """How long until the next start, a moment later so that it is surely due then."""
    found = due(cron_job, schedule, now, deadline=False)
    after = found.latest or (now if found.missed else found.earliest)
    following = schedule.next(after)
    assert following is not None, "a schedule that came twice comes again"
    return (following + DELAY - now).total_seconds()


def job_name(cron_job: Object, scheduled: datetime) -> str:
    """The same name for the same start, so that nothing starts twice."""
    return f"{cron_job['metadata']['name']}-{int(scheduled.timestamp()) // 60}"


def new_job(cron_job: Object, scheduled: datetime, told: datetime) -> Object:
    """The Job of one start; `told` is its time in the zone of the schedule."""
    template = cron_job["spec"]["jobTemplate"]
    meta = template.get("metadata") or {}
    moment = told.isoformat(timespec="seconds").replace("+00:00", "Z")
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(cron_job, scheduled),
            "namespace": cron_job["metadata"]["namespace"],
            "labels": meta.get("labels") or {},
            "annotations": {**(meta.get("annotations") or {}), SCHEDULED_AT: moment},
            "ownerReferences": [controller_reference(cron_job)],
        },
        "spec": template["spec"],
    }
