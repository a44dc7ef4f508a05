"""Conditions in the status of workloads: setting one keeps the time of its last real change."""

from typing import Any

from kubesim.apimachinery.objects import Object


def make(kind: str, status: str, reason: str, message: str, now: str) -> Object:
    """A condition that changes at `now` (a metav1.Time)."""
    return {
        "type": kind,
        "status": status,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }


def find(conditions: list[Object], kind: str) -> Object | None:
    """The condition of that type."""
    return next((each for each in conditions if each["type"] == kind), None)


def without(conditions: list[Object], kind: str) -> list[Object]:
    """All conditions but those of that type."""
    return [each for each in conditions if each["type"] != kind]


def with_condition(conditions: list[Object], new: dict[str, Any]) -> list[Object]:
    """The conditions with `new` in place of its namesake.

    When neither status nor reason differ nothing changes; when only the reason differs, the
    lastTransitionTime stays.
    """
    old = find(conditions, new["type"])
    if old is None:
        return [*conditions, new]
    if old["status"] == new["status"]:
        if old.get("reason") == new["reason"]:
            return conditions
        new = new | {"lastTransitionTime": old["lastTransitionTime"]}
    return [*without(conditions, new["type"]), new]
