"""Namespaces: what every one gets, and how one goes."""

from kubesim.apimachinery.objects import condition


async def create(world, name, finalizers=()):
    meta = {"name": name, "finalizers": [*finalizers]}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}
    await world.api.create("namespaces", namespace)
    await world.settle()


async def create_config_map(world, name, namespace, **meta):
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, **meta},
    }
    await world.api.create("configmaps", config_map)
    await world.settle()


async def test_a_new_namespace_gets_an_account_and_the_root_ca(make_world):
    async with make_world() as world:
        await create(world, "shop")
        assert await world.exists("serviceaccounts", "default", "shop")
        config_map = await world.get("configmaps", "kube-root-ca.crt", "shop")
        assert config_map["data"]["ca.crt"].startswith("-----BEGIN CERTIFICATE-----")


async def test_the_account_and_the_root_ca_come_back(make_world):
    async with make_world() as world:
        await create(world, "shop")
        await world.api.delete("serviceaccounts", "default", "shop")
        changed = {"data": {"ca.crt": "forged"}}
        await world.api.patch("configmaps", "kube-root-ca.crt", changed, "shop")
        await world.settle()
        assert await world.exists("serviceaccounts", "default", "shop")
        config_map = await world.get("configmaps", "kube-root-ca.crt", "shop")
        assert config_map["data"]["ca.crt"] != "forged"
        await world.api.delete("configmaps", "kube-root-ca.crt", "shop")
        await world.settle()
        assert await world.exists("configmaps", "kube-root-ca.crt", "shop")


async def test_deleting_a_namespace_deletes_what_is_in_it(make_world):
    async with make_world(nodes=1) as world:
        await create(world, "shop")
        await create_config_map(world, "prices", "shop")
        await world.create_pod("till", namespace="shop")
        await world.settle()
        await world.api.delete("namespaces", "shop")
        await world.settle()
        assert not await world.exists("namespaces", "shop", None)
        for resource in ("configmaps", "pods", "serviceaccounts"):
            assert await world.items(resource, "shop") == []


async def test_pods_go_before_what_they_use(make_world):
    async with make_world(nodes=1) as world:
        await create(world, "shop")
        await create_config_map(world, "prices", "shop")
        await world.create_pod("till", namespace="shop")
        await world.settle()
        await world.stop("node-1")  # nobody is there to stop the Pod
        await world.api.delete("namespaces", "shop")
        await world.settle()
        namespace = await world.get("namespaces", "shop", None)
        remaining = condition(namespace, "NamespaceContentRemaining")
        assert namespace["status"]["phase"] == "Terminating"
        assert (remaining["status"], remaining["reason"]) == ("True", "SomeResourcesRemain")
        assert remaining["message"] == (
            "Some resources are remaining: pods. has 1 resource instances"
        )
        assert await world.exists("configmaps", "prices", "shop")
        await world.api.delete("pods", "till", "shop", grace_period=0)
        await world.settle()
        assert not await world.exists("namespaces", "shop", None)


async def test_a_finalizer_in_a_namespace_holds_it_and_is_named(make_world):
    async with make_world() as world:
        await create(world, "shop")
        await create_config_map(world, "held", "shop", finalizers=["example.com/hold"])
        await world.api.delete("namespaces", "shop")
        await world.settle()
        namespace = await world.get("namespaces", "shop", None)
        assert condition(namespace, "NamespaceFinalizersRemaining")["message"] == (
            "Some content in the namespace has finalizers remaining: "
            "example.com/hold in 1 resource instances"
        )
        release = {"metadata": {"finalizers": None}}
        await world.api.patch("configmaps", "held", release, "shop", kind="merge")
        await world.settle()
        assert not await world.exists("namespaces", "shop", None)


async def test_a_workload_in_a_terminating_namespace_is_not_recreated(make_world):
    async with make_world(nodes=1) as world:
        await world.create_deployment()
        await world.settle()
        await create(world, "shop")
        template = await world.get("deployments.apps", "web")
        meta = {"name": "web", "namespace": "shop"}
        copy = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta}
        await world.api.create("deployments.apps", copy | {"spec": template["spec"]})
        await world.settle()
        await world.api.delete("namespaces", "shop")
        await world.advance(1)
        assert not await world.exists("namespaces", "shop", None)
        assert len(await world.items("pods", "default")) == 3
