"""The store: every key's history under one counter, the revision.

As in etcd, a revision is the only clock: each transaction that changes something takes the next
one, a read can ask for any revision not yet compacted, and a watch replays what happened after
one and then goes on live. The API guarantees are those of
https://etcd.io/docs/latest/learning/api_guarantees/.
"""

import asyncio
import contextlib
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TypeVar

from kubesim.clock import Clock
from kubesim.etcd.backends import Backend, MemoryBackend, UnavailableError
from kubesim.etcd.record import Record

HISTORY = 10_000  # revisions kept at least; twice as many at most
T = TypeVar("T")
SLOW_WATCHER = 10_000  # undelivered events after which a watch is cut off
REFUSED = (
    "rpc error: code = Unavailable desc = connection error: desc = "
    '"transport: Error while dialing: dial tcp 127.0.0.1:2379: connect: connection refused"'
)
LAST = "\U0010ffff"  # sorts behind every key


@dataclass(frozen=True, slots=True)
class Event:
    """A change as watchers see it, with the record it replaced, if any."""

    record: Record
    previous: Record | None


@dataclass(frozen=True)
class Range:
    """The answer to a range read, true at `revision`."""

    records: list[Record]
    count: int  # all that matched, also beyond the limit
    revision: int


@dataclass(frozen=True)
class Put:
    """A write inside a transaction."""

    key: str
    value: bytes
    lease: int = 0


@dataclass(frozen=True)
class Delete:
    """A deletion inside a transaction."""

    key: str


@dataclass(frozen=True)
class Result:
    """The outcome of a transaction: whether its conditions held, and the revision after it."""

    succeeded: bool
    revision: int


class CompactedError(Exception):
    """The asked-for revision is no longer kept."""


class FutureRevisionError(Exception):
    """The asked-for revision has not happened yet."""


class LeaseNotFoundError(Exception):
    """No such lease; it may have expired."""


