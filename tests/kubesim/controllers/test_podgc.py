"""Pods that nobody else would clean up."""

from kubesim.controllers import podgc


async def test_pods_of_a_node_that_is_gone_go_after_a_while(make_world):
    async with make_world(nodes=2) as world:
        await world.create_deployment(replicas=4)
        await world.create_pod("done", nodeName="node-2")
        await world.settle()
        done = {"status": {"phase": "Succeeded"}}
        await world.api.patch("pods", "done", done, "default", subresource="status")
        await world.stop("node-2")
        await world.api.delete("nodes", "node-2")
        await world.advance(35)
        assert any(pod["spec"]["nodeName"] == "node-2" for pod in await world.items("pods"))
        await world.advance(10)
        assert [pod["spec"]["nodeName"] for pod in await world.items("pods")] == ["node-1"] * 4


async def test_a_node_that_comes_back_in_time_keeps_its_pods(make_world):
    async with make_world(nodes=1) as world:
        await world.create_pod("here")
        await world.settle()
        await world.stop("node-1")
        await world.api.delete("nodes", "node-1")
        await world.advance(20)
        await world.add_node("node-1")
        await world.advance(60)
        assert await world.exists("pods", "here")


async def test_a_pod_for_a_node_that_never_was_goes(make_world):
    async with make_world() as world:
        await world.create_pod("lost", nodeName="nowhere")
        await world.advance(45)
        assert not await world.exists("pods", "lost")


async def test_the_oldest_finished_pods_go_when_there_are_too_many(make_world, monkeypatch):
    monkeypatch.setattr(podgc, "MAX_FINISHED", 2)
    async with make_world(nodes=1) as world:
        for number in range(4):
            await world.create_pod(f"job-{number}")
            await world.advance(1)
            done = {"status": {"phase": "Succeeded"}}
            await world.api.patch("pods", f"job-{number}", done, "default", subresource="status")
        await world.settle()
        left = [pod["metadata"]["name"] for pod in await world.items("pods")]
        assert left == ["job-2", "job-3"]
