"""From a metric to a number of replicas (pkg/controller/podautoscaler/replica_calculator.go).

Pods that are starting count as idle when one would grow, Pods without metrics as idle when one
would grow and as busy when one would shrink; a ratio within a tenth of 1 changes nothing.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from kubesim.apimachinery.objects import (
    Object,
    condition_status,
    is_being_deleted,
    labels_of,
    parse_time,
)
from kubesim.apimachinery.quantity import parse
from kubesim.apiserver.errors import StatusError
from kubesim.apiserver.handlers.selectors import parse_labels
from kubesim.clientgo.client import Client
from kubesim.clientgo.informer import Cache
from kubesim.clock import Clock

TOLERANCE = 0.1
Usage = dict[str, Decimal]  # by the name of the Pod
INITIAL_DELAY = timedelta(seconds=30)
PODS_METRICS = "pods.metrics.k8s.io"
ELSEWHERE = {  # metrics that need an adapter, which this cluster does not have
    "Pods": ("FailedGetPodsMetric", "custom metrics API", "custom.metrics.k8s.io"),
    "Object": ("FailedGetObjectMetric", "custom metrics API", "custom.metrics.k8s.io"),
    "External": ("FailedGetExternalMetric", "external metrics API", "external.metrics.k8s.io"),
}


class MetricError(Exception):
    """A metric that cannot be had; `reason` is what condition and Event say."""

    def __init__(self, reason: str, detail: str, subject: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.subject = subject

    @property
    def told_briefly(self) -> str:
        """The failure with what was wanted."""
        return f"failed to get {self.subject}: {self.detail}"

    @property
    def told(self) -> str:
        """The message of the condition."""
        return f"the HPA was unable to compute the replica count: {self.told_briefly}"


@dataclass(frozen=True)
class Proposal:
    """How many replicas a metric asks for, its name in sentences, and its current value."""

    replicas: int
    name: str
    status: Object


@dataclass
class Grouped:
    """What the Pods that count use; those that are still starting; those without metrics."""

    counted: Usage = field(default_factory=dict)
    unready: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


class ReplicaCalculator:
    """Reads metrics in the controller's name."""

    def __init__(self, client: Client, pods: Cache, clock: Clock) -> None:
        self._client = client
        self._pods = pods
        self._clock = clock

    async def propose(self, autoscaler: Object, scale: Object, metric: Object) -> Proposal:
        """Return what a metric asks for. Raises MetricError."""
        kind = metric["type"]
        if kind in ELSEWHERE:
            reason, what, group = ELSEWHERE[kind]
            told = f"unable to get metric: no {what} ({group}) registered"
            raise MetricError(reason, told, f"{kind.lower()} metric value")
        part = "resource" if kind == "Resource" else "containerResource"
        source = metric[part]
        name, container, target = source["name"], source.get("container", ""), source["target"]
        namespace = autoscaler["metadata"]["namespace"]
        selector = _selector(scale)
        usage = await self._usage(namespace, selector, name, container)
        pods = [
            pod
            for pod in self._pods.list(namespace)
            if _selected(selector, pod) and pod.get("status", {}).get("phase") != "Failed"
        ]
        current = scale["spec"].get("replicas", 0)
        if target["type"] == "Utilization":
            asked = {pod["metadata"]["name"]: _requests(pod, name, container) for pod in pods}
            grouped = self._grouped(pods, usage, name)
            replicas, value = _by_utilization(current, grouped, asked, target)
            told = f"{name} resource utilization (percentage of request)"
        else:
            grouped = self._grouped(pods, usage, name)
            replicas, value = _by_average(current, grouped, target)
            told = f"{name} resource"
        value["averageValue"] = _average(grouped.counted, name)
        head = {"name": name} | ({"container": container} if container else {})
        return Proposal(replicas, told, {"type": kind, part: head | {"current": value}})

    async def _usage(self, namespace: str, selector: str, name: str, container: str) -> Usage:
        """What each Pod uses of a resource, of all its containers or of one."""
        subject = (
            f"{name} resource metric value" if not container else f"{name} container metric value"
        )
        told = "unable to get metrics for resource {}: {}"
        try:
            listed = await self._client.list(PODS_METRICS, namespace, label_selector=selector)
        except (StatusError, KeyError) as error:
            detail = told.format(
                name, f"unable to fetch metrics from resource metrics API: {error}"
            )
            raise MetricError("FailedGetResourceMetric", detail, subject) from None
        if not listed["items"]:
            detail = told.format(name, "no metrics returned from resource metrics API")
            raise MetricError("FailedGetResourceMetric", detail, subject)
        return {
            pod["metadata"]["name"]: sum(
                (
                    parse(each["usage"][name])
                    for each in pod["containers"]
                    if container in ("", each["name"]) and name in each["usage"]
                ),
                Decimal(0),
            )
            for pod in listed["items"]
        }

    def _grouped(self, pods: list[Object], usage: Usage, name: str) -> Grouped:
        """Sort the Pods. Raises MetricError if none counts."""
        grouped = Grouped()
        for pod in pods:
            if is_being_deleted(pod):
                continue
            own = pod["metadata"]["name"]
            if pod.get("status", {}).get("phase") == "Pending":
                grouped.unready.append(own)
            elif own not in usage:
                grouped.missing.append(own)
            elif name == "cpu" and self._is_starting(pod):
                grouped.unready.append(own)
            else:
                grouped.counted[own] = usage[own]
        if not grouped.counted:
            raise _no_ready(name)
        return grouped

    def _is_starting(self, pod: Object) -> bool:
        started = pod.get("status", {}).get("startTime")
        young = started and self._clock.now() - parse_time(started) < INITIAL_DELAY
        return bool(young and condition_status(pod, "Ready") != "True")


