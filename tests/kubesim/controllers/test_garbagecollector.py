"""Garbage collection: what becomes of dependents when their owner goes."""

import pytest

from kubesim.apimachinery.objects import controller_reference, is_being_deleted

REPLICASETS = "replicasets.apps"
DEPLOYMENTS = "deployments.apps"


async def create_config_map(world, name, *owners, namespace="default", **meta):
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "ownerReferences": [*owners],
            **meta,
        },
    }
    return await world.api.create("configmaps", config_map)


def owned_by(owner, *, blocks=True):
    reference = controller_reference(owner)
    del reference["controller"]
    return reference | {"blockOwnerDeletion": blocks}


async def test_deleting_a_deployment_takes_its_replica_sets_and_pods(make_world):
    async with make_world(nodes=1) as world:
        await world.create_deployment()
        await world.settle()
        await world.api.delete(DEPLOYMENTS, "web", "default")
        await world.settle()
        assert await world.items(REPLICASETS) == []
        assert await world.items("pods") == []


async def test_orphaning_leaves_the_dependents_without_an_owner(make_world):
    async with make_world(nodes=1) as world:
        await world.create_replica_set(replicas=2)
        await world.settle()
        await world.api.delete(REPLICASETS, "web", "default", propagation="Orphan")
        await world.settle()
        pods = await world.items("pods")
        assert not await world.exists(REPLICASETS, "web")
        assert [pod["metadata"].get("ownerReferences", []) for pod in pods] == [[], []]


async def test_in_the_foreground_the_owner_goes_last(make_world):
    async with make_world(nodes=1) as world:
        await world.create_deployment(replicas=2)
        await world.settle()
        await world.stop("node-1")  # so that the Pods cannot go yet
        await world.api.delete(DEPLOYMENTS, "web", "default", propagation="Foreground")
        await world.settle()
        assert is_being_deleted(await world.get(DEPLOYMENTS, "web"))
        assert all(map(is_being_deleted, await world.items("pods")))
        for pod in await world.items("pods"):
            await world.api.delete("pods", pod["metadata"]["name"], "default", grace_period=0)
        await world.settle()
        assert not await world.exists(DEPLOYMENTS, "web")
        assert await world.items(REPLICASETS) == []


async def test_a_dependent_that_does_not_block_is_not_waited_for(make_world):
    async with make_world() as world:
        owner = await create_config_map(world, "owner")
        held = {"finalizers": ["example.com/hold"]}
        await create_config_map(world, "dependent", owned_by(owner, blocks=False), **held)
        await world.settle()
        await world.api.delete("configmaps", "owner", "default", propagation="Foreground")
        await world.settle()
        assert not await world.exists("configmaps", "owner")
        assert is_being_deleted(await world.get("configmaps", "dependent"))


async def test_an_object_stays_while_one_owner_is_left(make_world):
    async with make_world() as world:
        one, two = [await create_config_map(world, name) for name in ("one", "two")]
        await create_config_map(world, "shared", owned_by(one), owned_by(two))
        await world.settle()
        await world.api.delete("configmaps", "one", "default")
        await world.settle()
        shared = await world.get("configmaps", "shared")
        assert [each["name"] for each in shared["metadata"]["ownerReferences"]] == ["two"]
        await world.api.delete("configmaps", "two", "default")
        await world.settle()
        assert not await world.exists("configmaps", "shared")


async def test_an_owner_that_never_existed_is_an_owner_that_is_gone(make_world):
    async with make_world() as world:
        ghost = {"apiVersion": "v1", "kind": "ConfigMap", "name": "ghost", "uid": "1-2-3"}
        await create_config_map(world, "haunted", ghost)
        await world.settle()
        assert not await world.exists("configmaps", "haunted")


async def test_an_owner_of_the_same_name_but_another_uid_does_not_count(make_world):
    async with make_world() as world:
        owner = await create_config_map(world, "owner")
        await create_config_map(world, "dependent", owned_by(owner) | {"uid": "another"})
        await world.settle()
        assert await world.exists("configmaps", "owner")
        assert not await world.exists("configmaps", "dependent")


async def test_an_owner_in_another_namespace_does_not_count_and_that_is_said(make_world):
    async with make_world() as world:
        await world.create_namespaces("other")
        owner = await create_config_map(world, "owner", namespace="other")
        await world.settle()
        await create_config_map(world, "dependent", owned_by(owner))
        await world.settle()
        assert not await world.exists("configmaps", "dependent")
        ((reason, message),) = await world.events("dependent")
        assert reason == "OwnerRefInvalidNamespace"
        assert 'does not exist in namespace "default"' in message


async def test_a_cluster_scoped_owner_counts_everywhere(make_world):
    async with make_world(nodes=1) as world:
        node = await world.get("nodes", "node-1", None)
        await create_config_map(world, "about-the-node", owned_by(node))
        await world.settle()
        assert await world.exists("configmaps", "about-the-node")
        await world.stop("node-1")
        await world.api.delete("nodes", "node-1")
        await world.settle()
        assert not await world.exists("configmaps", "about-the-node")


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
async def test_owners_in_a_circle_do_not_wait_for_ever(make_world, propagation):
    async with make_world() as world:
        one = await create_config_map(world, "one")
        two = await create_config_map(world, "two", owned_by(one))
        close = {"metadata": {"ownerReferences": [owned_by(two)]}}
        await world.change("configmaps", "one", close)
        await world.api.delete("configmaps", "one", "default", propagation=propagation)
        await world.advance(1)
        assert not await world.exists("configmaps", "one")
        assert not await world.exists("configmaps", "two")


async def test_garbage_left_while_nobody_collected_is_found_at_the_start(make_world):
    async with make_world(controllers=False) as world:
        owner = await create_config_map(world, "owner")
        await create_config_map(world, "dependent", owned_by(owner))
        await world.api.delete("configmaps", "owner", "default")
        world.start_controllers()
        await world.settle()
        assert not await world.exists("configmaps", "dependent")
