"""Time for the whole simulation: real, scaled, or stepped by hand.

Everything in kubesim that waits, waits here. That is what lets a lab run five minutes of
node eviction in an instant, and a test step through it second by second.
"""

import asyncio
import heapq
import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from random import Random, SystemRandom

SETTLE_LIMIT = 100_000
MIN_CROWD = 64
MAX_SPEED = 1000


class Clock:
    """The simulated world's time, and its chance.

    Speed 1 is real time, speed 60 makes a minute pass in a second, and at speed 0 time stands
    still until `advance` moves it. All that is random in a cluster is drawn from `random`: with a
    seed, a start and time that is only advanced, everything happens again in the same way.
    """

    def __init__(
        self, speed: float = 1.0, start: datetime | None = None, seed: int | None = None
    ) -> None:
        self.random = SystemRandom() if seed is None else Random(seed)  # noqa: S311 - on purpose
        self.speed = speed
        self._start = start or datetime.now(UTC)
        self._jumped = 0.0
        self._sleepers: list[Timer] = []
        self._crowded = MIN_CROWD
        self._order = itertools.count()
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._origin = time.monotonic()

    def now(self) -> datetime:
        """Return the simulated wall time, aware, in UTC."""
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Return the simulated seconds since this clock was made."""
        if not self.speed:
            return self._jumped
        return self._jumped + (time.monotonic() - self._origin) * self.speed

    def number(self) -> int:
        """Return a number that it has given nobody yet, to tell apart what happens at one time."""
        return next(self._numbers)

    def catch_up(self, moment: datetime) -> None:
        """Jump to a moment, if it is still to come, before anybody sleeps."""
        self._jump_to(self.monotonic() + (moment - self.now()).total_seconds())

    def ahead(self) -> timedelta:
        """Return how far the simulated time is before that of the host, to the second."""
        return timedelta(seconds=round((self.now() - datetime.now(UTC)).total_seconds()))

    def set_speed(self, speed: float) -> None:
        """Let time pass at another pace from now on; 0 lets it stand still."""
        self._jumped, self._origin = self.monotonic(), time.monotonic()
        self.speed = speed
        self._arm()

    async def sleep(self, seconds: float) -> None:
        """Wait for that many simulated seconds."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        awake = asyncio.get_running_loop().create_future()
        sleeper = self._call_at(self.monotonic() + seconds, lambda: _set_done(awake))
        try:
            await awake
        finally:
            sleeper.cancel()

    @asynccontextmanager
    async def timeout(self, seconds: float | None) -> AsyncIterator[asyncio.Timeout]:
        """Raise TimeoutError when the block takes longer than that many simulated seconds."""
        async with asyncio.timeout(None) as limit:
            if seconds is None:
                yield limit
                return
            loop = asyncio.get_running_loop()
            sleeper = self._call_at(
                self.monotonic() + seconds, lambda: limit.reschedule(loop.time())
            )
            try:
                yield limit
            finally:
                sleeper.cancel()

    def call_later(self, seconds: float, wake: Callable[[], None]) -> "Timer":
        """Call `wake` when that many simulated seconds have passed, unless cancelled."""
        return self._call_at(self.monotonic() + seconds, wake)

    def call_every(self, seconds: float, wake: Callable[[], None]) -> "Timer":
        """Call `wake` each time that many simulated seconds have passed, until cancelled."""

        def wake_and_wait() -> None:
            wake()
            if not timer.cancelled:
                timer.deadline += seconds
                self._push(timer)

        timer = self._call_at(self.monotonic() + seconds, wake_and_wait)
        return timer

    async def advance(self, seconds: float) -> None:
        """Jump forward, waking every due sleeper in order of time.

        Between two wake-ups everything that became runnable runs until it waits again, so a
        sleeper that goes back to sleep is woken again within the same jump.
        """
        await self._settle()
        target = self.monotonic() + seconds
        while self._sleepers and self._sleepers[0].deadline <= target:
            sleeper = heapq.heappop(self._sleepers)
            if sleeper.cancelled:
                continue
            self._jump_to(sleeper.deadline)
            sleeper.wake()
            await self._settle()
        self._jump_to(target)
        self._arm()
        await self._settle()

    def _call_at(self, deadline: float, wake: Callable[[], None]) -> "Timer":
        sleeper = Timer(deadline, next(self._order), wake)
        self._push(sleeper)
        return sleeper

    def _push(self, sleeper: "Timer") -> None:
        self._forget_cancelled()
        heapq.heappush(self._sleepers, sleeper)
        if self._sleepers[0] is sleeper:
            self._arm()

    def _forget_cancelled(self) -> None:
        """Keep the heap as small as what still waits; most of what waits is cancelled in time."""
        if len(self._sleepers) >= self._crowded:
            self._sleepers = [each for each in self._sleepers if not each.cancelled]
            heapq.heapify(self._sleepers)
            self._crowded = max(MIN_CROWD, 2 * len(self._sleepers))

    def _jump_to(self, moment: float) -> None:
        self._jumped += max(0.0, moment - self.monotonic())

    def _arm(self) -> None:
        """Set the loop's one timer to the earliest sleeper."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self.speed and self._sleepers:
            remaining = self._sleepers[0].deadline - self.monotonic()
            self._timer = asyncio.get_running_loop().call_later(
                max(0.0, remaining / self.speed), self._wake_due
            )

    def _wake_due(self) -> None:
        now = self.monotonic()
        while self._sleepers and (self._sleepers[0].cancelled or self._sleepers[0].deadline <= now):
            sleeper = heapq.heappop(self._sleepers)
            if not sleeper.cancelled:
                sleeper.wake()
        self._arm()

    async def _settle(self) -> None:
        """Run the loop until nothing but this task is ready to run.

        asyncio has no public way to ask; its queue of ready callbacks is the only witness.
        """
        ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
        for _ in range(SETTLE_LIMIT):
            await asyncio.sleep(0)
            if not ready:
                return


class NodeClock(Clock):
    """The clock of one machine: it can be wrong, but seconds are as long as everywhere."""

    def __init__(self, true: Clock) -> None:
        self.skew = timedelta()
        self.random = true.random
        self._true = true

    def now(self) -> datetime:
        """Return what this machine takes for the time."""
        return self._true.now() + self.skew

    def monotonic(self) -> float:
        """Return the simulated seconds, which no skew changes."""
        return self._true.monotonic()

    def number(self) -> int:
        """Return a number that no machine of the cluster has been given yet."""
        return self._true.number()

    def _call_at(self, deadline: float, wake: Callable[[], None]) -> "Timer":
        return self._true._call_at(deadline, wake)

    def _push(self, sleeper: "Timer") -> None:
        self._true._push(sleeper)


class Timer:
    """A callback waiting for its moment; the order number keeps equal moments first-come."""

    __slots__ = ("cancelled", "deadline", "order", "wake")

    def __init__(self, deadline: float, order: int, wake: Callable[[], None]) -> None:
        self.deadline = deadline
        self.order = order
        self.wake = wake
        self.cancelled = False

    def cancel(self) -> None:
        """Let the moment pass unheard."""
        self.cancelled = True

    def __lt__(self, other: "Timer") -> bool:
        return (self.deadline, self.order) < (other.deadline, other.order)


def _set_done(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
