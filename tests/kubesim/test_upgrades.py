"""Upgrading a cluster node by node, within the version skew policy."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from kubesim.clock import Clock
from kubesim.cluster import SUPERUSER, Cluster, NodeSpec
from kubesim.etcd.store import Etcd
from kubesim.kubeadm.config import ClusterConfig
from tests.kubesim.lab import started

MASTER, WORKER, OTHER = "test-control-plane", "test-worker", "test-worker2"
SYSTEM = "kube-system"
OLD, NEXT, SKIPPED = "v1.36.0", "v1.37.1", "v1.38.0"


class Lab:
    def __init__(self, cluster):
        self.cluster = cluster
        self.api = cluster.client(*SUPERUSER)
        self.advance = cluster.clock.advance

    async def upgrade(self, node, version):
        """Upgrade while time passes."""
        task = asyncio.ensure_future(self.cluster.upgrade_node(node, version))
        for _ in range(200):
            await self.advance(1)
            if task.done():
                break
        await task
        await self.advance(5)

    async def kubelets(self):
        nodes = (await self.api.list("nodes"))["items"]
        return {n["metadata"]["name"]: n["status"]["nodeInfo"]["kubeletVersion"] for n in nodes}

    async def images(self, label):
        pods = (await self.api.list("pods", SYSTEM, label_selector=label))["items"]
        return {pod["spec"]["containers"][0]["image"].rpartition(":")[2] for pod in pods}


@asynccontextmanager
async def lab(nodes=None, store=None, clock=None):
    clock = clock or Clock(speed=0)
    config = ClusterConfig("test", version=OLD)
    async with started(Cluster("test", nodes, clock, store, config=config), 3) as cluster:
        yield Lab(cluster)


async def test_a_cluster_is_upgraded_control_plane_first_then_each_kubelet():
    async with lab() as here:
        assert set((await here.kubelets()).values()) == {OLD}
        await here.upgrade(MASTER, NEXT)
        assert await here.kubelets() == {MASTER: NEXT, WORKER: OLD, OTHER: OLD}
        assert await here.images("component=kube-apiserver") == {NEXT}
        assert await here.images("component=kube-scheduler") == {NEXT}
        assert here.cluster.server.version == NEXT
        await here.advance(60)
        assert await here.images("k8s-app=kube-proxy") == {NEXT}
        config = await here.api.get("configmaps", "kubeadm-config", SYSTEM)
        assert f"kubernetesVersion: {NEXT}\n" in config["data"]["ClusterConfiguration"]
        await here.upgrade(WORKER, NEXT)
        assert await here.kubelets() == {MASTER: NEXT, WORKER: NEXT, OTHER: OLD}


async def test_an_upgraded_kubelet_leaves_its_containers_running():
    async with lab() as here:
        await here.upgrade(MASTER, NEXT)
        pods = {"label_selector": "app=kindnet", "field_selector": f"spec.nodeName={WORKER}"}
        before = (await here.api.list("pods", SYSTEM, **pods))["items"][0]
        await here.upgrade(WORKER, NEXT)
        after = (await here.api.list("pods", SYSTEM, **pods))["items"][0]
        identities = [p["status"]["containerStatuses"][0]["containerID"] for p in (before, after)]
        assert identities[0] == identities[1]


@pytest.mark.parametrize(
    ("node", "version", "words"),
    [
        (MASTER, SKIPPED, 'upgrade to "v1.38.0" is too high; kubeadm can upgrade only 1 minor'),
        (MASTER, "v1.35.0", 'downgrade to "v1.35.0" is too low'),
        (WORKER, NEXT, "kubelet must not be newer than kube-apiserver"),
        (MASTER, "v1.99.0", r"cannot be run: the embedded cluster knows v1\.34 to v1\.38"),
        (MASTER, "1.37", "cannot be run"),
    ],
)
async def test_what_the_skew_policy_forbids_is_refused_with_the_reason(node, version, words):
    async with lab() as here:
        with pytest.raises(ValueError, match=words):
            await here.cluster.upgrade_node(node, version)


async def test_kubelets_may_be_three_minor_releases_older_and_no_more():
    nodes = [
        NodeSpec(MASTER, "control-plane", version="v1.37.0"),
        NodeSpec(WORKER, version="v1.34.0"),
    ]
    async with lab(nodes) as here:
        assert await here.kubelets() == {MASTER: "v1.37.0", WORKER: "v1.34.0"}
        words = r"kubelets in this cluster that are too old that have these versions \['v1.34.0'\]"
        with pytest.raises(ValueError, match=words):
            await here.cluster.upgrade_node(MASTER, SKIPPED)
        await here.upgrade(WORKER, "v1.36.0")  # a kubelet may skip releases
        await here.upgrade(MASTER, SKIPPED)
        assert await here.kubelets() == {MASTER: SKIPPED, WORKER: "v1.36.0"}


async def test_api_servers_stay_within_one_minor_release():
    masters = [NodeSpec(f"master-{number}", "control-plane") for number in (1, 2, 3)]
    async with lab(masters) as here:
        await here.upgrade("master-1", NEXT)
        assert here.cluster.server.version == OLD
        with pytest.raises(ValueError, match="within one minor version of each other"):
            await here.cluster.upgrade_node("master-1", SKIPPED)
        for name in ("master-2", "master-3"):
            await here.upgrade(name, NEXT)
        assert here.cluster.server.version == NEXT
        await here.upgrade("master-1", SKIPPED)
        assert await here.images("k8s-app=kube-proxy") == {NEXT}


async def test_a_cluster_that_is_served_again_runs_what_its_nodes_were_upgraded_to():
    clock = Clock(speed=0)
    store = Etcd(clock=clock)
    async with lab(store=store, clock=clock) as here:
        await here.upgrade(MASTER, NEXT)
    async with lab(store=store, clock=clock) as here:
        assert await here.kubelets() == {MASTER: NEXT, WORKER: OLD, OTHER: OLD}
        assert await here.images("component=etcd") == {"3.6.10-0"}
        assert here.cluster.server.version == NEXT
