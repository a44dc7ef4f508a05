"""The columns of ComponentStatus."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from kubesim.apiserver.serialization.printers.column import NAME, Column

Object = dict[str, Any]
STATUSES = {"True": "Healthy", "False": "Unhealthy"}


def _healthy(obj: Object) -> Object:
    conditions = obj.get("conditions") or ()
    return next((each for each in conditions if each["type"] == "Healthy"), {})


def _part(name: str) -> Callable[[Object, datetime], str]:
    return lambda obj, _now: str(_healthy(obj).get(name, ""))


def _status(obj: Object, _now: datetime) -> str:
    return STATUSES.get(_healthy(obj).get("status", ""), "Unknown")


COLUMNS = {
    "componentstatuses": (
        NAME,
        Column("Status", _status),
        Column("Message", _part("message")),
        Column("Error", _part("error")),
    )
}
