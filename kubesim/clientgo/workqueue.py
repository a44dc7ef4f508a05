"""The work queue of controllers: each key at most once, one worker a key, retries with back-off.

The rules are client-go's (`util/workqueue`): a key added while it is queued is queued once; a key
added while a worker has it is queued again only when the worker is done; a failed key comes back
after 5 ms, 10 ms, 20 ms … up to 1000 s.
"""

import asyncio
import heapq
import logging
import math
from collections import Counter, deque
from collections.abc import Awaitable, Callable

from kubesim.apiserver.errors import StatusError
from kubesim.clock import Clock

FIRST_BACKOFF = 0.005
MAX_BACKOFF = 1000.0


class WorkQueue:
    """Keys waiting to be processed by `run`'s workers."""

    def __init__(
        self,
        clock: Clock,
        name: str,
        *,
        first_backoff: float = FIRST_BACKOFF,
        max_backoff: float = MAX_BACKOFF,
    ) -> None:
        self._clock = clock
        self._log = logging.getLogger(f"kubesim.{name}")
        self._first_backoff = first_backoff
        self._max_backoff = max_backoff
        self._waiting: deque[str] = deque()
        self._dirty: set[str] = set()
        self._processing: set[str] = set()
        self._failures: Counter[str] = Counter()
        self._delayed: list[tuple[float, str]] = []
        self._due: dict[str, float] = {}
        self._available = asyncio.Event()
        self._delays_changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: str) -> None:
        """Queue a key, unless it is queued already."""
        if key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._processing:
            self._append(key)

    def add_after(self, key: str, seconds: float) -> None:
        """Queue a key when that time has passed; of several times given, the soonest counts."""
        if seconds <= 0:
            self.add(key)
            return
        due = self._clock.monotonic() + seconds
        if due < self._due.get(key, math.inf):
            self._due[key] = due
            heapq.heappush(self._delayed, (due, key))
            self._delays_changed.set()

    def add_rate_limited(self, key: str) -> None:
        """Queue a key again after a failure: each failure in a row doubles the delay."""
        delay = self._first_backoff * 2.0 ** min(self._failures[key], 60)
        self._failures[key] += 1
        self.add_after(key, min(delay, self._max_backoff))

    def forget(self, key: str) -> None:
        """End a key's series of failures."""
        self._failures.pop(key, None)

    def failures(self, key: str) -> int:
        """How many times in a row a key has failed."""
        return self._failures[key]

    async def get(self) -> str:
        """Take the next key, waiting for one. The caller must call `done` with it."""
        while not self._waiting:
            self._available.clear()
            await self._available.wait()
        key = self._waiting.popleft()
        self._processing.add(key)
        self._dirty.discard(key)
        return key

    def done(self, key: str) -> None:
        """Say that a key's worker has finished; if the key was added meanwhile, it is queued."""
        self._processing.discard(key)
        if key in self._dirty:
            self._append(key)

    async def run(self, sync: Callable[[str], Awaitable[None]], workers: int = 1) -> None:
        """Process keys with `sync` until cancelled; a key whose sync raises is retried."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._deliver_delayed())
            for _ in range(workers):
                tasks.create_task(self._work(sync))

    async def _work(self, sync: Callable[[str], Awaitable[None]]) -> None:
        while True:
            key = await self.get()
            try:
                await sync(key)
            except Exception as error:
                self._log.info(
                    "%s: will retry: %s", key, error, exc_info=not isinstance(error, StatusError)
                )
                self.add_rate_limited(key)
            else:
                self.forget(key)
            finally:
                self.done(key)

    async def _deliver_delayed(self) -> None:
        while True:
            self._delays_changed.clear()
            now = self._clock.monotonic()
            while self._delayed and self._delayed[0][0] <= now:
                due, key = heapq.heappop(self._delayed)
                if self._due.get(key) == due:
                    del self._due[key]
                    self.add(key)
            delay = self._delayed[0][0] - now if self._delayed else None
            try:
                async with self._clock.timeout(delay):
                    await self._delays_changed.wait()
            except TimeoutError:
                continue

    def _append(self, key: str) -> None:
        self._waiting.append(key)
        self._available.set()
