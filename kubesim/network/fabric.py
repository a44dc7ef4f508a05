"""The cluster's network: nodes, Pod addresses, connections between simulated processes.

No real socket is ever opened: a connection is a pair of pipes. Services are translated at the
connecting end, as kube-proxy's rules do; the table they are translated with is filled by
`kubesim.network.proxy`, names are answered by `kubesim.network.dns`.
"""

import asyncio
import errno
import ipaddress
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from kubesim.clock import Clock
from kubesim.runtime.filesystem import failure
from kubesim.runtime.streams import READ_SIZE, OpenFile, Pipe, PipeReader, PipeWriter

SYN_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)  # net.ipv4.tcp_syn_retries = 6
CONNECT_TIMEOUT = sum(SYN_PAUSES)  # seconds that Linux tries to connect
ARP_TIMEOUT = 3.0  # seconds until Linux knows that nobody has an address of its own network
FIRST_EPHEMERAL_PORT = 32768
BACKLOG = 128
DNS_ADDRESS = "10.96.0.10"
DNS_PORT = 53

Address = tuple[str, int]
Admits = Callable[["NetworkNamespace", str, "int | None", str], bool]
NameServer = Callable[[str, str], "list[str] | None"]  # name, record type


class Connection:
    """One end of a TCP connection."""

    def __init__(
        self,
        reader: PipeReader,
        writer: PipeWriter,
        local: Address,
        remote: Address,
        secure: bool = False,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self.local = local
        self.remote = remote
        self.secure = secure  # whether the server speaks TLS

    async def read(self, size: int = READ_SIZE) -> bytes:
        """Return what came, b"" when the other end is closed."""
        return await self._reader.read(size)

    async def read_line(self) -> bytes:
        """Return one line."""
        return await self._reader.read_line()

    async def write(self, data: bytes) -> None:
        """Send `data`; BrokenPipeError when the other end is closed."""
        await self._writer.write(data)

    def files(self) -> dict[int, OpenFile]:
        """Return this end as standard input and output of a process."""
        return {0: self._reader, 1: self._writer}

    def close_writing(self) -> None:
        """Let the other end see the end of what is sent."""
        self._writer.close()

    def close(self) -> None:
        """Close both directions."""
        self._reader.close()
        self._writer.close()


class Listener:
    """A listening socket."""

    def __init__(self, namespace: "NetworkNamespace", address: str, port: int) -> None:
        self.address = address
        self.port = port
        self.secure = False
        self._namespace = namespace
        self._waiting: asyncio.Queue[Connection] = asyncio.Queue(BACKLOG)

    async def accept(self) -> Connection:
        """Wait for the next connection."""
        return await self._waiting.get()

    def offer(self, connection: Connection) -> None:
        """Queue a connection to be accepted; refuse it when too many wait."""
        try:
            self._waiting.put_nowait(connection)
        except asyncio.QueueFull:
            raise failure(errno.ECONNREFUSED, "") from None

    def close(self) -> None:
        """Stop listening, if it has not yet; who waits to be accepted is cut off."""
        if self in self._namespace.listeners:
            self._namespace.listeners.remove(self)
        while not self._waiting.empty():
            self._waiting.get_nowait().close()


@dataclass
class NetworkNamespace:
    """What shares an address: the containers of a Pod, or a node's own processes."""

    network: "Network"
    ip: str
    hostname: str
    node: str
    listeners: list[Listener] = field(default_factory=list)

    def listen(self, port: int, address: str = "0.0.0.0") -> Listener:  # noqa: S104 - simulated
        """Listen on a port; EADDRINUSE if a process of this namespace does already."""
        if any(each.port == port and _overlap(each.address, address) for each in self.listeners):
            raise failure(errno.EADDRINUSE, "")
        listener = Listener(self, address, port)
        self.listeners.append(listener)
        return listener

    def listener(self, address: str, port: int) -> Listener | None:
        """Return the listener that takes connections to `address`:`port`."""
        matching = [
            each for each in self.listeners if each.port == port and _overlap(each.address, address)
        ]
        return matching[0] if matching else None

    async def connect(self, address: str, port: int) -> Connection:
        """Connect to `address`:`port`; OSError with the reason as Linux gives it."""
        return await self.network.connect(self, address, port)

    def query(self, server: str, name: str, kind: str) -> list[str] | None:
        """Ask a name server; see Network.query."""
        return self.network.query(self, server, name, kind)


def _overlap(listening: str, address: str) -> bool:
    return "0.0.0.0" in (listening, address) or listening == address  # noqa: S104


@dataclass(frozen=True)
class Backend:
    """One of the places behind a Service's port."""

    address: Address
    node: str = ""
    ready: bool = True


@dataclass
class ServicePort:
    """Where connections to one port of a Service go.

    A Service that is `internal_local` takes those from a node's Pods to that node's Pods only;
    `external_local` is the same for those that come from outside through a node.
    """

    name: str
    backends: list[Backend]
    affinity_seconds: int | None = None
    internal_local: bool = False
    external_local: bool = False


@dataclass
class ServiceRules:
    """What kube-proxy writes on a node: where the addresses and node ports of Services lead."""

    cluster_ips: set[str] = field(default_factory=set)
    service_ports: dict[Address, ServicePort] = field(default_factory=dict)
    node_ports: dict[int, ServicePort] = field(default_factory=dict)

    def copy(self) -> "ServiceRules":
        """Return the rules as they are now."""
        return ServiceRules(set(self.cluster_ips), dict(self.service_ports), dict(self.node_ports))


@dataclass
class NodeNetwork:
    """A node's place in the network."""

    name: str
    namespace: NetworkNamespace
    up: bool = True
    pod_cidr: str = ""
    addresses: "itertools.count[int]" = field(default_factory=lambda: itertools.count(2))
    rules: ServiceRules = field(default_factory=ServiceRules)


def _usable(backends: list[Backend]) -> list[Address]:
    """Those that are ready; if none is, those that still serve while they end."""
    ready = [each.address for each in backends if each.ready]
    return ready or [each.address for each in backends]


class Network:
    """All that is connected, and how to get there."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.nodes: dict[str, NodeNetwork] = {}
        self.rules = ServiceRules()  # the latest; nodes have them while their kube-proxy runs
        self.admits: Admits = lambda source, ip, port, protocol: True
        self.name_servers: dict[str, NameServer] = {}  # by address
        self._pods: dict[str, NetworkNamespace] = {}
        self._ephemeral = itertools.cycle(range(FIRST_EPHEMERAL_PORT, 61000))
        self._random = random.Random(0)  # noqa: S311 - reproducible on purpose
        self._affinity: dict[tuple[str, str], tuple[Address, float]] = {}

    # Who is there

    def add_node(self, name: str, ip: str) -> NodeNetwork:
        """Connect a node, or connect it again."""
        node = self.nodes.get(name)
        if node is None:
            node = NodeNetwork(name, NetworkNamespace(self, ip, name, name))
            self.nodes[name] = node
        node.up = True
        return node

    def remove_pods(self, node: str) -> None:
        """Take away the addresses of all Pods on a node, as its restart does."""
        gone = [ip for ip, namespace in self._pods.items() if namespace.node == node]
        for ip in gone:
            del self._pods[ip]
        self.nodes[node].rules = ServiceRules()

    def follow_rules(self, node: str) -> None:
        """Keep a node's Service rules right from now on, as its kube-proxy does."""
        self.nodes[node].rules = self.rules

    def keep_rules(self, node: str) -> None:
        """Leave a node's Service rules as they are, as a kube-proxy does that ends."""
        self.nodes[node].rules = self.rules.copy()

    def add_pod(self, node: str, hostname: str) -> NetworkNamespace:
        """Give a Pod the next free address of its node's range."""
        place = self.nodes[node]
        hosts = ipaddress.ip_network(place.pod_cidr)
        while True:
            ip = str(hosts[next(place.addresses) % (hosts.num_addresses - 1)])
            if ip not in self._pods and not ip.endswith((".0", ".1")):
                break
        self._pods[ip] = NetworkNamespace(self, ip, hostname, node)
        return self._pods[ip]

    def remove_pod(self, namespace: NetworkNamespace) -> None:
        """Take a Pod's address back."""
        if self._pods.get(namespace.ip) is namespace:
            del self._pods[namespace.ip]

    # Connections

    async def connect(self, source: NetworkNamespace, address: str, port: int) -> Connection:
        """Connect `source` to `address`:`port`; see NetworkNamespace.connect."""
        local = address.startswith("127.") or address == source.ip
        if local:
            target, destination = source, (address, port)
        else:
            destination = await self._translate(source, address, port)
            target = await self._namespace(destination[0])
            await self._pass(source, destination)
        listener = target.listener(*destination)
        if listener is None:
            raise failure(errno.ECONNREFUSED, "")
        there, back = Pipe(), Pipe()
        origin = (address if local else source.ip, next(self._ephemeral))
        listener.offer(Connection(there.reader, back.writer, destination, origin))
        return Connection(back.reader, there.writer, origin, (address, port), listener.secure)

    async def _pass(self, source: NetworkNamespace, destination: Address) -> None:
        """Knock until the policies let a connection through, as Linux does, or give up."""
        for pause in SYN_PAUSES:
            if self.admits(source, *destination, "TCP"):
                return
            await self.clock.sleep(pause)
        raise failure(errno.ETIMEDOUT, "")

    async def _translate(self, source: NetworkNamespace, address: str, port: int) -> Address:
        """Return where a connection really goes: Services are replaced by an endpoint."""
        service = self.nodes[source.node].rules.service_ports.get((address, port))
        only_node = source.node if service and service.internal_local else ""
        if service is None:
            service, only_node = self._node_port(source, address, port)
        if service is None:
            return address, port
        if not service.backends:
            raise failure(errno.ECONNREFUSED, "")
        usable = _usable([b for b in service.backends if only_node in ("", b.node)])
        if not usable:  # of this node: dropped, where none at all is refused
            await self.clock.sleep(CONNECT_TIMEOUT)
            raise failure(errno.ETIMEDOUT, "")
        return self._choose(service, source.ip, usable)

    def _node_port(
        self, source: NetworkNamespace, address: str, port: int
    ) -> tuple[ServicePort | None, str]:
        """Return the Service at a port of a node, and the only node that its Pods may be on.

        A policy `Local` does not bind what comes from the node itself or from its Pods.
        """
        node = next((each for each in self._live_nodes() if each.namespace.ip == address), None)
        service = node.rules.node_ports.get(port) if node else None
        if node is None or service is None:
            return None, ""
        outside = service.external_local and source.node != node.name
        return service, node.name if outside else ""

    def _choose(self, service: ServicePort, client: str, usable: list[Address]) -> Address:
        key = (service.name, client)
        now = self.clock.monotonic()
        remembered, until = self._affinity.get(key, (None, 0.0))
        if remembered not in usable or until < now:
            remembered = self._random.choice(usable)
        assert remembered is not None
        if service.affinity_seconds is not None:
            self._affinity[key] = (remembered, now + service.affinity_seconds)
        return remembered

    def _live_nodes(self) -> list[NodeNetwork]:
        return [node for node in self.nodes.values() if node.up]

    async def _namespace(self, ip: str) -> NetworkNamespace:
        """Return who has `ip`, or fail after the time that finding nobody takes."""
        namespace = self._pods.get(ip)
        host = None
        if namespace is None:
            host = next((each for each in self.nodes.values() if each.namespace.ip == ip), None)
            namespace = host.namespace if host else None
        home = host or self._home(ip)
        if namespace and home and home.up:
            return namespace
        if ip in self.rules.cluster_ips or (home and not home.up):
            await self.clock.sleep(CONNECT_TIMEOUT)
            raise failure(errno.ETIMEDOUT, "")
        if home:
            await self.clock.sleep(ARP_TIMEOUT)
            raise failure(errno.EHOSTUNREACH, "")
        raise failure(errno.ENETUNREACH, "")

    def _home(self, ip: str) -> NodeNetwork | None:
        """Return the node whose range of Pod addresses contains `ip`."""
        pod = self._pods.get(ip)
        if pod:
            return self.nodes[pod.node]
        try:
            address = ipaddress.ip_address(ip)
        except ValueError:
            return None
        for node in self.nodes.values():
            if node.pod_cidr and address in ipaddress.ip_network(node.pod_cidr):
                return node
        return None

    def home_of(self, ip: str) -> str:
        """Return the name of the node that an address of a Pod belongs to, or nothing."""
        home = self._home(ip)
        return home.name if home else ""

    def reachable(self, source: NetworkNamespace, ip: str) -> bool:
        """Tell whether a ping from `source` to `ip` is answered; Services answer none."""
        home = self._home(ip)
        itself = ip.startswith("127.") or ip == source.ip
        if not itself and not self.admits(source, ip, None, "ICMP"):
            return False
        there = itself or (ip in self._pods and home and home.up)
        return bool(there) or any(ip == node.namespace.ip for node in self._live_nodes())

    def query(
        self, source: NetworkNamespace, server: str, name: str, kind: str
    ) -> list[str] | None:
        """Ask the name server at `server`; None when no answer comes from there.

        Raises LookupError when the name does not exist.
        """
        service = self.nodes[source.node].rules.service_ports.get((server, DNS_PORT))
        if service:
            usable = _usable(service.backends)
            server = self._random.choice(usable)[0] if usable else ""
        answer = self.name_servers.get(server)
        if answer is None or not self.admits(source, server, DNS_PORT, "UDP"):
            return None
        return answer(name, kind)
