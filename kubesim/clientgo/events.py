"""Recording Events the way client-go does (`tools/record` and, for the scheduler, `tools/events`).

`EventRecorder.event` never waits and never fails its caller: the events go through a queue, and
`run` writes them. On the way they are correlated, so that a crash loop does not flood the store:

- the same event again becomes the same object with a higher `count` and a later `lastTimestamp`;
- more than ten similar events (same object, type and reason, other message) within ten minutes
  become one, "(combined from similar events): …";
- one source may write 25 events at once about one object, then one every five minutes.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from kubesim.apimachinery.objects import (
    Object,
    micro_timestamp,
    object_reference,
    parse_time,
    timestamp,
)
from kubesim.apiserver.errors import StatusError
from kubesim.clientgo.client import Client
from kubesim.clock import Clock

SIMILAR_EVENTS = 10
SIMILAR_WINDOW = timedelta(minutes=10)
BURST = 25
SERIES_GAP = timedelta(minutes=6)
REFILL = timedelta(minutes=5)
CACHE_SIZE = 4096
COMBINED = "(combined from similar events): "


class EventRecorder:
    """Events of one component: `event()` queues, `run()` writes."""

    def __init__(self, client: Client, clock: Clock, component: str, host: str = "") -> None:
        self._client = client
        self._clock = clock
        self._component = component
        self._host = host
        self._queue: asyncio.Queue[Object] = asyncio.Queue()
        self._correlator = Correlator()
        self._log = logging.getLogger(f"kubesim.clientgo.events.{component}")

    def event(self, about: Mapping[str, Any], kind: str, reason: str, message: str) -> None:
        """Record what happened.

        Args:
            about: the object it happened to, or a core/v1 ObjectReference.
            kind: `Normal` or `Warning`.
            reason: a short CamelCase word, why.
            message: a sentence for people.

        """
        reference = object_reference(about) if "metadata" in about else dict(about)
        self._queue.put_nowait(self._make(reference, kind, reason, message))

    async def run(self) -> None:
        """Write the queued events until cancelled."""
        while True:
            event = await self._queue.get()
            try:
                await self._write(event)
            except StatusError as error:
                self._log.info("event %s dropped: %s", event["reason"], error)

    def _nanoseconds(self) -> int:
        """The time that makes an event's name unique; a stepped clock needs a number for that."""
        return int(self._clock.now().timestamp() * 1_000_000) * 1000 + self._clock.number()

    def _make(self, reference: Object, kind: str, reason: str, message: str) -> Object:
        now = self._clock.now()
        source = {"component": self._component} | ({"host": self._host} if self._host else {})
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{reference['name']}.{self._nanoseconds():x}",
                "namespace": reference.get("namespace") or "default",
            },
            "involvedObject": reference,
            "type": kind,
            "reason": reason,
            "message": message,
            "source": source,
            "firstTimestamp": timestamp(now),
            "lastTimestamp": timestamp(now),
            "count": 1,
            "eventTime": None,
            "reportingComponent": self._component,
            "reportingInstance": self._host,
        }

    async def _write(self, event: Object) -> None:
        counted = self._correlator.correlate(event)
        if counted is None:
            return
        changes = {name: counted[name] for name in ("count", "lastTimestamp", "message")}
        if counted["count"] == 1 or not await self._patch(counted, changes):
            await self._client.create("events", counted)

    async def _patch(self, event: Object, changes: Object) -> bool:
        """Change the event that is there; False when it has expired meanwhile."""
        meta = event["metadata"]
        try:
            await self._client.patch("events", meta["name"], changes, meta["namespace"])
        except StatusError as error:
            if error.code == 404:
                return False
            raise
        return True


