"""Validation of EndpointSlices (pkg/apis/discovery/validation)."""

import ipaddress
from collections.abc import Iterator
from typing import Any

from kubesim.apiserver.patch.fields import (
    Cause,
    duplicate,
    immutable,
    not_supported,
    required,
    too_many,
)
from kubesim.apiserver.validation import names
from kubesim.apiserver.validation.metadata import each

Object = dict[str, Any]
ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
PROTOCOLS = ("SCTP", "TCP", "UDP")
MAX_ENDPOINTS = 1000
MAX_ADDRESSES = 100
MAX_PORTS = 20000


def endpoint_slice(obj: Object) -> Iterator[Cause]:
    """Check a slice's addresses and ports."""
    kind = obj["addressType"]
    if not kind:
        yield required("addressType")
    elif kind not in ADDRESS_TYPES:
        yield not_supported("addressType", kind, ADDRESS_TYPES)
    endpoints = obj["endpoints"] or []
    if len(endpoints) > MAX_ENDPOINTS:
        yield too_many("endpoints", len(endpoints), MAX_ENDPOINTS)
    else:
        for index, endpoint in enumerate(endpoints):
            yield from _endpoint(endpoint, kind, f"endpoints[{index}]")
    yield from _ports(obj["ports"] or [])


def _endpoint(endpoint: Object, kind: str, path: str) -> Iterator[Cause]:
    addresses = endpoint.get("addresses") or []
    if not addresses:
        yield required(f"{path}.addresses", "must contain at least 1 address")
    elif len(addresses) > MAX_ADDRESSES:
        yield too_many(f"{path}.addresses", len(addresses), MAX_ADDRESSES)
    for index, address in enumerate(addresses):
        at = f"{path}.addresses[{index}]"
        if address in addresses[:index]:
            yield duplicate(at, address)
        yield from each(at, address, _address(kind, address))
    if "nodeName" in endpoint:
        problems = names.dns_subdomain(endpoint["nodeName"])
        yield from each(f"{path}.nodeName", endpoint["nodeName"], problems)
    if "hostname" in endpoint:
        problems = names.dns_label(endpoint["hostname"])
        yield from each(f"{path}.hostname", endpoint["hostname"], problems)


def _address(kind: str, value: str) -> Iterator[str]:
    if kind == "FQDN":
        yield from names.dns_subdomain(value)
        return
    problems = [*names.address(value)]
    if not problems and kind != f"IPv{ipaddress.ip_address(value).version}":
        problems.append(f"must be an {kind} address")
    yield from problems or names.ordinary_address(value)


def _ports(ports: list[Object]) -> Iterator[Cause]:
    if len(ports) > MAX_PORTS:
        yield too_many("ports", len(ports), MAX_PORTS)
        return
    seen: set[str] = set()
    for index, port in enumerate(ports):
        path, name = f"ports[{index}]", port["name"]
        if name:
            yield from each(f"{path}.name", name, names.dns_label(name))
        if name in seen:
            yield duplicate(f"{path}.name", name)
        seen.add(name)
        if port["protocol"] not in PROTOCOLS:
            yield not_supported(f"{path}.protocol", port["protocol"], PROTOCOLS)
        if "port" in port:
            yield from each(f"{path}.port", port["port"], names.port_number(port["port"]))
        if "appProtocol" in port:
            problems = names.qualified_name(port["appProtocol"])
            yield from each(f"{path}.appProtocol", port["appProtocol"], problems)


def endpoint_slice_update(new: Object, old: Object) -> Iterator[Cause]:
    """Check that a slice keeps its kind of addresses."""
    yield from immutable("addressType", new["addressType"], old["addressType"])
