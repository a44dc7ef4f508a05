"""Memory and CPU time: what containers use, what happens beyond their limits, what is told."""

import pytest


async def ended(lab, script, **limits):
    """How a container with limits ended that runs a script."""
    await lab.run(command=["sh", "-c", script], restartPolicy="Never", resources={"limits": limits})
    await lab.advance(60)
    state = (await lab.status())["state"]["terminated"]
    return state["reason"], state["exitCode"]


@pytest.mark.parametrize(
    "script",
    [
        "tail /dev/zero",
        "sort /dev/zero",
        "read line < /dev/zero",
        "x=aaaaaaaa; while true; do x=$x$x; done",
        "dd if=/dev/zero of=/dev/null bs=40M count=1",
        "head -c 100m /dev/zero | tail",
    ],
)
async def test_who_takes_more_than_its_limit_is_killed(make_lab, script):
    async with make_lab() as lab:
        assert await ended(lab, script, memory="20Mi") == ("OOMKilled", 137)


@pytest.mark.parametrize(
    "script",
    [
        "head -c 100m /dev/zero > /dev/null",
        "head -c 1m /dev/zero | tail -c 10",
        "for i in 1 2 3; do x=$(seq 1 1000); done",
        "dd if=/dev/zero of=/dev/null bs=1M count=100",
    ],
)
async def test_who_stays_below_its_limit_lives(make_lab, script):
    async with make_lab() as lab:
        assert await ended(lab, script, memory="20Mi") == ("Completed", 0)


async def test_without_a_limit_the_node_is_the_limit(make_lab):
    async with make_lab() as lab:
        assert await ended(lab, "sort /dev/zero") == ("OOMKilled", 137)


async def cores(lab, name="pod"):
    """How many cores a Pod is told to use."""
    summary = (await lab.server(name)).summary()
    pod = next(each for each in summary["pods"] if each["podRef"]["name"] == name)
    return pod["containers"][0]["cpu"]["usageNanoCores"] / 1e9


async def test_a_busy_loop_uses_a_core(make_lab):
    async with make_lab() as lab:
        await lab.run(command=["sh", "-c", "while true; do :; done"])
        await lab.run("idle", command=["sleep", "1000"])
        await lab.advance(31)
        assert 0.9 < await cores(lab) <= 1.01
        assert await cores(lab, "idle") == 0


async def test_a_cpu_limit_slows_down(make_lab):
    async with make_lab() as lab:
        loop = ["sh", "-c", "while true; do :; done"]
        await lab.run(command=loop, resources={"limits": {"cpu": "250m"}})
        await lab.advance(31)
        assert 0.2 < await cores(lab) <= 0.26


async def test_what_is_used_follows_the_load(make_lab):
    async with make_lab() as lab:
        await lab.run(command=["sh", "-c", "yes > /dev/null & sleep 40; kill $!; sleep 1000"])
        await lab.advance(31)
        assert await cores(lab) > 0.9
        await lab.advance(40)
        assert await cores(lab) < 0.1


async def test_the_summary_of_a_node(make_lab):
    async with make_lab() as lab:
        pod = await lab.run(image="nginx:1.27")
        summary = (await lab.server()).summary()
        assert summary["node"]["nodeName"] == pod["spec"]["nodeName"]
        mine = next(each for each in summary["pods"] if each["podRef"]["name"] == "pod")
        assert mine["podRef"]["uid"] == pod["metadata"]["uid"]
        assert [each["name"] for each in mine["containers"]] == ["c"]
        assert mine["memory"]["workingSetBytes"] > 1_000_000
        memory = summary["node"]["memory"]
        assert memory["workingSetBytes"] > mine["memory"]["workingSetBytes"]
        assert memory["workingSetBytes"] + memory["availableBytes"] == 8 * 1024**3


async def measured(lab):
    """The windows over which the metrics API tells of Pods."""
    found = (await lab.api.list("pods.metrics.k8s.io", "default"))["items"]
    return {each["metadata"]["name"]: each["window"] for each in found}


async def test_the_metrics_api_shows_a_pod_when_its_youngest_container_is_ten_seconds_old(make_lab):
    async with make_lab() as lab:
        await lab.run("young", command=["sleep", "1000"])
        await lab.advance(9)
        assert await measured(lab) == {}
        await lab.advance(3)
        (window,) = (await measured(lab)).values()
        assert 10 <= int(window.removesuffix("s")) < 15
        await lab.advance(30)
        assert await measured(lab) == {"young": "15s"}
