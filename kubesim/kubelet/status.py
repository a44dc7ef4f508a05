"""The status of a Pod, computed from what its containers do (pkg/kubelet/status)."""

from collections.abc import Sequence
from datetime import datetime

from kubesim.apimachinery.objects import Object, condition, timestamp

ORDER = (
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
)


def qos_class(pod: Object) -> str:
    """Return the quality of service class that a Pod's requests and limits give it."""
    containers = pod["spec"]["containers"] + (pod["spec"].get("initContainers") or [])
    resources = [each.get("resources") or {} for each in containers]
    if not any(each.get("requests") or each.get("limits") for each in resources):
        return "BestEffort"
    for each in resources:
        limits, requests = each.get("limits") or {}, each.get("requests") or {}
        if any(name not in limits for name in ("cpu", "memory")):
            return "Burstable"
        if any(requests.get(name, limits[name]) != limits[name] for name in ("cpu", "memory")):
            return "Burstable"
    return "Guaranteed"


def phase(pod: Object, init: Sequence[Object], main: Sequence[Object]) -> str:
    """Return a Pod's phase from its container statuses (kubelet_pods.go getPhase)."""
    policy = pod["spec"].get("restartPolicy", "Always")
    initializing = _initializing(pod, init)
    if initializing:
        return "Failed" if policy == "Never" and initializing == "failed" else "Pending"
    if not main or any(_never_ran(status) for status in main):
        return "Pending"
    if policy == "Always" or any("running" in status["state"] for status in main):
        return "Running"
    ends = [each["state"].get("terminated") or each["lastState"]["terminated"] for each in main]
    if not any(end["exitCode"] for end in ends):
        return "Succeeded"
    return "Failed" if policy == "Never" else "Running"


def _initializing(pod: Object, init: Sequence[Object]) -> str:
    """Return "" when the init containers are done, else "waiting" or "failed"."""
    sidecars = sidecar_names(pod)
    for status in init:
        ended = status["state"].get("terminated")
        if status["name"] in sidecars:
            if not status["started"] and not ended:
                return "waiting"
        elif not ended:
            return "waiting"
        elif ended["exitCode"]:
            return "failed"
    return ""


def _never_ran(status: Object) -> bool:
    return "waiting" in status["state"] and "terminated" not in status["lastState"]


def sidecar_names(pod: Object) -> set[str]:
    """Return the names of the init containers that keep running beside the others."""
    init = pod["spec"].get("initContainers") or []
    return {each["name"] for each in init if each.get("restartPolicy") == "Always"}


def conditions(
    pod: Object,
    init: Sequence[Object],
    main: Sequence[Object],
    now_phase: str,
    has_network: bool,
    now: datetime,
) -> list[Object]:
    """Return a Pod's conditions; those that others own are kept."""
    sidecars = sidecar_names(pod)
    pending = [
        each["name"]
        for each in init
        if not (each.get("started") if each["name"] in sidecars else each["ready"])
    ]
    unready = [each["name"] for each in main if not each["ready"]]
    unready = [
        each["name"] for each in init if each["name"] in sidecars and not each["ready"]
    ] + unready
    ready = _containers_ready(unready, now_phase)
    initialized = (
        "False",
        "ContainersNotInitialized",
        f"containers with incomplete status: [{' '.join(pending)}]",
    )
    if not pending or now_phase == "Succeeded":
        reason = "PodCompleted" if now_phase == "Succeeded" else ""
        initialized = ("True", reason, "")
    wanted = {
        "PodReadyToStartContainers": ("True" if has_network else "False", "", ""),
        "Initialized": initialized,
        "Ready": _gated(pod, ready),
        "ContainersReady": ready,
        "PodScheduled": ("True", "", ""),
    }
    result = [_condition(pod, kind, *each, now) for kind, each in wanted.items()]
    others = (pod.get("status") or {}).get("conditions") or []
    result += [each for each in others if each["type"] not in wanted]
    return sorted(result, key=lambda each: _place(each["type"]))


def _place(kind: str) -> int:
    return ORDER.index(kind) if kind in ORDER else len(ORDER)


def _containers_ready(unready: list[str], now_phase: str) -> tuple[str, str, str]:
    if now_phase == "Succeeded":
        return "False", "PodCompleted", ""
    if now_phase == "Failed":
        return "False", "PodFailed", ""
    if unready:
        message = f"containers with unready status: [{' '.join(unready)}]"
        return "False", "ContainersNotReady", message
    return "True", "", ""


def _gated(pod: Object, ready: tuple[str, str, str]) -> tuple[str, str, str]:
    """Return the Ready condition: the containers' readiness and all readiness gates."""
    gates = [each["conditionType"] for each in pod["spec"].get("readinessGates") or []]
    for gate in gates if ready[0] == "True" else []:
        found = condition(pod, gate)
        if found is None:
            message = f'corresponding condition of pod readiness gate "{gate}" does not exist.'
            return "False", "ReadinessGatesNotReady", message
        if found["status"] != "True":
            message = (
                f'the status of pod readiness gate "{gate}" is not "True", but {found["status"]}'
            )
            return "False", "ReadinessGatesNotReady", message
    return ready


def _condition(
    pod: Object, kind: str, status: str, reason: str, message: str, now: datetime
) -> Object:
    old = condition(pod, kind)
    same = old is not None and old["status"] == status
    result: Object = {"type": kind, "status": status, "lastProbeTime": None}
    result["lastTransitionTime"] = old["lastTransitionTime"] if old and same else timestamp(now)
    if reason:
        result["reason"] = reason
    if message:
        result["message"] = message
    if "generation" in pod["metadata"]:
        result["observedGeneration"] = pod["metadata"]["generation"]
    return result
