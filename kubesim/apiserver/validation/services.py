"""Validation of Services and Endpoints (pkg/apis/core/validation)."""

from collections.abc import Iterator
from typing import Any

from kubesim.apiserver.patch.fields import (
    Cause,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from kubesim.apiserver.validation import names
from kubesim.apiserver.validation.metadata import each, labels

Object = dict[str, Any]
TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
PROTOCOLS = ("SCTP", "TCP", "UDP")
HEADLESS = "None"
LONGEST_SESSION = 86400
FAMILIES = ("IPv4", "IPv6")
FAMILY_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")


def service(obj: Object) -> Iterator[Cause]:
    """Check a Service's spec."""
    spec = obj["spec"]
    kind, ports = spec["type"], spec.get("ports", [])
    headless = spec.get("clusterIP") == HEADLESS
    if not ports and not headless and kind != "ExternalName":
        yield required("spec.ports")
    if headless and kind in ("LoadBalancer", "NodePort"):
        why = f"may not be set to 'None' for {kind} services"
        yield invalid("spec.clusterIPs[0]", HEADLESS, why)
    if kind == "ExternalName":
        yield from _external_name(spec)
    yield from _ports(ports, kind)
    yield from labels(spec.get("selector", {}), "spec.selector")
    if spec["sessionAffinity"] not in ("ClientIP", "None"):
        yield not_supported("spec.sessionAffinity", spec["sessionAffinity"], ("ClientIP", "None"))
    if kind not in TYPES:
        yield not_supported("spec.type", kind, TYPES)
    if spec.get("clusterIP") and not headless and kind != "ExternalName":
        yield from each("spec.clusterIPs[0]", spec["clusterIP"], names.address(spec["clusterIP"]))
    yield from _traffic_policies(spec)
    yield from _sessions(spec)
    yield from _outside(spec)
    yield from _families(spec)


def _sessions(spec: Object) -> Iterator[Cause]:
    seconds = spec.get("sessionAffinityConfig", {}).get("clientIP", {}).get("timeoutSeconds")
    if spec["sessionAffinity"] == "ClientIP" and seconds is not None:
        if not 0 < seconds <= LONGEST_SESSION:
            why = f"must be greater than 0 and less than {LONGEST_SESSION}"
            yield invalid("spec.sessionAffinityConfig.clientIP.timeoutSeconds", seconds, why)
    elif spec["sessionAffinity"] == "None" and "sessionAffinityConfig" in spec:
        why = "must not be set when session affinity is None"
        yield forbidden("spec.sessionAffinityConfig", why)


def _outside(spec: Object) -> Iterator[Cause]:
    """Check how a Service is reached from outside the cluster."""
    for index, address in enumerate(spec.get("externalIPs", ())):
        problems = [*names.address(address)] or names.ordinary_address(address)
        yield from each(f"spec.externalIPs[{index}]", address, problems)
    ranges = spec.get("loadBalancerSourceRanges", ())
    if ranges and spec["type"] != "LoadBalancer":
        why = "may only be used when `type` is 'LoadBalancer'"
        yield forbidden("spec.loadBalancerSourceRanges", why)
    else:
        for index, network in enumerate(ranges):
            at = f"spec.loadBalancerSourceRanges[{index}]"
            yield from each(at, network, names.network(network.strip()))
    local = spec["type"] == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"
    if spec.get("healthCheckNodePort") and not local:
        why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        yield invalid("spec.healthCheckNodePort", spec["healthCheckNodePort"], why)


def _families(spec: Object) -> Iterator[Cause]:
    if spec["type"] == "ExternalName":
        return
    one, several = spec.get("clusterIP"), spec.get("clusterIPs", [])
    if one and several and several[0] != one:
        yield invalid("spec.clusterIPs", several, "first value must match `clusterIP`")
    if several and not one:
        why = "must be empty when `clusterIP` is not specified"
        yield invalid("spec.clusterIPs", several, why)
    seen = set()
    for index, family in enumerate(spec.get("ipFamilies", ())):
        if family not in FAMILIES:
            yield not_supported(f"spec.ipFamilies[{index}]", family, FAMILIES)
        elif family in seen:
            yield duplicate(f"spec.ipFamilies[{index}]", family)
        elif family == "IPv6":
            yield invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster")
        seen.add(family)
    policy = spec.get("ipFamilyPolicy", "SingleStack")
    if policy not in FAMILY_POLICIES:
        yield not_supported("spec.ipFamilyPolicy", policy, FAMILY_POLICIES)
    elif policy == "RequireDualStack":
        why = "this cluster is not configured for dual-stack services"
        yield invalid("spec.ipFamilyPolicy", policy, why)


def _external_name(spec: Object) -> Iterator[Cause]:
    if spec.get("clusterIP"):
        why = "may not be set for ExternalName services"
        yield forbidden("spec.clusterIPs", why)
    name = spec.get("externalName", "").rstrip(".")
    if name:
        yield from each("spec.externalName", name, names.dns_subdomain(name))
    else:
        yield required("spec.externalName")


def _ports(ports: list[Object], kind: str) -> Iterator[Cause]:
    seen_names: set[str] = set()
    for index, port in enumerate(ports):
        path = f"spec.ports[{index}]"
        yield from _port_name(port.get("name", ""), path, seen_names, needed=len(ports) > 1)
        yield from each(f"{path}.port", port["port"], names.port_number(port["port"]))
        if port["protocol"] not in PROTOCOLS:
            yield not_supported(f"{path}.protocol", port["protocol"], PROTOCOLS)
        if port.get("appProtocol"):
            protocol = port["appProtocol"]
            yield from each(f"{path}.appProtocol", protocol, names.qualified_name(protocol))
        target = port["targetPort"]
        yield from each(f"{path}.targetPort", target, names.port(target))
        if port.get("nodePort") and kind in ("ClusterIP", "ExternalName"):
            why = f"may not be used when `type` is '{kind}'"
            yield forbidden(f"{path}.nodePort", why)
    yield from _same_ports(ports, "nodePort")
    yield from _same_ports(ports, "port")


def _port_name(name: str, path: str, seen: set[str], *, needed: bool) -> Iterator[Cause]:
    if name:
        yield from each(f"{path}.name", name, names.dns_label(name))
        if name in seen:
            yield duplicate(f"{path}.name", name)
        seen.add(name)
    elif needed:
        yield required(f"{path}.name")


def _same_ports(ports: list[Object], field: str) -> Iterator[Cause]:
    """Two ports of a Service differ in number or protocol."""
    seen = set()
    for index, port in enumerate(ports):
        key = (port.get(field), port["protocol"])
        if key[0] and key in seen and field == "nodePort":
            yield duplicate(f"spec.ports[{index}].nodePort", port[field])
        elif key[0] and key in seen:
            shown = {"protocol": port["protocol"], field: port[field]}
            yield duplicate(f"spec.ports[{index}]", shown)
        seen.add(key)


def _traffic_policies(spec: Object) -> Iterator[Cause]:
    external = spec["type"] in ("LoadBalancer", "NodePort") or spec.get("externalIPs")
    for field, allowed in (("externalTrafficPolicy", external), ("internalTrafficPolicy", True)):
        policy = spec.get(field)
        if policy and not allowed:
            why = "may only be set for externally-accessible services"
            yield invalid(f"spec.{field}", policy, why)
        elif policy not in (None, "Cluster", "Local"):
            yield not_supported(f"spec.{field}", policy, ("Cluster", "Local"))


def service_update(new: Object, old: Object) -> Iterator[Cause]:
    """Check that a Service keeps its address, through which clients know it."""
    if "ExternalName" in (new["spec"]["type"], old["spec"]["type"]):
        return
    before, after = old["spec"].get("clusterIP"), new["spec"].get("clusterIP")
    if before and after != before:
        yield invalid("spec.clusterIPs[0]", [after] if after else None, "may not change once set")


def endpoints(obj: Object) -> Iterator[Cause]:
    """Check the addresses and ports of Endpoints."""
    for index, subset in enumerate(obj.get("subsets", ())):
        path = f"subsets[{index}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            yield required(path, "must specify `addresses` or `notReadyAddresses`")
        for field in ("addresses", "notReadyAddresses"):
            for position, item in enumerate(subset.get(field, ())):
                at = f"{path}.{field}[{position}].ip"
                problems = [*names.address(item["ip"])]
                yield from each(at, item["ip"], problems or names.ordinary_address(item["ip"]))
                yield from _address_names(item, f"{path}.{field}[{position}]")
        for position, port in enumerate(subset.get("ports", ())):
            at = f"{path}.ports[{position}]"
            if port.get("name"):
                yield from each(f"{at}.name", port["name"], names.dns_label(port["name"]))
            elif len(subset["ports"]) > 1:
                yield required(f"{at}.name")
            yield from each(f"{at}.port", port["port"], names.port_number(port["port"]))
            if port["protocol"] not in PROTOCOLS:
                yield not_supported(f"{at}.protocol", port["protocol"], PROTOCOLS)


def _address_names(item: Object, path: str) -> Iterator[Cause]:
    for field, check in (("hostname", names.dns_label), ("nodeName", names.dns_subdomain)):
        if item.get(field):
            yield from each(f"{path}.{field}", item[field], check(item[field]))
