"""Columns of budgets, quotas, limit ranges and priority classes."""

from collections.abc import Sequence
from datetime import datetime

from kubesim.apiserver.serialization.printers.column import (
    AGE,
    CREATED,
    NAME,
    Cell,
    Column,
    Object,
    Printer,
    field,
)

NOT_APPLICABLE = "N/A"


def _quota_part(limits: bool) -> Printer:
    """What is used of what is allowed, of the limits or of everything else."""

    def cell(quota: Object, _now: datetime) -> Cell:
        status = quota.get("status") or {}
        hard, used = status.get("hard") or {}, status.get("used") or {}
        names = [name for name in sorted(hard) if name.startswith("limits.") == limits]
        return ", ".join(f"{name}: {used.get(name, 0)}/{hard[name]}" for name in names)

    return cell


COLUMNS: dict[str, Sequence[Column]] = {
    "limitranges": (NAME, CREATED),
    "poddisruptionbudgets.policy": (
        NAME,
        Column("Min Available", field("spec", "minAvailable", default=NOT_APPLICABLE)),
        Column("Max Unavailable", field("spec", "maxUnavailable", default=NOT_APPLICABLE)),
        Column(
            "Allowed Disruptions",
            field("status", "disruptionsAllowed", default=0),
            type="integer",
        ),
        AGE,
    ),
    "priorityclasses.scheduling.k8s.io": (
        NAME,
        Column("Value", field("value", default=0), type="integer"),
        Column("Global-Default", field("globalDefault", default=False), type="boolean"),
        AGE,
        Column("PreemptionPolicy", field("preemptionPolicy")),
    ),
    "resourcequotas": (
        NAME,
        Column("Request", _quota_part(limits=False)),
        Column("Limit", _quota_part(limits=True)),
        AGE,
    ),
}
