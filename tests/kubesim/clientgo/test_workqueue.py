"""The work queue's promises, kept on a stepped clock."""

import asyncio

from kubesim.clientgo.workqueue import WorkQueue
from kubesim.clock import Clock


class Worker:
    """Notes which keys it was given and when; fails or waits when told to."""

    def __init__(self, *, clock=None, workers=1, **how):
        self.clock = clock or Clock(speed=0)
        self.queue = WorkQueue(self.clock, "test", **how)
        self.seen = []
        self.failing = set()
        self.gate = asyncio.Event()
        self.gate.set()
        self.workers = workers

    async def __aenter__(self):
        self.task = asyncio.create_task(self.queue.run(self.sync, self.workers))
        return self

    async def __aexit__(self, *_):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def sync(self, key):
        self.seen.append((key, round(self.clock.monotonic(), 3)))
        await self.gate.wait()
        if key in self.failing:
            raise RuntimeError("not yet")

    async def advance(self, seconds=0.0):
        await self.clock.advance(seconds)

    def keys(self):
        return [key for key, _ in self.seen]

    def times(self):
        return [time for _, time in self.seen]


async def test_keys_come_in_order_and_only_once():
    async with Worker() as worker:
        for key in ("a", "b", "a", "c", "b"):
            worker.queue.add(key)
        await worker.advance()
        assert worker.keys() == ["a", "b", "c"]


async def test_a_key_added_while_it_is_worked_on_comes_again_afterwards():
    async with Worker(workers=2) as worker:
        worker.gate.clear()
        worker.queue.add("a")
        await worker.advance()
        worker.queue.add("a")
        worker.queue.add("a")
        await worker.advance()
        assert worker.keys() == ["a"]  # the second worker is free but must not take it
        worker.gate.set()
        await worker.advance()
        assert worker.keys() == ["a", "a"]


async def test_several_workers_take_different_keys():
    async with Worker(workers=2) as worker:
        worker.gate.clear()
        for key in ("a", "b", "c"):
            worker.queue.add(key)
        await worker.advance()
        assert worker.keys() == ["a", "b"]
        worker.gate.set()
        await worker.advance()
        assert worker.keys() == ["a", "b", "c"]


async def test_a_delayed_key_comes_in_time_and_the_soonest_time_counts():
    async with Worker() as worker:
        worker.queue.add_after("a", 30)
        worker.queue.add_after("a", 10)
        worker.queue.add_after("a", 20)
        await worker.advance(9)
        assert worker.keys() == []
        await worker.advance(100)
        assert worker.times() == [10]


async def test_failures_double_the_delay_and_success_ends_the_series():
    async with Worker(first_backoff=1, max_backoff=5) as worker:
        worker.failing = {"a"}
        worker.queue.add("a")
        await worker.advance(20)
        assert worker.times() == [0, 1, 3, 7, 12, 17]
        worker.failing = set()
        await worker.advance(5)
        assert worker.queue.failures("a") == 0
        worker.failing = {"a"}
        worker.queue.add("a")
        await worker.advance(1)
        assert worker.times()[-2:] == [25, 26]


async def test_the_first_retry_comes_after_five_milliseconds():
    async with Worker() as worker:
        worker.failing = {"a"}
        worker.queue.add("a")
        await worker.advance(0.02)
        assert worker.times() == [0, 0.005, 0.015]


async def test_one_failing_key_does_not_hold_up_the_others():
    async with Worker() as worker:
        worker.failing = {"bad"}
        worker.queue.add("bad")
        worker.queue.add("good")
        await worker.advance()
        assert worker.keys() == ["bad", "good"]
