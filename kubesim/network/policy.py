"""NetworkPolicies, enforced: what kindnet does since kind 0.24 (kube-network-policies).

Rules are compiled when a policy changes, and what applies to a Pod is gathered when its labels or
the policies of its namespace change, so that a connection asks two Pods' rules and no more. Nothing
is watched until there is a first policy. A Pod's own node reaches it whatever the policies say.
"""

import asyncio
import ipaddress
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from kubesim.apimachinery.labels import matches
from kubesim.apimachinery.objects import Object, key, labels_of, pod_is_finished
from kubesim.clientgo.client import Client
from kubesim.clientgo.informer import Change, Informer
from kubesim.clock import Clock
from kubesim.network.fabric import Network, NetworkNamespace

POLICIES = "networkpolicies.networking.k8s.io"


@dataclass(frozen=True)
class Packet:
    """What a rule looks at: the other side, and the port that is asked for, if it has ports."""

    peer: str
    peer_pod: Object | None
    target: Object | None
    port: int | None
    protocol: str


Peer = Callable[[Packet], bool]


@dataclass(frozen=True)
class Rule:
    """One rule of a policy; without peers or ports, all of them."""

    peers: tuple[Peer, ...]
    ports: tuple[Object, ...]

    def allows(self, packet: Packet) -> bool:
        """Whether the rule lets a packet through."""
        return (not self.peers or any(peer(packet) for peer in self.peers)) and (
            not self.ports or any(_fits(port, packet) for port in self.ports)
        )


@dataclass(frozen=True)
class Policy:
    """A compiled policy; a direction that it is not about has no rules, not even none."""

    selector: Object
    ingress: tuple[Rule, ...] | None
    egress: tuple[Rule, ...] | None


@dataclass(frozen=True)
class Isolation:
    """What applies to one Pod: the rules of all its policies together."""

    ingress: tuple[Rule, ...] | None = None
    egress: tuple[Rule, ...] | None = None

    def plus(self, policy: Policy) -> "Isolation":
        """The same with one more policy: policies add up, they take nothing away."""
        return Isolation(
            _together(self.ingress, policy.ingress), _together(self.egress, policy.egress)
        )


def _together(
    one: tuple[Rule, ...] | None, other: tuple[Rule, ...] | None
) -> tuple[Rule, ...] | None:
    return one if other is None else (one or ()) + other


