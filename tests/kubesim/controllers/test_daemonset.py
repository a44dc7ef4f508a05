"""DaemonSets: a Pod on every node that fits, rolled over node by node."""

from datetime import UTC, datetime

import pytest

from kubesim.apimachinery.objects import labels_of
from kubesim.apiserver.errors import StatusError
from kubesim.controllers import daemonset_util as util

DAEMONSETS = "daemonsets.apps"
REVISIONS = "controllerrevisions.apps"
HASH = "controller-revision-hash"


async def create(world, template=None, **spec):
    await world.create_daemon_set("agent", template, **spec)
    await world.settle()


async def set_image(world, image="nginx:1.27"):
    spec = {"containers": [{"name": "main", "image": image}]}
    await world.change(DAEMONSETS, "agent", {"spec": {"template": {"spec": spec}}})


async def placed(world):
    """The image that runs on each node, of Pods that are not on their way out."""
    return {
        pod["spec"]["nodeName"]: pod["spec"]["containers"][0]["image"]
        for pod in await world.items("pods")
        if "deletionTimestamp" not in pod["metadata"]
    }


async def status(world):
    return (await world.get(DAEMONSETS, "agent"))["status"]


async def set_phase(world, pod, phase):
    name = pod["metadata"]["name"]
    await world.api.patch(
        "pods", name, {"status": {"phase": phase}}, "default", subresource="status"
    )


async def test_every_node_gets_a_pod_and_so_does_the_next_one(make_world):
    async with make_world(nodes=2) as world:
        await create(world)
        assert sorted(await placed(world)) == ["node-1", "node-2"]
        await world.add_node("node-3")
        assert sorted(await placed(world)) == ["node-1", "node-2", "node-3"]
        assert await status(world) == {
            "currentNumberScheduled": 3,
            "desiredNumberScheduled": 3,
            "numberAvailable": 3,
            "numberMisscheduled": 0,
            "numberReady": 3,
            "observedGeneration": 1,
            "updatedNumberScheduled": 3,
        }


async def test_a_pod_is_pinned_to_its_node_and_tolerates_what_daemons_do(make_world):
    async with make_world(nodes=1) as world:
        patient = {"key": "node.kubernetes.io/not-ready", "operator": "Exists"}
        given = {**patient, "effect": "NoExecute", "tolerationSeconds": 5}
        await create(world, {"tolerations": [given]})
        (pod,) = await world.items("pods")
        affinity = pod["spec"]["affinity"]["nodeAffinity"]
        term = {"key": "metadata.name", "operator": "In", "values": ["node-1"]}
        assert affinity == {util.REQUIRED: {"nodeSelectorTerms": [{"matchFields": [term]}]}}
        assert pod["spec"]["tolerations"][0] == {**patient, "effect": "NoExecute"}
        assert [each["key"].partition("/")[2] for each in pod["spec"]["tolerations"]] == [
            *("not-ready", "unreachable"),
            *("disk-pressure", "memory-pressure", "pid-pressure", "unschedulable"),
        ]
        assert pod["metadata"]["generateName"] == "agent-"


async def test_a_node_selector_decides_and_follows_labels(make_world):
    async with make_world(nodes=2) as world:
        await create(world, {"nodeSelector": {"disk": "ssd"}})
        assert await placed(world) == {}
        await world.api.patch("nodes", "node-2", {"metadata": {"labels": {"disk": "ssd"}}})
        await world.settle()
        assert list(await placed(world)) == ["node-2"]
        await world.api.patch("nodes", "node-2", {"metadata": {"labels": {"disk": None}}})
        await world.settle()
        assert await placed(world) == {}


@pytest.mark.parametrize(("effect", "stays"), [("NoSchedule", True), ("NoExecute", False)])
async def test_a_taint_that_comes_later(make_world, effect, stays):
    async with make_world(nodes=1) as world:
        await create(world)
        taint = {"key": "dedicated", "value": "db", "effect": effect}
        await world.change("nodes", "node-1", {"spec": {"taints": [taint]}}, None)
        assert ("node-1" in await placed(world)) == stays
        counts = await status(world)
        assert counts["desiredNumberScheduled"] == 0
        assert counts["numberMisscheduled"] == int(stays)


async def test_a_cordoned_node_keeps_its_daemons_and_gets_new_ones(make_world):
    async with make_world(nodes=1) as world:
        await world.change("nodes", "node-1", {"spec": {"unschedulable": True}}, None)
        await create(world)
        assert list(await placed(world)) == ["node-1"]


async def test_a_failed_pod_is_replaced_later_and_later(make_world):
    async with make_world(nodes=1) as world:
        await create(world)
        for _ in range(2):
            (pod,) = await world.items("pods")
            await set_phase(world, pod, "Failed")
            await world.settle()
        (waiting,) = await world.items("pods")
        assert waiting["status"]["phase"] == "Failed"
        await world.advance(1)
        (again,) = await world.items("pods")
        assert again["status"]["phase"] == "Running"
        told = [m for r, m in await world.events("agent") if r == "FailedDaemonPod"]
        name = waiting["metadata"]["name"]
        assert len(told) == 2
        assert told[1] == (
            f"Found failed daemon pod default/{name} on node node-1, will try to kill it"
        )


