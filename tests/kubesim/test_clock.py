"""Time that stands still, jumps and runs."""

import asyncio
import time

import pytest

from kubesim.clock import Clock


async def test_stepped_time_moves_only_when_told():
    clock = Clock(speed=0)
    before = clock.now()
    sleeper = asyncio.create_task(clock.sleep(1))
    await clock.advance(0.5)
    assert not sleeper.done()
    assert (clock.now() - before).total_seconds() == 0.5
    await clock.advance(0.5)
    assert sleeper.done()


async def test_sleepers_wake_in_order_of_time_whoever_slept_first():
    clock = Clock(speed=0)
    woken = []

    async def sleep(seconds):
        await clock.sleep(seconds)
        woken.append((seconds, clock.monotonic()))

    tasks = [asyncio.create_task(sleep(seconds)) for seconds in (3, 1, 2, 1)]
    await clock.advance(10)
    assert woken == [(1, 1), (1, 1), (2, 2), (3, 3)]
    assert clock.monotonic() == 10
    await asyncio.gather(*tasks)


async def test_who_goes_back_to_sleep_is_woken_again_within_one_jump():
    clock = Clock(speed=0)
    beats = []

    async def beat():
        while True:
            await clock.sleep(10)
            beats.append(clock.monotonic())

    task = asyncio.create_task(beat())
    await clock.advance(35)
    assert beats == [10, 20, 30]
    task.cancel()


async def test_what_a_sleeper_sets_off_has_happened_before_the_next_wakes():
    clock = Clock(speed=0)
    order = []
    queue = asyncio.Queue()

    async def produce():
        await clock.sleep(1)
        queue.put_nowait("made at 1")

    async def consume():
        order.append(await queue.get())
        await asyncio.sleep(0)
        order.append("consumed")

    async def late():
        await clock.sleep(2)
        order.append("woken at 2")

    tasks = [asyncio.create_task(work()) for work in (late, consume, produce)]
    await clock.advance(5)
    assert order == ["made at 1", "consumed", "woken at 2"]
    await asyncio.gather(*tasks)


async def test_a_cancelled_sleeper_is_forgotten():
    clock = Clock(speed=0)
    task = asyncio.create_task(clock.sleep(1))
    await clock.advance(0)
    task.cancel()
    await clock.advance(2)
    assert task.cancelled()


async def test_a_timeout_is_of_simulated_time():
    clock = Clock(speed=0)

    async def wait():
        async with clock.timeout(5):
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await clock.advance(4)
    assert not task.done()
    await clock.advance(1)
    with pytest.raises(TimeoutError):
        await task


async def test_no_timeout_when_the_work_is_done_in_time_or_none_is_set():
    clock = Clock(speed=0)
    async with clock.timeout(5):
        await asyncio.sleep(0)
    async with clock.timeout(None):
        await asyncio.sleep(0)
    await clock.advance(100)


async def test_scaled_time_runs_faster():
    clock = Clock(speed=1000)
    started = time.monotonic()
    await clock.sleep(20)
    assert clock.monotonic() >= 20
    assert time.monotonic() - started < 20


async def test_running_time_can_jump_too():
    clock = Clock(speed=1)
    sleeper = asyncio.create_task(clock.sleep(3600))
    await clock.advance(3600)
    assert sleeper.done()


async def test_a_shorter_sleep_is_not_held_up_by_a_longer_one():
    clock = Clock(speed=1000)
    long = asyncio.create_task(clock.sleep(10_000_000))
    await clock.advance(0)
    await asyncio.wait_for(clock.sleep(1), 5)
    long.cancel()


async def test_a_repeated_call_comes_at_every_moment_until_it_is_cancelled():
    clock = Clock(speed=0)
    heard = []
    timer = clock.call_every(60, lambda: heard.append(clock.monotonic()))
    await clock.advance(185)
    timer.cancel()
    await clock.advance(600)
    assert heard == [60, 120, 180]


async def test_what_is_cancelled_takes_no_room():
    clock = Clock(speed=0)
    kept = clock.call_later(1000, lambda: None)
    for _ in range(10_000):
        clock.call_later(500, lambda: None).cancel()
    assert len(clock._sleepers) < 200
    assert kept in clock._sleepers
