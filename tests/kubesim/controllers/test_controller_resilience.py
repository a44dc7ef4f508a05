"""Controllers get where they are going however often they are refused or restarted."""

import random

import pytest

from kubesim.apimachinery.objects import is_being_deleted

DEPLOYMENTS = "deployments.apps"
REPLICASETS = "replicasets.apps"


class MoodyDoorkeeper:
    """Refuses every third request of the control plane, at random."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.calm = False

    async def authorize(self, user, _):
        moody = user.name.startswith(("system:serviceaccount", "system:kube-"))
        return self.calm or not moody or self.random.random() > 0.33, "in a mood"


def image(name):
    containers = [{"name": "main", "image": name}]
    return {"spec": {"template": {"spec": {"containers": containers}}}}


async def images(world):
    return [
        pod["spec"]["containers"][0]["image"]
        for pod in await world.items("pods")
        if not is_being_deleted(pod)
    ]


@pytest.mark.parametrize("seed", range(3))
async def test_a_rollout_arrives_in_spite_of_refusals(make_world, seed):
    async with make_world(nodes=2) as world:
        doorkeeper = world.server.authorizer = MoodyDoorkeeper(seed)
        await world.create_deployment(replicas=4)
        await world.advance(20)
        await world.change(DEPLOYMENTS, "web", image("nginx:1.27"))
        await world.advance(5)
        await world.change(DEPLOYMENTS, "web", {"spec": {"replicas": 6}})
        await world.advance(60)
        doorkeeper.calm = True
        await world.advance(120)
        assert await images(world) == ["nginx:1.27"] * 6
        got = await world.get(DEPLOYMENTS, "web")
        assert got["status"]["availableReplicas"] == 6
        assert len(await world.items(REPLICASETS)) == 2


async def test_a_namespace_goes_in_spite_of_refusals(make_world):
    async with make_world(nodes=1) as world:
        await world.create_namespaces("shop")
        await world.settle()
        for number in range(5):
            await world.create_pod(f"till-{number}", namespace="shop")
        await world.settle()
        doorkeeper = world.server.authorizer = MoodyDoorkeeper(7)
        await world.api.delete("namespaces", "shop")
        await world.advance(60)
        doorkeeper.calm = True
        await world.advance(60)
        assert not await world.exists("namespaces", "shop", None)


async def test_a_restart_in_the_middle_of_a_rollout_does_no_harm(make_world):
    async with make_world(nodes=2) as world:
        await world.create_deployment(replicas=4)
        await world.settle()
        world.kubelets["node-1"].ready = world.kubelets["node-2"].ready = False
        await world.change(DEPLOYMENTS, "web", image("nginx:1.27"))
        await world.stop("controllers")
        await world.stop("scheduler")
        for pod in await world.items("pods"):
            node = world.kubelets[pod["spec"]["nodeName"]]
            node.ready = True
            await node.report(pod, ready=True)
        world.start_scheduler()
        world.start_controllers()
        await world.advance(10)
        assert await images(world) == ["nginx:1.27"] * 4
