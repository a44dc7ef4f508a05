"""Endpoints: the addresses behind a Service."""

LABELS = {"labels": {"app": "web"}}


async def test_ready_pods_are_addresses_with_a_reference_to_the_pod(make_world):
    async with make_world(nodes=1) as world:
        await world.create_service(ports=[{"name": "http", "port": 8080}])
        await world.create_pod("one", meta=LABELS)
        await world.settle()
        pod = await world.pod("one")
        endpoints = await world.get("endpoints", "web")
        (subset,) = endpoints["subsets"]
        assert subset["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
        (address,) = subset["addresses"]
        assert address == {
            "ip": pod["status"]["podIP"],
            "nodeName": "node-1",
            "targetRef": {
                "kind": "Pod",
                "namespace": "default",
                "name": "one",
                "uid": pod["metadata"]["uid"],
            },
        }
        assert endpoints["metadata"]["labels"]["team"] == "a"


async def test_unready_pods_stand_apart_until_they_are_ready(make_world):
    async with make_world(nodes=1, ready=False) as world:
        await world.create_service()
        await world.create_pod("one", meta=LABELS)
        await world.settle()
        (subset,) = (await world.get("endpoints", "web"))["subsets"]
        assert "addresses" not in subset
        assert len(subset["notReadyAddresses"]) == 1
        await world.kubelets["node-1"].report(await world.pod("one"), ready=True)
        await world.settle()
        (subset,) = (await world.get("endpoints", "web"))["subsets"]
        assert "notReadyAddresses" not in subset
        assert len(subset["addresses"]) == 1


async def test_a_service_may_publish_pods_that_are_not_ready(make_world):
    async with make_world(nodes=1, ready=False) as world:
        await world.create_service(publishNotReadyAddresses=True)
        await world.create_pod("one", meta=LABELS)
        await world.settle()
        (subset,) = (await world.get("endpoints", "web"))["subsets"]
        assert len(subset["addresses"]) == 1


async def test_a_pod_that_goes_or_changes_its_labels_leaves(make_world):
    async with make_world(nodes=1) as world:
        await world.create_service()
        for name in ("stays", "goes", "changes"):
            await world.create_pod(name, meta=LABELS)
        await world.settle()
        await world.api.delete("pods", "goes", "default")
        await world.change("pods", "changes", {"metadata": {"labels": {"app": "other"}}})
        (subset,) = (await world.get("endpoints", "web"))["subsets"]
        assert [each["targetRef"]["name"] for each in subset["addresses"]] == ["stays"]


async def test_a_terminating_pod_leaves_before_it_is_gone(make_world):
    async with make_world(nodes=1) as world:
        await world.create_service()
        await world.create_pod("one", meta=LABELS)
        await world.settle()
        await world.stop("node-1")  # so that nobody ends the Pod
        await world.api.delete("pods", "one", "default")
        await world.settle()
        assert await world.exists("pods", "one")
        assert not (await world.get("endpoints", "web")).get("subsets")


async def test_a_named_target_port_is_looked_up_in_each_pod(make_world):
    async with make_world(nodes=1) as world:
        await world.create_service(ports=[{"port": 80, "targetPort": "web"}])
        for name, number in (("old", 8000), ("new", 9000)):
            ports = [{"name": "web", "containerPort": number}]
            containers = [{"name": "main", "image": "nginx:1.26", "ports": ports}]
            await world.create_pod(name, meta=LABELS, containers=containers)
        await world.create_pod("without", meta=LABELS)
        await world.settle()
        found = {
            subset["ports"][0]["port"]: subset["addresses"][0]["targetRef"]["name"]
            for subset in (await world.get("endpoints", "web"))["subsets"]
        }
        assert found == {8000: "old", 9000: "new"}


async def test_a_headless_service_needs_no_ports(make_world):
    async with make_world(nodes=1) as world:
        await world.create_service(clusterIP="None", ports=[])
        await world.create_pod("one", meta=LABELS, hostname="first", subdomain="web")
        await world.settle()
        endpoints = await world.get("endpoints", "web")
        (subset,) = endpoints["subsets"]
        assert "ports" not in subset
        assert subset["addresses"][0]["hostname"] == "first"
        assert "service.kubernetes.io/headless" in endpoints["metadata"]["labels"]


async def test_without_pods_there_are_endpoints_but_no_subsets(make_world):
    async with make_world() as world:
        await world.create_service()
        await world.settle()
        assert not (await world.get("endpoints", "web")).get("subsets")


async def test_without_a_selector_the_endpoints_are_somebody_elses(make_world):
    async with make_world() as world:
        await world.create_service("manual", selector={})
        await world.settle()
        assert not await world.exists("endpoints", "manual")


async def test_endpoints_go_with_their_service_and_come_back_when_deleted(make_world):
    async with make_world() as world:
        await world.create_service()
        await world.settle()
        await world.api.delete("endpoints", "web", "default")
        await world.settle()
        assert await world.exists("endpoints", "web")
        await world.api.delete("services", "web", "default")
        await world.settle()
        assert not await world.exists("endpoints", "web")
