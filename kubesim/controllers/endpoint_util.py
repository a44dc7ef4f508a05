"""The Pods that a Service selects and their ports: what Endpoints and EndpointSlices share.

Kubernetes' `pkg/controller/util/endpoint`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from kubesim.apimachinery.labels import has_all
from kubesim.apimachinery.objects import (
    Object,
    is_being_deleted,
    key,
    labels_of,
    pod_is_finished,
    pod_is_ready,
)
from kubesim.clientgo.informer import Cache, Change

HEADLESS = "service.kubernetes.io/headless"


def pods_of(service: Object, pods: Cache) -> list[Object]:
    """The Pods that a Service with a selector selects."""
    selector = service["spec"]["selector"]
    listed = pods.list(service["metadata"]["namespace"])
    return [pod for pod in listed if has_all(selector, labels_of(pod))]


def concerned(services: Cache, change: Change) -> Sequence[str]:
    """The keys of the Services that select a Pod, as it is or was, if they show what changed."""
    if change.old and change.new and _shown(change.old) == _shown(change.new):
        return []
    states = [labels_of(pod) for pod in (change.old, change.new) if pod]
    return [
        key(service)
        for service in services.list(change.object["metadata"]["namespace"])
        if (selector := service["spec"].get("selector"))
        and any(has_all(selector, labels) for labels in states)
    ]


def has_address(pod: Object) -> bool:
    """Whether a Pod has an address and may still answer at it."""
    return not pod_is_finished(pod) and bool((pod.get("status") or {}).get("podIP"))


def _shown(pod: Object) -> tuple[Any, ...]:
    """What Endpoints and slices show of a Pod."""
    return (
        labels_of(pod),
        (pod.get("status") or {}).get("podIP"),
        pod_is_ready(pod),
        pod_is_finished(pod),
        is_being_deleted(pod),
        pod["spec"].get("nodeName"),
    )


def pod_ports(service: Object, pod: Object) -> Iterator[Object]:
    """The ports at which a Pod stands behind a Service's; one that it does not have is left out."""
    for port in service["spec"].get("ports") or ():
        number = _target_port(port, pod)
        if number is not None:
            made = {"name": port.get("name", ""), "port": number, "protocol": _protocol(port)}
            if port.get("appProtocol"):
                made["appProtocol"] = port["appProtocol"]
            yield made


def _target_port(port: Object, pod: Object) -> int | None:
    """The number of a target port; a name is one of a container's, or of a sidecar's, ports."""
    target = port.get("targetPort") or port["port"]
    if isinstance(target, int):
        return target
    spec = pod["spec"]
    sidecars = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    listed = (each for box in [*spec["containers"], *sidecars] for each in box.get("ports") or ())
    return next(
        (
            each["containerPort"]
            for each in listed
            if each.get("name") == target and _protocol(each) == _protocol(port)
        ),
        None,
    )


def _protocol(port: Object) -> str:
    return str(port.get("protocol", "TCP"))
