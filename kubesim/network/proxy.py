"""kube-proxy: tells the network where the addresses of Services lead."""

import asyncio

from kubesim.apimachinery.objects import Object, key, split_key
from kubesim.clientgo.client import Client
from kubesim.clientgo.informer import Change, Informer
from kubesim.clock import Clock
from kubesim.network.fabric import Address, Network, ServicePort


class ServiceProxy:
    """Watches Services and Endpoints; one serves all nodes, as their rules are the same."""

    def __init__(self, client: Client, network: Network, clock: Clock) -> None:
        self._network = network
        self._services = Informer(client, "services", clock)
        self._endpoints = Informer(client, "endpoints", clock)
        self._programmed: dict[str, list[Address | int]] = {}

    async def run(self) -> None:
        """Keep the network's tables right until cancelled."""
        for informer in (self._services, self._endpoints):
            informer.add_handler(self._changed)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._services.run())
            tasks.create_task(self._endpoints.run())

    def _changed(self, change: Change) -> None:
        self._program(key(change.object))

    def _program(self, name: str) -> None:
        """Replace the rules of one Service."""
        for place in self._programmed.pop(name, []):
            if isinstance(place, int):
                self._network.node_ports.pop(place, None)
            else:
                self._network.service_ports.pop(place, None)
                self._network.cluster_ips.discard(place[0])
        namespace, service_name = split_key(name)
        service = self._services.cache.get(service_name, namespace)
        if service is None or service["spec"].get("clusterIP") in (None, "", "None"):
            return
        endpoints = self._endpoints.cache.get(service_name, namespace)
        places = self._programmed[name] = []
        for port in service["spec"].get("ports") or []:
            if port.get("protocol", "TCP") == "TCP":
                places += self._add(service, port, endpoints)

    def _add(self, service: Object, port: Object, endpoints: Object | None) -> list[Address | int]:
        spec = service["spec"]
        target = ServicePort(
            f"{key(service)}:{port.get('name') or port['port']}",
            addresses(endpoints, port.get("name") or ""),
            _affinity(spec),
        )
        address = (spec["clusterIP"], port["port"])
        self._network.cluster_ips.add(spec["clusterIP"])
        self._network.service_ports[address] = target
        if not port.get("nodePort"):
            return [address]
        self._network.node_ports[port["nodePort"]] = target
        return [address, port["nodePort"]]


def _affinity(spec: Object) -> int | None:
    if spec.get("sessionAffinity") != "ClientIP":
        return None
    config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    return int(config.get("timeoutSeconds", 10800))


def addresses(endpoints: Object | None, port_name: str) -> list[Address]:
    """Return the ready addresses behind a Service's port."""
    return [
        (address["ip"], port["port"])
        for subset in (endpoints or {}).get("subsets") or []
        for port in subset.get("ports") or []
        for address in subset.get("addresses") or []
        if (port.get("name") or "") == port_name
    ]
