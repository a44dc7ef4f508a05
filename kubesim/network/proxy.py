"""kube-proxy: tells the network where the addresses of Services lead.

The real one (`pkg/proxy`) turns Services and EndpointSlices into rules of the node's kernel; here
the rules are a table in which the network looks up where a connection goes.
"""

import asyncio
from collections.abc import Iterable

from kubesim.apimachinery.endpointslices import (
    SLICES,
    endpoints_of,
    is_ready,
    port_number,
    serves_its_end,
    service_of,
)
from kubesim.apimachinery.objects import Object, key, split_key
from kubesim.clientgo.client import Client
from kubesim.clientgo.informer import Change, Informer
from kubesim.clock import Clock
from kubesim.network.fabric import Address, Backend, Network, ServicePort


class ServiceProxy:
    """Watches Services and EndpointSlices, and works out the rules that every node needs.

    They are the same on all nodes, so one does it for all; a node takes them over for as long as
    its own kube-proxy runs.
    """

    def __init__(self, client: Client, network: Network, clock: Clock) -> None:
        self._network = network
        self._services = Informer(client, "services", clock)
        self._slices = Informer(client, SLICES, clock)
        self._slices.cache.add_index("service", service_of)
        self._programmed: dict[str, list[Address | int]] = {}

    async def run(self) -> None:
        """Keep the network's tables right until cancelled."""
        self._services.add_handler(lambda change: self._program(key(change.object)))
        self._slices.add_handler(self._slice_changed)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._services.run())
            tasks.create_task(self._slices.run())

    def _slice_changed(self, change: Change) -> None:
        concerned = (service_of(each) for each in (change.old, change.new) if each)
        for name in {name for names in concerned for name in names}:
            self._program(name)

    def _program(self, name: str) -> None:
        """Replace the rules of one Service."""
        for place in self._programmed.pop(name, []):
            if isinstance(place, int):
                self._network.rules.node_ports.pop(place, None)
            else:
                self._network.rules.service_ports.pop(place, None)
                self._network.rules.cluster_ips.discard(place[0])
        namespace, service_name = split_key(name)
        service = self._services.cache.get(service_name, namespace)
        if service is None or service["spec"].get("clusterIP") in (None, "", "None"):
            return
        slices = self._slices.cache.by_index("service", name)
        places = self._programmed[name] = []
        for port in service["spec"].get("ports") or []:
            if port.get("protocol", "TCP") == "TCP":
                places += self._add(service, port, slices)

    def _add(self, service: Object, port: Object, slices: Iterable[Object]) -> list[Address | int]:
        spec = service["spec"]
        target = ServicePort(
            f"{key(service)}:{port.get('name') or port['port']}",
            backends(slices, port.get("name") or ""),
            _affinity(spec),
            internal_local=spec.get("internalTrafficPolicy") == "Local",
            external_local=spec.get("externalTrafficPolicy") == "Local",
        )
        addresses = [spec["clusterIP"], *(spec.get("externalIPs") or ())]
        places: list[Address | int] = [(address, port["port"]) for address in addresses]
        for address in addresses:
            self._network.rules.cluster_ips.add(address)
            self._network.rules.service_ports[address, port["port"]] = target
        if port.get("nodePort"):
            self._network.rules.node_ports[port["nodePort"]] = target
            places.append(port["nodePort"])
        return places


def _affinity(spec: Object) -> int | None:
    if spec.get("sessionAffinity") != "ClientIP":
        return None
    config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    return int(config.get("timeoutSeconds", 10800))


def backends(slices: Iterable[Object], port_name: str) -> list[Backend]:
    """Return the places behind a Service's port that take connections, ready or as they end."""
    return [
        Backend(
            (endpoint["addresses"][0], number), endpoint.get("nodeName", ""), is_ready(endpoint)
        )
        for each in slices
        if (number := port_number(each, port_name)) is not None
        for endpoint in endpoints_of(each)
        if is_ready(endpoint) or serves_its_end(endpoint)
    ]
