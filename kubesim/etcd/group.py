"""The members of one etcd cluster, and the network between them.

Here the pure state machines of `raft` meet time and links. A healthy link takes no time; one that
is slowed delivers later, one that loses drops messages, one that is cut delivers nothing. A member
that is stopped forgets all but its `Stable`; one whose disk is lost forgets that as well.

While nothing is wrong nobody's timer needs to run: a group in which every member runs, agrees and
hears the leader falls silent, as CockroachDB's idle ranges do, and simulated hours cost nothing.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from kubesim.clock import Clock
from kubesim.etcd.raft import LEADER, Entry, Message, NotLeaderError, Raft, Snapshot, Stable

HEARTBEAT = 0.1  # seconds; etcd's --heartbeat-interval, its --election-timeout is ten of them
LOG_LIMIT = 2000  # applied entries that a member keeps before it compacts its log …
LOG_KEPT = 500  # … to this many, so that one who was away a moment needs no snapshot
Apply = Callable[[str, Entry], None]


@dataclass
class Member:
    """A machine's share of the group; `raft` is None while it is stopped."""

    name: str
    stable: Stable = field(default_factory=Stable)
    raft: Raft | None = None


class Group:
    """Members that keep one log, whatever happens to a minority of them.

    `apply` is told of every entry that a member finds committed: at each member in the log's
    order, and again from its snapshot on after it was stopped.
    """

    def __init__(
        self,
        names: Sequence[str],
        clock: Clock,
        random: Random,
        apply: Apply,
        state: Callable[[str], Any] = lambda _: None,
        restore: Callable[[str, Snapshot], None] = lambda _name, _snapshot: None,
    ) -> None:
        self.members = {name: Member(name) for name in names}
        self.cut: set[frozenset[str]] = set()
        self.delay: dict[str, float] = {}  # per member, on all its links
        self.loss: dict[str, float] = {}
        self._clock = clock
        self._random = random
        self._apply = apply
        self._state = state
        self._restore = restore
        self._queue: deque[Message] = deque()
        self._pumping = False
        self._woken = asyncio.Event()
        self._led_by: Raft | None = None
        self._leadership = asyncio.Event()  # of the next change
        for name in names:
            self.start(name)
        self.running()[0].campaign()
        self._pump()

    def leader(self) -> Raft | None:
        """Return the member that leads; of two that believe so, the one of the later term."""
        leaders = [raft for raft in self.running() if raft.role == LEADER]
        return max(leaders, key=lambda raft: raft.term, default=None)

    def running(self) -> list[Raft]:
        """Return the members that are not stopped."""
        return [member.raft for member in self.members.values() if member.raft]

    def propose(self, command: Any) -> Entry:
        """Give the leader a command. Raises NotLeaderError when there is none."""
        leader = self.leader()
        if not leader:
            raise NotLeaderError("")
        entry = leader.propose(command)
        self._pump()
        return entry

    async def read_index(self) -> None:
        """Wait until all that was committed before this call is applied at the leader."""
        while True:
            leader = self.leader()
            if leader:
                answer = self._ask(leader)
                while not answer.done() and leader is self.leader():
                    await self._wait_for(answer)
                if answer.done():
                    return
            else:
                await self.leadership_changed()

    def _ask(self, leader: Raft) -> asyncio.Future[int]:
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        leader.read_index(answer)
        self._pump()
        return answer

    async def _wait_for(self, answer: asyncio.Future[int]) -> None:
        changed = asyncio.ensure_future(self.leadership_changed())
        both: set[asyncio.Future[Any]] = {answer, changed}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()

    async def leadership_changed(self) -> None:
        """Wait until some member begins or ceases to lead."""
        event = self._leadership
        await event.wait()

    async def run(self) -> None:
        """Let time pass for the members until cancelled."""
        while True:
            self._woken.clear()
            if self.quiet():
                await self._woken.wait()
            await self._clock.sleep(HEARTBEAT)
            for raft in self.running():
                raft.tick()
                self._pump()

    def quiet(self) -> bool:
        """Whether all members run, hear the same leader without delay or loss, and agree."""
        if self.cut or self.delay or self.loss or self._queue:
            return False
        leader = self.leader()
        return leader is not None and all(
            raft is not None
            and raft.leader == leader.name
            and raft.term == leader.term
            and raft.commit == leader.stable.last_index
            for raft in (member.raft for member in self.members.values())
        )

    # What can go wrong

    def stop(self, name: str) -> None:
        """Switch a member off."""
        self.members[name].raft = None
        self._pump()

    def start(self, name: str) -> None:
        """Switch a member on; it goes on with what it had written."""
        member = self.members[name]
        if not member.raft:
            member.raft = Raft(name, list(self.members), member.stable, self._random)
            self._restore(name, member.stable.snapshot)
            self._pump()

    def wipe(self, name: str) -> None:
        """Give a stopped member an empty disk."""
        self.members[name].stable = Stable()

    def partition(self, *sides: Sequence[str]) -> None:
        """Cut the links between members of different sides; without sides, heal all links."""
        side = {name: index for index, names in enumerate(sides) for name in names}
        self.cut = {frozenset((a, b)) for a in side for b in side if side[a] != side[b]}
        self._woken.set()

    def cut_links(self, links: set[frozenset[str]]) -> None:
        """Cut links between pairs of members."""
        self.cut |= links
        self._woken.set()

    def mend_links(self, links: set[frozenset[str]]) -> None:
        """Make links whole again."""
        self.cut -= links
        self._woken.set()

    def slow(self, name: str, seconds: float, loss: float = 0.0) -> None:
        """Make all links of a member deliver that much later, and lose that share; 0 heals."""
        for table, value in ((self.delay, seconds), (self.loss, loss)):
            if value:
                table[name] = value
            else:
                table.pop(name, None)
        self._woken.set()

    # The network

    def _pump(self) -> None:
        """Carry messages until nobody has any that arrives at once."""
        if self._pumping:
            return
        self._pumping = True
        try:
            self._collect_all()
            while self._queue:
                self._deliver(self._queue.popleft())
                if not self._queue:
                    self._collect_all()
        finally:
            self._pumping = False
        if self.leader() is not self._led_by:
            self._led_by = self.leader()
            event, self._leadership = self._leadership, asyncio.Event()
            event.set()
        if not self.quiet():
            self._woken.set()

    def _collect_all(self) -> None:
        for raft in self.running():
            self._collect(raft)

    def _collect(self, raft: Raft) -> None:
        """Do what a member has become ready for."""
        ready = raft.ready()
        for message in ready.messages:
            self._send(message)
        if ready.snapshot:
            self._restore(raft.name, ready.snapshot)
        for entry in ready.committed:
            self._apply(raft.name, entry)
        for answer, index in ready.reads:
            if not answer.done():
                answer.set_result(index)
        if len(raft.stable.log) > LOG_LIMIT:
            raft.compact(raft.applied - LOG_KEPT, self._state(raft.name))

    def _send(self, message: Message) -> None:
        ends = (message.source, message.target)
        if any(self._random.random() < self.loss[end] for end in ends if end in self.loss):
            return
        delay = sum(self.delay.get(end, 0.0) for end in ends)
        if delay:
            jitter = self._random.uniform(0.8, 1.2)  # messages may overtake each other
            self._clock.call_later(delay * jitter, lambda: self._arrive(message))
        else:
            self._queue.append(message)

    def _arrive(self, message: Message) -> None:
        self._queue.append(message)
        self._pump()

    def _deliver(self, message: Message) -> None:
        raft = self.members[message.target].raft
        if raft and frozenset((message.source, message.target)) not in self.cut:
            raft.step(message)
            self._collect(raft)
