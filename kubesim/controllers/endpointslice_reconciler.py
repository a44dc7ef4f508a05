"""Endpoints into slices with as few writes as possible (staging/src/k8s.io/endpointslice).

A slice takes a hundred endpoints. A change should touch few slices, even if they end up less full
than they could be: every node's kube-proxy hears of each slice that is written.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubesim.apimachinery.endpointslices import endpoints_of
from kubesim.apimachinery.objects import Object

PortKey = tuple[tuple[tuple[str, Any], ...], ...]
Groups = Mapping[PortKey, list[Object]]
EndpointKey = tuple[str, tuple[str, ...]]


@dataclass
class Plan:
    """What to write."""

    create: list[Object] = field(default_factory=list)
    update: list[Object] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)


def port_key(ports: Iterable[Object]) -> PortKey:
    """Ports in a form that can be compared: endpoints with the same ports share slices."""
    return tuple(sorted((tuple(sorted(port.items())) for port in ports), key=repr))


def reconcile(groups: Groups, existing: Iterable[Object], base: Object, limit: int) -> Plan:
    """Plan the slices that hold the wanted endpoints.

    groups: endpoints by their ports; base: a slice without ports and endpoints, as new ones begin.
    """
    plan = Plan()
    by_ports: defaultdict[PortKey, list[Object]] = defaultdict(list)
    for each in existing:
        by_ports[port_key(each.get("ports") or ())].append(each)
    for ports, slices in by_ports.items():
        if ports not in groups:
            plan.delete += slices
    for ports, endpoints in groups.items():
        _reconcile_group(plan, ports, endpoints, by_ports[ports], base, limit)
    kept = any(each not in plan.delete for slices in by_ports.values() for each in slices)
    if not kept and not plan.create:
        _keep_a_placeholder(plan, base)
    _reuse(plan)
    return plan


def _reconcile_group(
    plan: Plan,
    ports: PortKey,
    endpoints: list[Object],
    slices: list[Object],
    base: Object,
    limit: int,
) -> None:
    missing = {_identity(each): each for each in endpoints}
    changed: list[Object] = []
    unchanged: list[Object] = []
    for each in slices:
        kept = [*_kept(each, missing)]
        if not kept:
            plan.delete.append(each)
        elif kept == [*endpoints_of(each)] and _metadata(each, base) == each["metadata"]:
            unchanged.append(each)
        else:
            changed.append(_with(each, base, kept))
    left = [*missing.values()]
    for each in sorted(changed, key=lambda each: -len(each["endpoints"])):
        room = limit - len(each["endpoints"])
        each["endpoints"] += left[:room]
        left = left[room:]
    if 0 < len(left) < limit and (fullest := _fullest_with_room(unchanged, len(left), limit)):
        changed.append(_with(fullest, base, [*endpoints_of(fullest), *left]))
        left = []
    plan.update += changed
    for start in range(0, len(left), limit):
        listed = [dict(port) for port in ports]
        plan.create.append(base | {"ports": listed, "endpoints": left[start : start + limit]})


def _kept(endpoint_slice: Object, missing: dict[EndpointKey, Object]) -> Iterator[Object]:
    """The wanted form of those of a slice's endpoints that are wanted; they are not missing."""
    for endpoint in endpoints_of(endpoint_slice):
        wanted = missing.pop(_identity(endpoint), None)
        if wanted is not None:
            yield wanted


def _identity(endpoint: Object) -> EndpointKey:
    target = endpoint.get("targetRef") or {}
    return str(target.get("uid", "")), tuple(sorted(endpoint["addresses"]))


def _fullest_with_room(slices: list[Object], count: int, limit: int) -> Object | None:
    fitting = [each for each in slices if len([*endpoints_of(each)]) + count <= limit]
    return max(fitting, key=lambda each: len([*endpoints_of(each)]), default=None)


def _with(endpoint_slice: Object, base: Object, endpoints: list[Object]) -> Object:
    """The slice with other endpoints, and dressed as it should be."""
    return endpoint_slice | {"metadata": _metadata(endpoint_slice, base), "endpoints": endpoints}


def _metadata(endpoint_slice: Object, base: Object) -> Object:
    """A slice's metadata with the labels, and if there are any the annotations, of new ones."""
    given = base["metadata"]
    own = {name: given[name] for name in ("labels", "annotations") if given.get(name)}
    return {**endpoint_slice["metadata"], **own}


def _keep_a_placeholder(plan: Plan, base: Object) -> None:
    """A Service without endpoints has one empty slice, so that watchers see that it has none."""
    if len(plan.delete) == 1:
        (only,) = plan.delete
        empty = not only.get("ports") and not only.get("endpoints")
        if empty and _metadata(only, base) == only["metadata"]:
            plan.delete.clear()
            return
    plan.create.append(base | {"ports": [], "endpoints": []})


def _reuse(plan: Plan) -> None:
    """Rather change a slice that would go than delete it and create another."""
    while plan.create and plan.delete:
        made, gone = plan.create.pop(), plan.delete.pop()
        plan.update.append(_with(gone, made, made["endpoints"]) | {"ports": made["ports"]})
