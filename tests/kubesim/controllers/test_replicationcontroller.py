"""ReplicationControllers: ReplicaSets of an older form."""

import pytest

from kubesim.apimachinery.objects import controller_of
from kubesim.apiserver.errors import StatusError

RC = "replicationcontrollers"


async def create(world, **spec):
    made = await world.create_replication_controller(**spec)
    await world.settle()
    return made


async def test_it_keeps_its_pods_and_its_status(make_world):
    async with make_world(nodes=1) as world:
        made = await create(world, replicas=2)
        assert made["spec"]["selector"] == {"app": "rc"}
        assert made["metadata"]["labels"] == {"app": "rc"}
        first, _ = await world.items("pods")
        assert controller_of(first)["kind"] == "ReplicationController"
        await world.api.delete("pods", first["metadata"]["name"], "default")
        await world.settle()
        assert len(await world.items("pods")) == 2
        assert (await world.get(RC, "rc"))["status"] == {
            "replicas": 2,
            "fullyLabeledReplicas": 2,
            "readyReplicas": 2,
            "availableReplicas": 2,
            "observedGeneration": 1,
        }
        reasons = {reason for reason, _ in await world.events("rc")}
        assert "SuccessfulCreate" in reasons


async def test_it_adopts_and_releases_and_lets_its_selector_change(make_world):
    async with make_world(nodes=1) as world:
        await world.create_pod("loner", meta={"labels": {"app": "rc"}})
        await create(world, replicas=1)
        assert controller_of(await world.pod("loner"))["name"] == "rc"
        labels = {"app": "rc", "tier": "new"}
        template = {"metadata": {"labels": labels}}
        await world.change(RC, "rc", {"spec": {"selector": labels, "template": template}})
        assert controller_of(await world.pod("loner")) is None
        assert len(await world.items("pods", label_selector="tier=new")) == 1


async def test_its_scale(make_world):
    async with make_world(nodes=1) as world:
        await create(world)
        three = {"spec": {"replicas": 3}}
        answer = await world.api.patch(
            RC, "rc", three, "default", subresource="scale", kind="merge"
        )
        assert answer["spec"] == {"replicas": 3}
        assert answer["status"]["selector"] == "app=rc"
        await world.settle()
        assert len(await world.items("pods")) == 3


@pytest.mark.parametrize(("propagation", "left"), [("Background", 0), (None, 1)])
async def test_deleting_it(make_world, propagation, left):
    """A DELETE that names no policy leaves the Pods, as before there was a garbage collector."""
    async with make_world(nodes=1) as world:
        await create(world)
        await world.api.delete(RC, "rc", "default", propagation=propagation)
        await world.settle()
        assert len(await world.items("pods")) == left
        assert not await world.exists(RC, "rc")


async def test_what_makes_no_sense_is_refused(make_world):
    async with make_world(controllers=False, scheduler=False) as world:
        with pytest.raises(StatusError) as refused:
            await create(world, selector={"app": "other"}, replicas=-1)
        assert [cause["field"] for cause in refused.value.details["causes"]] == [
            "spec.replicas",
            "spec.template.metadata.labels",
        ]
        with pytest.raises(StatusError) as refused:
            await create(world, template=None)
        assert [cause["field"] for cause in refused.value.details["causes"]] == [
            "spec.selector",
            "spec.template",
        ]