class NetworkPolicies:
    """Watches policies, Pods and namespaces; tells the network which packets to drop."""

    def __init__(self, client: Client, network: Network, clock: Clock) -> None:
        self._network = network
        self._policies = Informer(client, POLICIES, clock)
        self._pods = Informer(client, "pods", clock)
        self._namespaces = Informer(client, "namespaces", clock)
        self._pods.cache.add_index("ip", _pod_ip)
        self._compiled: defaultdict[str, dict[str, Policy]] = defaultdict(dict)
        self._isolated: dict[str, Isolation] = {}
        self._needed = asyncio.Event()

    async def run(self) -> None:
        """Enforce until cancelled."""
        self._policies.add_handler(self._policy_changed)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._policies.run())
            await self._needed.wait()
            self._pods.add_handler(self._pod_changed)
            tasks.create_task(self._namespaces.run())
            tasks.create_task(self._pods.run())
            self._network.admits = self.admits

    def admits(
        self, source: NetworkNamespace, target: str, port: int | None, protocol: str
    ) -> bool:
        """Whether a packet from a Pod or node reaches an address; without a port, a ping."""
        if not self._isolated or self._same_node(source, target):
            return True
        sender, receiver = self._pod_at(source.ip), self._pod_at(target)
        out = Packet(target, receiver, receiver, port, protocol)
        into = Packet(source.ip, sender, receiver, port, protocol)
        leaving = self._isolated.get(source.ip, Isolation()).egress
        arriving = self._isolated.get(target, Isolation()).ingress
        return _passes(leaving, out) and _passes(arriving, into)

    def _same_node(self, source: NetworkNamespace, target: str) -> bool:
        """Whether one side is the node that the other side is on."""
        node = self._network.nodes[source.node].namespace
        home = self._network.home_of(target)
        return target == node.ip or (source is node and home == source.node)

    def _pod_at(self, ip: str) -> Object | None:
        return next(iter(self._pods.cache.by_index("ip", ip)), None)

    # Keeping the rules

    def _policy_changed(self, change: Change) -> None:
        policy = change.object
        namespace = policy["metadata"]["namespace"]
        if change.new is None:
            self._compiled[namespace].pop(key(policy), None)
        else:
            self._compiled[namespace][key(policy)] = self._compile(policy)
            self._needed.set()
        for pod in self._pods.cache.list(namespace):
            self._gather(pod)

    def _pod_changed(self, change: Change) -> None:
        for ip in _pod_ip(change.old) if change.old else ():
            if self._pod_at(ip) is None:
                self._isolated.pop(ip, None)
        if change.new is not None:
            self._gather(change.new)

    def _gather(self, pod: Object) -> None:
        """Put together what applies to a Pod."""
        found = Isolation()
        for policy in self._compiled[pod["metadata"]["namespace"]].values():
            if matches(policy.selector, labels_of(pod)):
                found = found.plus(policy)
        for ip in _pod_ip(pod):
            self._isolated.pop(ip, None)
            if found != Isolation():
                self._isolated[ip] = found

    def _compile(self, policy: Object) -> Policy:
        spec, namespace = policy["spec"], policy["metadata"]["namespace"]

        def rules(direction: str, peers: str) -> tuple[Rule, ...] | None:
            if direction.title() not in spec["policyTypes"]:
                return None
            return tuple(
                Rule(
                    tuple(self._peer(peer, namespace) for peer in rule.get(peers) or ()),
                    tuple(rule.get("ports") or ()),
                )
                for rule in spec.get(direction) or ()
            )

        return Policy(spec["podSelector"], rules("ingress", "from"), rules("egress", "to"))

    def _peer(self, peer: Object, namespace: str) -> Peer:
        if "ipBlock" in peer:
            block = peer["ipBlock"]
            whole = ipaddress.ip_network(block["cidr"], strict=False)
            holes = [ipaddress.ip_network(each, strict=False) for each in block.get("except") or ()]

            def in_block(packet: Packet) -> bool:
                address = ipaddress.ip_address(packet.peer)
                return address in whole and not any(address in hole for hole in holes)

            return in_block

        def is_selected(packet: Packet) -> bool:
            pod = packet.peer_pod
            if pod is None:
                return False
            home = pod["metadata"]["namespace"]
            if "namespaceSelector" in peer:
                labels = labels_of(self._namespaces.cache.get(home) or {"metadata": {}})
                if not matches(peer["namespaceSelector"], labels):
                    return False
            elif home != namespace:
                return False
            return matches(peer.get("podSelector", {}), labels_of(pod))

        return is_selected


def _passes(rules: tuple[Rule, ...] | None, packet: Packet) -> bool:
    """Whether a Pod's rules of one direction let a packet through; without rules everything."""
    return rules is None or any(rule.allows(packet) for rule in rules)


def _fits(port: Object, packet: Packet) -> bool:
    """Whether a packet is for a rule's port; a named one is looked up in the Pod that it is for."""
    if packet.port is None or port["protocol"] != packet.protocol:
        return False
    wanted = port.get("port")
    if wanted is None:
        return True
    if isinstance(wanted, str):
        return packet.port in _named_ports(packet.target, wanted, packet.protocol)
    last: int = port.get("endPort") or wanted
    return bool(wanted <= packet.port <= last)


def _named_ports(pod: Object | None, name: str, protocol: str) -> list[int]:
    return [
        port["containerPort"]
        for container in (pod or {"spec": {"containers": ()}})["spec"]["containers"]
        for port in container.get("ports") or ()
        if port.get("name") == name and port.get("protocol", "TCP") == protocol
    ]


def _pod_ip(pod: Object) -> list[str]:
    """The address of a Pod of its own; one that shares its node's is not told from the node."""
    ip = (pod.get("status") or {}).get("podIP")
    apart = not pod["spec"].get("hostNetwork") and not pod_is_finished(pod)
    return [ip] if ip and apart else []
