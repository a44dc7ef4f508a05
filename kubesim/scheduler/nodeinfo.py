"""A node as the scheduler sees it: what it has, who is on it, and what they take together.

A NodeInfo never changes. Placing a Pod makes another one, whose sums are those of the old one and
the Pod's: nobody adds up all Pods of a node again, and what a plugin worked out of a node stays
true as long as the NodeInfo is the same. The real scheduler compares generations for that.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property
from typing import Any, TypeVar

from kubesim.apimachinery.objects import Object, is_being_deleted, labels_of
from kubesim.apimachinery.quantity import parse
from kubesim.apimachinery.resourcelist import added, amounts, largest, subtracted

HostPort = tuple[str, str, int]
Amounts = Mapping[str, Decimal]
Kind = tuple[str, frozenset[tuple[str, str]]]  # a namespace and labels: what selectors look at
T = TypeVar("T")

NOTHING = Decimal(0)
# What a Pod without requests counts for in scoring, or many of them would pile up on one node.
DEFAULT_REQUESTS = {"cpu": parse("100m"), "memory": parse("200Mi")}


@dataclass(frozen=True, eq=False)
class PodInfo:
    """A Pod, and what the scheduler works out of it once."""

    pod: Object

    @cached_property
    def requested(self) -> Amounts:
        """What the Pod needs of its node."""
        return requests(self.pod)

    @cached_property
    def presumed(self) -> Amounts:
        """Like `requested`, with a default for containers that do not say."""
        return presumed_requests(self.pod)

    @cached_property
    def ports(self) -> frozenset[HostPort]:
        """The host ports that it takes."""
        return frozenset(host_ports(self.pod))

    @cached_property
    def kinds(self) -> tuple[Kind, ...]:
        """What spreading counts it as: nothing once it is being deleted."""
        if is_being_deleted(self.pod):
            return ()
        return ((self.pod["metadata"]["namespace"], frozenset(labels_of(self.pod).items())),)

    @cached_property
    def choosy(self) -> bool:
        """Whether it has wishes about which Pods are near."""
        affinity = self.pod["spec"].get("affinity") or {}
        return bool(affinity.get("podAffinity") or affinity.get("podAntiAffinity"))

    def asks_the_same(self, pod: Object) -> bool:
        """Whether a later state of the Pod means the same to the scheduler."""
        old, new = self.pod, pod
        return (
            old["spec"] == new["spec"]
            and labels_of(old) == labels_of(new)
            and is_being_deleted(old) == is_being_deleted(new)
        )


@dataclass(frozen=True, eq=False)
class NodeInfo:
    """A node and the Pods that are on it or about to be."""

    node: Object
    infos: Mapping[str, PodInfo] = field(default_factory=dict)  # by uid
    requested: Amounts = field(default_factory=dict)
    presumed: Amounts = field(default_factory=dict)
    ports: frozenset[HostPort] = frozenset()
    kinds: Mapping[Kind, int] = field(default_factory=dict)
    memo: dict[Hashable, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, node: Object, pods: Iterable[Object]) -> "NodeInfo":
        """A node with Pods."""
        info = cls(node)
        for pod in pods:
            info = info.plus(PodInfo(pod))
        return info

    @cached_property
    def name(self) -> str:
        """The node's name."""
        return str(self.node["metadata"]["name"])

    @cached_property
    def labels(self) -> dict[str, str]:
        """The node's labels."""
        return labels_of(self.node)

    @cached_property
    def taints(self) -> list[Object]:
        """The node's taints."""
        return self.node["spec"].get("taints") or []

    @cached_property
    def allocatable(self) -> Amounts:
        """What the node has for Pods."""
        return amounts(self.node["status"].get("allocatable"))

    @cached_property
    def choosy(self) -> tuple[Object, ...]:
        """Its Pods that have wishes about which Pods are near."""
        return tuple(info.pod for info in self.infos.values() if info.choosy)

    @property
    def pods(self) -> Iterable[Object]:
        """Its Pods."""
        return [info.pod for info in self.infos.values()]

    def plus(self, more: PodInfo) -> "NodeInfo":
        """The node with one Pod more."""
        return NodeInfo(
            self.node,
            {**self.infos, more.pod["metadata"]["uid"]: more},
            added(self.requested, more.requested),
            added(self.presumed, more.presumed),
            self.ports | more.ports,
            Counter(self.kinds) + Counter(more.kinds),
        )

    def minus(self, removed: PodInfo) -> "NodeInfo":
        """The node with one Pod less."""
        uid = removed.pod["metadata"]["uid"]
        infos = {key: info for key, info in self.infos.items() if key != uid}
        return NodeInfo(
            self.node,
            infos,
            subtracted(self.requested, removed.requested),
            subtracted(self.presumed, removed.presumed),
            frozenset().union(*(info.ports for info in infos.values() if info.ports)),
            Counter(self.kinds) - Counter(removed.kinds),
        )

    def with_node(self, node: Object) -> "NodeInfo":
        """The same Pods on the node as it is now."""
        return replace(self, node=node, memo={})

    def with_newer(self, pod: Object) -> "NodeInfo":
        """The node with a later state of one of its Pods, which means the same to us."""
        uid = pod["metadata"]["uid"]
        return replace(self, infos={**self.infos, uid: PodInfo(pod)})


def per_node(
    plugin: str, question: Hashable, answer: Callable[[NodeInfo], T]
) -> Callable[[NodeInfo], T]:
    """Let a plugin answer a question about a node once for all Pods that ask the same."""
    key = (plugin, question)

    def remembered(info: NodeInfo) -> T:
        memo = info.memo
        if key not in memo:
            memo[key] = answer(info)
        found: T = memo[key]
        return found

    return remembered


def requests(pod: Object) -> Amounts:
    """What a Pod needs of its node.

    Init containers run one after the other before the others, so the larger of both counts;
    sidecars (init containers that restart always) run alongside everything that follows them.
    """
    return _pod_requests(pod, {})


def presumed_requests(pod: Object) -> Amounts:
    """Like `requests`, with a default for each container that names no cpu or memory."""
    return _pod_requests(pod, DEFAULT_REQUESTS)


def _pod_requests(pod: Object, default: Amounts) -> Amounts:
    spec = pod["spec"]
    running: Amounts = {}
    for container in spec["containers"]:
        running = added(running, _container_requests(container, default))
    sidecars: Amounts = {}
    starting: Amounts = {}
    for container in spec.get("initContainers") or ():
        asked = added(_container_requests(container, default), sidecars)
        if container.get("restartPolicy") == "Always":
            sidecars = asked
        starting = largest(starting, asked)
    peak = largest(added(running, sidecars), starting)
    whole_pod = amounts((spec.get("resources") or {}).get("requests"))
    return added({**peak, **whole_pod}, amounts(spec.get("overhead")))


def _container_requests(container: Object, default: Amounts) -> Amounts:
    return {**default, **amounts((container.get("resources") or {}).get("requests"))}


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
