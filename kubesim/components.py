"""What runs in the containers of kube-system: every component of the cluster, by its image.

A component is its container's process and nothing else. It begins when the kubelet starts the
container and ends when the container does, so whatever stops the container stops the component.
Its code is loaded then as well, as a program's is: a cluster answers before all of it is there.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from kubesim.apiserver.endpoint import ControlPlaneEndpoint
from kubesim.clientgo import klog
from kubesim.clientgo.client import Client
from kubesim.clock import Clock
from kubesim.controllers.keys import Keys
from kubesim.etcd import process as etcd
from kubesim.etcd.etcdctl import etcdctl
from kubesim.etcd.store import Etcd
from kubesim.network.fabric import Network
from kubesim.runtime.daemon import Answer, Daemon, GiveUpError, daemon, healthy
from kubesim.runtime.process import Program

ACCOUNTS = "system:serviceaccounts"
LOOPBACK = "127.0.0.1"
ETCD_PATIENCE = 20.0  # seconds that a kube-apiserver waits for its etcd before it gives up
POLL = 0.5

Connect = Callable[[str, Sequence[str]], Client]


class Components:
    """The programs of the images of kube-system.

    Args:
        endpoint: the API servers, which the components start, stop and connect to.
        store: what etcd serves.
        network: what CoreDNS serves names to, and kube-proxy writes its rules into.
        clock: the clock by which everything waits.
        keys: what the controller manager signs with.
        etcd_changed: hears when the etcd of a node has started or ended.

    """

    def __init__(
        self,
        endpoint: ControlPlaneEndpoint,
        store: Etcd,
        network: Network,
        clock: Clock,
        keys: Keys,
        etcd_changed: Callable[[str, bool], None],
    ) -> None:
        self._etcd_changed = etcd_changed
        self._endpoint = endpoint
        self._store = store
        self._network = network
        self._clock = clock
        self._keys = keys
        self._counts: Counter[str] = Counter()

    def programs(self) -> Mapping[str, Mapping[str, Program]]:
        """Return what each image holds: programs by name."""
        etcd_ports = dict.fromkeys((2379, 2380, 2381), self._etcd_health)
        dns_ports = {8080: _dns_healthy, 8181: healthy, 9153: healthy}
        made = {
            "etcd": daemon(self._etcd, etcd_ports),
            "kube-apiserver": daemon(self._api_server, {6443: self._api_health}),
            "kube-controller-manager": daemon(self._controller_manager, {10257: healthy}),
            "kube-scheduler": daemon(self._scheduler, {10259: healthy}),
            "kube-proxy": daemon(self._kube_proxy, {10256: healthy}),
            "kindnetd": daemon(self._kindnet, {}),
            "coredns": daemon(self._core_dns, dns_ports),
        }
        programs = {name: {name: program} for name, program in made.items()}
        programs["etcd"]["etcdctl"] = etcdctl(self._store)
        return programs

    def is_running(self, program: str) -> bool:
        """Whether any node runs a component."""
        return self._counts[program] > 0

    @contextmanager
    def _running(self, program: str) -> Iterator[None]:
        self._counts[program] += 1
        try:
            yield
        finally:
            self._counts[program] -= 1

    def _connect(self, node: str) -> Connect:
        """Return how the components of a control plane node reach its own API server."""
        door = self._endpoint.at(node)
        return lambda user, groups: Client(door, user, groups)

    async def _etcd(self, process: Daemon) -> None:
        self._etcd_changed(process.node, True)
        try:
            with self._running("etcd"):
                await etcd.run(self._store, process.node, process.ip, process.log, self._clock)
        finally:
            self._etcd_changed(process.node, False)

    def _etcd_health(self, _path: str) -> Answer:
        return (200, "ok") if self._store.healthy else (503, "raft loop not ready")

    async def _api_server(self, process: Daemon) -> None:
        self._say("options.go:263", f"external host was not specified, using {process.ip}")
        await self._wait_for_etcd()
        self._endpoint.set_running(process.node, True)
        self._say("secure_serving.go:211", "Serving securely on [::]:6443")
        try:
            await _forever()
        finally:
            self._endpoint.set_running(process.node, False)

    async def _wait_for_etcd(self) -> None:
        try:
            async with self._clock.timeout(ETCD_PATIENCE):
                while not self._store.healthy:
                    await self._clock.sleep(POLL)
        except TimeoutError:
            why = "error while dialing: dial tcp 127.0.0.1:2379: connect: connection refused"
            raise GiveUpError(f'"command failed" err="context deadline exceeded: {why}"') from None

    def _api_health(self, path: str) -> Answer:
        """Answer /livez and /readyz, which ask etcd."""
        if self._store.healthy:
            return 200, "ok"
        return 500, f"[+]ping ok\n[-]etcd failed: reason withheld\n{path.strip('/')} check failed\n"

    async def _controller_manager(self, process: Daemon) -> None:
        from kubesim.controllers.manager import ControllerManager

        self._say("secure_serving.go:211", f"Serving securely on {LOOPBACK}:10257")
        connect = self._connect(process.node)
        with self._running("kube-controller-manager"):
            await ControllerManager(connect, self._clock, process.node, self._keys).run()

    async def _scheduler(self, process: Daemon) -> None:
        from kubesim.scheduler import server as scheduler

        self._say("secure_serving.go:211", f"Serving securely on {LOOPBACK}:10259")
        with self._running("kube-scheduler"):
            await scheduler.run(self._connect(process.node), self._clock, process.node)

    async def _kube_proxy(self, process: Daemon) -> None:
        self._say("server_linux.go:53", "Using iptables proxy")
        self._say("server.go:677", f'Successfully retrieved NodeIPs: ["{process.ip}"]')
        self._network.follow_rules(process.node)
        self._say("shared_informer.go:356", "Caches are synced for service config")
        self._say("shared_informer.go:356", "Caches are synced for endpoint slice config")
        try:
            await _forever()
        finally:
            self._network.keep_rules(process.node)

    async def _kindnet(self, process: Daemon) -> None:
        environment = process.process.environment
        self._say("main.go:109", f"connected to apiserver: {environment['CONTROL_PLANE_ENDPOINT']}")
        self._say("main.go:139", f"hostIP = {process.ip}\npodIP = {process.ip}")
        subnet = environment["POD_SUBNET"]
        self._say("main.go:182", f"handling current node, masquerading traffic from {subnet}")
        await _forever()

    async def _core_dns(self, process: Daemon) -> None:
        from kubesim.network.dns import ClusterDNS

        process.log(".:53\n[INFO] plugin/reload: Running configuration\nCoreDNS\nlinux/amd64\n")
        account = "system:serviceaccount:kube-system:coredns"
        groups = (ACCOUNTS, f"{ACCOUNTS}:kube-system", "system:authenticated")
        client = Client(self._endpoint, account, groups)
        await ClusterDNS(client, self._network, self._clock).run(process.ip)

    def _say(self, source: str, message: str) -> None:
        klog.info(self._clock.now(), source, message)


def _dns_healthy(_path: str) -> Answer:
    return 200, "OK"


async def _forever() -> None:
    await asyncio.get_running_loop().create_future()