class SeriesRecorder(EventRecorder):
    """The newer form of Events (events.k8s.io), which the scheduler writes since 1.22.

    They have an `eventTime` instead of first and last timestamps, an `action`, and when they
    happen again within six minutes a `series` instead of a count.
    """

    def __init__(self, client: Client, clock: Clock, component: str, host: str) -> None:
        super().__init__(client, clock, component, host)
        self._series: dict[tuple[str, ...], Object] = {}

    def event(
        self, about: Mapping[str, Any], kind: str, reason: str, message: str, action: str = ""
    ) -> None:
        """Record what happened; `action` says what the component was doing, in one word."""
        event = self._make(object_reference(about), kind, reason, message)
        self._queue.put_nowait(event | {"action": action})

    def _make(self, reference: Object, kind: str, reason: str, message: str) -> Object:
        old_form = super()._make(reference, kind, reason, message)
        return old_form | {
            "source": {},
            "firstTimestamp": None,
            "lastTimestamp": None,
            "count": None,
            "eventTime": micro_timestamp(self._clock.now()),
            "reportingInstance": f"{self._component}-{self._host}",
        }

    async def _write(self, event: Object) -> None:
        before = self._series.get(_subject(event))
        if before is not None and _last(event) - _last(before) <= SERIES_GAP:
            count = (before.get("series") or {"count": 1})["count"] + 1
            series = {"count": count, "lastObservedTime": event["eventTime"]}
            self._series[_subject(event)] = before | {"series": series}
            if await self._patch(before, {"series": series}):
                return
        self._series[_subject(event)] = await self._client.create("events", event)
        _trim(self._series)


def _subject(event: Object) -> tuple[str, ...]:
    return (*_aggregation_key(event), event["action"], event["message"])


def _last(event: Object) -> datetime:
    series = event.get("series") or {"lastObservedTime": event["eventTime"]}
    return parse_time(series["lastObservedTime"])


@dataclass
class _Similar:
    """The messages of one aggregation key within the window."""

    last: datetime
    messages: set[str] = field(default_factory=set)


@dataclass
class _Bucket:
    """The tokens that a source has left for one object."""

    last: datetime
    tokens: float = BURST


class Correlator:
    """Decides what becomes of an event: a new object, a higher count, or nothing."""

    def __init__(self) -> None:
        self._similar: dict[tuple[str, ...], _Similar] = {}
        self._seen: dict[tuple[str, ...], Object] = {}
        self._buckets: dict[tuple[str, ...], _Bucket] = {}

    def correlate(self, event: Object) -> Object | None:
        """The event to write: `count` 1 to create, more to patch, None to drop it."""
        event = self._aggregate(event)
        before = self._seen.get(_identity(event))
        if before is not None:
            event |= {
                "metadata": before["metadata"],
                "count": before["count"] + 1,
                "firstTimestamp": before["firstTimestamp"],
            }
        self._seen[_identity(event)] = event
        _trim(self._seen, self._similar, self._buckets)
        return event if self._has_token(event) else None

    def _aggregate(self, event: Object) -> Object:
        now = parse_time(event["lastTimestamp"])
        similar = self._similar.setdefault(_aggregation_key(event), _Similar(now))
        if now - similar.last > SIMILAR_WINDOW:
            similar.messages.clear()
        similar.last = now
        similar.messages.add(event["message"])
        if len(similar.messages) < SIMILAR_EVENTS:
            return event
        similar.messages.pop()
        return event | {"message": COMBINED + event["message"]}

    def _has_token(self, event: Object) -> bool:
        now = parse_time(event["lastTimestamp"])
        bucket = self._buckets.setdefault(_spam_key(event), _Bucket(now))
        bucket.tokens = min(BURST, bucket.tokens + (now - bucket.last) / REFILL)
        bucket.last = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True


def _trim(*caches: dict[tuple[str, ...], Any]) -> None:
    """Forget the oldest entries; dicts keep the order of insertion."""
    for cache in caches:
        while len(cache) > CACHE_SIZE:
            del cache[next(iter(cache))]


def _spam_key(event: Object) -> tuple[str, ...]:
    about = event["involvedObject"]
    return tuple(str(about.get(name, "")) for name in ("kind", "namespace", "name", "uid"))


def _aggregation_key(event: Object) -> tuple[str, ...]:
    return (*_spam_key(event), event["type"], event["reason"])


def _identity(event: Object) -> tuple[str, ...]:
    """What makes two events the same one; all combined events of a kind are the same."""
    message = event["message"]
    combined = COMBINED if message.startswith(COMBINED) else message
    field_path = str(event["involvedObject"].get("fieldPath", ""))
    return (*_aggregation_key(event), field_path, combined)
