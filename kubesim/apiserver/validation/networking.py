"""Validation of NetworkPolicies, Ingresses and their classes (pkg/apis/networking/validation)."""

import ipaddress
from collections.abc import Iterator
from typing import Any

from kubesim.apiserver.patch.fields import (
    Cause,
    forbidden,
    immutable,
    invalid,
    not_supported,
    required,
)
from kubesim.apiserver.validation import names
from kubesim.apiserver.validation.metadata import each, selector

Object = dict[str, Any]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
PROTOCOLS = ("TCP", "UDP", "SCTP")
POLICY_TYPES = ("Egress", "Ingress")
PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
IN_NO_PATH = ("//", "/./", "/../", "%2f", "%2F")
AT_NO_END = ("/..", "/.")


def network_policy(obj: Object) -> Iterator[Cause]:
    """Check a NetworkPolicy's selectors, peers and ports."""
    spec = obj["spec"]
    yield from selector(spec["podSelector"], "spec.podSelector")
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(direction, ())):
            path = f"spec.{direction}[{index}]"
            for position, port in enumerate(rule.get("ports", ())):
                yield from _policy_port(port, f"{path}.ports[{position}]")
            for position, peer in enumerate(rule.get(peers, ())):
                yield from _peer(peer, f"{path}.{peers}[{position}]")
    types = spec["policyTypes"]
    if len(types) > len(POLICY_TYPES):
        yield invalid("spec.policyTypes", types, "may not specify more than two policyTypes")
        return
    for index, kind in enumerate(types):
        if kind not in POLICY_TYPES:
            yield not_supported(f"spec.policyTypes[{index}]", kind, POLICY_TYPES)


def _policy_port(port: Object, path: str) -> Iterator[Cause]:
    if port["protocol"] not in PROTOCOLS:
        yield not_supported(f"{path}.protocol", port["protocol"], PROTOCOLS)
    number, end = port.get("port"), port.get("endPort")
    if number is not None:
        yield from each(f"{path}.port", number, names.port(number))
    if end is None:
        return
    if number is None:
        yield invalid(f"{path}.endPort", end, "may not be specified when `port` is not specified")
    elif isinstance(number, str):
        yield invalid(f"{path}.endPort", end, "may not be specified when `port` is non-numeric")
    else:
        if end < number:
            yield invalid(f"{path}.endPort", end, "must be greater than or equal to `port`")
        yield from each(f"{path}.endPort", end, names.port_number(end))


def _peer(peer: Object, path: str) -> Iterator[Cause]:
    for field in ("podSelector", "namespaceSelector"):
        if field in peer:
            yield from selector(peer[field], f"{path}.{field}")
    if "ipBlock" in peer:
        yield from _ip_block(peer["ipBlock"], f"{path}.ipBlock")
        if len(peer) > 1:
            yield forbidden(path, "may not specify both ipBlock and another peer")
    if not peer:
        yield required(path, "must specify a peer")


def _ip_block(block: Object, path: str) -> Iterator[Cause]:
    whole = _network(block.get("cidr", ""))
    if not block.get("cidr"):
        yield required(f"{path}.cidr")
        return
    if whole is None:
        yield invalid(f"{path}.cidr", block["cidr"], names.NETWORK_MESSAGE)
        return
    for index, text in enumerate(block.get("except", ())):
        part = _network(text)
        if part is None:
            yield invalid(f"{path}.except[{index}]", text, names.NETWORK_MESSAGE)
        elif part == whole or not _contains(whole, part):
            yield invalid(f"{path}.except[{index}]", text, "must be a strict subset of `cidr`")


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text, strict=False) if "/" in text else None
    except ValueError:
        return None


def _contains(whole: Network, part: Network) -> bool:
    same = whole.version == part.version
    return same and part[0] in whole and part[-1] in whole


def ingress(obj: Object) -> Iterator[Cause]:
    """Check an Ingress."""
    spec = obj["spec"]
    rules = spec.get("rules", ())
    if not rules and "defaultBackend" not in spec:
        why = "either `defaultBackend` or `rules` must be specified"
        yield invalid("spec", None, why)
    if "defaultBackend" in spec:
        yield from _backend(spec["defaultBackend"], "spec.defaultBackend")
    for index, rule in enumerate(rules):
        yield from _rule(rule, f"spec.rules[{index}]")
    for index, tls in enumerate(spec.get("tls", ())):
        for position, host in enumerate(tls.get("hosts", ())):
            yield from each(f"spec.tls[{index}].hosts[{position}]", host, _host(host))
    name = spec.get("ingressClassName")
    if name is not None:
        yield from each("spec.ingressClassName", name, names.dns_subdomain(name))


