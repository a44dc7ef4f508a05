"""The parts of a control plane are their Pods: one stops them, and sees what still works."""

from contextlib import asynccontextmanager

import pytest

from kubesim.apimachinery.objects import condition
from kubesim.apiserver.errors import StatusError
from kubesim.clock import Clock
from kubesim.cluster import SUPERUSER, Cluster, NodeSpec
from kubesim.kubeadm.manifests import COMPONENTS
from tests.kubesim.lab import started

MASTER = "test-control-plane"
WORKER = "test-worker"
DEPLOYMENTS = "deployments.apps"
LEASES = "leases.coordination.k8s.io"
SYSTEM = "kube-system"


class Lab:
    """A cluster on a stepped clock, and short words for what tests do with it."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.api = cluster.client(*SUPERUSER)
        self.advance = cluster.clock.advance

    async def deploy(self, name="web", replicas=2, image="nginx:1.26", **spec):
        labels = {"app": name}
        template = {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "c", "image": image, **spec}]},
        }
        made = {
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": template,
            },
        }
        await self.api.create(DEPLOYMENTS, made)
        await self.advance(2)

    async def pods(self, namespace="default", **selectors):
        return (await self.api.list("pods", namespace, **selectors))["items"]

    async def phases(self):
        return {each["status"]["phase"] for each in await self.pods()}

    async def component(self, name, node=MASTER):
        return await self.api.get("pods", f"{name}-{node}", SYSTEM)

    async def stop(self, component, node=MASTER):
        fault = ("component-down", f"{component}@{node}")
        fault = ("kubelet-stopped", node) if component == "kubelet" else fault
        made = await self.cluster.faults.inject(*fault)
        await self.advance(1)
        return made.name

    async def start(self, fault):
        await self.cluster.faults.undo(fault)
        await self.advance(2)

    async def sh(self, pod, *command):
        """What a command in a Pod's container writes, and its exit code."""
        metadata, node = pod["metadata"], pod["spec"]["nodeName"]
        container = pod["spec"]["containers"][0]["name"]
        server = self.cluster._kubelets[node].server
        session = await server.exec(
            metadata["namespace"], metadata["name"], container, list(command)
        )
        await self.advance(15)
        output = b"".join([chunk async for chunk in session.stdout]).decode()
        return output, await session.wait()


@asynccontextmanager
async def lab(nodes=None):
    async with started(Cluster("test", nodes, clock=Clock(speed=0)), 3) as cluster:
        yield Lab(cluster)


async def test_everything_is_ready_after_the_start():
    async with lab() as here:
        pods = await here.pods(SYSTEM)
        assert len(pods) == 12
        for pod in pods:
            assert condition(pod, "Ready")["status"] == "True", pod["metadata"]["name"]


async def test_without_a_scheduler_new_pods_stay_pending_and_old_ones_run():
    async with lab() as here:
        await here.deploy("old")
        stopped = await here.stop("kube-scheduler")
        await here.deploy("new")
        await here.advance(60)
        assert await here.phases() == {"Running", "Pending"}
        with pytest.raises(StatusError):
            await here.component("kube-scheduler")
        await here.start(stopped)
        await here.advance(20)
        assert await here.phases() == {"Running"}


async def test_without_a_controller_manager_nothing_heals():
    async with lab() as here:
        await here.deploy()
        stopped = await here.stop("kube-controller-manager")
        victim = (await here.pods())[0]["metadata"]["name"]
        await here.api.delete("pods", victim, "default", grace_period=0)
        await here.advance(60)
        assert len(await here.pods()) == 1
        await here.start(stopped)
        await here.advance(20)
        assert len(await here.pods()) == 2


async def test_a_component_deleted_by_its_mirror_is_back_and_elected_again():
    async with lab() as here:
        before = await here.component("kube-scheduler")
        lease = await here.api.get(LEASES, "kube-scheduler", SYSTEM)
        await here.api.delete("pods", before["metadata"]["name"], SYSTEM)
        await here.advance(3)
        after = await here.component("kube-scheduler")
        running = [
            pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
            for pod in (before, after)
        ]
        assert running[0] < running[1]
        await here.deploy()
        assert await here.phases() == {"Running"}
        now = await here.api.get(LEASES, "kube-scheduler", SYSTEM)
        assert now["spec"]["holderIdentity"] == lease["spec"]["holderIdentity"]


async def test_without_an_api_server_connections_are_refused_and_containers_go_on():
    async with lab() as here:
        await here.deploy()
        pod = (await here.pods())[0]
        stopped = await here.stop("kube-apiserver")
        with pytest.raises(StatusError) as refused:
            await here.pods()
        assert "dial tcp 172.18.0.2:6443: connect: connection refused" in str(refused.value)
        assert (await here.sh(pod, "echo", "alive")) == ("alive\n", 0)
        await here.start(stopped)
        await here.advance(60)
        again = (await here.pods())[0]
        assert again["status"]["containerStatuses"][0]["restartCount"] == 0