def _by_utilization(
    current: int, grouped: Grouped, asked: Usage, target: Object
) -> tuple[int, Object]:
    """Return the replicas and the current value for a share of what the Pods ask for."""
    aim = Decimal(target["averageUtilization"])

    def ratio(used: Usage) -> float:
        total = sum((asked[pod] for pod in used), Decimal(0))
        return float(100 * _total(used) / total / aim) if total else 0.0

    busy = {pod: asked[pod] * aim / 100 for pod in grouped.missing}
    total = sum((asked[pod] for pod in grouped.counted), Decimal(0))
    percent = int(100 * _total(grouped.counted) / total)
    return _replicas(current, grouped, busy, ratio), {"averageUtilization": percent}


def _by_average(current: int, grouped: Grouped, target: Object) -> tuple[int, Object]:
    """Return the replicas and the current value for a quantity each Pod."""
    aim = parse(target["averageValue"])

    def ratio(used: Usage) -> float:
        return float(_total(used) / len(used) / aim)

    return _replicas(current, grouped, dict.fromkeys(grouped.missing, aim), ratio), {}


def _replicas(current: int, grouped: Grouped, busy: Usage, ratio: Callable[[Usage], float]) -> int:
    """Return how many replicas bring the ratio to 1; `busy` is what silent Pods might use."""
    counted, unready = grouped.counted, grouped.unready
    first = ratio(counted)
    growing = first > 1.0
    if not busy and not (unready and growing):
        return current if abs(1.0 - first) <= TOLERANCE else _ceil(first * len(counted))
    idle = dict.fromkeys([*(busy if growing else ()), *(unready if growing else ())], Decimal(0))
    guessed = counted | ({} if growing else busy) | idle
    second = ratio(guessed)
    if abs(1.0 - second) <= TOLERANCE or (first < 1.0) != (second < 1.0):
        return current
    wanted = _ceil(second * len(guessed))
    turned = (second < 1.0 and wanted > current) or (second > 1.0 and wanted < current)
    return current if turned else wanted


def _ceil(number: float) -> int:
    return math.ceil(round(number, 6))


def _selector(scale: Object) -> str:
    selector: str = (scale.get("status") or {}).get("selector", "")
    return selector


def _selected(selector: str, pod: Object) -> bool:
    """Whether a scale's selector, which is written as in a URL, selects a Pod; "" selects none."""
    wanted = parse_labels(selector)
    return bool(wanted) and all(each.matches(labels_of(pod)) for each in wanted)


def _requests(pod: Object, name: str, container: str) -> Decimal:
    total = Decimal(0)
    for each in pod["spec"]["containers"]:
        if container and each["name"] != container:
            continue
        asked = (each.get("resources") or {}).get("requests") or {}
        if name not in asked:
            detail = (
                f"missing request for {name} in container {each['name']} of Pod "
                f"{pod['metadata']['name']}"
            )
            raise MetricError("FailedGetResourceMetric", detail, f"{name} utilization")
        total += parse(asked[name])
    return total


def _no_ready(name: str) -> MetricError:
    detail = "did not receive metrics for targeted pods (pods might be unready)"
    return MetricError("FailedGetResourceMetric", detail, f"{name} utilization")


def _average(counted: Usage, name: str) -> str:
    mean = _total(counted) / len(counted)
    return f"{math.ceil(mean * 1000)}m" if name == "cpu" else str(math.ceil(mean))


def _total(used: Usage) -> Decimal:
    return sum(used.values(), Decimal(0))
