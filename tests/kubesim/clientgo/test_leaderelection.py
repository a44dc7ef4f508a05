"""Leader election: one leads, another takes over when the Lease runs out."""

import asyncio

from kubesim.apimachinery.objects import parse_time
from kubesim.clientgo.events import EventRecorder
from kubesim.clientgo.leaderelection import LeaderElector

LEASES = "leases.coordination.k8s.io"


class Candidate:
    def __init__(self, world, name):
        recorder = EventRecorder(world.api, world.clock, "tester")
        world.start(f"events of {name}", recorder.run())
        self.elector = LeaderElector(world.api, world.clock, "tester", name, recorder)
        self.leading = False

    async def lead(self):
        self.leading = True
        try:
            await asyncio.Event().wait()
        finally:
            self.leading = False


async def stand(world, name):
    candidate = Candidate(world, name)
    world.start(name, candidate.elector.run(candidate.lead))
    await world.settle()
    return candidate


async def lease(world):
    return (await world.get(LEASES, "tester", "kube-system"))["spec"]


async def test_the_first_candidate_leads_and_renews_every_two_seconds(make_world):
    async with make_world(controllers=False, scheduler=False) as world:
        one = await stand(world, "one")
        before = await lease(world)
        assert one.leading
        assert (before["holderIdentity"], before["leaseDurationSeconds"]) == ("one", 15)
        assert before["leaseTransitions"] == 0
        await world.advance(2)
        after = await lease(world)
        assert after["acquireTime"] == before["acquireTime"]
        renewed = parse_time(after["renewTime"]) - parse_time(before["renewTime"])
        assert renewed.total_seconds() == 2


async def test_the_second_waits_until_the_lease_has_run_out(make_world):
    async with make_world(controllers=False, scheduler=False) as world:
        await stand(world, "one")
        two = await stand(world, "two")
        await world.advance(60)
        assert not two.leading
        await world.stop("one")
        await world.advance(12)
        assert not two.leading
        await world.advance(6)
        assert two.leading
        spec = await lease(world)
        assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("two", 1)
        events = [message for _, message in await world.events("tester", "kube-system")]
        assert events == ["one became leader", "two became leader"]


async def test_a_leader_that_cannot_renew_steps_down_before_another_may_lead(make_world):
    async with make_world(controllers=False, scheduler=False) as world:
        one = await stand(world, "one")

        class Doorkeeper:
            async def authorize(self, *_):
                return False, ""

        world.server.authorizer = Doorkeeper()
        await world.advance(9)
        assert one.leading
        await world.advance(4)
        assert not one.leading
        world.server.authorizer = None
        await world.advance(3)
        assert one.leading


async def test_a_lease_taken_by_somebody_else_ends_the_lead(make_world):
    async with make_world(controllers=False, scheduler=False) as world:
        one = await stand(world, "one")
        await world.change(LEASES, "tester", {"spec": {"holderIdentity": "usurper"}}, "kube-system")
        await world.advance(13)
        assert not one.leading
        assert (await lease(world))["holderIdentity"] == "usurper"