async def test_without_etcd_the_api_server_answers_500_and_then_not_at_all():
    async with lab() as here:
        stopped = await here.stop("etcd")
        with pytest.raises(StatusError) as failed:
            await here.pods()
        assert failed.value.code == 500
        assert "dial tcp 127.0.0.1:2379: connect: connection refused" in str(failed.value)
        await here.advance(120)  # the liveness probe has failed too often
        with pytest.raises(StatusError) as refused:
            await here.pods()
        assert "172.18.0.2:6443: connect: connection refused" in str(refused.value)
        await here.start(stopped)
        await here.advance(400)  # the longest back-off of a crashing container
        assert len(await here.pods(SYSTEM)) == 12


async def test_a_stopped_kubelet_leaves_containers_running_that_nobody_restarts():
    async with lab() as here:
        await here.deploy(command=["sleep", "3600"], image="busybox:1.36", replicas=4)
        pod = next(each for each in await here.pods() if each["spec"]["nodeName"] == WORKER)
        stopped = await here.stop("kubelet", WORKER)
        await here.advance(60)
        node = await here.api.get("nodes", WORKER)
        assert condition(node, "Ready")["status"] == "Unknown"
        container = here.cluster._kubelets[WORKER]._workers[pod["metadata"]["uid"]].main[0].current
        assert container.running
        container.kill()
        await here.advance(60)
        assert not container.running
        await here.start(stopped)
        await here.advance(60)
        assert condition(await here.api.get("nodes", WORKER), "Ready")["status"] == "True"
        status = (await here.api.get("pods", pod["metadata"]["name"], "default"))["status"]
        assert status["containerStatuses"][0]["restartCount"] == 1


async def test_service_rules_stay_as_they_were_while_a_node_has_no_kube_proxy():
    async with lab() as here:
        await here.deploy()
        rules = here.cluster.network.nodes[WORKER].rules
        assert ("10.96.0.1", 443) in rules.service_ports
        selector = {"nodeSelector": {"nowhere": "true"}}
        patch = {"spec": {"template": {"spec": selector}}}
        await here.api.patch("daemonsets.apps", "kube-proxy", patch, SYSTEM)
        await here.advance(60)
        spec = {"selector": {"app": "web"}, "ports": [{"port": 80}], "clusterIP": "10.96.0.77"}
        made = {"metadata": {"name": "web", "namespace": "default"}, "spec": spec}
        await here.api.create("services", made)
        await here.advance(1)
        kept = here.cluster.network.nodes[WORKER].rules
        assert ("10.96.0.1", 443) in kept.service_ports
        assert ("10.96.0.77", 80) not in kept.service_ports
        assert ("10.96.0.77", 80) in here.cluster.network.rules.service_ports


async def test_without_core_dns_names_fail_and_addresses_work():
    async with lab() as here:
        await here.deploy("web")
        spec = {"selector": {"app": "web"}, "ports": [{"port": 80}], "clusterIP": "10.96.0.77"}
        made = {"metadata": {"name": "web", "namespace": "default"}, "spec": spec}
        await here.api.create("services", made)
        await here.deploy("box", command=["sleep", "3600"], image="busybox:1.36", replicas=1)
        box = (await here.pods(label_selector="app=box"))[0]
        assert "10.96.0.77" in (await here.sh(box, "nslookup", "web.default.svc.cluster.local"))[0]
        await here.api.patch(DEPLOYMENTS, "coredns", {"spec": {"replicas": 0}}, SYSTEM)
        await here.advance(60)
        output, code = await here.sh(box, "nslookup", "web.default.svc.cluster.local")
        assert code == 1
        assert "no servers could be reached" in output
        assert "Welcome to nginx!" in (await here.sh(box, "wget", "-qO-", "10.96.0.77"))[0]


async def test_the_lease_of_a_lost_leader_moves_to_another_control_plane_node():
    masters = [NodeSpec(f"master-{number}", "control-plane") for number in (1, 2, 3)]
    async with lab(masters) as here:
        lease = (await here.api.get(LEASES, "kube-scheduler", SYSTEM))["spec"]
        leader = lease["holderIdentity"].partition("_")[0]
        assert lease["leaseTransitions"] == 0
        for component in COMPONENTS:
            for master in masters:
                await here.component(component, master.name)
        await here.cluster.stop_node(leader)
        await here.advance(40)
        lease = (await here.api.get(LEASES, "kube-scheduler", SYSTEM))["spec"]
        assert not lease["holderIdentity"].startswith(leader)
        assert lease["leaseTransitions"] == 1


async def test_etcdctl_shows_what_etcd_holds():
    async with lab() as here:
        etcd = await here.component("etcd")
        keys = (
            await here.sh(etcd, "etcdctl", "get", "/registry/minions/", "--prefix", "--keys-only")
        )[0]
        assert keys.split() == sorted(f"/registry/minions/{name}" for name in here.cluster.nodes)
        members = (await here.sh(etcd, "etcdctl", "member", "list"))[0]
        assert f", started, {MASTER}, false" in members
        health = (await here.sh(etcd, "etcdctl", "endpoint", "health"))[0]
        assert "127.0.0.1:2379 is healthy" in health
