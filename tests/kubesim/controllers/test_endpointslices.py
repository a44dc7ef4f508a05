"""EndpointSlices: the Pods behind a Service, in slices of a hundred."""

import pytest

from kubesim.controllers.endpointslice_reconciler import port_key, reconcile

LABELS = {"labels": {"app": "web"}}
SLICES = "endpointslices.discovery.k8s.io"
BASE = {"metadata": {"generateName": "web-", "labels": {"a": "b"}}}
PORTS = port_key([{"name": "", "port": 80, "protocol": "TCP"}])


async def slices(world, service="web"):
    return await world.items(SLICES, label_selector=f"kubernetes.io/service-name={service}")


async def only(world, service="web"):
    (found,) = await slices(world, service)
    return found


async def test_a_slice_says_whose_it_is_and_what_stands_in_it(make_world):
    async with make_world(nodes=1) as world:
        made = await world.create_service(ports=[{"name": "http", "port": 80}])
        zone = {"metadata": {"labels": {"topology.kubernetes.io/zone": "a"}}}
        await world.change("nodes", "node-1", zone, namespace=None)
        await world.create_pod("one", meta=LABELS, hostname="first", subdomain="web")
        await world.settle()
        found, pod = await only(world), await world.pod("one")
        assert found["metadata"]["name"].startswith("web-")
        assert found["metadata"]["labels"] == {
            "team": "a",
            "kubernetes.io/service-name": "web",
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        }
        (owner,) = found["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"]) == ("Service", made["metadata"]["uid"])
        assert (owner["controller"], owner["blockOwnerDeletion"]) == (True, True)
        assert found["addressType"] == "IPv4"
        assert found["ports"] == [{"name": "http", "port": 80, "protocol": "TCP"}]
        assert found["endpoints"] == [
            {
                "addresses": [pod["status"]["podIP"]],
                "conditions": {"ready": True, "serving": True, "terminating": False},
                "hostname": "first",
                "nodeName": "node-1",
                "targetRef": {
                    "kind": "Pod",
                    "name": "one",
                    "namespace": "default",
                    "uid": pod["metadata"]["uid"],
                },
                "zone": "a",
            }
        ]


async def test_slices_and_endpoints_tell_when_the_change_happened_that_they_follow(make_world):
    async with make_world(nodes=1, ready=False) as world:
        told = "endpoints.kubernetes.io/last-change-trigger-time"
        made = await world.create_service()
        await world.create_pod("one", meta=LABELS)
        await world.settle()
        for each in (await only(world), await world.get("endpoints", "web")):
            assert each["metadata"]["annotations"][told] == made["metadata"]["creationTimestamp"]
        await world.advance(60)
        await world.kubelets["node-1"].report(await world.pod("one"), ready=True)
        await world.settle()
        ready = next(
            each["lastTransitionTime"]
            for each in (await world.pod("one"))["status"]["conditions"]
            if each["type"] == "Ready"
        )
        for each in (await only(world), await world.get("endpoints", "web")):
            assert each["metadata"]["annotations"][told] == ready
        await world.change("pods", "one", {"metadata": {"labels": {"app": "other"}}})
        for each in (await only(world), await world.get("endpoints", "web")):
            assert told not in each["metadata"].get("annotations", {})


async def test_a_service_without_pods_has_one_empty_slice_which_they_then_fill(make_world):
    async with make_world(nodes=1) as world:
        await world.create_service()
        await world.settle()
        empty = await only(world)
        assert (empty["endpoints"], empty["ports"]) == (None, None)
        await world.create_pod("one", meta=LABELS)
        await world.settle()
        filled = await only(world)
        assert filled["metadata"]["name"] == empty["metadata"]["name"]
        assert len(filled["endpoints"]) == 1
        assert filled["metadata"]["generation"] > empty["metadata"]["generation"]


@pytest.mark.parametrize(
    ("publish", "ready"), [({}, False), ({"publishNotReadyAddresses": True}, True)]
)
async def test_pods_that_are_not_ready_stand_in_the_slice_too(make_world, publish, ready):
    async with make_world(nodes=1, ready=False) as world:
        await world.create_service(**publish)
        await world.create_pod("one", meta=LABELS)
        await world.settle()
        (endpoint,) = (await only(world))["endpoints"]
        assert endpoint["conditions"] == {"ready": ready, "serving": False, "terminating": False}


async def test_a_pod_that_ends_serves_on_but_takes_nothing_new(make_world):
    async with make_world(nodes=1) as world:
        await world.create_service()
        await world.create_pod("one", meta=LABELS)
        await world.settle()
        await world.stop("node-1")
        await world.api.delete("pods", "one", "default")
        await world.settle()
        (endpoint,) = (await only(world))["endpoints"]
        assert endpoint["conditions"] == {"ready": False, "serving": True, "terminating": True}


