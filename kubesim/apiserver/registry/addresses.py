"""The addresses that the API server hands out to Services: ClusterIPs and NodePorts.

What is taken is read from the Services themselves, so nothing has to be given back. The rules are
those of pkg/registry/core/service/storage/alloc.go.
"""

import ipaddress
from collections.abc import Iterator
from random import Random
from typing import Any

from kubesim.api import resources
from kubesim.apiserver import errors
from kubesim.apiserver.patch import fields
from kubesim.apiserver.registry.storage import Storage

Object = dict[str, Any]
SERVICES = resources.named("services")
NETWORK = ipaddress.ip_network("10.96.0.0/16")
PORTS = range(30000, 32768)
RESERVED = 256  # the first addresses are left to those who ask for one by name
HEADLESS = "None"
ADDRESS_FIELDS = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")


def allocate(storage: Storage, service: Object) -> None:
    """Give a Service the addresses that it needs and does not have. Raises 422."""
    spec = service["spec"]
    if needs_address(spec):
        _allocate_address(storage, service)
        spec["clusterIPs"] = [spec["clusterIP"]]
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
    if needs_ports(spec):
        _allocate_ports(storage, service)
    if needs_health_check(spec) and not spec.get("healthCheckNodePort"):
        taken = _taken_ports(storage, service)
        free = _shuffled(storage.random, PORTS.start, PORTS.stop)
        spec["healthCheckNodePort"] = next(number for number in free if number not in taken)


def needs_address(spec: Object) -> bool:
    """Whether a Service of this type has a ClusterIP."""
    return bool(spec["type"] != "ExternalName")


def needs_ports(spec: Object) -> bool:
    """Whether a Service of this type has NodePorts."""
    if spec["type"] == "LoadBalancer":
        return bool(spec.get("allocateLoadBalancerNodePorts", True))
    return bool(spec["type"] == "NodePort")


def needs_health_check(spec: Object) -> bool:
    """Whether nodes answer a load balancer whether they have Pods of the Service."""
    return spec["type"] == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def keep_addresses(new: Object, old: Object) -> None:
    """Carry over what an update leaves out, and drop what the new type does not have."""
    _normalize(new, old)
    if needs_address(new):
        if needs_address(old):
            for field in ADDRESS_FIELDS:
                if field in old:
                    new.setdefault(field, old[field])
    else:
        for field in (*ADDRESS_FIELDS, "internalTrafficPolicy"):
            if new.get(field) == old.get(field):
                new.pop(field, None)
    _keep_ports(new, old)
    if new["type"] not in ("NodePort", "LoadBalancer") and new.get(
        "externalTrafficPolicy"
    ) == old.get("externalTrafficPolicy"):
        new.pop("externalTrafficPolicy", None)


def _normalize(new: Object, old: Object) -> None:
    """Let the list of ClusterIPs follow the one that older clients know."""
    if new.get("clusterIP") != old.get("clusterIP") and "clusterIP" in new:
        new["clusterIPs"] = [new["clusterIP"]]


def _keep_ports(new: Object, old: Object) -> None:
    known = {
        (port["port"], port["protocol"]): port.get("nodePort") for port in old.get("ports", ())
    }
    for port in new.get("ports", ()):
        before = known.get((port["port"], port["protocol"]))
        if not before:
            continue
        if needs_ports(new):
            port.setdefault("nodePort", before)
        elif port.get("nodePort") == before:
            del port["nodePort"]


def _others(storage: Storage, service: Object) -> Iterator[Object]:
    """Yield the specs of all other Services."""
    uid = service["metadata"]["uid"]
    for other in storage.list(SERVICES):
        if other.object["metadata"]["uid"] != uid:
            yield other.object["spec"]


def _allocate_address(storage: Storage, service: Object) -> None:
    spec = service["spec"]
    asked = spec.get("clusterIP")
    if asked == HEADLESS:
        return
    taken = {other.get("clusterIP") for other in _others(storage, service)}
    if not asked:
        free = (
            str(NETWORK[n]) for n in _shuffled(storage.random, RESERVED, NETWORK.num_addresses - 1)
        )
        spec["clusterIP"] = next(address for address in free if address not in taken)
    elif asked in taken:
        raise _refused(service, asked, "provided IP is already allocated")
    elif ipaddress.ip_address(asked) not in NETWORK:
        why = f"the provided IP ({asked}) is not in the valid range. "
        raise _refused(service, asked, f"{why}The range of valid IPs is {NETWORK}")


def _refused(service: Object, address: str, why: str) -> errors.StatusError:
    cause = fields.invalid("spec.clusterIPs", [address], f"failed to allocate IP {address}: {why}")
    return errors.invalid("Service", service["metadata"]["name"], [cause])


def _taken_ports(storage: Storage, service: Object) -> set[int]:
    """The ports of nodes that Services have, but for what this one has asked for."""
    others = [*_others(storage, service)]
    listed = {port.get("nodePort", 0) for other in others for port in other.get("ports", ())}
    return listed | {other.get("healthCheckNodePort", 0) for other in others}


def _allocate_ports(storage: Storage, service: Object) -> None:
    taken = _taken_ports(storage, service)
    for index, port in enumerate(service["spec"]["ports"]):
        asked = port.get("nodePort")
        if asked and (asked in taken or asked not in PORTS):
            why = "provided port is already allocated"
            if asked not in PORTS:
                bounds = f"{PORTS.start}-{PORTS.stop - 1}"
                why = (
                    f"provided port is not in the valid range. The range of valid ports is {bounds}"
                )
            cause = fields.invalid(f"spec.ports[{index}].nodePort", asked, why)
            raise errors.invalid("Service", service["metadata"]["name"], [cause])
        if not asked:
            free = _shuffled(storage.random, PORTS.start, PORTS.stop)
            port["nodePort"] = next(number for number in free if number not in taken)
        taken.add(port["nodePort"])


def _shuffled(random: Random, start: int, stop: int) -> Iterator[int]:
    """Yield every number of a range once, from a random place on."""
    first = random.randrange(start, stop)
    yield from range(first, stop)
    yield from range(start, first)