class Etcd:
    """A revisioned key-value store."""

    def __init__(
        self, backend: Backend | None = None, clock: Clock | None = None, history: int = HISTORY
    ) -> None:
        self._backend = backend or MemoryBackend()
        self._clock = clock or Clock()
        self._history = history
        self._keys: list[str] = []  # sorted
        self._versions: dict[str, list[Record]] = {}  # per key, oldest first
        self._log: deque[Event] = deque()  # everything after the compacted revision
        self._watches: defaultdict[str, set[Watch]] = defaultdict(set)  # by directory
        self._leases: dict[int, _Lease] = {}
        self._lease_granted = asyncio.Event()
        self._running = True
        self._load()

    def _load(self) -> None:
        self.compacted, records, leases = self._backend.load()
        self.revision = max(self.compacted, records[-1].revision if records else 1)
        for lease, ttl in leases.items():
            self._leases[lease] = _Lease(ttl, self._clock.monotonic() + ttl)
        for record in records:
            self._remember(record)

    def set_running(self, member: str, running: bool) -> None:
        """Hear that the etcd process of a node has started or ended."""
        self._running = running

    def _check_running(self) -> None:
        if not self._running:
            raise UnavailableError(REFUSED)

    async def read(self, work: Callable[[], T], *, stale: bool = False) -> T:
        """Do a read that sees every write answered before or, if it may be stale, need not.

        Raises UnavailableError.
        """
        if not stale:
            self._check_running()
        return work()

    async def write(self, work: Callable[[], T]) -> T:
        """Do work that writes; what it has written is kept before this returns.

        Raises UnavailableError.
        """
        self._check_running()
        return work()

    @property
    def healthy(self) -> bool:
        """Whether requests can be served."""
        return self._running

    def get(self, key: str) -> Record | None:
        """Return a key's latest record, or None."""
        versions = self._versions.get(key)
        return versions[-1] if versions and not versions[-1].deleted else None

    def range(self, prefix: str, *, start: str = "", limit: int = 0, revision: int = 0) -> Range:
        """Return the keys under a prefix, in order.

        `start` skips keys before it, `limit` cuts the answer (0 is all), `revision` reads the
        past (0 is now). Raises CompactedError or FutureRevisionError.
        """
        at = self._check(revision)
        first = bisect_left(self._keys, max(prefix, start))
        keys = self._keys[first : bisect_left(self._keys, prefix + LAST, first)]
        if at == self.revision:
            latest = [self._versions[key][-1] for key in keys]
            records = [record for record in latest if record.value is not None]
        else:
            records = [record for key in keys if (record := self._at(key, at))]
        return Range(records[:limit] if limit else records, len(records), at)

    def txn(self, conditions: dict[str, int], operations: Sequence[Put | Delete]) -> Result:
        """Apply all operations if every key's mod revision is as given, else nothing.

        A condition of 0 demands that the key does not exist. Raises LeaseNotFoundError.
        """
        for key, expected in conditions.items():
            record = self.get(key)
            if (record.revision if record else 0) != expected:
                return Result(False, self.revision)
        records = [
            record
            for operation in operations
            if (record := self._record(operation, self.revision + 1))
        ]
        if records:
            self._commit(records)
        return Result(True, self.revision)

    def put(self, key: str, value: bytes, lease: int = 0) -> int:
        """Write a key whatever was there; return the new revision."""
        return self.txn({}, [Put(key, value, lease)]).revision

    def delete(self, key: str) -> bool:
        """Delete a key; return whether it existed."""
        existed = self.get(key) is not None
        self.txn({}, [Delete(key)])
        return existed

    def watch(self, prefix: str, revision: int = 0) -> "Watch":
        """Watch a prefix for everything after a revision (0 is now).

        Raises CompactedError when that history is gone.
        """
        filed = self._watches[prefix[: prefix.rfind("/") + 1]]
        watch = Watch(prefix, self.since(prefix, revision or self.revision), filed)
        filed.add(watch)
        return watch

    def since(self, prefix: str, revision: int) -> list[Event]:
        """Return what happened under a prefix after a revision.

        Raises CompactedError when that history is gone.
        """
        if revision < self.compacted:
            raise CompactedError(revision, self.compacted)
        later = takewhile(lambda event: event.record.revision > revision, reversed(self._log))
        return [event for event in later if event.record.key.startswith(prefix)][::-1]

    def compact(self, revision: int) -> None:
        """Forget every state before a revision; keys keep their record valid at it."""
        if not self.compacted < revision <= self.revision:
            raise CompactedError(revision, self.compacted)
        dead: list[Record] = []
        for key in {e.record.key for e in self._log if e.record.revision <= revision}:
            dead += self._compact_key(key, revision)
        while self._log and self._log[0].record.revision <= revision:
            self._log.popleft()
        self.compacted = revision
        self._backend.compact(revision, dead)

    def grant(self, ttl: float) -> int:
        """Open a lease of that many seconds; return its id."""
        lease = max(self._leases, default=0) + 1
        self._leases[lease] = _Lease(ttl, self._clock.monotonic() + ttl)
        self._backend.save_lease(lease, ttl)
        self._lease_granted.set()
        return lease

    def keep_alive(self, lease: int) -> None:
        """Renew a lease for its full time. Raises LeaseNotFoundError."""
        held = self._lease(lease)
        held.deadline = self._clock.monotonic() + held.ttl

    def revoke(self, lease: int) -> None:
        """End a lease and delete the keys attached to it. Raises LeaseNotFoundError."""
        self.txn({}, self._attached(lease))
        del self._leases[lease]
        self._backend.drop_lease(lease)

    async def run(self) -> None:
        """Expire leases until cancelled."""
        while True:
            self._lease_granted.clear()
            now = self._clock.monotonic()
            for lease in [i for i, held in self._leases.items() if held.deadline <= now]:
                await self._expire(lease)
            deadline = min((held.deadline for held in self._leases.values()), default=None)
            with contextlib.suppress(TimeoutError):
                async with self._clock.timeout(deadline and deadline - now):
                    await self._lease_granted.wait()

    async def _expire(self, lease: int) -> None:
        self.revoke(lease)

    def close(self) -> None:
        """End every watch and release the backend."""
        for watch in [watch for watches in self._watches.values() for watch in watches]:
            watch.close()
        self._backend.close()

    def _check(self, revision: int) -> int:
        if revision > self.revision:
            raise FutureRevisionError(revision, self.revision)
        if revision and revision < self.compacted:
            raise CompactedError(revision, self.compacted)
        return revision or self.revision

    def _at(self, key: str, revision: int) -> Record | None:
        versions = self._versions[key]
        if versions[-1].revision <= revision:
            record = versions[-1]
        else:
            index = bisect_right(versions, revision, key=lambda r: r.revision)
            if not index:
                return None
            record = versions[index - 1]
        return None if record.deleted else record

    def _record(self, operation: Put | Delete, revision: int) -> Record | None:
        """Return what an operation will write; deleting nothing writes nothing."""
        current = self.get(operation.key)
        if isinstance(operation, Delete):
            return Record(operation.key, None, revision) if current else None
        if operation.lease:
            self._lease(operation.lease)
        return Record(
            operation.key,
            operation.value,
            revision,
            current.create_revision if current else revision,
            current.version + 1 if current else 1,
            operation.lease,
        )

    def _commit(self, records: list[Record]) -> None:
        self._backend.append(records)
        self.revision = records[0].revision
        events = [self._remember(record) for record in records]
        for event in events:
            for watch in self._concerned(event.record.key):
                watch.notify(event)
        if self.revision - self.compacted > 2 * self._history:
            with contextlib.suppress(UnavailableError):  # the next commit tries again
                self.compact(self.revision - self._history)

    def _concerned(self, key: str) -> "list[Watch]":
        """Return the watches that a key is about; they are filed by directory."""
        filed = [*self._watches.get("", ())]
        end = key.find("/") + 1
        while end:
            filed += self._watches.get(key[:end], ())
            end = key.find("/", end) + 1
        return [watch for watch in filed if key.startswith(watch.prefix)]

    def _remember(self, record: Record) -> Event:
        event = Event(record, self._insert(record))
        if record.revision > self.compacted:
            self._log.append(event)
        return event

    def _insert(self, record: Record) -> Record | None:
        """Make a record its key's latest; return the one before, if the key was there."""
        versions = self._versions.get(record.key)
        if versions is None:
            versions = self._versions[record.key] = []
            insort(self._keys, record.key)
        previous = versions[-1] if versions and not versions[-1].deleted else None
        versions.append(record)
        self._attach(record, previous)
        return previous

    def _take_back(self, record: Record) -> None:
        """Undo the insertion of a key's latest record."""
        versions = self._versions[record.key]
        versions.pop()
        before = versions[-1] if versions else Record(record.key, None, 0)
        self._attach(before, record)
        if not versions:
            self._drop(record.key)

    def _attach(self, record: Record, previous: Record | None) -> None:
        """Keep each lease's set of keys up to date."""
        if previous and previous.lease in self._leases:
            self._leases[previous.lease].keys.discard(record.key)
        if record.lease in self._leases:
            self._leases[record.lease].keys.add(record.key)

    def _compact_key(self, key: str, revision: int) -> list[Record]:
        versions = self._versions[key]
        valid = bisect_right(versions, revision, key=lambda r: r.revision) - 1
        if valid >= 0 and versions[valid].deleted:
            valid += 1
        dead, self._versions[key] = versions[: max(valid, 0)], versions[max(valid, 0) :]
        if not self._versions[key]:
            self._drop(key)
        return dead

    def _drop(self, key: str) -> None:
        del self._versions[key]
        self._keys.pop(bisect_left(self._keys, key))

    def _attached(self, lease: int) -> list[Delete]:
        """What has to be deleted with a lease. Raises LeaseNotFoundError."""
        return [Delete(key) for key in sorted(self._lease(lease).keys)]

    def _lease(self, lease: int) -> "_Lease":
        if lease not in self._leases:
            raise LeaseNotFoundError(lease)
        return self._leases[lease]


