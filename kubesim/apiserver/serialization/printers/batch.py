"""Columns of the resources of the group batch."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from kubesim.apimachinery.objects import condition_status
from kubesim.apiserver.serialization.printers.column import (
    AGE,
    NAME,
    NONE,
    TEMPLATE,
    Cell,
    Column,
    Object,
    field,
    since,
)
from kubesim.apiserver.serialization.printers.pods import human_duration, parse_time

STATES = ("Complete", "Failed", "Suspended", "FailureTarget", "SuccessCriteriaMet")


def _completions(job: Object, _now: datetime) -> str:
    """How many Pods have succeeded, of how many."""
    spec, succeeded = job.get("spec", {}), job.get("status", {}).get("succeeded", 0)
    if "completions" in spec:
        return f"{succeeded}/{spec['completions']}"
    parallelism = spec.get("parallelism", 0)
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _duration(job: Object, now: datetime) -> str:
    """How long the Job has run, or ran until it was complete."""
    status = job.get("status", {})
    start, end = (parse_time(status.get(field)) for field in ("startTime", "completionTime"))
    return human_duration((end or now) - start) if start else ""


def _status(job: Object, _now: datetime) -> str:
    """The condition that says most (since 1.31)."""
    true = [kind for kind in STATES if condition_status(job, kind) == "True"]
    if true[:1] not in (["Complete"], ["Failed"]) and job["metadata"].get("deletionTimestamp"):
        return "Terminating"
    return true[0] if true else "Running"


def _of_jobs(column: Column) -> Column:
    """A column of Jobs, of those that a CronJob makes."""

    def cell(cron_job: Object, now: datetime) -> Cell | None:
        return column.cell(cron_job.get("spec", {}).get("jobTemplate") or {}, now)

    return replace(column, cell=cell)


def _suspended(cron_job: Object, _now: datetime) -> str:
    return str(bool(cron_job.get("spec", {}).get("suspend")))


def _active(cron_job: Object, _now: datetime) -> int:
    return len(cron_job.get("status", {}).get("active") or ())


def _last_schedule(cron_job: Object, now: datetime) -> str:
    last = cron_job.get("status", {}).get("lastScheduleTime")
    return since(last, now) if last else NONE


COLUMNS: dict[str, Sequence[Column]] = {
    "cronjobs.batch": (
        NAME,
        Column("Schedule", field("spec", "schedule")),
        Column("Timezone", field("spec", "timeZone", default=NONE)),
        Column("Suspend", _suspended),
        Column("Active", _active, type="integer"),
        Column("Last Schedule", _last_schedule),
        AGE,
        *(_of_jobs(column) for column in TEMPLATE),
    ),
    "jobs.batch": (
        NAME,
        Column("Status", _status),
        Column("Completions", _completions),
        Column("Duration", _duration),
        AGE,
        *TEMPLATE,
    ),
}
