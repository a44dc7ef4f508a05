"""Events: written without disturbing anybody, and without flooding the store."""

from datetime import timedelta

from kubesim.apimachinery.objects import parse_time, timestamp
from kubesim.clientgo.events import EventRecorder


async def recorder(world, **how):
    made = EventRecorder(world.api, world.clock, "tester", **how)
    world.start("recorder", made.run())
    await world.create_pod("subject")
    return made, await world.pod("subject")


async def written(world):
    await world.settle()
    return await world.items("events")


async def test_an_event_names_its_object_and_its_source(make_world):
    async with make_world(scheduler=False) as world:
        made, pod = await recorder(world, host="node-1")
        made.event(pod, "Warning", "BackOff", "Back-off restarting")
        (event,) = await written(world)
        now = timestamp(world.clock.now())
        assert event["involvedObject"] == {
            "kind": "Pod",
            "namespace": "default",
            "name": "subject",
            "uid": pod["metadata"]["uid"],
            "apiVersion": "v1",
            "resourceVersion": pod["metadata"]["resourceVersion"],
        }
        assert event["source"] == {"component": "tester", "host": "node-1"}
        assert (event["reportingComponent"], event["reportingInstance"]) == ("tester", "node-1")
        assert (event["type"], event["reason"]) == ("Warning", "BackOff")
        assert (event["firstTimestamp"], event["lastTimestamp"], event["count"]) == (now, now, 1)
        assert event["metadata"]["name"].startswith("subject.")


async def test_the_same_event_again_is_counted(make_world):
    async with make_world(scheduler=False) as world:
        made, pod = await recorder(world)
        first = world.clock.now()
        for _ in range(3):
            made.event(pod, "Warning", "BackOff", "Back-off restarting")
            await world.advance(10)
        (event,) = await written(world)
        assert event["count"] == 3
        assert event["firstTimestamp"] == timestamp(first)
        assert event["lastTimestamp"] == timestamp(first + timedelta(seconds=20))


async def test_other_messages_are_other_events_until_there_are_ten(make_world):
    async with make_world(scheduler=False) as world:
        made, pod = await recorder(world)
        for number in range(15):
            made.event(pod, "Normal", "Pulled", f"Pulled in {number} ms")
            await world.advance(1)
        events = await written(world)
        combined = [event for event in events if event["message"].startswith("(combined")]
        assert len(events) == 10
        assert len(combined) == 1
        assert combined[0]["message"] == "(combined from similar events): Pulled in 14 ms"
        assert combined[0]["count"] == 6


async def test_a_flood_is_cut_to_a_burst_and_a_trickle(make_world):
    async with make_world(scheduler=False) as world:
        made, pod = await recorder(world)
        for _ in range(60):
            made.event(pod, "Warning", "Unhealthy", "probe failed")
        (event,) = await written(world)
        assert event["count"] == 25
        await world.advance(301)
        made.event(pod, "Warning", "Unhealthy", "probe failed")
        (event,) = await written(world)
        assert event["count"] == 61  # what was not written was counted


async def test_two_events_at_the_same_moment_are_two_objects(make_world):
    async with make_world(scheduler=False) as world:
        made, pod = await recorder(world)
        made.event(pod, "Normal", "Pulling", "Pulling image")
        made.event(pod, "Normal", "Pulled", "Pulled image")
        reasons = {event["reason"] for event in await written(world)}
        assert reasons == {"Pulling", "Pulled"}


async def test_an_event_that_is_gone_is_written_anew(make_world):
    async with make_world(scheduler=False) as world:
        made, pod = await recorder(world)
        made.event(pod, "Warning", "BackOff", "Back-off restarting")
        (event,) = await written(world)
        await world.api.delete("events", event["metadata"]["name"], "default")
        made.event(pod, "Warning", "BackOff", "Back-off restarting")
        (event,) = await written(world)
        assert event["count"] == 2


async def test_events_about_things_without_a_namespace_are_in_default(make_world):
    async with make_world(nodes=1, scheduler=False) as world:
        made, _ = await recorder(world)
        made.event(await world.get("nodes", "node-1", None), "Normal", "Starting", "Starting")
        assert "Starting" in {event["reason"] for event in await written(world)}


async def test_a_recorder_outlives_a_refused_event(make_world):
    async with make_world(scheduler=False) as world:
        made, pod = await recorder(world)
        elsewhere = pod | {"metadata": pod["metadata"] | {"namespace": "nowhere"}}
        made.event(elsewhere, "Normal", "Lost", "nobody reads this")
        made.event(pod, "Normal", "Found", "this is read")
        assert [event["reason"] for event in await written(world)] == ["Found"]


async def test_times_are_the_clock_s(make_world):
    async with make_world(scheduler=False) as world:
        made, pod = await recorder(world)
        await world.stop("controllers")
        await world.advance(86400)
        made.event(pod, "Normal", "Late", "a day later")
        (event,) = await written(world)
        created = parse_time(pod["metadata"]["creationTimestamp"])
        assert parse_time(event["firstTimestamp"]) - created == timedelta(days=1)
