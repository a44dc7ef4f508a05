"""Controllers that work on every resource learn of those that are defined while they run."""

from kubesim.apiserver.apiextensions import controllers

DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
GADGETS = "gadgets.ext.example.com"


def definition():
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "gadgets", "kind": "Gadget"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": GADGETS},
        "spec": {
            "group": "ext.example.com",
            "scope": "Namespaced",
            "names": names,
            "versions": [version],
        },
    }


def gadget(name, namespace="default"):
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "ext.example.com/v1", "kind": "Gadget", "metadata": metadata}


def owned_by(owner):
    reference = {key: owner[key] for key in ("apiVersion", "kind")}
    reference |= {key: owner["metadata"][key] for key in ("name", "uid")}
    metadata = {"name": "owned", "namespace": "default", "ownerReferences": [reference]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


async def start(world):
    work = controllers.run(world.api, world.server.resources, world.clock)
    world.start("apiextensions", work)
    await world.settle()
    await world.api.create(DEFINITIONS, definition())
    await world.settle()


async def test_what_a_custom_object_owns_goes_with_it(make_world):
    async with make_world() as world:
        await start(world)
        owner = await world.api.create(GADGETS, gadget("owner"))
        await world.api.create("configmaps", owned_by(owner))
        await world.advance(35)
        assert await world.exists("configmaps", "owned")
        await world.api.delete(GADGETS, "owner", "default")
        await world.advance(5)
        assert not await world.exists("configmaps", "owned")


async def test_an_owner_that_went_before_anybody_knew_its_kind_is_found_gone(make_world):
    async with make_world() as world:
        await start(world)
        owner = await world.api.create(GADGETS, gadget("owner"))
        await world.api.create("configmaps", owned_by(owner))
        await world.api.delete(GADGETS, "owner", "default")
        await world.settle()
        assert await world.exists("configmaps", "owned")
        await world.advance(35)
        assert not await world.exists("configmaps", "owned")


async def test_a_namespace_goes_with_its_custom_objects(make_world):
    async with make_world() as world:
        await start(world)
        await world.create_namespaces("shop")
        await world.settle()
        await world.api.create(GADGETS, gadget("one", "shop"))
        await world.api.delete("namespaces", "shop")
        await world.advance(10)
        assert not await world.exists("namespaces", "shop", None)
        assert await world.items(GADGETS, "shop") == []


async def test_a_definition_that_goes_leaves_the_controllers_at_work(make_world):
    async with make_world() as world:
        await start(world)
        await world.api.create(GADGETS, gadget("one"))
        await world.advance(35)
        await world.api.delete(DEFINITIONS, GADGETS)
        await world.advance(65)
        assert not await world.exists(DEFINITIONS, GADGETS, None)
        await world.create_namespaces("later")
        await world.settle()
        await world.api.delete("namespaces", "later")
        await world.advance(10)
        assert not await world.exists("namespaces", "later", None)
