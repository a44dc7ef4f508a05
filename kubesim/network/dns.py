"""The cluster's name server: Services, headless Services and Pods by name (CoreDNS' part).

The names are those of https://github.com/kubernetes/dns/blob/master/docs/specification.md.
"""

import asyncio
from collections.abc import Iterator

from kubesim.apimachinery.endpointslices import SLICES, endpoints_of, is_ready, service_of
from kubesim.apimachinery.objects import Object
from kubesim.clientgo.client import Client
from kubesim.clientgo.informer import Informer
from kubesim.clock import Clock
from kubesim.network.fabric import Network

DOMAIN = "cluster.local"


class ClusterDNS:
    """Answers from what it watches."""

    def __init__(self, client: Client, network: Network, clock: Clock) -> None:
        self._network = network
        self._services = Informer(client, "services", clock)
        self._slices = Informer(client, SLICES, clock)
        self._services.cache.add_index("ip", _service_ip)
        self._slices.cache.add_index("service", service_of)
        self._slices.cache.add_index("ip", _named_addresses)

    async def run(self, ip: str) -> None:
        """Serve names at an address until cancelled."""
        self._network.name_servers[ip] = self.query
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._services.run())
                tasks.create_task(self._slices.run())
        finally:
            del self._network.name_servers[ip]

    def query(self, name: str, kind: str) -> list[str]:
        """Return the records of `kind` ("A", "AAAA", "CNAME", "SRV", "PTR") for a full name.

        A name that exists without such records has none; LookupError if it does not exist.
        """
        labels = name.lower().rstrip(".").split(".")
        if kind == "PTR":
            return self._reverse(labels)
        if labels[-2:] != DOMAIN.split("."):
            raise LookupError(name)
        alias = self._alias(labels)
        if alias and kind == "A":
            return self.query(alias, "A")
        if kind == "CNAME":
            return [alias] if alias else []
        found = [] if alias else self._forward(labels[:-2])
        if kind == "SRV":
            return self._service_records(labels[:-2])
        return found if kind == "A" else []

    def _alias(self, labels: list[str]) -> str:
        """Return the name that a Service of type ExternalName stands for."""
        match labels[:-2]:
            case [name, namespace, "svc"]:
                service = self._services.cache.get(name, namespace)
                return str((service or {"spec": {}})["spec"].get("externalName", ""))
        return ""

    def _forward(self, labels: list[str]) -> list[str]:
        match labels:
            case ["svc"] | []:
                return []
            case [namespace, "svc"] if self._services.cache.list(namespace):
                return []
            case [port, protocol, service, namespace, "svc"]:
                if any(self._ports(service, namespace, port, protocol)):
                    return self._service(service, namespace)
            case [service, namespace, "svc"]:
                return self._service(service, namespace)
            case [host, service, namespace, "svc"]:
                return self._host(host, service, namespace)
            case [address, _, "pod"] if address.count("-") == 3:
                return [address.replace("-", ".")]
        raise LookupError(".".join(labels))

    def _service(self, name: str, namespace: str) -> list[str]:
        service = self._services.cache.get(name, namespace)
        if service is None:
            raise LookupError(name)
        if service["spec"].get("clusterIP") != "None":
            return [service["spec"]["clusterIP"]] if service["spec"].get("clusterIP") else []
        found = [ip for endpoint, _ in self._ready(name, namespace) for ip in endpoint["addresses"]]
        if not found:
            raise LookupError(name)
        return found

    def _host(self, host: str, service: str, namespace: str) -> list[str]:
        found = [
            ip
            for endpoint, _ in self._ready(service, namespace)
            for ip in endpoint["addresses"]
            if host in (endpoint.get("hostname"), ip.replace(".", "-"))
        ]
        if not found:
            raise LookupError(host)
        return found

    def _service_records(self, labels: list[str]) -> list[str]:
        """Return the SRV records of a Service, or of one of its ports: `_http._tcp.web…`."""
        match labels:
            case [port, protocol, service, namespace, "svc"]:
                return self._targets(service, namespace, port, protocol)
            case [service, namespace, "svc"]:
                return self._targets(service, namespace)
        return []

    def _targets(self, name: str, namespace: str, port: str = "", protocol: str = "") -> list[str]:
        service = self._services.cache.get(name, namespace)
        domain = f"{name}.{namespace}.svc.{DOMAIN}"
        if service is None or service["spec"].get("clusterIP") != "None":
            numbers = self._ports(name, namespace, port, protocol)
            return [f"0 100 {number} {domain}" for number in numbers]
        return [
            f"0 100 {each['port']} {host}.{domain}"
            for endpoint, ports in self._ready(name, namespace)
            for each in ports
            if _is_asked_for(each, port, protocol)
            for host in [endpoint.get("hostname") or endpoint["addresses"][0].replace(".", "-")]
        ]

    def _ports(self, name: str, namespace: str, port: str, protocol: str) -> Iterator[int]:
        service = self._services.cache.get(name, namespace) or {"spec": {}}
        for each in service["spec"].get("ports") or ():
            if _is_asked_for(each, port, protocol):
                yield each["port"]

    def _ready(self, name: str, namespace: str) -> Iterator[tuple[Object, list[Object]]]:
        """Yield the ready endpoints of a Service, each with its ports."""
        for each in self._slices.cache.by_index("service", f"{namespace}/{name}"):
            for endpoint in endpoints_of(each):
                if is_ready(endpoint):
                    yield endpoint, each.get("ports") or []

    def _reverse(self, labels: list[str]) -> list[str]:
        """Return the name of an address: a Service's, or an endpoint's that has a hostname."""
        ip = ".".join(reversed(labels[:4]))
        for service in self._services.cache.by_index("ip", ip):
            metadata = service["metadata"]
            return [f"{metadata['name']}.{metadata['namespace']}.svc.{DOMAIN}"]
        found = [
            f"{endpoint['hostname']}.{name}.{namespace}.svc.{DOMAIN}"
            for each in self._slices.cache.by_index("ip", ip)
            for namespace, name in (service.split("/") for service in service_of(each))
            for endpoint in endpoints_of(each)
            if ip in endpoint["addresses"] and endpoint.get("hostname")
        ]
        if not found:
            raise LookupError(ip)
        return found


def _is_asked_for(port: Object, name: str, protocol: str) -> bool:
    """Whether a port is the one of a name such as `_http._tcp`; no name asks for every port."""
    if not name:
        return True
    wanted = (port.get("name") or "", port.get("protocol", "TCP").lower())
    return (name.removeprefix("_"), protocol.removeprefix("_")) == wanted


def _service_ip(service: Object) -> list[str]:
    ip = service["spec"].get("clusterIP")
    return [ip] if ip and ip != "None" else []


def _named_addresses(endpoint_slice: Object) -> list[str]:
    named = (each for each in endpoints_of(endpoint_slice) if each.get("hostname"))
    return [ip for endpoint in named for ip in endpoint["addresses"]]
