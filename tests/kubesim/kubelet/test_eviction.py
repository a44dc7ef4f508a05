"""A node that runs out of memory or disk: its conditions, and which Pods it evicts."""

import pytest

GI = 1024**3


async def kubelet_of(lab, name="pod"):
    return lab.cluster._kubelets[(await lab.pod(name))["spec"]["nodeName"]]


async def node_condition(lab, kind, name="pod"):
    node = await lab.api.get("nodes", (await lab.pod(name))["spec"]["nodeName"])
    return next(each for each in node["status"]["conditions"] if each["type"] == kind)


@pytest.mark.parametrize(
    ("resource", "taken", "condition", "reason", "words"),
    [
        (
            "memory",
            8 * GI,
            "MemoryPressure",
            "KubeletHasInsufficientMemory",
            "The node was low on resource: memory. Threshold quantity: 100Mi, available: 0Ki. "
            "Container c was using 832Ki, request is 0, has larger consumption of memory. ",
        ),
        (
            "disk",
            95 * GI,
            "DiskPressure",
            "KubeletHasDiskPressure",
            "The node was low on resource: ephemeral-storage. "
            "Threshold quantity: 10737418240, available: 5242880Ki. ",
        ),
    ],
)
async def test_a_pressed_node_says_so_and_evicts(
    make_lab, resource, taken, condition, reason, words
):
    async with make_lab() as lab:
        await lab.run(command=["sleep", "1000"])
        (await kubelet_of(lab)).eviction.take(resource, taken)
        await lab.advance(15)
        found = await node_condition(lab, condition)
        assert (found["status"], found["reason"]) == ("True", reason)
        status = (await lab.pod())["status"]
        assert (status["phase"], status["reason"]) == ("Failed", "Evicted")
        assert status["message"] == words
        assert ("Evicted", words) in await lab.events()
        told = await lab.condition("DisruptionTarget")
        assert (told["status"], told["reason"]) == ("True", "TerminationByKubelet")


async def test_the_pressure_is_reported_for_five_minutes_more(make_lab):
    async with make_lab() as lab:
        await lab.run(command=["sleep", "1000"])
        eviction = (await kubelet_of(lab)).eviction
        eviction.take("memory", 8 * GI)
        await lab.advance(15)
        eviction.take("memory", 0)
        await lab.advance(200)
        assert (await node_condition(lab, "MemoryPressure"))["status"] == "True"
        await lab.advance(120)
        found = await node_condition(lab, "MemoryPressure")
        assert (found["status"], found["reason"]) == ("False", "KubeletHasSufficientMemory")
        assert "NodeHasInsufficientMemory" in await lab.reasons(
            (await lab.pod())["spec"]["nodeName"]
        )


async def test_who_uses_more_than_it_asked_for_goes_first(make_lab):
    async with make_lab() as lab:
        await lab.run("modest", command=["sleep", "1000"], nodeName="test-worker",
                      resources={"requests": {"memory": "100Mi"}})  # fmt: skip
        await lab.run("greedy", command=["sleep", "1000"], nodeName="test-worker")
        (await kubelet_of(lab, "greedy")).eviction.take("memory", 8 * GI)
        await lab.advance(2)
        assert (await lab.phase("greedy"), await lab.phase("modest")) == ("Failed", "Running")


async def test_new_pods_keep_away_from_a_pressed_node(make_lab):
    async with make_lab() as lab:
        await lab.run(command=["sleep", "1000"])
        (await kubelet_of(lab)).eviction.take("memory", 8 * GI)
        await lab.advance(15)
        node = await lab.api.get("nodes", (await lab.pod())["spec"]["nodeName"])
        taints = [(each["key"], each["effect"]) for each in node["spec"]["taints"]]
        assert ("node.kubernetes.io/memory-pressure", "NoSchedule") in taints
