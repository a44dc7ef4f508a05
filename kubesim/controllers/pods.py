"""Creating and choosing Pods: what ReplicaSets and other owners of Pods have in common."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from math import floor, log2
from typing import Any

from kubesim.apimachinery.objects import (
    Object,
    annotations_of,
    condition,
    controller_reference,
    parse_time,
    pod_is_ready,
)

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
BY_NODE = ("node", lambda pod: (_node(pod),))
_PHASE_RANK = {"Pending": 0, "Unknown": 1, "Running": 2}


def from_template(template: Object, owner: Object) -> Object:
    """A new Pod of a controller, named after it by the API server."""
    meta = template.get("metadata") or {}
    copied = {
        name: meta[name] for name in ("labels", "annotations", "finalizers") if meta.get(name)
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{owner['metadata']['name']}-",
            "namespace": owner["metadata"]["namespace"],
            "ownerReferences": [controller_reference(owner)],
            **copied,
        },
        "spec": template["spec"],
    }


def is_available(pod: Object, min_ready_seconds: int, now: datetime) -> bool:
    """Whether a Pod has been ready for at least `min_ready_seconds`."""
    if not pod_is_ready(pod):
        return False
    ready_since = _ready_since(pod)
    if not min_ready_seconds or ready_since is None:
        return not min_ready_seconds
    return ready_since + timedelta(seconds=min_ready_seconds) <= now


def choose_for_deletion(
    pods: Sequence[Object], related: Sequence[Object], count: int, now: datetime
) -> list[Object]:
    """The `count` Pods that are missed least.

    The order is ActivePodsWithRanks' of `controller_utils.go`: unassigned before assigned, pending
    before running, not ready before ready, lower deletion cost first, nodes with more related Pods
    first, ready for a shorter time first, more restarts first, newer first. Times are compared on
    a logarithmic scale, and within a step the UID decides, so that old Pods are not always spared.
    """
    if count >= len(pods):
        return [*pods]
    on_node = Counter(_node(pod) for pod in related)
    return sorted(pods, key=lambda pod: _rank(pod, on_node[_node(pod)], now))[:count]


def _rank(pod: Object, related_on_node: int, now: datetime) -> tuple[Any, ...]:
    status = pod["status"]
    restarts = [each.get("restartCount", 0) for each in status.get("containerStatuses") or ()]
    ready = pod_is_ready(pod)
    return (
        bool(_node(pod)),
        _PHASE_RANK.get(status.get("phase", ""), 0),
        ready,
        _deletion_cost(pod),
        -related_on_node,
        _log_age(_ready_since(pod), now) if ready else 0,
        -max(restarts, default=0),
        _log_age(parse_time(pod["metadata"]["creationTimestamp"]), now),
        pod["metadata"]["uid"],
    )


def _node(pod: Object) -> str:
    return str(pod["spec"].get("nodeName") or "")


def _deletion_cost(pod: Object) -> int:
    annotations = annotations_of(pod)
    try:
        return int(annotations.get(DELETION_COST, "0"))
    except ValueError:
        return 0


def _ready_since(pod: Object) -> datetime | None:
    ready = condition(pod, "Ready")
    since = ready and ready.get("lastTransitionTime")
    return parse_time(since) if since else None


def _log_age(since: datetime | None, now: datetime) -> int:
    """The step of an age on a scale of powers of two (of seconds); no time at all is youngest."""
    seconds = (now - since).total_seconds() if since else 0
    return floor(log2(seconds)) if seconds >= 1 else -1