def _rule(rule: Object, path: str) -> Iterator[Cause]:
    host = rule.get("host", "")
    if host:
        if _is_address(host):
            yield invalid(f"{path}.host", host, "must be a DNS name, not an IP address")
        yield from each(f"{path}.host", host, _host(host))
    if "http" not in rule:
        return
    paths = rule["http"].get("paths", ())
    if not paths:
        yield required(f"{path}.http.paths")
    for index, entry in enumerate(paths):
        yield from _path(entry, f"{path}.http.paths[{index}]")


def _is_address(text: str) -> bool:
    return not [*names.address(text)]


def _host(host: str) -> Iterator[str]:
    if "*" in host:
        yield from names.wildcard_subdomain(host)
    else:
        yield from names.dns_subdomain(host)


def _path(entry: Object, path: str) -> Iterator[Cause]:
    kind, text = entry.get("pathType"), entry.get("path", "")
    if not kind:
        yield required(f"{path}.pathType", "pathType must be specified")
    elif kind not in PATH_TYPES:
        yield not_supported(f"{path}.pathType", kind, PATH_TYPES)
    elif kind == "ImplementationSpecific":
        if text and not text.startswith("/"):
            yield invalid(f"{path}.path", text, "must be an absolute path")
    else:
        if not text.startswith("/"):
            yield invalid(f"{path}.path", text, "must be an absolute path")
        for part in IN_NO_PATH:
            if part in text:
                yield invalid(f"{path}.path", text, f"must not contain '{part}'")
        for part in AT_NO_END:
            if text.endswith(part):
                yield invalid(f"{path}.path", text, f"cannot end with '{part}'")
    yield from _backend(entry.get("backend", {}), f"{path}.backend")


def _backend(backend: Object, path: str) -> Iterator[Cause]:
    if "service" in backend and "resource" in backend:
        yield invalid(path, "", "cannot set both resource and service backends")
    elif "service" in backend:
        yield from _service_backend(backend["service"], path)
    elif "resource" in backend:
        yield from _reference(backend["resource"], f"{path}.resource")
    else:
        yield invalid(path, "", "resource or service backend is required")


def _reference(reference: Object, path: str) -> Iterator[Cause]:
    for field in ("kind", "name"):
        if not reference.get(field):
            yield required(f"{path}.{field}", f"{field} is required")


def _service_backend(service: Object, path: str) -> Iterator[Cause]:
    name, port = service.get("name", ""), service.get("port", {})
    if name:
        yield from each(f"{path}.service.name", name, names.dns_1035_label(name))
    else:
        yield required(f"{path}.service.name")
    if port.get("name") and port.get("number"):
        yield invalid(path, "", "cannot set both port name & port number")
    elif port.get("name"):
        yield from each(f"{path}.service.port.name", port["name"], names.port_name(port["name"]))
    elif port.get("number"):
        number = port["number"]
        yield from each(f"{path}.service.port.number", number, names.port_number(number))
    else:
        yield required(path, "port name or number is required")


def ingress_class(obj: Object) -> Iterator[Cause]:
    """Check an IngressClass: its controller is named as a domain's."""
    controller = obj["spec"].get("controller", "")
    prefix, slash, rest = controller.partition("/")
    if not controller:
        yield required("spec.controller")
    elif not slash or not rest or [*names.dns_subdomain(prefix)]:
        why = 'must be a domain-prefixed path (such as "acme.io/foo")'
        yield invalid("spec.controller", controller, why)

    if "parameters" in obj["spec"]:
        yield from _reference(obj["spec"]["parameters"], "spec.parameters")


def ingress_class_update(new: Object, old: Object) -> Iterator[Cause]:
    """Check that a class keeps its controller."""
    after, before = new["spec"].get("controller"), old["spec"].get("controller")
    yield from immutable("spec.controller", after, before)
