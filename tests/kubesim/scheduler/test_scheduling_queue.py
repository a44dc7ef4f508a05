"""The scheduling queue: who waits where, and for how long."""

import asyncio

import pytest

from kubesim.clock import Clock
from kubesim.scheduler.framework import ClusterEvent
from kubesim.scheduler.queue import SchedulingQueue

ROOM = frozenset({ClusterEvent.POD_GONE})


def pod(name, *, priority=0, uid=None):
    meta = {"name": name, "namespace": "default", "uid": uid or name}
    return {"metadata": meta, "spec": {"priority": priority}}


@pytest.fixture
def clock():
    return Clock(speed=0)


@pytest.fixture
def queue(clock):
    return SchedulingQueue(clock)


async def waits_for(queue, clock, *, at_most=1000):
    """Pop the next Pod; how many seconds that took."""
    popping = asyncio.create_task(queue.pop())
    started = clock.monotonic()
    for _ in range(at_most):
        await clock.advance(0)
        if popping.done():
            return popping.result(), round(clock.monotonic() - started)
        await clock.advance(1)
    popping.cancel()
    return None, None


async def test_first_come_first_served_but_priority_counts_more(queue, clock):
    queue.add(pod("first"))
    await clock.advance(1)
    queue.add(pod("second"))
    queue.add(pod("urgent", priority=10))
    names = [(await queue.pop()).pod["metadata"]["name"] for _ in range(3)]
    assert names == ["urgent", "first", "second"]


async def test_every_failed_attempt_doubles_the_back_off_up_to_ten_seconds(queue, clock):
    queue.add(pod("one"))
    queued = await queue.pop()
    delays = []
    for _ in range(6):
        queue.park(queued, ROOM)
        queue.happened(ClusterEvent.POD_GONE)
        queued, delay = await waits_for(queue, clock)
        delays.append(delay)
    assert delays == [1, 2, 4, 8, 10, 10]


async def test_only_what_a_pod_hopes_for_wakes_it(queue, clock):
    queue.add(pod("one"))
    queue.park(await queue.pop(), ROOM)
    queue.happened(ClusterEvent.NODE_TAINTS)
    assert await waits_for(queue, clock, at_most=60) == (None, None)
    queue.happened(ClusterEvent.POD_GONE)
    _, delay = await waits_for(queue, clock)
    assert delay == 0  # its back-off is long over


async def test_nothing_waits_longer_than_five_minutes(queue, clock):
    queue.add(pod("one"))
    queue.park(await queue.pop(), ROOM)
    _, delay = await waits_for(queue, clock)
    assert delay == 300


async def test_what_happens_during_an_attempt_is_not_missed(queue, clock):
    queue.add(pod("one"))
    queued = await queue.pop()
    queue.happened(ClusterEvent.POD_GONE)
    queue.park(queued, ROOM)
    _, delay = await waits_for(queue, clock)
    assert delay == 1


async def test_what_happened_before_an_attempt_does_not_count(queue, clock):
    queue.happened(ClusterEvent.POD_GONE)
    queue.add(pod("one"))
    queue.park(await queue.pop(), ROOM)
    _, delay = await waits_for(queue, clock)
    assert delay == 300


async def test_a_changed_pod_keeps_its_history_and_its_successor_does_not(queue, clock):
    queue.add(pod("one"))
    queue.park(await queue.pop(), ROOM)
    queue.add(pod("one"))
    queued, delay = await waits_for(queue, clock)
    assert (queued.attempts, delay) == (2, 1)
    queue.park(queued, ROOM)
    queue.add(pod("one", uid="another"))
    queued, delay = await waits_for(queue, clock)
    assert (queued.attempts, delay) == (1, 0)


async def test_a_removed_pod_does_not_come_back(queue, clock):
    queue.add(pod("one"))
    queue.park(await queue.pop(), ROOM)
    queue.remove(pod("one"))
    queue.happened(ClusterEvent.POD_GONE)
    assert await waits_for(queue, clock, at_most=400) == (None, None)