async def test_pods_with_other_ports_get_a_slice_of_their_own(make_world):
    async with make_world(nodes=1) as world:
        await world.create_service(ports=[{"port": 80, "targetPort": "web"}])
        for name, number in (("old", 8000), ("new", 9000)):
            ports = [{"name": "web", "containerPort": number}]
            containers = [{"name": "main", "image": "nginx:1.26", "ports": ports}]
            await world.create_pod(name, meta=LABELS, containers=containers)
        await world.settle()
        found = {
            each["ports"][0]["port"]: each["endpoints"][0]["targetRef"]["name"]
            for each in await slices(world)
        }
        assert found == {8000: "old", 9000: "new"}


async def test_slices_that_somebody_changes_or_deletes_are_put_right(make_world):
    async with make_world(nodes=1) as world:
        await world.create_service()
        await world.create_pod("one", meta=LABELS)
        await world.settle()
        name = (await only(world))["metadata"]["name"]
        await world.change(SLICES, name, {"endpoints": None})
        assert len((await only(world))["endpoints"]) == 1
        await world.api.delete(SLICES, name, "default")
        await world.settle()
        assert len((await only(world))["endpoints"]) == 1


async def test_slices_go_with_their_service(make_world):
    async with make_world() as world:
        await world.create_service()
        await world.settle()
        await world.api.delete("services", "web", "default")
        await world.advance(1)
        assert await slices(world) == []


async def test_endpoints_written_by_hand_are_mirrored(make_world):
    async with make_world() as world:
        await world.create_service("db", selector={})
        endpoints = {
            "metadata": {"name": "db", "namespace": "default", "labels": {"tier": "data"}},
            "subsets": [{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 5432}]}],
        }
        await world.api.create("endpoints", endpoints)
        await world.settle()
        mirror = await only(world, "db")
        managed_by = mirror["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"]
        assert managed_by == "endpointslicemirroring-controller.k8s.io"
        assert mirror["metadata"]["labels"]["tier"] == "data"
        assert mirror["metadata"]["ownerReferences"][0]["kind"] == "Endpoints"
        assert mirror["endpoints"] == [{"addresses": ["192.0.2.1"], "conditions": {"ready": True}}]
        await world.change("endpoints", "db", {"subsets": [{"addresses": [{"ip": "192.0.2.2"}]}]})
        assert (await only(world, "db"))["endpoints"][0]["addresses"] == ["192.0.2.2"]
        await world.api.delete("endpoints", "db", "default")
        await world.settle()
        assert await slices(world, "db") == []


async def test_some_endpoints_are_not_mirrored(make_world):
    async with make_world() as world:
        await world.create_service("db", selector={})
        labels = {"endpointslice.kubernetes.io/skip-mirror": "true"}
        meta = {"name": "db", "namespace": "default", "labels": labels}
        subsets = [{"addresses": [{"ip": "192.0.2.1"}]}]
        await world.api.create("endpoints", {"metadata": meta, "subsets": subsets})
        await world.settle()
        assert await slices(world, "db") == []


def endpoints(*numbers):
    return [{"addresses": [f"10.244.0.{n}"], "targetRef": {"uid": str(n)}} for n in numbers]


def existing(name, *numbers):
    metadata = {"name": name, "labels": {"a": "b"}}
    ports = [dict(port) for port in PORTS]
    return {"metadata": metadata, "ports": ports, "endpoints": endpoints(*numbers)}


def plan(wanted, *slices, limit=3):
    made = reconcile({PORTS: wanted}, slices, BASE, limit)
    sizes = [[len(each["endpoints"]) for each in each] for each in (made.create, made.update)]
    return (*sizes, [each["metadata"]["name"] for each in made.delete])


def test_endpoints_are_spread_over_slices_of_the_greatest_size():
    assert plan(endpoints(*range(7))) == ([3, 3, 1], [], [])


def test_what_is_right_is_left_alone():
    assert plan(endpoints(1, 2), existing("one", 1), existing("two", 2)) == ([], [], [])


def test_one_more_goes_where_there_is_room():
    assert plan(endpoints(1, 2, 3), existing("one", 1, 2)) == ([], [3], [])
    assert plan(endpoints(1, 2, 3, 4), existing("full", 1, 2, 3)) == ([1], [], [])


def test_a_slice_that_changes_anyway_takes_what_is_new():
    slices = existing("one", 1, 2, 3), existing("two", 4)
    assert plan(endpoints(1, 2, 4, 5), *slices) == ([], [3], [])


def test_a_slice_that_is_left_empty_goes():
    assert plan(endpoints(1), existing("one", 1), existing("two", 2)) == ([], [], ["two"])
