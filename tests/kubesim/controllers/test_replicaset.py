"""ReplicaSets: as many Pods as wanted, which ones go first, whom they own."""

from datetime import UTC, datetime, timedelta

import pytest

from kubesim.apimachinery.objects import condition, timestamp
from kubesim.clientgo.informer import InformerFactory
from kubesim.controllers.pods import choose_for_deletion
from kubesim.controllers.replicaset import ReplicaSetController

REPLICASETS = "replicasets.apps"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def names(pods):
    return {pod["metadata"]["name"] for pod in pods}


async def test_a_deleted_pod_is_replaced(make_world):
    async with make_world(nodes=1) as world:
        await world.create_replica_set(replicas=2)
        await world.settle()
        before = names(await world.items("pods"))
        gone = min(before)
        await world.api.delete("pods", gone, "default")
        await world.settle()
        after = names(await world.items("pods"))
        assert len(after) == 2
        assert gone not in after
        assert len(after & before) == 1


async def test_a_failed_pod_is_replaced_and_stays_to_be_seen(make_world):
    async with make_world(nodes=1) as world:
        await world.create_replica_set(replicas=1)
        await world.settle()
        (pod,) = await world.items("pods")
        name = pod["metadata"]["name"]
        failed = {"status": {"phase": "Failed"}}
        await world.api.patch("pods", name, failed, "default", subresource="status")
        await world.settle()
        phases = {
            each["metadata"]["name"]: each["status"]["phase"] for each in await world.items("pods")
        }
        assert phases.pop(name) == "Failed"
        assert [*phases.values()] == ["Running"]


async def test_scaling_down_deletes_pods_and_says_which(make_world):
    async with make_world(nodes=1) as world:
        await world.create_replica_set(replicas=3)
        await world.settle()
        before = names(await world.items("pods"))
        await world.change(REPLICASETS, "web", {"spec": {"replicas": 1}})
        gone = before - names(await world.items("pods"))
        told = {m for r, m in await world.events("web") if r == "SuccessfulDelete"}
        assert told == {f"Deleted pod: {name}" for name in gone}
        assert len(gone) == 2


async def test_status_counts_pods(make_world):
    async with make_world(nodes=1) as world:
        await world.create_replica_set(replicas=2)
        await world.settle()
        assert (await world.get(REPLICASETS, "web"))["status"] == {
            "replicas": 2,
            "fullyLabeledReplicas": 2,
            "readyReplicas": 2,
            "availableReplicas": 2,
            "observedGeneration": 1,
            "terminatingReplicas": 0,
        }


async def test_a_matching_orphan_is_adopted_and_counts(make_world):
    async with make_world(nodes=1) as world:
        await world.create_pod("loner", meta={"labels": {"app": "web"}})
        await world.settle()
        created = await world.create_replica_set(replicas=2)
        await world.settle()
        loner = await world.pod("loner")
        assert loner["metadata"]["ownerReferences"][0]["uid"] == created["metadata"]["uid"]
        assert len(await world.items("pods")) == 2


async def test_a_pod_that_stops_matching_is_released_and_replaced(make_world):
    async with make_world(nodes=1) as world:
        await world.create_replica_set(replicas=1)
        await world.settle()
        (pod,) = await world.items("pods")
        name = pod["metadata"]["name"]
        await world.change("pods", name, {"metadata": {"labels": {"app": "debug"}}})
        assert not (await world.pod(name))["metadata"].get("ownerReferences")
        assert len(await world.items("pods", label_selector="app=web")) == 1


async def test_another_owners_pods_are_left_alone(make_world):
    async with make_world(nodes=1) as world:
        await world.create_replica_set("one", replicas=1, labels={"app": "shared"})
        await world.settle()
        await world.create_replica_set("two", replicas=1, labels={"app": "shared"})
        await world.settle()
        owners = [
            pod["metadata"]["ownerReferences"][0]["name"] for pod in await world.items("pods")
        ]
        assert sorted(owners) == ["one", "two"]


