"""Taints of nodes and tolerations of Pods."""

from collections.abc import Mapping
from typing import Any

from kubesim.apimachinery.objects import Object


def tolerates(pod: Object, taint: Mapping[str, Any]) -> bool:
    """Whether one of a Pod's tolerations covers a taint."""
    return any(covers(toleration, taint) for toleration in pod["spec"].get("tolerations") or ())


def covers(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    """Whether a toleration covers a taint; an absent key or effect covers any."""
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    if toleration.get("operator") == "Exists":
        return True
    return bool(toleration.get("value", "") == taint.get("value", ""))
