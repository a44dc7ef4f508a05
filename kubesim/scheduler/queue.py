"""The scheduling queue (`pkg/scheduler/backend/queue/scheduling_queue.go`).

A Pod waits in one of three places: *active*, to be scheduled now; *backing off*, for 1 s after its
first failed attempt, doubling up to 10 s; *unschedulable*, until something happens in the cluster
that one of the plugins that rejected it cares about, at the latest after five minutes.
"""

import asyncio
from dataclasses import dataclass

from kubesim.apimachinery.objects import Object, key, uid
from kubesim.clock import Clock
from kubesim.scheduler.framework import ClusterEvent
from kubesim.scheduler.snapshot import priority

FIRST_BACKOFF = 1.0
MAX_BACKOFF = 10.0
MAX_UNSCHEDULABLE = 5 * 60.0


@dataclass
class QueuedPod:
    """A Pod that wants a node, and its history of attempts."""

    pod: Object
    since: float
    attempts: int = 0
    tried: float = 0.0
    hopes: frozenset[ClusterEvent] = frozenset()

    @property
    def ready_at(self) -> float:
        """When its back-off ends."""
        if not self.attempts:
            return self.since
        return self.tried + min(FIRST_BACKOFF * 2.0 ** (self.attempts - 1), MAX_BACKOFF)

    @property
    def order(self) -> tuple[int, float]:
        """Higher priority first, then who has waited longest."""
        return -priority(self.pod), self.since


class SchedulingQueue:
    """Pods without a node."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._active: dict[str, QueuedPod] = {}
        self._waiting: dict[str, QueuedPod] = {}
        self._unschedulable: dict[str, QueuedPod] = {}
        self._events: list[ClusterEvent] = []
        self._changed = asyncio.Event()

    def add(self, pod: Object) -> None:
        """A new Pod, or one whose change may make it schedulable."""
        known = self._take(key(pod))
        if known is not None and uid(known.pod) == uid(pod):
            known.pod = pod
            self._requeue(known)
            return
        self._active[key(pod)] = QueuedPod(pod, self._clock.monotonic())
        self._changed.set()

    def remove(self, pod: Object) -> None:
        """The Pod has a node or is gone."""
        self._take(key(pod))

    def __contains__(self, pod: Object) -> bool:
        name = key(pod)
        return any(name in place for place in (self._active, self._waiting, self._unschedulable))

    async def pop(self) -> QueuedPod:
        """The next Pod to schedule, waiting for one."""
        while True:
            self._end_backoffs()
            if self._active:
                queued = min(self._active.values(), key=lambda each: each.order)
                del self._active[key(queued.pod)]
                queued.attempts += 1
                self._events.clear()
                return queued
            await self._wait()

    def park(self, queued: QueuedPod, hopes: frozenset[ClusterEvent]) -> None:
        """Put back a Pod that fits nowhere, until one of the events that it hopes for.

        If one of them happened while it was being scheduled, it only backs off.
        """
        queued.tried = self._clock.monotonic()
        queued.hopes = hopes
        if hopes.intersection(self._events):
            self._requeue(queued)
        else:
            self._unschedulable[key(queued.pod)] = queued

    def retry(self, queued: QueuedPod) -> None:
        """Put back a Pod after an error that had nothing to do with where it fits."""
        queued.tried = self._clock.monotonic()
        self._requeue(queued)

    def happened(self, event: ClusterEvent) -> None:
        """Give every Pod that hopes for such an event another chance."""
        self._events.append(event)
        for queued in [*self._unschedulable.values()]:
            if event in queued.hopes:
                self._requeue(queued)

    def _requeue(self, queued: QueuedPod) -> None:
        self._unschedulable.pop(key(queued.pod), None)
        ready = queued.ready_at <= self._clock.monotonic()
        (self._active if ready else self._waiting)[key(queued.pod)] = queued
        self._changed.set()

    def _take(self, name: str) -> QueuedPod | None:
        for place in (self._active, self._waiting, self._unschedulable):
            if name in place:
                return place.pop(name)
        return None

    def _end_backoffs(self) -> None:
        now = self._clock.monotonic()
        for queued in [*self._waiting.values()]:
            if queued.ready_at <= now:
                self._active[key(queued.pod)] = self._waiting.pop(key(queued.pod))
        for queued in [*self._unschedulable.values()]:
            if queued.tried + MAX_UNSCHEDULABLE <= now:
                self._requeue(queued)

    async def _wait(self) -> None:
        """Sleep until something is added or the next back-off ends."""
        self._changed.clear()
        moments = [each.ready_at for each in self._waiting.values()]
        moments += [each.tried + MAX_UNSCHEDULABLE for each in self._unschedulable.values()]
        delay = min(moments) - self._clock.monotonic() if moments else None
        try:
            async with self._clock.timeout(delay):
                await self._changed.wait()
        except TimeoutError:
            return