async def test_a_rolling_update_takes_one_node_after_the_other(make_world):
    async with make_world(nodes=3, ready=False) as world:
        await create(world)
        for pod in await world.items("pods"):
            await world.kubelets[pod["spec"]["nodeName"]].report(pod, ready=True)
        await world.settle()
        await set_image(world)
        assert sorted((await placed(world)).values()) == ["nginx:1.26", "nginx:1.26", "nginx:1.27"]
        assert (await status(world))["updatedNumberScheduled"] == 1
        for pod in await world.items("pods"):
            await world.kubelets[pod["spec"]["nodeName"]].report(pod, ready=True)
        await world.settle()
        assert sorted((await placed(world)).values()) == ["nginx:1.26", "nginx:1.27", "nginx:1.27"]


async def test_a_surging_update_runs_the_new_pod_first(make_world):
    async with make_world(nodes=1, ready=False) as world:
        rolling = {"maxSurge": 1, "maxUnavailable": 0}
        await create(world, updateStrategy={"rollingUpdate": rolling})
        (old,) = await world.items("pods")
        await world.kubelets["node-1"].report(old, ready=True)
        await set_image(world)
        both = await world.items("pods")
        assert len(both) == 2
        new = next(pod for pod in both if pod["metadata"]["uid"] != old["metadata"]["uid"])
        await world.kubelets["node-1"].report(new, ready=True)
        await world.settle()
        assert await placed(world) == {"node-1": "nginx:1.27"}
        assert len(await world.items("pods")) == 1


async def test_on_delete_waits_for_the_old_pod_to_be_deleted(make_world):
    async with make_world(nodes=1) as world:
        await create(world, updateStrategy={"type": "OnDelete"})
        await set_image(world)
        assert await placed(world) == {"node-1": "nginx:1.26"}
        (pod,) = await world.items("pods")
        await world.api.delete("pods", pod["metadata"]["name"], "default")
        await world.settle()
        assert await placed(world) == {"node-1": "nginx:1.27"}


async def test_revisions_are_kept_renumbered_and_forgotten(make_world):
    async with make_world(nodes=1) as world:
        await create(world, revisionHistoryLimit=1)
        await set_image(world, "nginx:1.27")
        await set_image(world, "nginx:1.26")
        revisions = {
            each["data"]["spec"]["template"]["spec"]["containers"][0]["image"]: each
            for each in await world.items(REVISIONS)
        }
        assert {image: each["revision"] for image, each in revisions.items()} == {
            "nginx:1.27": 2,
            "nginx:1.26": 3,
        }
        (pod,) = await world.items("pods")
        assert labels_of(pod)[HASH] == labels_of(revisions["nginx:1.26"])[HASH]
        assert labels_of(pod)["pod-template-generation"] == "3"
        await set_image(world, "nginx:1.25")
        assert sorted(each["revision"] for each in await world.items(REVISIONS)) == [3, 4]


async def test_pods_go_with_their_daemon_set_or_stay_as_orphans(make_world):
    async with make_world(nodes=1) as world:
        await create(world)
        await world.api.delete(DAEMONSETS, "agent", "default", propagation="Orphan")
        await world.settle()
        (pod,) = await world.items("pods")
        assert not pod["metadata"].get("ownerReferences")
        await create(world)
        (adopted,) = await world.items("pods")
        assert adopted["metadata"]["ownerReferences"][0]["name"] == "agent"
        await world.api.delete(DAEMONSETS, "agent", "default", propagation="Background")
        await world.settle()
        assert await world.items("pods") == []
        assert await world.items(REVISIONS) == []


async def test_what_cannot_be_is_refused(make_world):
    async with make_world(controllers=False, scheduler=False) as world:
        rolling = {"maxSurge": 1, "maxUnavailable": 1}
        with pytest.raises(StatusError) as refused:
            await create(
                world,
                {"restartPolicy": "Never"},
                updateStrategy={"rollingUpdate": rolling},
                revisionHistoryLimit=-1,
            )
        assert {cause["field"] for cause in refused.value.details["causes"]} == {
            "spec.template.spec.restartPolicy",
            "spec.updateStrategy.rollingUpdate.maxSurge",
            "spec.revisionHistoryLimit",
        }
        await create(world)
        other = {"spec": {"selector": {"matchLabels": {"tier": "x"}}}}
        with pytest.raises(StatusError) as refused:
            await world.change(DAEMONSETS, "agent", other)
        assert "field is immutable" in str(refused.value)


def test_percentages_round_up_and_never_stand_still():
    def limits(surge, unavailable):
        rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
        strategy = {"type": "RollingUpdate", "rollingUpdate": rolling}
        return util.limits({"spec": {"updateStrategy": strategy}}, 5)

    assert limits(0, "10%") == (0, 1)
    assert limits("30%", 0) == (2, 0)
    assert limits(0, 0) == (0, 1)


def test_misscheduled_pods_are_counted():
    pod = {
        "metadata": {"name": "x", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"nodeName": "n"},
        "status": {},
    }
    daemon_set = {"metadata": {}, "spec": {"updateStrategy": {}}}
    counted = util.calculate_status(
        daemon_set, {"n": util.NOWHERE}, {"n": [pod]}, "", datetime(2026, 1, 1, tzinfo=UTC)
    )
    assert counted["numberMisscheduled"] == 1
    assert counted["desiredNumberScheduled"] == 0