async def test_refused_pods_are_reported_and_tried_again(make_world):
    async with make_world(nodes=1) as world:
        await world.create_replica_set(replicas=10, template={"serviceAccountName": "late"})
        await world.settle()
        failure = condition(await world.get(REPLICASETS, "web"), "ReplicaFailure")
        assert (failure["status"], failure["reason"]) == ("True", "FailedCreate")
        events = await world.events("web")
        assert len(events) < 10  # one refusal a try, not one a Pod
        for reason, message in events:
            assert reason == "FailedCreate"
            assert message.startswith("Error creating: pods ")
            assert message.endswith('serviceaccount "late" not found')
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "late", "namespace": "default"},
        }
        await world.api.create("serviceaccounts", account)
        await world.advance(60)
        assert len(await world.items("pods")) == 10
        assert condition(await world.get(REPLICASETS, "web"), "ReplicaFailure") is None


def blind_controller(world):
    """A controller whose caches show what the test puts there, and no more."""
    informers = InformerFactory(world.api, world.clock)
    controller = ReplicaSetController(world.api, informers, world.clock)
    return controller, informers.informer("pods").cache


async def test_pods_that_were_asked_for_but_not_yet_seen_count(make_world):
    async with make_world(scheduler=False) as world:
        await world.settle()
        await world.stop("controllers")
        controller, _ = blind_controller(world)
        controller.replica_sets.put(await world.create_replica_set(replicas=3))
        for _ in range(3):
            await controller.sync("default/web")
        assert len(await world.items("pods")) == 3


async def test_pods_that_never_show_up_are_waited_for_five_minutes(make_world):
    async with make_world(scheduler=False) as world:
        await world.settle()
        await world.stop("controllers")
        controller, _ = blind_controller(world)
        controller.replica_sets.put(await world.create_replica_set(replicas=1))
        await controller.sync("default/web")
        await world.advance(301)
        await controller.sync("default/web")
        assert len(await world.items("pods")) == 2


async def test_an_owner_that_is_gone_but_still_cached_adopts_nobody(make_world):
    async with make_world(scheduler=False) as world:
        await world.settle()
        await world.stop("controllers")
        controller, pods = blind_controller(world)
        controller.replica_sets.put(await world.create_replica_set(replicas=1))
        pods.put(await world.create_pod("loner", meta={"labels": {"app": "web"}}))
        await world.api.delete(REPLICASETS, "web", "default")
        await world.create_replica_set(replicas=1)
        await controller.sync("default/web")
        assert not (await world.pod("loner"))["metadata"].get("ownerReferences")


def pod(name, *, node="n1", phase="Running", ready_for=60, cost=None, restarts=0, age=60):
    conditions = []
    if ready_for is not None:
        since = timestamp(NOW - timedelta(seconds=ready_for))
        conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": since}]
    annotations = {"controller.kubernetes.io/pod-deletion-cost": cost} if cost else {}
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": name,
            "creationTimestamp": timestamp(NOW - timedelta(seconds=age)),
            "annotations": annotations,
        },
        "spec": {"nodeName": node} if node else {},
        "status": {
            "phase": phase,
            "conditions": conditions,
            "containerStatuses": [{"restartCount": restarts}],
        },
    }


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (pod("unassigned", node="", phase="Pending", ready_for=None), pod("assigned")),
        (pod("pending", phase="Pending", ready_for=None), pod("running", ready_for=None)),
        (pod("not-ready", ready_for=None), pod("ready")),
        (pod("cheap", cost="-1", age=600), pod("dear")),
        (pod("ready-later", ready_for=5), pod("ready-earlier", ready_for=500)),
        (pod("restarted", restarts=3), pod("steady")),
        (pod("young", age=5), pod("old", age=5000)),
    ],
    ids=lambda each: each["metadata"]["name"],
)
def test_which_of_two_pods_goes_first(first, second):
    first["metadata"]["uid"], second["metadata"]["uid"] = "2", "1"
    assert choose_for_deletion([second, first], [first, second], 1, NOW) == [first]


def test_between_equals_the_uid_decides():
    first, second = pod("1"), pod("2")
    assert choose_for_deletion([second, first], [first, second], 1, NOW) == [first]


def test_a_crowded_node_gives_first():
    here, there = pod("z", node="crowded"), pod("a", node="empty")
    neighbours = [here, there, pod("other", node="crowded")]
    assert choose_for_deletion([there, here], neighbours, 1, NOW) == [here]
