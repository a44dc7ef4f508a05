"""NoExecute taints: who must go, and when."""

from kubesim.apimachinery.objects import is_being_deleted
from kubesim.controllers.tainteviction import allowed_seconds

TAINT = {"key": "maintenance", "value": "soon", "effect": "NoExecute"}


def toleration(**how):
    return {**TAINT, "operator": "Equal", **how}


async def taint(world, *taints):
    await world.change("nodes", "node-1", {"spec": {"taints": [*taints]}}, None)


async def left(world):
    return {
        pod["metadata"]["name"] for pod in await world.items("pods") if not is_being_deleted(pod)
    }


async def test_pods_go_at_once_later_or_never(make_world):
    async with make_world(nodes=1) as world:
        await world.create_pod("intolerant")
        await world.create_pod("patient", tolerations=[toleration(tolerationSeconds=60)])
        await world.create_pod("tolerant", tolerations=[toleration()])
        await world.settle()
        await taint(world, TAINT)
        assert await left(world) == {"patient", "tolerant"}
        await world.advance(59)
        assert await left(world) == {"patient", "tolerant"}
        await world.advance(2)
        assert await left(world) == {"tolerant"}
        await world.advance(1000)
        assert await left(world) == {"tolerant"}


async def test_a_taint_that_is_taken_off_in_time_does_nothing(make_world):
    async with make_world(nodes=1) as world:
        await world.create_pod("patient", tolerations=[toleration(tolerationSeconds=60)])
        await world.settle()
        await taint(world, TAINT)
        await world.advance(30)
        await taint(world)
        await world.advance(60)
        assert await left(world) == {"patient"}
        await taint(world, TAINT)
        await world.advance(59)
        assert await left(world) == {"patient"}  # its time began anew
        await world.advance(2)
        assert await left(world) == set()


async def test_a_namesake_that_comes_later_has_all_its_time(make_world):
    async with make_world(nodes=1) as world:
        how = {"tolerations": [toleration(tolerationSeconds=60)], "nodeName": "node-1"}
        await world.create_pod("patient", **how)
        await world.settle()
        await taint(world, TAINT)
        await world.advance(40)
        await world.api.delete("pods", "patient", "default", grace_period=0)
        await world.create_pod("patient", **how)
        await world.advance(40)
        assert await left(world) == {"patient"}
        await world.advance(30)
        assert await left(world) == set()


async def test_a_no_schedule_taint_drives_nobody_away(make_world):
    async with make_world(nodes=1) as world:
        await world.create_pod("intolerant")
        await world.settle()
        await taint(world, TAINT | {"effect": "NoSchedule"})
        await world.advance(400)
        assert await left(world) == {"intolerant"}


async def test_a_pod_bound_to_a_tainted_node_by_hand_goes(make_world):
    async with make_world(nodes=1) as world:
        await taint(world, TAINT)
        await world.create_pod("stubborn", nodeName="node-1")
        await world.settle()
        assert await left(world) == set()


def pod(*tolerations):
    return {"spec": {"tolerations": [*tolerations]}}


def test_the_shortest_toleration_counts():
    other = {"key": "other", "effect": "NoExecute"}
    both = pod(
        toleration(tolerationSeconds=60),
        {"key": "other", "operator": "Exists", "tolerationSeconds": 20},
    )
    assert allowed_seconds(both, [TAINT]) == 60
    assert allowed_seconds(both, [TAINT, other]) == 20
    assert allowed_seconds(pod(toleration()), [TAINT, other]) == 0
    assert allowed_seconds(pod({"operator": "Exists"}), [TAINT, other]) is None
    assert allowed_seconds(pod(toleration(tolerationSeconds=-5)), [TAINT]) == 0
