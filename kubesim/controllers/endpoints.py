"""The Endpoints controller: which Pods stand behind a Service, ready and not ready.

Kubernetes' `pkg/controller/endpoint/endpoints_controller.go`. Services without a selector are left
to whoever writes their Endpoints.
"""

from collections.abc import Iterable
from typing import Any

from kubesim.apimachinery.objects import (
    Object,
    is_being_deleted,
    key,
    labels_of,
    pod_is_ready,
    split_key,
    uid,
)
from kubesim.apiserver.errors import StatusError
from kubesim.clientgo.absence import NOT_FOUND, tolerating
from kubesim.clientgo.client import Client
from kubesim.clientgo.informer import Change, InformerFactory
from kubesim.clock import Clock
from kubesim.controllers.controller import Controller
from kubesim.controllers.endpoint_util import (
    HEADLESS,
    concerned,
    has_address,
    pod_ports,
    pods_of,
)
from kubesim.controllers.endpointslice_reconciler import port_key
from kubesim.controllers.triggertime import TriggerTimes, annotated

MANAGED_BY = "endpoints.kubernetes.io/managed-by"
Port = tuple[tuple[str, Any], ...]


class EndpointsController(Controller):
    """Keeps each Service's Endpoints in step with its Pods."""

    name = "endpoint-controller"

    def __init__(self, client: Client, informers: InformerFactory, clock: Clock) -> None:
        self._times = TriggerTimes()
        super().__init__(client, informers, clock)

    def watch(self, informers: InformerFactory) -> None:
        """Services fill the queue, and so do changes of the Pods that they select."""
        services, pods = informers.informer("services"), informers.informer("pods")
        endpoints = informers.informer("endpoints")
        self.services, self.pods = services.cache, pods.cache
        self.endpoints = endpoints.cache
        services.add_handler(self.enqueue)
        pods.add_handler(self._pod_changed)
        endpoints.add_handler(self._endpoints_changed)

    async def sync(self, key: str) -> None:
        """Write the Endpoints that the Service's Pods give, if they differ from what is there."""
        namespace, name = split_key(key)
        service = self.services.get(name, namespace)
        if service is None:
            self._times.forget(key)
            await self._delete(namespace, name)
        elif service["spec"].get("selector") and service["spec"].get("type") != "ExternalName":
            await self._write(service, self.endpoints.get(name, namespace))

    async def _delete(self, namespace: str, name: str) -> None:
        if self.endpoints.get(name, namespace) is None:
            return
        with tolerating(NOT_FOUND):
            await self.client.delete("endpoints", name, namespace)

    async def _write(self, service: Object, current: Object | None) -> None:
        pods = pods_of(service, self.pods)
        wanted = _endpoints(service, subsets(service, pods))
        moment = self._times.last_change(service, pods)
        if current is None:
            meta = annotated(wanted["metadata"], moment)
            await self._create(service, wanted | {"metadata": meta})
        elif _content(wanted) != _content(current):
            meta = current["metadata"] | {"labels": wanted["metadata"]["labels"]}
            await self.client.update("endpoints", wanted | {"metadata": annotated(meta, moment)})

    async def _create(self, service: Object, wanted: Object) -> None:
        try:
            await self.client.create("endpoints", wanted)
        except StatusError as error:
            if error.code == 403:  # the namespace is terminating
                return
            message = f"Failed to create endpoint for service {key(service)}: {error}"
            self.recorder.event(service, "Warning", "FailedToCreateEndpoint", message)
            raise

    def _pod_changed(self, change: Change) -> None:
        for name in concerned(self.services, change):
            self.queue.add(name)

    def _endpoints_changed(self, change: Change) -> None:
        """Endpoints that somebody deleted are made again."""
        if change.new is None:
            self.enqueue(change)


def subsets(service: Object, pods: Iterable[Object]) -> list[Object]:
    """The subsets of a Service's Endpoints: addresses with the same ports stand together."""
    publish_all = bool(service["spec"].get("publishNotReadyAddresses"))
    groups: dict[tuple[Port, ...], Object] = {}
    for pod in pods:
        ports = _ports(service, pod)
        if not _belongs(pod, include_terminating=publish_all) or ports is None:
            continue
        ready = publish_all or pod_is_ready(pod)
        subset = groups.setdefault(ports, {"addresses": [], "notReadyAddresses": []})
        subset["addresses" if ready else "notReadyAddresses"].append(_address(service, pod))
    return [_subset(ports, groups[ports]) for ports in sorted(groups, key=repr)]


def _subset(ports: tuple[Port, ...], addresses: Object) -> Object:
    ordered = {
        name: sorted(listed, key=lambda address: str(address["ip"]))
        for name, listed in addresses.items()
        if listed
    }
    return ordered | ({"ports": [dict(port) for port in ports]} if ports else {})


def _belongs(pod: Object, *, include_terminating: bool) -> bool:
    return has_address(pod) and (include_terminating or not is_being_deleted(pod))


def _ports(service: Object, pod: Object) -> tuple[Port, ...] | None:
    """The Pod's ports for a Service's ports; None when it has none of them.

    A headless Service needs no ports: then the addresses alone are the answer.
    """
    ports = pod_ports(service, pod)
    if not service["spec"].get("ports"):
        return () if service["spec"].get("clusterIP") == "None" else None
    found = [{name: value for name, value in port.items() if value} for port in ports]
    return port_key(found) or None


def _address(service: Object, pod: Object) -> Object:
    meta, spec = pod["metadata"], pod["spec"]
    target = {"kind": "Pod", "namespace": meta["namespace"], "name": meta["name"], "uid": uid(pod)}
    address = {"ip": pod["status"]["podIP"], "nodeName": spec.get("nodeName"), "targetRef": target}
    if spec.get("hostname") and spec.get("subdomain") == service["metadata"]["name"]:
        address["hostname"] = spec["hostname"]
    return address


def _endpoints(service: Object, listed: list[Object]) -> Object:
    meta = service["metadata"]
    labels = labels_of(service) | {MANAGED_BY: EndpointsController.name}
    if service["spec"].get("clusterIP") == "None":
        labels[HEADLESS] = ""
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": meta["name"], "namespace": meta["namespace"], "labels": labels},
        **({"subsets": listed} if listed else {}),
    }


def _content(endpoints: Object) -> tuple[Any, Any]:
    return endpoints.get("subsets") or [], labels_of(endpoints)
