"""The scheduling queue (`pkg/scheduler/backend/queue/scheduling_queue.go`).

A Pod waits in one of three places: *active*, to be scheduled now; *backing off*, for 1 s after its
first failed attempt, doubling up to 10 s; *unschedulable*, until something happens in the cluster
that one of the plugins that rejected it cares about, at the latest after five minutes.
"""

import asyncio
import heapq
import itertools
from dataclasses import dataclass
from enum import Enum, auto

from kubesim.apimachinery.objects import Object, key, uid
from kubesim.clock import Clock
from kubesim.scheduler.framework import ClusterEvent
from kubesim.scheduler.nodeinfo import priority

FIRST_BACKOFF = 1.0
MAX_BACKOFF = 10.0
MAX_UNSCHEDULABLE = 5 * 60.0


class Place(Enum):
    """Where a Pod waits."""

    ACTIVE = auto()
    BACKING_OFF = auto()
    UNSCHEDULABLE = auto()


@dataclass
class QueuedPod:
    """A Pod that wants a node, and its history of attempts."""

    pod: Object
    since: float
    attempts: int = 0
    tried: float = 0.0
    hopes: frozenset[ClusterEvent] = frozenset()
    place: Place | None = None

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

    @property
    def due(self) -> float:
        """When it leaves its place without anything happening."""
        return self.ready_at if self.place is Place.BACKING_OFF else self.tried + MAX_UNSCHEDULABLE


class SchedulingQueue:
    """Pods without a node.

    Two heaps say who is next. They are never searched: an entry of a Pod that has moved on since
    is passed over when it comes up.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._queued: dict[str, QueuedPod] = {}
        self._unschedulable: dict[str, QueuedPod] = {}
        self._active: list[tuple[tuple[int, float], int, QueuedPod]] = []
        self._waiting: list[tuple[float, int, QueuedPod]] = []
        self._sequence = itertools.count()
        self._events: set[ClusterEvent] = set()
        self._changed = asyncio.Event()

    def add(self, pod: Object) -> None:
        """A new Pod, or one whose change may make it schedulable."""
        known = self._take(key(pod))
        if known is not None and uid(known.pod) == uid(pod):
            known.pod = pod
            self._requeue(known)
        else:
            self._put(QueuedPod(pod, self._clock.monotonic()), Place.ACTIVE)

    def remove(self, pod: Object) -> None:
        """The Pod has a node or is gone."""
        self._take(key(pod))

    def __contains__(self, pod: Object) -> bool:
        return key(pod) in self._queued

    async def pop(self) -> QueuedPod:
        """The next Pod to schedule, waiting for one."""
        while True:
            self._end_waiting()
            while self._active:
                order, _, queued = heapq.heappop(self._active)
                if queued.place is Place.ACTIVE and queued.order == order:
                    self._take(key(queued.pod))
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
            self._put(queued, Place.UNSCHEDULABLE)

    def retry(self, queued: QueuedPod) -> None:
        """Put back a Pod after an error that had nothing to do with where it fits."""
        queued.tried = self._clock.monotonic()
        self._requeue(queued)

    def happened(self, event: ClusterEvent) -> None:
        """Give every Pod that hopes for such an event another chance."""
        self._events.add(event)
        for queued in [*self._unschedulable.values()]:
            if event in queued.hopes:
                self._requeue(queued)

    def _requeue(self, queued: QueuedPod) -> None:
        ready = queued.ready_at <= self._clock.monotonic()
        self._put(queued, Place.ACTIVE if ready else Place.BACKING_OFF)

    def _put(self, queued: QueuedPod, place: Place) -> None:
        name = key(queued.pod)
        self._take(name)
        queued.place = place
        self._queued[name] = queued
        number = next(self._sequence)
        if place is Place.ACTIVE:
            heapq.heappush(self._active, (queued.order, number, queued))
        else:
            heapq.heappush(self._waiting, (queued.due, number, queued))
        if place is Place.UNSCHEDULABLE:
            self._unschedulable[name] = queued
        self._changed.set()

    def _take(self, name: str) -> QueuedPod | None:
        queued = self._queued.pop(name, None)
        self._unschedulable.pop(name, None)
        if queued:
            queued.place = None
        return queued

    def _end_waiting(self) -> None:
        """Move on whose back-off has ended, and who has waited in vain for five minutes."""
        now = self._clock.monotonic()
        while self._waiting and self._waiting[0][0] <= now:
            due, _, queued = heapq.heappop(self._waiting)
            if queued.place not in (None, Place.ACTIVE) and queued.due == due:
                self._requeue(queued)

    async def _wait(self) -> None:
        """Sleep until something is added or the next back-off ends."""
        self._changed.clear()
        delay = self._waiting[0][0] - self._clock.monotonic() if self._waiting else None
        try:
            async with self._clock.timeout(delay):
                await self._changed.wait()
        except TimeoutError:
            return
