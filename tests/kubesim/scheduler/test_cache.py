"""What a decision costs: it does not grow with the Pods that are there, nor all with the nodes."""

from kubesim.scheduler import nodeinfo
from kubesim.scheduler.cache import Cache
from kubesim.scheduler.scheduler import enough_feasible


def pod(name, node=None, cpu="100m", **status):
    container = {"name": "main", "resources": {"requests": {"cpu": cpu}}}
    return {
        "metadata": {"name": name, "namespace": "default", "uid": name},
        "spec": {"containers": [container]} | ({"nodeName": node} if node else {}),
        "status": status,
    }


def node(name):
    return {
        "metadata": {"name": name},
        "spec": {},
        "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"}},
    }


def used(cache):
    return {info.name: (len(info.infos), info.requested.get("cpu", 0)) for info in cache.nodes([])}


async def test_the_pods_that_are_there_are_not_counted_again(make_world, monkeypatch):
    async with make_world(nodes=3) as world:
        for number in range(30):
            await world.create_pod(f"old-{number}")
        await world.settle()
        looked_at = []
        work_out = nodeinfo._pod_requests
        monkeypatch.setattr(
            nodeinfo,
            "_pod_requests",
            lambda one, default: (
                looked_at.append(one["metadata"]["name"]) or work_out(one, default)
            ),
        )
        for number in range(5):
            await world.create_pod(f"new-{number}")
        await world.settle()
        assert {name for name in looked_at if name.startswith("old-")} == set()
        assert len(looked_at) <= 5 * 6


def test_a_node_adds_up_as_pods_come_and_go():
    cache = Cache()
    for name in ("b", "a"):
        cache.set_node(node(name))
    cache.set_pod(pod("one", "a"))
    cache.assume(pod("two", "a", cpu="1"))
    assert used(cache) == {"a": (2, nodeinfo.parse("1.1")), "b": (0, 0)}
    cache.set_pod(pod("two"))  # old news: the binding is still under way
    assert cache.is_assumed(pod("two"))
    cache.set_pod(pod("two", "a", cpu="1"))
    assert not cache.is_assumed(pod("two"))
    cache.set_pod(pod("one", "a", phase="Succeeded"))
    assert used(cache)["a"] == (1, 1)
    cache.remove_pod("two")
    assert used(cache)["a"] == (0, 0)


def test_a_pod_that_is_known_before_its_node_takes_its_room():
    cache = Cache()
    cache.set_pod(pod("early", "a"))
    cache.set_pod(pod("gone", "a"))
    cache.remove_pod("gone")
    cache.set_node(node("a"))
    assert used(cache) == {"a": (1, nodeinfo.parse("100m"))}
    cache.remove_node("a")
    cache.set_node(node("a"))
    assert used(cache) == {"a": (1, nodeinfo.parse("100m"))}


def test_what_was_worked_out_of_a_node_is_remembered_until_it_changes():
    cache = Cache()
    cache.set_node(node("a"))
    asked = []
    remembered = nodeinfo.per_node("Test", "question", lambda info: asked.append(info.name))
    for _ in range(3):
        remembered(cache.nodes([])[0])
    assert asked == ["a"]
    cache.set_pod(pod("one", "a"))
    remembered(cache.nodes([])[0])
    assert asked == ["a", "a"]


def test_in_a_large_cluster_some_of_the_nodes_will_do():
    assert [enough_feasible(nodes) for nodes in (3, 99, 150, 1000, 5000, 10_000)] == [
        *(3, 99, 100, 420, 500, 500)
    ]
