"""StatefulSets: Pods with names of their own, that come and go in order."""

import pytest

from kubesim.apimachinery.objects import is_being_deleted, labels_of
from kubesim.apiserver.errors import StatusError

STATEFULSETS = "statefulsets.apps"
REVISIONS = "controllerrevisions.apps"
CLAIMS = "persistentvolumeclaims"
DATA = {
    "metadata": {"name": "data"},
    "spec": {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
    },
}


async def create(world, **spec):
    await world.create_stateful_set(**spec)
    await world.settle()


async def change(world, **spec):
    await world.change(STATEFULSETS, "db", {"spec": spec})
    await world.advance(5)


async def set_image(world, image="nginx:1.27"):
    await change(world, template={"spec": {"containers": [{"name": "main", "image": image}]}})


async def pods(world):
    """The image of each Pod that stays, by name."""
    return {
        pod["metadata"]["name"]: pod["spec"]["containers"][0]["image"].removeprefix("nginx:")
        for pod in await world.items("pods")
        if not is_being_deleted(pod)
    }


async def make_ready(world, *names):
    for name in names:
        pod = await world.pod(name)
        await world.kubelets[pod["spec"]["nodeName"]].report(pod, ready=True)
    await world.advance(1)


async def status(world):
    return (await world.get(STATEFULSETS, "db"))["status"]


async def test_each_pod_waits_for_the_one_before(make_world):
    async with make_world(nodes=1, ready=False) as world:
        await create(world)
        assert sorted(await pods(world)) == ["db-0"]
        await make_ready(world, "db-0")
        assert sorted(await pods(world)) == ["db-0", "db-1"]
        await make_ready(world, "db-1")
        await make_ready(world, "db-2")
        assert (await status(world))["readyReplicas"] == 3


async def test_in_parallel_all_come_at_once(make_world):
    async with make_world(nodes=1, ready=False) as world:
        await create(world, podManagementPolicy="Parallel")
        assert sorted(await pods(world)) == ["db-0", "db-1", "db-2"]


async def test_who_a_pod_is(make_world):
    async with make_world(nodes=1) as world:
        await create(world, replicas=1)
        pod = await world.pod("db-0")
        assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("db-0", "db")
        (revision,) = await world.items(REVISIONS)
        assert labels_of(pod) == {
            "app": "db",
            "apps.kubernetes.io/pod-index": "0",
            "controller-revision-hash": revision["metadata"]["name"],
            "statefulset.kubernetes.io/pod-name": "db-0",
        }
        assert await status(world) == {
            "availableReplicas": 1,
            "collisionCount": 0,
            "currentReplicas": 1,
            "currentRevision": revision["metadata"]["name"],
            "observedGeneration": 1,
            "readyReplicas": 1,
            "replicas": 1,
            "updateRevision": revision["metadata"]["name"],
            "updatedReplicas": 1,
        }


async def test_scaling_down_takes_the_highest_ordinal_first(make_world):
    async with make_world(nodes=1) as world:
        await create(world)
        await change(world, replicas=1)
        assert sorted(await pods(world)) == ["db-0"]
        deleted = [m for r, m in await world.events("db") if r == "SuccessfulDelete"]
        assert deleted == [
            "delete Pod db-2 in StatefulSet db successful",
            "delete Pod db-1 in StatefulSet db successful",
        ]


async def test_a_pod_that_is_gone_or_has_ended_comes_again_under_its_name(make_world):
    async with make_world(nodes=1) as world:
        await create(world)
        before = (await world.pod("db-1"))["metadata"]["uid"]
        await world.api.delete("pods", "db-1", "default")
        await world.advance(1)
        again = await world.pod("db-1")
        assert again["metadata"]["uid"] != before
        await world.end_pod(again)
        await world.advance(1)
        assert (await world.pod("db-1"))["status"]["phase"] == "Running"


async def test_a_rolling_update_goes_from_the_highest_ordinal_down(make_world):
    async with make_world(nodes=1, ready=False) as world:
        await create(world, replicas=2, podManagementPolicy="Parallel")
        await make_ready(world, "db-0", "db-1")
        await set_image(world)
        assert await pods(world) == {"db-0": "1.26", "db-1": "1.27"}
        midway = await status(world)
        assert midway["currentRevision"] != midway["updateRevision"]
        assert (midway["currentReplicas"], midway["updatedReplicas"]) == (1, 1)
        await make_ready(world, "db-1")
        assert await pods(world) == {"db-0": "1.27", "db-1": "1.27"}
        await make_ready(world, "db-0")
        done = await status(world)
        assert done["currentRevision"] == done["updateRevision"]


async def test_a_partition_holds_the_lower_ordinals_back(make_world):
    async with make_world(nodes=1) as world:
        await create(world, updateStrategy={"rollingUpdate": {"partition": 2}})
        await set_image(world)
        assert await pods(world) == {"db-0": "1.26", "db-1": "1.26", "db-2": "1.27"}
        await world.api.delete("pods", "db-0", "default")
        await world.advance(1)
        assert (await pods(world))["db-0"] == "1.26"
        await change(world, updateStrategy={"rollingUpdate": {"partition": 0}})
        assert {*(await pods(world)).values()} == {"1.27"}


