"""A whole cluster in one process: the parts, and how they are put together."""

import asyncio
import gc
import ipaddress
import logging
from collections.abc import Collection, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubesim.apiserver import aggregator
from kubesim.apiserver.apiextensions import controllers as apiextensions
from kubesim.apiserver.audit import Audit
from kubesim.apiserver.auth.authentication import (
    Impersonator,
    RequestAuthenticator,
    ServiceAccountTokens,
    Signer,
)
from kubesim.apiserver.auth.authorization import RBAC, Union
from kubesim.apiserver.auth.certificates import CertificateAdmission
from kubesim.apiserver.auth.escalation import Escalation
from kubesim.apiserver.auth.node_authorizer import NodeAuthorizer
from kubesim.apiserver.auth.node_restriction import restrict_nodes
from kubesim.apiserver.auth.reviews import Reviews
from kubesim.apiserver.auth.tokens import SecretSigner
from kubesim.apiserver.endpoint import ControlPlaneEndpoint
from kubesim.apiserver.handlers import proxy, streams
from kubesim.apiserver.registry import compactor
from kubesim.apiserver.registry.componentstatus import statuses
from kubesim.apiserver.registry.lookup import Lookup
from kubesim.apiserver.registry.storage import Object
from kubesim.apiserver.request import Request, RequestInfo, Response
from kubesim.apiserver.server import APIServer
from kubesim.clientgo.client import Client
from kubesim.clock import Clock, NodeClock
from kubesim.components import Components
from kubesim.control import PREFIX, Control
from kubesim.controllers.keys import CertificateSigner, Keys
from kubesim.etcd.replicated import store_of
from kubesim.etcd.store import Etcd
from kubesim.faults import Faults
from kubesim.kubeadm import ingress_nginx
from kubesim.kubeadm.bootstrap import bootstrap
from kubesim.kubeadm.config import ClusterConfig
from kubesim.kubelet.kubelet import Kubelet
from kubesim.kubelet.link import Link
from kubesim.kubelet.node import NodeConfig
from kubesim.kubelet.static_pods import Manifests
from kubesim.metrics import server as metrics
from kubesim.network.fabric import Network
from kubesim.network.policy import NetworkPolicies
from kubesim.network.proxy import ServiceProxy
from kubesim.runtime.images import ImageStore
from kubesim.storage import localpath
from kubesim.storage.disk import NodeDisk
from kubesim.upgrades import Upgrades, last_versions

log = logging.getLogger(__name__)

DEFAULT_NODES = 3
# Objects of the API are trees and go by reference counting. With Python's own thresholds a
# quarter of a large cluster's time goes into a search for cycles that are hardly ever there.
GARBAGE_THRESHOLDS = (20_000, 20, 100)
CONTROL_PLANE = "control-plane"
FIRST_NODE = 2  # in the Docker network that kind makes, 172.18.0.0/16, .1 is the gateway
CONTROL_PLANE_LABELS = (
    "node-role.kubernetes.io/control-plane",
    "node.kubernetes.io/exclude-from-external-load-balancers",
)
KINDNET_ACCOUNT = (
    "system:serviceaccount:kube-system:kindnet",
    ("system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"),
)
PROVISIONER_ACCOUNT = (
    f"system:serviceaccount:{localpath.NAMESPACE}:{localpath.ACCOUNT}",
    (
        "system:serviceaccounts",
        f"system:serviceaccounts:{localpath.NAMESPACE}",
        "system:authenticated",
    ),
)
SUPERUSER = ("system:apiserver", ("system:masters", "system:authenticated"))


@dataclass(frozen=True)
class NodeSpec:
    """A node as a kind configuration describes it."""

    name: str
    role: str = "worker"
    labels: dict[str, str] = field(default_factory=dict)
    version: str = ""  # of Kubernetes; the cluster's unless it is named


def default_nodes(cluster: str, count: int = DEFAULT_NODES) -> list[NodeSpec]:
    """One control plane and `count - 1` workers, named as kind names them."""
    names = [f"{cluster}-worker{number or ''}" for number in (0, *range(2, count))][: count - 1]
    return [NodeSpec(f"{cluster}-control-plane", CONTROL_PLANE), *map(NodeSpec, names)]


def control_planes(nodes: Iterable[NodeSpec]) -> list[str]:
    """Return the names of the nodes that keep the cluster's state."""
    return [node.name for node in nodes if node.role == CONTROL_PLANE]


