"""Validation of a Pod's names and ports in the network (pkg/apis/core/validation)."""

from collections.abc import Iterator, Sequence
from typing import Any

from kubesim.apiserver.patch.fields import Cause, duplicate, invalid, required
from kubesim.apiserver.validation import names
from kubesim.apiserver.validation.metadata import each

Object = dict[str, Any]
MOST_NAMESERVERS = 3
MOST_SEARCHES = 32
LONGEST_SEARCHES = 2048


def dns_config(spec: Object, path: str) -> Iterator[Cause]:
    """Check how a Pod finds names."""
    config, at = spec.get("dnsConfig"), f"{path}.dnsConfig"
    if spec["dnsPolicy"] == "None":
        if config is None:
            yield required(at, "must provide `dnsConfig` when `dnsPolicy` is None")
        elif not config.get("nameservers"):
            why = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            yield required(f"{at}.nameservers", why)
    config = config or {}
    servers, searches = config.get("nameservers", []), config.get("searches", [])
    if len(servers) > MOST_NAMESERVERS:
        why = f"must not have more than {MOST_NAMESERVERS} nameservers"
        yield invalid(f"{at}.nameservers", servers, why)
    for index, server in enumerate(servers):
        yield from each(f"{at}.nameservers[{index}]", server, names.address(server))
    if len(searches) > MOST_SEARCHES:
        why = f"must not have more than {MOST_SEARCHES} search paths"
        yield invalid(f"{at}.searches", searches, why)
    if len(" ".join(searches)) > LONGEST_SEARCHES:
        why = (
            f"must not have more than {LONGEST_SEARCHES} characters "
            "(including spaces) in the search list"
        )
        yield invalid(f"{at}.searches", searches, why)
    for index, search in enumerate(searches):
        meant = search.removesuffix(".")
        yield from each(f"{at}.searches[{index}]", search, _search(meant) if search != "." else ())
    for index, option in enumerate(config.get("options", ())):
        if not option.get("name"):
            yield required(f"{at}.options[{index}]", "must not be empty")


def _search(value: str) -> Iterator[str]:
    """Check a search path, whose parts may begin with an underscore (since Kubernetes 1.32)."""
    yield from names.dns_subdomain(value.replace("_", "a") if value else value)


def host_aliases(aliases: Sequence[Object], path: str) -> Iterator[Cause]:
    """Check further lines for /etc/hosts."""
    for index, alias in enumerate(aliases):
        at = f"{path}[{index}]"
        yield from each(f"{at}.ip", alias.get("ip", ""), names.address(alias.get("ip", "")))
        for position, name in enumerate(alias.get("hostnames", ())):
            yield from each(f"{at}.hostnames[{position}]", name, names.dns_subdomain(name))


def host_ports(spec: Object, field: str, path: str) -> Iterator[Cause]:
    """Check that no two containers want the same port of the node."""
    seen: set[tuple[str, str, int]] = set()
    for number, container in enumerate(spec.get(field, ())):
        for index, port in enumerate(container.get("ports", ())):
            if not port.get("hostPort"):
                continue
            key = port.get("protocol", "TCP"), port.get("hostIP", ""), port["hostPort"]
            if key in seen:
                at = f"{path}.{field}[{number}].ports[{index}].hostPort"
                yield duplicate(at, "/".join(map(str, key)))
            seen.add(key)


def conditions(gates: Sequence[Object], path: str) -> Iterator[Cause]:
    """Check the conditions that a Pod's readiness also depends on."""
    for index, gate in enumerate(gates):
        kind = gate.get("conditionType", "")
        yield from each(f"{path}[{index}].conditionType", kind, names.qualified_name(kind))
