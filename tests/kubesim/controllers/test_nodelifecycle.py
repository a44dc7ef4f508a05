"""A node that falls silent: Unknown after 50 s, its Pods evicted 300 s later."""

import pytest

from kubesim.apimachinery.objects import condition, condition_status, is_being_deleted, parse_time

UNREACHABLE = "node.kubernetes.io/unreachable"


def taints(node):
    return {(each["key"], each["effect"]) for each in node["spec"].get("taints") or ()}


async def get_node(world, name):
    return await world.get("nodes", name, None)


async def pods_by_node(world):
    found = {}
    for pod in await world.items("pods"):
        if not is_being_deleted(pod):
            found.setdefault(pod["spec"].get("nodeName"), []).append(pod)
    return found


async def test_a_silent_node_becomes_unknown_after_the_grace_period(make_world):
    async with make_world(nodes=2) as world:
        await world.advance(100)
        await world.stop("node-2")
        await world.advance(40)
        assert condition_status(await get_node(world, "node-2"), "Ready") == "True"
        await world.advance(20)
        node = await get_node(world, "node-2")
        for kind in ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure"):
            told = condition(node, kind)
            assert (told["status"], told["reason"]) == ("Unknown", "NodeStatusUnknown")
            assert told["message"] == "Kubelet stopped posting node status."
        assert condition_status(await get_node(world, "node-1"), "Ready") == "True"
        assert ("NodeNotReady", "Node node-2 status is now: NodeNotReady") in (
            await world.events("node-2")
        )


async def test_a_silent_node_is_tainted_and_its_pods_are_not_ready(make_world):
    async with make_world(nodes=2) as world:
        await world.create_pod("here", nodeSelector={"kubernetes.io/hostname": "node-2"})
        await world.settle()
        await world.stop("node-2")
        await world.advance(65)
        assert taints(await get_node(world, "node-2")) == {
            (UNREACHABLE, "NoSchedule"),
            (UNREACHABLE, "NoExecute"),
        }
        pod = await world.pod("here")
        assert condition_status(pod, "Ready") == "False"
        assert pod["status"]["phase"] == "Running"
        assert ("NodeNotReady", "Node is not ready") in await world.events("here")


async def test_pods_of_a_lost_node_are_replaced_after_five_minutes(make_world):
    async with make_world(nodes=2) as world:
        await world.create_deployment(replicas=4)
        await world.settle()
        lost = len((await pods_by_node(world))["node-2"])
        await world.stop("node-2")
        await world.advance(300)
        assert len((await pods_by_node(world))["node-2"]) == lost
        await world.advance(70)
        assert [*await pods_by_node(world)] == ["node-1"]
        stuck = [pod for pod in await world.items("pods") if is_being_deleted(pod)]
        assert len(stuck) == lost  # only their kubelet could say that they have ended
        for pod in stuck:
            target = condition(pod, "DisruptionTarget")
            assert target["reason"] == "DeletionByTaintManager"
            name = pod["metadata"]["name"]
            marked = ("TaintManagerEviction", f"Marking for deletion Pod default/{name}")
            assert marked in await world.events(name)


async def test_a_node_that_returns_in_time_keeps_its_pods(make_world):
    async with make_world(nodes=2) as world:
        await world.create_pod("here", nodeSelector={"kubernetes.io/hostname": "node-2"})
        await world.settle()
        await world.stop("node-2")
        await world.advance(200)
        world.start("node-2", world.kubelets["node-2"].run())
        await world.advance(10)
        assert taints(await get_node(world, "node-2")) == set()
        cancelled = ("TaintManagerEviction", "Cancelling deletion of Pod default/here")
        assert cancelled in await world.events("here")
        await world.advance(400)
        assert not is_being_deleted(await world.pod("here"))


