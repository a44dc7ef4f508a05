"""What a scheduling decision looks at: nodes, the Pods on them, and what those ask for."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property

from kubesim.apimachinery.objects import Object, labels_of
from kubesim.apimachinery.quantity import parse

Resources = Counter[str]
HostPort = tuple[str, str, int]

# What a Pod without requests counts for in scoring, or many of them would pile up on one node.
DEFAULT_REQUESTS = {"cpu": parse("100m"), "memory": parse("200Mi")}


@dataclass(frozen=True)
class NodeInfo:
    """A node and the Pods that are on it or about to be."""

    node: Object
    pods: tuple[Object, ...] = ()

    @property
    def name(self) -> str:
        """The node's name."""
        return str(self.node["metadata"]["name"])

    @property
    def labels(self) -> dict[str, str]:
        """The node's labels."""
        return labels_of(self.node)

    @property
    def taints(self) -> list[Object]:
        """The node's taints."""
        return self.node["spec"].get("taints") or []

    @cached_property
    def allocatable(self) -> Mapping[str, Decimal]:
        """What the node has for Pods."""
        listed = self.node["status"].get("allocatable") or {}
        return {name: parse(amount) for name, amount in listed.items()}

    @cached_property
    def requested(self) -> Mapping[str, Decimal]:
        """What the node's Pods request together."""
        return _sum(requests(pod) for pod in self.pods)

    @cached_property
    def presumed(self) -> Mapping[str, Decimal]:
        """Like `requested`, with a default for containers that do not say."""
        return _sum(presumed_requests(pod) for pod in self.pods)

    @cached_property
    def ports(self) -> set[HostPort]:
        """The host ports that are taken."""
        return {port for pod in self.pods for port in host_ports(pod)}


@dataclass(frozen=True)
class Snapshot:
    """The cluster as it was when a scheduling cycle began."""

    nodes: tuple[NodeInfo, ...]
    namespaces: Mapping[str, Mapping[str, str]]
    selectors: tuple[Object, ...] = ()

    def with_nodes(self, nodes: tuple[NodeInfo, ...]) -> "Snapshot":
        """The same cluster with other nodes, or other Pods on them."""
        return replace(self, nodes=nodes)

    def pods(self) -> Iterable[tuple[NodeInfo, Object]]:
        """Every Pod with its node."""
        return ((info, pod) for info in self.nodes for pod in info.pods)


def requests(pod: Object) -> dict[str, Decimal]:
    """What a Pod needs of its node.

    Init containers run one after the other before the others, so the larger of both counts;
    sidecars (init containers that restart always) run alongside everything that follows them.
    """
    return _pod_requests(pod, {})


def presumed_requests(pod: Object) -> dict[str, Decimal]:
    """Like `requests`, with a default for each container that names no cpu or memory."""
    return _pod_requests(pod, DEFAULT_REQUESTS)


def _pod_requests(pod: Object, default: Mapping[str, Decimal]) -> dict[str, Decimal]:
    spec = pod["spec"]
    running = _sum(_container_requests(each, default) for each in spec["containers"])
    sidecars: dict[str, Decimal] = {}
    starting: dict[str, Decimal] = {}
    for container in spec.get("initContainers") or ():
        asked = _sum([_container_requests(container, default), sidecars])
        if container.get("restartPolicy") == "Always":
            sidecars = asked
        starting = _max(starting, asked)
    peak = _max(_sum([running, sidecars]), starting)
    whole_pod = _parsed((spec.get("resources") or {}).get("requests"))
    return _sum([peak | whole_pod, _parsed(spec.get("overhead"))])


def _container_requests(container: Object, default: Mapping[str, Decimal]) -> dict[str, Decimal]:
    return {**default, **_parsed((container.get("resources") or {}).get("requests"))}


def _parsed(listed: Mapping[str, str] | None) -> dict[str, Decimal]:
    return {name: parse(amount) for name, amount in (listed or {}).items()}


def _sum(parts: Iterable[Mapping[str, Decimal]]) -> dict[str, Decimal]:
    result: dict[str, Decimal] = {}
    for part in parts:
        for name, amount in part.items():
            result[name] = result.get(name, Decimal(0)) + amount
    return result


def _max(one: Mapping[str, Decimal], other: Mapping[str, Decimal]) -> dict[str, Decimal]:
    zero = Decimal(0)
    return {name: max(one.get(name, zero), other.get(name, zero)) for name in {**one, **other}}


def host_ports(pod: Object) -> set[HostPort]:
    """The (ip, protocol, port) triples that a Pod wants on its node."""
    return {
        (port.get("hostIP") or "0.0.0.0", port.get("protocol", "TCP"), port["hostPort"])  # noqa: S104
        for container in pod["spec"]["containers"]
        for port in container.get("ports") or ()
        if port.get("hostPort")
    }


def priority(pod: Object) -> int:
    """A Pod's priority; more is more important."""
    return int(pod["spec"].get("priority") or 0)
