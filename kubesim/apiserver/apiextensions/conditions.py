"""The conditions of a CustomResourceDefinition."""

from datetime import datetime
from typing import Any

from kubesim.apimachinery.objects import timestamp

Object = dict[str, Any]


def condition(kind: str, state: str, reason: str, message: str) -> Object:
    """Return a condition, without the time since when it holds."""
    return {"type": kind, "status": state, "reason": reason, "message": message}


def with_condition(status: Object, new: Object, now: datetime) -> Object:
    """Return a status with a condition in it; the time stays while the state does."""
    conditions = list(status.get("conditions") or ())
    before: Object = next((each for each in conditions if each["type"] == new["type"]), {})
    same = before.get("status") == new["status"]
    timed = {"lastTransitionTime": before["lastTransitionTime"] if same else timestamp(now)} | new
    if before:
        conditions[conditions.index(before)] = timed
    else:
        conditions.append(timed)
    return status | {"conditions": conditions}
