"""The store of a cluster with several control plane nodes: every write goes through Raft.

A request that writes runs against the state that is committed, and is undone again at once; what
it would have written goes into the log as one entry, together with the revision that it was
computed from. Once a majority has the entry it is applied, if the store still is at that revision,
and only then the request is answered. So readers see nothing that could still be lost, and an
entry that an older leader left behind can do no harm whenever it surfaces. Reads first ask the
leader for its read index.

Members with equal logs have equal states; only one copy of that state is kept, this object. What a
member is asked for is that a majority remembers.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar

from kubesim.clock import Clock
from kubesim.etcd.backends import Backend, UnavailableError
from kubesim.etcd.group import Group
from kubesim.etcd.raft import Entry, NotLeaderError
from kubesim.etcd.record import Record
from kubesim.etcd.store import HISTORY, Etcd

T = TypeVar("T")
log = logging.getLogger(__name__)
REQUEST_TIMEOUT = 7.0  # etcd's server.ReqTimeout: 5 s and two election timeouts
RETRY = 1.0
TIMED_OUT = "etcdserver: request timed out"


@dataclass(frozen=True, slots=True)
class Batch:
    """What one request writes: records by transaction, true if the store is at `base`."""

    base: int
    transactions: list[list[Record]]


@dataclass
class _Proposal:
    """A batch on its way. It is `kept` or, when another entry came first, certainly is not."""

    batch: Batch
    index: int = 0  # its place in the log, once known
    kept: bool | None = None
    error: UnavailableError | None = None
    decided: asyncio.Event = field(default_factory=asyncio.Event)

    def decide(self, kept: bool) -> None:
        self.kept = kept
        self.decided.set()


class ReplicatedEtcd(Etcd):
    """The same store, agreed upon by the members of a group."""

    def __init__(
        self,
        members: Sequence[str],
        clock: Clock,
        backend: Backend | None = None,
        history: int = HISTORY,
    ) -> None:
        super().__init__(backend, clock, history)
        self._numbered = self.revision  # the last revision ever given to a write, kept or not
        self._rehearsed: list[list[Record]] | None = None
        self._applied_index = 0
        self._proposal: _Proposal | None = None
        self._turn = asyncio.Lock()
        self.group = Group(members, clock, clock.random, self._apply)

    async def read(self, work: Callable[[], T], *, stale: bool = False) -> T:
        """Do a read that sees every write answered before. Raises UnavailableError."""
        if not stale:
            try:
                async with self._clock.timeout(REQUEST_TIMEOUT):
                    await self.group.read_index()
            except TimeoutError:
                raise UnavailableError(TIMED_OUT) from None
        return work()

    async def write(self, work: Callable[[], T]) -> T:
        """Do work whose writes a majority keeps before this returns. Raises UnavailableError.

        Then it is not known whether the writes will be kept. Work that somebody else's write
        overtook is done again.
        """
        try:
            async with self._clock.timeout(REQUEST_TIMEOUT), self._turn:
                while True:
                    await self.group.read_index()
                    base = self.revision
                    answer, transactions = self._rehearse(work)
                    if not transactions or await self._agree(Batch(base, transactions)):
                        return answer()
        except TimeoutError:
            raise UnavailableError(TIMED_OUT) from None

    @property
    def healthy(self) -> bool:
        """Whether requests can be served: some member leads."""
        return self.group.leader() is not None

    def set_running(self, member: str, running: bool) -> None:
        """Hear that the etcd process of a node has started or ended."""
        (self.group.start if running else self.group.stop)(member)

    async def run(self) -> None:
        """Expire leases and let time pass for the members until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(super().run())
            tasks.create_task(self.group.run())

    async def _expire(self, lease: int) -> None:
        attached = self._attached(lease)
        while True:
            try:
                await self.write(lambda: self.txn({}, attached))
            except UnavailableError as error:
                log.warning("lease %d: %s", lease, error)
                await self._clock.sleep(RETRY)
            else:
                self.revoke(lease)
                return

    def _rehearse(self, work: Callable[[], T]) -> tuple[Callable[[], T], list[list[Record]]]:
        """Do the work and undo it; return what it answers, and what it would write."""
        before, self.revision = self.revision, self._numbered
        rehearsed = self._rehearsed = []
        answer: Callable[[], T]
        try:
            result = work()
            answer = lambda: result  # noqa: E731 - an answer is a result or an exception
        except Exception as error:  # what it had written before stays written
            answer = _raises(error)
        finally:
            self._rehearsed = None
            for records in reversed(rehearsed):
                for record in reversed(records):
                    self._take_back(record)
            self._numbered, self.revision = self.revision, before
        return answer, rehearsed

    def _commit(self, records: list[Record]) -> None:
        if self._rehearsed is not None:
            self._rehearsed.append(records)
            for record in records:
                self._insert(record)
            self.revision = records[0].revision
            return
        if not self._propose(Batch(self.revision, [records])).kept:
            raise UnavailableError(TIMED_OUT)

    async def _agree(self, batch: Batch) -> bool:
        """Return whether the batch was applied; waits until one or the other is certain."""
        try:
            proposal = self._propose(batch)
        except NotLeaderError:
            await self.group.leadership_changed()
            return False
        await proposal.decided.wait()
        if proposal.error:
            raise proposal.error
        return bool(proposal.kept)

    def _propose(self, batch: Batch) -> _Proposal:
        """Give the leader a batch. Healthy links are immediate: it may be decided already."""
        proposal = self._proposal = _Proposal(batch)
        proposal.index = self.group.propose(batch).index
        if proposal.kept is None and proposal.index <= self._applied_index:
            proposal.decide(False)
        return proposal

    def _apply(self, _: str, entry: Entry) -> None:
        """Take an entry from the first member that finds it committed."""
        if entry.index <= self._applied_index:
            return
        self._applied_index = entry.index
        batch: Batch | None = entry.command
        fits = batch is not None and batch.base == self.revision
        proposal = self._proposal
        if batch and fits:
            try:
                for records in batch.transactions:
                    super()._commit(records)
            except UnavailableError as error:  # agreed upon, but there is no room to keep it
                if proposal and proposal.batch is batch:
                    proposal.error = error
                fits = False
        if proposal and (proposal.batch is batch or 0 < proposal.index <= entry.index):
            proposal.decide(fits and proposal.batch is batch)
            self._proposal = None


def store_of(members: Sequence[str], clock: Clock, backend: Backend | None = None) -> Etcd:
    """Return the store of a cluster with these control plane nodes."""
    return ReplicatedEtcd(members, clock, backend) if len(members) > 1 else Etcd(backend, clock)


def _raises(error: Exception) -> Callable[[], NoReturn]:
    def answer() -> NoReturn:
        raise error

    return answer