async def test_when_every_node_is_lost_nothing_is_evicted(make_world):
    async with make_world(nodes=2) as world:
        await world.create_deployment(replicas=2)
        await world.settle()
        await world.stop("node-1")
        await world.stop("node-2")
        await world.advance(600)
        for name in ("node-1", "node-2"):
            assert taints(await get_node(world, name)) == {(UNREACHABLE, "NoSchedule")}
        assert not any(map(is_being_deleted, await world.items("pods")))


async def test_lost_nodes_of_a_zone_are_given_up_one_by_one(make_world):
    async with make_world(nodes=3) as world:
        await world.stop("node-2")
        await world.stop("node-3")
        await world.advance(120)
        times = [
            parse_time(taint["timeAdded"])
            for name in ("node-2", "node-3")
            for taint in (await get_node(world, name))["spec"]["taints"]
            if taint["effect"] == "NoExecute"
        ]
        assert abs((times[1] - times[0]).total_seconds()) >= 10


@pytest.mark.parametrize(
    ("kind", "status", "taint"),
    [
        ("Ready", "False", "not-ready"),
        ("MemoryPressure", "True", "memory-pressure"),
        ("DiskPressure", "True", "disk-pressure"),
        ("PIDPressure", "True", "pid-pressure"),
        ("NetworkUnavailable", "True", "network-unavailable"),
    ],
)
async def test_conditions_become_taints_and_back(make_world, kind, status, taint):
    async with make_world(nodes=2) as world:

        async def post(value):
            told = {"type": kind, "status": value, "reason": "Test", "message": ""}
            patch = {"status": {"conditions": [told]}}
            await world.api.patch("nodes", "node-2", patch, subresource="status")
            await world.settle()

        await post(status)
        expected = (f"node.kubernetes.io/{taint}", "NoSchedule")
        assert expected in taints(await get_node(world, "node-2"))
        await post("False" if status == "True" else "True")
        assert expected not in taints(await get_node(world, "node-2"))


async def test_a_cordoned_node_is_tainted(make_world):
    async with make_world(nodes=1) as world:
        await world.change("nodes", "node-1", {"spec": {"unschedulable": True}}, None)
        expected = ("node.kubernetes.io/unschedulable", "NoSchedule")
        assert expected in taints(await get_node(world, "node-1"))
        await world.change("nodes", "node-1", {"spec": {"unschedulable": None}}, None)
        assert expected not in taints(await get_node(world, "node-1"))


async def test_taints_of_others_are_kept(make_world):
    async with make_world(nodes=1) as world:
        mine = {"key": "dedicated", "value": "db", "effect": "NoSchedule"}
        await world.change("nodes", "node-1", {"spec": {"taints": [mine]}}, None)
        await world.change("nodes", "node-1", {"spec": {"unschedulable": True}}, None)
        await world.change("nodes", "node-1", {"spec": {"unschedulable": None}}, None)
        assert (await get_node(world, "node-1"))["spec"]["taints"] == [mine]


async def test_a_node_whose_kubelet_never_came_is_unknown_too(make_world):
    async with make_world(nodes=1) as world:
        silent = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "silent"}}
        await world.api.create("nodes", silent)
        await world.advance(55)
        assert taints(await get_node(world, "silent")) == set()
        await world.advance(20)
        assert taints(await get_node(world, "silent")) == {
            (UNREACHABLE, "NoSchedule"),
            (UNREACHABLE, "NoExecute"),
        }
        told = condition(await get_node(world, "silent"), "Ready")
        assert (told["status"], told["reason"]) == ("Unknown", "NodeStatusNeverUpdated")
        assert told["message"] == "Kubelet never posted node status."


async def test_nodes_are_greeted_and_seen_off(make_world):
    async with make_world(nodes=2) as world:
        await world.stop("node-2")
        await world.api.delete("nodes", "node-2")
        await world.settle()
        assert await world.events("node-2") == [
            ("RegisteredNode", "Node node-2 event: Registered Node node-2 in Controller"),
            ("RemovingNode", "Node node-2 event: Removing Node node-2 from Controller"),
        ]
