"""Columns of the resources of the group batch."""

from collections.abc import Sequence
from datetime import datetime

from kubesim.apimachinery.objects import condition_status
from kubesim.apiserver.serialization.printers.column import (
    AGE,
    NAME,
    TEMPLATE,
    Column,
    Object,
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


COLUMNS: dict[str, Sequence[Column]] = {
    "jobs.batch": (
        NAME,
        Column("Status", _status),
        Column("Completions", _completions),
        Column("Duration", _duration),
        AGE,
        *TEMPLATE,
    ),
}
