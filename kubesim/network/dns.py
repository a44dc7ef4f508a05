"""The cluster's name server: Services, headless Services and Pods by name (CoreDNS' part).

The names are those of https://github.com/kubernetes/dns/blob/master/docs/specification.md.
"""

import asyncio

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
        self._endpoints = Informer(client, "endpoints", clock)
        self._services.cache.add_index("ip", _service_ip)

    async def run(self) -> None:
        """Serve names until cancelled."""
        self._network.name_server = self.query
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._services.run())
            tasks.create_task(self._endpoints.run())

    def query(self, name: str, kind: str) -> list[str]:
        """Return the records of `kind` ("A", "AAAA", "PTR") for a full name.

        A name that exists without such records has none; LookupError if it does not exist.
        """
        labels = name.lower().rstrip(".").split(".")
        if kind == "PTR":
            return self._reverse(labels)
        if labels[-2:] != DOMAIN.split("."):
            raise LookupError(name)
        found = self._forward(labels[:-2])
        return found if kind == "A" else []

    def _forward(self, labels: list[str]) -> list[str]:
        match labels:
            case ["svc"] | []:
                return []
            case [namespace, "svc"] if self._services.cache.list(namespace):
                return []
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
        spec = service["spec"]
        if spec.get("type") == "ExternalName":
            return self.query(spec["externalName"], "A")
        if spec.get("clusterIP") != "None":
            return [spec["clusterIP"]] if spec.get("clusterIP") else []
        found = [address["ip"] for address in self._ready(name, namespace)]
        if not found:
            raise LookupError(name)
        return found

    def _host(self, host: str, service: str, namespace: str) -> list[str]:
        found = [
            address["ip"]
            for address in self._ready(service, namespace)
            if host in (address.get("hostname"), address["ip"].replace(".", "-"))
        ]
        if not found:
            raise LookupError(host)
        return found

    def _ready(self, name: str, namespace: str) -> list[Object]:
        endpoints = self._endpoints.cache.get(name, namespace) or {}
        return [
            address
            for subset in endpoints.get("subsets") or []
            for address in subset.get("addresses") or []
        ]

    def _reverse(self, labels: list[str]) -> list[str]:
        ip = ".".join(reversed(labels[:4]))
        for service in self._services.cache.by_index("ip", ip):
            metadata = service["metadata"]
            return [f"{metadata['name']}.{metadata['namespace']}.svc.{DOMAIN}"]
        for endpoints in self._endpoints.cache.list():
            metadata = endpoints["metadata"]
            for address in self._ready(metadata["name"], metadata["namespace"]):
                if address["ip"] == ip:
                    host = address.get("hostname") or ip.replace(".", "-")
                    return [f"{host}.{metadata['name']}.{metadata['namespace']}.svc.{DOMAIN}"]
        raise LookupError(ip)


def _service_ip(service: Object) -> list[str]:
    ip = service["spec"].get("clusterIP")
    return [ip] if ip and ip != "None" else []