class Cluster:
    """A control plane and its nodes. `server` answers as soon as the cluster is made."""

    def __init__(  # noqa: PLR0913 - the one place where all parts meet
        self,
        name: str = "kubesim",
        nodes: Sequence[NodeSpec] | None = None,
        clock: Clock | None = None,
        store: Etcd | None = None,
        *,
        signer: Signer | None = None,
        certificates: CertificateSigner | None = None,
        root_ca: str = "",
        audit: Audit | None = None,
        config: ClusterConfig | None = None,
    ) -> None:
        self.clock = clock or Clock()
        self.config = config or ClusterConfig(name)
        self.nodes = {node.name: node for node in nodes or default_nodes(name)}
        self._root_ca = root_ca
        self.store = store or store_of(control_planes(self.nodes.values()), self.clock)
        self.audit = audit or Audit(self.clock)
        self._tasks: set[asyncio.Task[None]] = set()
        signer = signer or SecretSigner(self.clock.random)
        self.server = self._api_server(signer)
        self.network = Network(self.clock)
        self.images = ImageStore()
        configs = {each.name: each for each in _node_configs(self.nodes.values(), self.config)}
        addresses = {host: configs[host].ip for host in control_planes(self.nodes.values())}
        self.endpoint = ControlPlaneEndpoint(self.server, addresses)
        keys = Keys(root_ca, certificates, signer)
        components = Components(
            self.endpoint, self.store, self.network, self.clock, keys, self._etcd_changed
        )
        self.server.computed["componentstatuses"] = lambda: statuses(components.is_running)
        self.links: dict[str, Link] = {}
        self.clocks: dict[str, NodeClock] = {}
        self.images.add(ingress_nginx.image(self.client, self.clock))
        self._kubelets = {name: self._kubelet(each) for name, each in configs.items()}
        versions = {name: each.version for name, each in configs.items()}
        versions |= last_versions(Lookup(self.server.storage).list("nodes"), self.nodes)
        superuser = self.client(*SUPERUSER)
        self.upgrades = Upgrades(self, superuser, addresses, versions, components.programs())

    def client(self, user: str, groups: Sequence[str] = ("system:authenticated",)) -> Client:
        """A client in this process, in the name of a user."""
        return Client(self.endpoint, user, groups)

    async def handle(self, request: Request) -> Response:
        """Answer who comes from outside. Raises ConnectionRefusedError while no API server runs.

        The simulation's own knobs answer all the same, or nothing could be made good again.
        """
        if self.endpoint.is_open or request.path.startswith(f"/{'/'.join(PREFIX)}/"):
            return await self.server.handle(request)
        raise ConnectionRefusedError

    async def start(self, cluster_info: str = "") -> None:
        """Bring up the control plane and the nodes; cluster_info: a kubeconfig to publish."""
        gc.set_threshold(*GARBAGE_THRESHOLDS)
        self._spawn("etcd", self.store.run())
        self._spawn("etcd compaction", compactor.run(self.store, self.clock))
        superuser = self.client(*SUPERUSER)
        definitions = apiextensions.run(superuser, self.server.resources, self.clock)
        self._spawn("apiextensions-apiserver", definitions)
        address = _node_ip(0)
        await bootstrap(
            superuser, self.config, address=address, cluster_info=cluster_info, ca_pem=self._root_ca
        )
        aggregator_loop = aggregator.run(superuser, self.server.resources, self.clock)
        self._spawn("kube-aggregator", aggregator_loop)
        proxy = ServiceProxy(self.client("system:kube-proxy"), self.network, self.clock)
        self._spawn("kube-proxy", proxy.run())
        self._spawn("ingress-nginx", ingress_nginx.install(superuser, self.clock))
        policies = NetworkPolicies(self.client(*KINDNET_ACCOUNT), self.network, self.clock)
        self._spawn("kindnet", policies.run())
        provisioner = localpath.run(self.client(*PROVISIONER_ACCOUNT), self.clock, self.disks)
        self._spawn("local-path-provisioner", provisioner)
        for name in self.nodes:
            await self.start_node(name)

    async def stop(self) -> None:
        """Stop every part; the store keeps what it has."""
        self.endpoint.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.store.close()
        self.audit.close()

    async def stop_node(self, name: str) -> None:
        """Cut a node's power: its containers die and nobody hears from it."""
        await self._kubelets[name].stop()

    async def start_node(self, name: str) -> None:
        """Give a node power; nothing happens to one that has it."""
        if not self._kubelets[name].running:
            self._spawn(f"kubelet {name}", self._kubelets[name].run())

    def kubelet(self, node: str) -> Kubelet:
        """Return a node's kubelet. Raises KeyError."""
        return self._kubelets[node]

    def manifests(self, node: str) -> Manifests:
        """Return the directory of static Pods on a node."""
        return self._kubelets[node].manifests

    @property
    def disks(self) -> dict[str, NodeDisk]:
        """The disk of each node: what outlives its Pods, and its power."""
        return {name: kubelet.disk for name, kubelet in self._kubelets.items()}

    async def upgrade_node(self, name: str, version: str) -> None:
        """Bring a node's parts to another release of Kubernetes. Raises ValueError with why not."""
        await self.upgrades.upgrade(name, version)

    def add_image(self, reference: str) -> None:
        """Make an image known to every node. Raises ValueError when it cannot be simulated."""
        self.images.load(reference)

    def _kubelet(self, config: NodeConfig) -> Kubelet:
        link = self.links[config.name] = Link(self.endpoint, self.clock)
        clock = self.clocks[config.name] = NodeClock(self.clock)
        groups = ("system:nodes", "system:authenticated")
        client = Client(link, f"system:node:{config.name}", groups)
        return Kubelet(config, client, self.images, self.network, clock)

    def _etcd_changed(self, node: str, running: bool) -> None:
        if not self.endpoint.closing:
            self.store.set_running(node, running)

    def _api_server(self, signer: Signer) -> APIServer:
        server = APIServer(self.store, self.clock, audit=self.audit, connect=self._connect)
        objects = Lookup(server.storage)
        tokens = ServiceAccountTokens(signer, objects, self.clock)
        rbac = RBAC(objects)
        authorizer = Union(NodeAuthorizer(objects), rbac)
        server.authenticator = Impersonator(RequestAuthenticator(tokens), authorizer)
        server.authorizer = authorizer
        server.validators += [Escalation(rbac), restrict_nodes, CertificateAdmission(rbac)]
        self.faults = Faults(self)
        server.endpoints.append(Control(self, self.faults))
        server.resources.define("metrics-server", [metrics.NODES, metrics.PODS])
        sources = metrics.MetricsServer(objects, self.clock, self._summaries)
        server.aggregated[metrics.GROUP] = sources
        server.virtual = Reviews(tokens, authorizer, rbac, objects, self.clock).handlers()
        return server

    def _summaries(self) -> list[Object]:
        """What the nodes that answer and their containers use."""
        servers = [kubelet.server for kubelet in self._kubelets.values()]
        return [server.summary() for server in servers if server.answers]

    async def _connect(self, info: RequestInfo, request: Request, obj: Object) -> Response:
        servers = {
            name: kubelet.server
            for name, kubelet in self._kubelets.items()
            if not self.links[name].cut
        }
        if info.subresource != "proxy":
            return await streams.connect(info, request, obj, servers)
        host = self.network.nodes[next(iter(self.nodes))].namespace
        objects = Lookup(self.server.storage)

        def endpoints(namespace: str, name: str) -> Object | None:
            return objects.get("endpoints", name, namespace)

        return await proxy.connect(info, request, obj, proxy.Surroundings(host, endpoints, servers))

    def _spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(_watched(name, work), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _node_ip(index: int) -> str:
    """Return the address of a node in Docker's network."""
    third, fourth = divmod(index + FIRST_NODE, 256)
    return f"172.18.{third}.{fourth}"


def _pod_cidr(index: int, subnet: str) -> str:
    """Return the range of a node's Pods: of the cluster's, and for more nodes of those below."""
    whole = ipaddress.IPv4Network(subnet)
    above, within = divmod(index * 256, whole.num_addresses)
    first = int(whole.network_address) - above * whole.num_addresses + within
    return f"{ipaddress.IPv4Address(first)}/24"


def _node_configs(nodes: Collection[NodeSpec], config: ClusterConfig) -> Iterator[NodeConfig]:
    """What kubeadm tells each node; a control plane keeps Pods away if there are workers."""
    for index, node in enumerate(nodes):
        labels, taints = dict(node.labels), []
        if node.role == CONTROL_PLANE:
            labels |= dict.fromkeys(CONTROL_PLANE_LABELS, "")
            if len(nodes) > 1:
                taints = [{"key": CONTROL_PLANE_LABELS[0], "effect": "NoSchedule"}]
        address, pods = _node_ip(index), _pod_cidr(index, config.pod_subnet)
        version = node.version or config.version
        yield NodeConfig(node.name, address, pods, labels, taints, version, cluster=config.name)


async def _watched(name: str, work: Coroutine[Any, Any, None]) -> None:
    """Await a part's task; a part that fails says so, and the others go on."""
    try:
        await work
    except Exception:
        log.exception("%s has failed", name)
