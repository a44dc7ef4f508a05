"""The columns of certificates.k8s.io."""

from datetime import datetime, timedelta
from typing import Any

from kubesim.apiserver.serialization.printers.column import AGE, NAME, NONE, Column, field
from kubesim.apiserver.serialization.printers.pods import human_duration

Object = dict[str, Any]


def _duration(request: Object, _now: datetime) -> str:
    seconds = request["spec"].get("expirationSeconds")
    return NONE if seconds is None else human_duration(timedelta(seconds=seconds))


def _condition(request: Object, _now: datetime) -> str:
    status = request.get("status") or {}
    types = {condition["type"] for condition in status.get("conditions") or ()}
    decided = "Denied" if "Denied" in types else "Approved" if "Approved" in types else "Pending"
    failed = ",Failed" * ("Failed" in types)
    return decided + failed + ",Issued" * bool(status.get("certificate"))


COLUMNS = {
    "certificatesigningrequests.certificates.k8s.io": (
        NAME,
        AGE,
        Column("SignerName", field("spec", "signerName")),
        Column("Requestor", field("spec", "username")),
        Column("RequestedDuration", _duration),
        Column("Condition", _condition),
    )
}
