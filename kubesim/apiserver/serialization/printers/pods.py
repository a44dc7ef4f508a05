"""The Ready, Status and Restarts columns of Pods.

Status is not a field of a Pod: the printer condenses phase, conditions and container states into
one word, as printPod in pkg/printers/internalversion/printers.go does. That word is what people
mean by "the Pod is in CrashLoopBackOff".
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

Object = dict[str, Any]


def ready(pod: Object) -> str:
    """Ready containers of all containers; a sidecar (restartable init container) counts too."""
    sidecars = _sidecars(pod)
    total = len(pod["spec"].get("containers") or ()) + len(sidecars)
    running = [s for s in _statuses(pod, "containerStatuses") if _is_up(s)]
    started = [
        s
        for s in _statuses(pod, "initContainerStatuses")
        if s["name"] in sidecars and s.get("started") and s.get("ready")
    ]
    return f"{len(running) + len(started)}/{total}"


def status(pod: Object) -> str:
    """The one word that stands for a Pod's state."""
    pod_status = pod.get("status", {})
    word = pod_status.get("reason") or pod_status.get("phase", "")
    if _condition(pod, "PodScheduled").get("reason") == "SchedulingGated":
        word = "SchedulingGated"
    initializing = _init_word(pod)
    if initializing is None or _condition(pod, "Initialized").get("status") == "True":
        word = _container_word(pod, word)
    else:
        word = initializing
    if not pod["metadata"].get("deletionTimestamp"):
        return str(word)
    if pod_status.get("reason") == "NodeLost":
        return "Unknown"
    return str(word) if pod_status.get("phase") in ("Succeeded", "Failed") else "Terminating"


def restarts(pod: Object, now: datetime) -> str:
    """How often containers were restarted and when last: `3 (10s ago)`."""
    counted = list(_counted(pod))
    count = sum(s.get("restartCount", 0) for s in counted)
    ends = [s.get("lastState", {}).get("terminated", {}).get("finishedAt") for s in counted]
    moments = [moment for moment in map(parse_time, ends) if moment]
    if not count or not moments:
        return str(count)
    return f"{count} ({human_duration(now - max(moments))} ago)"


def readiness_gates(pod: Object) -> str:
    """Fulfilled readiness gates of all."""
    gates = pod["spec"].get("readinessGates") or ()
    true = [g for g in gates if _condition(pod, g["conditionType"]).get("status") == "True"]
    return f"{len(true)}/{len(gates)}" if gates else "<none>"


def human_duration(elapsed: timedelta) -> str:
    """A duration as short as kubectl shows it, as k8s.io/apimachinery duration.HumanDuration."""
    seconds = int(elapsed.total_seconds())
    if seconds < -1:
        return "<invalid>"
    return next(show(seconds) for limit, show in _DURATIONS if seconds < limit)


def parse_time(timestamp: str | None) -> datetime | None:
    """The moment that an RFC 3339 timestamp of the API means."""
    if not timestamp:
        return None
    return datetime.fromisoformat(timestamp).astimezone(UTC)


def _in(unit: str) -> Callable[[int], str]:
    return lambda seconds: f"{max(seconds, 0) // UNITS[unit]}{unit}"


def _in_two(unit: str, rest: str) -> Callable[[int], str]:
    def show(seconds: int) -> str:
        remaining = seconds % UNITS[unit] // UNITS[rest]
        return f"{seconds // UNITS[unit]}{unit}" + (f"{remaining}{rest}" if remaining else "")

    return show


UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "y": 365 * 86400}
_DURATIONS: tuple[tuple[float, Callable[[int], str]], ...] = (
    (120, _in("s")),
    (10 * 60, _in_two("m", "s")),
    (3 * 3600, _in("m")),
    (8 * 3600, _in_two("h", "m")),
    (48 * 3600, _in("h")),
    (8 * 86400, _in_two("d", "h")),
    (2 * 365 * 86400, _in("d")),
    (8 * 365 * 86400, _in_two("y", "d")),
    (float("inf"), _in("y")),
)


def _statuses(pod: Object, field: str) -> list[Object]:
    return pod.get("status", {}).get(field) or []


def _condition(pod: Object, kind: str) -> Object:
    conditions = pod.get("status", {}).get("conditions") or ()
    return next((c for c in conditions if c["type"] == kind), {})


def _sidecars(pod: Object) -> set[str]:
    containers = pod["spec"].get("initContainers") or ()
    return {c["name"] for c in containers if c.get("restartPolicy") == "Always"}


def _is_up(container: Object) -> bool:
    return bool(container.get("ready")) and "running" in container.get("state", {})


def _init_word(pod: Object) -> str | None:
    """What the first unfinished init container says; None when all are finished."""
    sidecars = _sidecars(pod)
    total = len(pod["spec"].get("initContainers") or ())
    for index, container in enumerate(_statuses(pod, "initContainerStatuses")):
        state = container.get("state", {})
        terminated, waiting = state.get("terminated"), state.get("waiting") or {}
        if terminated and terminated.get("exitCode") == 0:
            continue
        if container["name"] in sidecars and container.get("started"):
            continue
        if terminated:
            return "Init:" + _ended(terminated)
        if waiting.get("reason") not in (None, "", "PodInitializing"):
            return f"Init:{waiting['reason']}"
        return f"Init:{index}/{total}"
    return None


def _container_word(pod: Object, word: str) -> str:
    """What the containers say, the first of them last and loudest."""
    statuses = _statuses(pod, "containerStatuses")
    for container in reversed(statuses):
        state = container.get("state", {})
        if (state.get("waiting") or {}).get("reason"):
            word = state["waiting"]["reason"]
        elif state.get("terminated"):
            word = _ended(state["terminated"])
    if word == "Completed" and any(_is_up(container) for container in statuses):
        return "Running" if _condition(pod, "Ready").get("status") == "True" else "NotReady"
    return word


def _ended(terminated: Object) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _counted(pod: Object) -> Iterable[Object]:
    """The containers whose restarts count: init containers only until they are done."""
    statuses = _statuses(pod, "initContainerStatuses")
    if _init_word(pod) is not None and _condition(pod, "Initialized").get("status") != "True":
        return statuses
    sidecars = _sidecars(pod)
    return [s for s in statuses if s["name"] in sidecars] + _statuses(pod, "containerStatuses")
