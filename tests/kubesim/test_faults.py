"""Faults on command: what the cluster shows while they are at work, and that it recovers."""

from contextlib import asynccontextmanager

import pytest

from kubesim.apiserver.errors import StatusError
from kubesim.clock import Clock
from kubesim.cluster import Cluster, NodeSpec
from kubesim.faults import FaultError
from tests.kubesim.lab import started

NODES = [NodeSpec("cp", "control-plane"), NodeSpec("one"), NodeSpec("two")]
THREE = [*(NodeSpec(f"cp{n}", "control-plane") for n in "123"), NodeSpec("one")]
SELECTED = {"kubernetes.io/hostname": "one"}


class Struck:
    """A cluster with stepped time, and what one asks of it."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.advance = cluster.clock.advance
        self.inject, self.undo = cluster.faults.inject, cluster.faults.undo
        self.api = cluster.client("admin", ("system:masters",))

    async def ready(self, node, condition="Ready"):
        found = await self.api.get("nodes", node)
        conditions = found["status"]["conditions"]
        return next(c["status"] for c in conditions if c["type"] == condition)

    async def run_pod(self, name="web"):
        container = {"name": "main", "image": "nginx:1.26"}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"containers": [container], "nodeSelector": SELECTED},
        }
        await self.api.create("pods", pod)
        await self.advance(5)
        return await self.container(name)

    async def container(self, name="web"):
        pod = await self.api.get("pods", name, "default")
        return pod["status"].get("containerStatuses", [{}])[0]

    async def run_config_map(self, name):
        metadata = {"name": name, "namespace": "default"}
        return await self.api.create(
            "configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
        )


@asynccontextmanager
async def struck(nodes=NODES):
    async with started(Cluster(nodes=nodes, clock=Clock(speed=0, seed=1)), 20) as cluster:
        yield Struck(cluster)


@pytest.mark.parametrize("kind", ["node-stopped", "node-partitioned", "certificate-expired"])
async def test_a_node_that_is_not_heard_of_becomes_unknown_and_comes_back(kind):
    async with struck() as world:
        fault = await world.inject(kind, "one")
        assert [each.name for each in world.cluster.faults.active()] == [f"{kind}-one"]
        await world.advance(60)
        assert await world.ready("one") == "Unknown"
        assert await world.ready("two") == "True"
        await world.undo(fault.name)
        await world.advance(30)
        assert await world.ready("one") == "True"
        assert world.cluster.faults.active() == []


async def test_containers_of_a_partitioned_node_go_on_and_are_seen_to_have():
    async with struck() as world:
        before = await world.run_pod()
        await world.inject("node-partitioned", "one")
        await world.advance(60)
        worker = world.cluster.kubelet("one").worker("default", "web")
        assert worker.main[0].current.running
        await world.api.delete("pods", "web", "default", grace_period=0)
        await world.run_pod("other")
        await world.advance(10)
        assert worker.main[0].current.running, "nobody could tell the kubelet"
        await world.undo("node-partitioned-one")
        await world.advance(60)
        assert not worker.main[0].current.running
        assert before["state"]["running"]


@pytest.mark.parametrize(
    ("kind", "condition"),
    [("node-out-of-memory", "MemoryPressure"), ("node-out-of-disk", "DiskPressure")],
)
async def test_a_node_that_runs_out_says_so_and_evicts_its_pods(kind, condition):
    async with struck() as world:
        await world.run_pod()
        await world.inject(kind, "one")
        await world.advance(60)
        assert await world.ready("one", condition) == "True"
        pod = await world.api.get("pods", "web", "default")
        assert (pod["status"]["phase"], pod["status"]["reason"]) == ("Failed", "Evicted")
        await world.undo(f"{kind}-one")
        await world.advance(330)
        assert await world.ready("one", condition) == "False"


async def test_a_slow_node_still_heart_beats():
    async with struck() as world:
        await world.inject("node-slow", "one", 3)
        await world.advance(120)
        assert await world.ready("one") == "True"


async def test_a_killed_container_is_restarted_and_is_no_lasting_fault():
    async with struck() as world:
        await world.run_pod()
        await world.inject("container-killed", "default/web")
        await world.advance(20)
        container = await world.container()
        assert container["restartCount"] == 1
        assert container["lastState"]["terminated"]["exitCode"] == 137
        assert world.cluster.faults.active() == []


async def test_a_removed_image_cannot_be_pulled_until_it_is_back():
    async with struck() as world:
        await world.inject("image-removed", "nginx:1.26")
        container = await world.run_pod()
        assert container["state"]["waiting"]["reason"] in ("ErrImagePull", "ImagePullBackOff")
        await world.undo("image-removed-nginx-1.26")
        await world.advance(60)
        assert (await world.container())["state"]["running"]


async def test_without_a_scheduler_pods_wait():
    async with struck() as world:
        await world.inject("component-down", "kube-scheduler")
        await world.advance(40)
        assert await world.run_pod() == {}
        await world.undo("component-down-kube-scheduler")
        await world.advance(60)
        assert (await world.container())["state"]["running"]


async def test_without_etcd_nothing_is_written():
    async with struck() as world:
        await world.inject("component-down", "etcd@cp")
        await world.advance(40)
        with pytest.raises(StatusError, match="connection refused") as refused:
            await world.run_config_map("lost")
        assert refused.value.code == 500
        await world.undo("component-down-etcd-cp")
        await world.advance(60)
        await world.run_config_map("kept")
        assert await world.ready("one") == "True"


async def test_a_clock_that_is_wrong_dates_heartbeats_wrongly_and_costs_no_readiness():
    async with struck() as world:
        await world.inject("clock-skew", "one", 3600)
        await world.advance(120)
        lease = await world.api.get("leases.coordination.k8s.io", "one", "kube-node-lease")
        other = await world.api.get("leases.coordination.k8s.io", "two", "kube-node-lease")
        assert lease["spec"]["renewTime"][:13] > other["spec"]["renewTime"][:13]
        assert await world.ready("one") == "True"


@pytest.mark.parametrize(
    "kind", ["etcd-member-stopped", "etcd-member-partitioned", "etcd-member-slow"]
)
async def test_three_members_of_etcd_bear_the_loss_of_one(kind):
    async with struck(THREE) as world:
        await world.inject(kind, "cp1", *([1.5] if kind.endswith("slow") else []))
        await world.advance(10)
        task = world.run_config_map("kept")
        await world.advance(0)
        await task
        await world.undo(f"{kind}-cp1")
        await world.advance(30)
        assert len(world.cluster.store.group.running()) == 3
        assert world.cluster.store.group.quiet()


@pytest.mark.parametrize(
    ("kind", "target", "words"),
    [
        ("node-melted", "one", "there is no fault 'node-melted'; there are node-stopped"),
        ("node-stopped", "nine", "there is no node 'nine'; there are cp, one, two"),
        ("container-killed", "default/none", "no container of 'default/none' runs"),
        ("container-killed", "a/b/c/d", "is not NAMESPACE/POD"),
        ("image-removed", "mysql:1", "no node has an image 'mysql:1'"),
        ("component-down", "kubelet", "'kubelet' is no part of a control plane"),
        ("component-down", "etcd@one", "no etcd is set up on one"),
        ("etcd-member-stopped", "cp", "etcd has one member here"),
    ],
)
async def test_what_cannot_be_struck_is_named(kind, target, words):
    async with struck() as world:
        with pytest.raises(FaultError, match=words):
            await world.inject(kind, target)
        with pytest.raises(FaultError, match="at work: none"):
            await world.undo(f"{kind}-{target}")


async def test_a_fault_strikes_once():
    async with struck() as world:
        await world.inject("node-partitioned", "one")
        with pytest.raises(FaultError, match="at work already"):
            await world.inject("node-partitioned", "one")