@dataclass
class _Lease:
    ttl: float
    deadline: float
    keys: set[str] = field(default_factory=set)


class Watch:
    """The events under one prefix, in order: an asynchronous iterator of lists of events.

    Events of one revision come in one list. A watch that is cut off because nobody read it for
    too long ends; its owner starts again from the last revision it saw.
    """

    def __init__(self, prefix: str, missed: Iterable[Event], registry: "set[Watch]") -> None:
        self.prefix = prefix
        self._pending: deque[Event] = deque(missed)
        self._registry = registry
        self._changed = asyncio.Event()
        self.on_change: Callable[[], None] = self._changed.set
        self.closed = False

    def notify(self, event: Event) -> None:
        """Queue an event of a key under this watch's prefix."""
        self._pending.append(event)
        self.on_change()
        if len(self._pending) > SLOW_WATCHER:
            self.close()

    def take(self) -> list[Event]:
        """Return the events that wait to be read."""
        events = list(self._pending)
        self._pending.clear()
        self._changed.clear()
        return events

    async def next(self) -> list[Event]:
        """Wait for events and return all that are there; an empty list when closed."""
        while not self._pending and not self.closed:
            await self._changed.wait()
            self._changed.clear()
        return self.take()

    def close(self) -> None:
        """End the watch."""
        self.closed = True
        self._registry.discard(self)
        self.on_change()
