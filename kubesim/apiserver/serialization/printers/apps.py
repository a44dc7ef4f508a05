"""Columns of the resources of the group apps."""

from collections.abc import Sequence
from datetime import datetime

from kubesim.apiserver.serialization.printers.column import (
    AGE,
    NAME,
    TEMPLATE,
    Column,
    Object,
    field,
)


def _deployment_ready(deployment: Object, _now: datetime) -> str:
    ready = deployment.get("status", {}).get("readyReplicas", 0)
    return f"{ready}/{deployment['spec'].get('replicas', 0)}"


COLUMNS: dict[str, Sequence[Column]] = {
    "deployments.apps": (
        NAME,
        Column("Ready", _deployment_ready),
        Column("Up-to-date", field("status", "updatedReplicas", default=0)),
        Column("Available", field("status", "availableReplicas", default=0)),
        AGE,
        *TEMPLATE,
    ),
    "replicasets.apps": (
        NAME,
        Column("Desired", field("spec", "replicas", default=0), type="integer"),
        Column("Current", field("status", "replicas", default=0), type="integer"),
        Column("Ready", field("status", "readyReplicas", default=0), type="integer"),
        AGE,
        *TEMPLATE,
    ),
}