async def test_several_may_be_replaced_at_once(make_world):
    async with make_world(nodes=1, ready=False) as world:
        rolling = {"rollingUpdate": {"maxUnavailable": 2}}
        await create(world, podManagementPolicy="Parallel", updateStrategy=rolling)
        await make_ready(world, "db-0", "db-1", "db-2")
        await set_image(world)
        assert await pods(world) == {"db-0": "1.26", "db-1": "1.27", "db-2": "1.27"}


async def test_on_delete_waits_for_the_old_pod_to_be_deleted(make_world):
    async with make_world(nodes=1) as world:
        await create(world, replicas=2, updateStrategy={"type": "OnDelete"})
        await set_image(world)
        assert {*(await pods(world)).values()} == {"1.26"}
        await world.api.delete("pods", "db-0", "default")
        await world.advance(1)
        assert await pods(world) == {"db-0": "1.27", "db-1": "1.26"}


async def test_ordinals_may_start_elsewhere(make_world):
    async with make_world(nodes=1) as world:
        await create(world, replicas=2, ordinals={"start": 5})
        assert sorted(await pods(world)) == ["db-5", "db-6"]


async def test_a_pod_counts_as_available_after_min_ready_seconds(make_world):
    async with make_world(nodes=1) as world:
        await create(world, replicas=2, minReadySeconds=10)
        assert sorted(await pods(world)) == ["db-0"]
        assert (await status(world))["availableReplicas"] == 0
        await world.advance(10)
        assert sorted(await pods(world)) == ["db-0", "db-1"]
        assert (await status(world))["availableReplicas"] == 1


async def test_each_ordinal_has_its_claim_and_keeps_it(make_world):
    async with make_world(nodes=1) as world:
        await create(world, replicas=2, volumeClaimTemplates=[DATA], podManagementPolicy="Parallel")
        (claim, _) = await world.items(CLAIMS)
        assert claim["metadata"]["name"] == "data-db-0"
        assert labels_of(claim) == {"app": "db"}
        assert not claim["metadata"].get("ownerReferences")
        (volume,) = [v for v in (await world.pod("db-1"))["spec"]["volumes"] if v["name"] == "data"]
        assert volume["persistentVolumeClaim"] == {"claimName": "data-db-1"}
        message = "create Claim data-db-0 Pod db-0 in StatefulSet db success"
        assert ("SuccessfulCreate", message) in await world.events("db")
        await change(world, replicas=0)
        await world.api.delete(STATEFULSETS, "db", "default")
        await world.settle()
        assert len(await world.items(CLAIMS)) == 2


async def test_claims_may_go_with_their_pod_or_with_the_stateful_set(make_world):
    async with make_world(nodes=1) as world:
        policy = {"whenDeleted": "Delete", "whenScaled": "Delete"}
        await create(
            world,
            replicas=2,
            volumeClaimTemplates=[DATA],
            persistentVolumeClaimRetentionPolicy=policy,
            podManagementPolicy="Parallel",
        )

        async def owners():
            return {
                claim["metadata"]["name"]: [
                    f"{each['kind']}/{each['name']}"
                    for each in claim["metadata"].get("ownerReferences", ())
                ]
                for claim in await world.items(CLAIMS)
            }

        by_set = ["StatefulSet/db"]
        assert await owners() == {"data-db-0": by_set, "data-db-1": by_set}
        await change(world, replicas=1)
        assert await owners() == {"data-db-0": by_set}
        await world.api.delete(STATEFULSETS, "db", "default")
        await world.advance(1)
        assert await owners() == {}


async def test_revisions_are_kept_up_to_the_limit(make_world):
    async with make_world(nodes=1) as world:
        await create(world, replicas=1, revisionHistoryLimit=1)
        for image in ("nginx:1.27", "nginx:1.25", "nginx:1.26"):
            await set_image(world, image)
        revisions = [each["revision"] for each in await world.items(REVISIONS)]
        assert sorted(revisions) == [3, 4]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"podManagementPolicy": "Random"}, "spec.podManagementPolicy"),
        ({"updateStrategy": {"type": "Recreate"}}, "spec.updateStrategy"),
        (
            {"updateStrategy": {"rollingUpdate": {"partition": -1}}},
            "spec.updateStrategy.rollingUpdate.partition",
        ),
        ({"replicas": -1}, "spec.replicas"),
        (
            {"persistentVolumeClaimRetentionPolicy": {"whenScaled": "Keep"}},
            "spec.persistentVolumeClaimRetentionPolicy.whenScaled",
        ),
    ],
)
async def test_what_makes_no_sense_is_refused(make_world, spec, field):
    async with make_world(controllers=False, scheduler=False) as world:
        with pytest.raises(StatusError) as refused:
            await create(world, **spec)
        assert [cause["field"] for cause in refused.value.details["causes"]] == [field]


async def test_a_template_is_not_checked_until_a_pod_is_made_from_it(make_world):
    """Its Pods mount claims that are not there yet, so the real server asks little of it."""
    async with make_world(nodes=1) as world:
        await create(world)
        await set_image(world, "")
        (_, message), *_ = [e for e in await world.events("db") if e[0] == "FailedCreate"]
        assert message.startswith("create Pod db-2 in StatefulSet db failed error: Pod")


async def test_what_may_not_change_is_refused(make_world):
    async with make_world(controllers=False, scheduler=False) as world:
        await create(world)
        for spec in ({"serviceName": "other"}, {"podManagementPolicy": "Parallel"}):
            with pytest.raises(StatusError) as refused:
                await world.change(STATEFULSETS, "db", {"spec": spec})
            assert "updates to statefulset spec for fields other than" in str(refused.value)
