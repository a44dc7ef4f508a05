"""The columns of apiregistration.k8s.io."""

from datetime import datetime
from typing import Any

from kubesim.apiserver.serialization.printers.column import AGE, NAME, Column

Object = dict[str, Any]


def _service(obj: Object, _now: datetime) -> str:
    reference = obj.get("spec", {}).get("service")
    return f"{reference['namespace']}/{reference['name']}" if reference else "Local"


def _available(obj: Object, _now: datetime) -> str:
    for condition in (obj.get("status") or {}).get("conditions") or ():
        if condition["type"] == "Available":
            status = str(condition["status"])
            return status if status == "True" else f"{status} ({condition['reason']})"
    return "Unknown"


COLUMNS = {
    "apiservices.apiregistration.k8s.io": (
        NAME,
        Column("Service", _service),
        Column("Available", _available),
        AGE,
    )
}
