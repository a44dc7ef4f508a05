"""Raft: one member's part in keeping one log on several machines.

This is Figure 2 of "In Search of an Understandable Consensus Algorithm" (Ongaro and Ousterhout,
https://raft.github.io/raft.pdf), to be read beside it, with what etcd adds in daily use:

* pre-vote (§9.6 of Ongaro's dissertation): a member first asks whether it would win, so that one
  that was cut off does not depose a healthy leader when it comes back;
* check-quorum (§6.2): a leader that hears from no majority steps down, and who heard from a
  leader of late grants no vote;
* leadership transfer (§3.10), linearizable reads without a log entry (read index, §6.4), and
  snapshots (§7 of the paper).

It is a pure state machine: `step` takes a message, `tick` says that time has passed, `propose`
takes a command, and `ready` hands out what came of it: messages to send, entries to apply. It has
no clock, no disk and no network. What the paper calls persistent state is a `Stable`, which
outlives the `Raft` that writes to it; by the time `ready` is called it has been written.

etcd's library (https://github.com/etcd-io/raft) does more: members join and leave by joint
consensus, learners follow without a vote, a flow control keeps a slow follower from being flooded,
entries are written and applied while others are still on their way, and a proposal may be handed
to any member, which forwards it. Here the group is fixed and only a leader takes proposals.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

FOLLOWER, PRE_CANDIDATE, CANDIDATE, LEADER = "follower", "pre-candidate", "candidate", "leader"
ELECTION_TICKS = 10  # etcd: an election timeout is ten heartbeats, and up to twice as long
MAX_ENTRIES = 256  # in one AppendEntries


@dataclass(frozen=True, slots=True)
class Entry:
    """A place in the log. A new leader begins its term with an entry without a command."""

    term: int
    index: int
    command: Any = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state that the log led to, up to and including an index."""

    index: int = 0
    term: int = 0
    state: Any = None


@dataclass
class Stable:
    """What a member must not forget when it is switched off ("persistent state")."""

    term: int = 0
    vote: str = ""
    snapshot: Snapshot = Snapshot()
    log: list[Entry] = field(default_factory=list)  # everything after the snapshot

    @property
    def last_index(self) -> int:
        """The index of the last entry."""
        return self.snapshot.index + len(self.log)

    @property
    def last_term(self) -> int:
        """The term of the last entry."""
        return self.log[-1].term if self.log else self.snapshot.term

    def term_at(self, index: int) -> int | None:
        """Return the term of an entry, None when it is compacted away or not there yet."""
        if index == self.snapshot.index:
            return self.snapshot.term
        if self.snapshot.index < index <= self.last_index:
            return self.log[index - self.snapshot.index - 1].term
        return None

    def after(self, index: int, limit: int | None = None) -> list[Entry]:
        """Return the entries after an index."""
        start = index - self.snapshot.index
        return self.log[start : None if limit is None else start + limit]

    def truncate(self, index: int) -> None:
        """Drop all entries from an index on."""
        del self.log[index - self.snapshot.index - 1 :]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What members say to each other."""

    source: str
    target: str
    term: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestVote(Message):
    """A candidate's "vote for me" or, before the term has begun, its "would you?"."""

    last_index: int
    last_term: int
    pre: bool = False
    transfer: bool = False  # the leader itself wants it: vote although you hear from it


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote(Message):
    """The answer to RequestVote."""

    granted: bool
    pre: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendEntries(Message):
    """Entries to append after a known one; without entries, a heartbeat."""

    previous: int
    previous_term: int
    entries: Sequence[Entry]
    commit: int
    round: int  # counts the leader's questions whether it still leads


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallSnapshot(Message):
    """The state itself, for who lags behind the beginning of the leader's log."""

    snapshot: Snapshot
    round: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended(Message):
    """The answer to AppendEntries and InstallSnapshot."""

    success: bool
    index: int  # how far the logs agree for certain
    round: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeoutNow(Message):
    """A leader's "start an election at once": how it hands over."""


@dataclass
class Ready:
    """What has come of the last steps."""

    messages: list[Message] = field(default_factory=list)
    snapshot: Snapshot | None = None  # replace the applied state by this one, then apply
    committed: list[Entry] = field(default_factory=list)
    reads: list[tuple[Any, int]] = field(default_factory=list)  # (who asked, index to wait for)


@dataclass
class Progress:
    """What a leader knows of a follower ("nextIndex", "matchIndex")."""

    next: int
    match: int = 0
    round: int = 0
    active: bool = True  # heard from since the last check of the quorum


class NotLeaderError(Exception):
    """Proposals are not for this member; `leader`, if known, takes them."""

    def __init__(self, leader: str) -> None:
        super().__init__(f"the leader is {leader or 'not known'}")
        self.leader = leader


class Raft:
    """One member of a group."""

    def __init__(self, name: str, members: Sequence[str], stable: Stable, random: Random) -> None:
        self.name = name
        self.peers = [member for member in members if member != name]
        self.majority = len(members) // 2 + 1
        self.stable = stable
        self.role = FOLLOWER
        self.leader = ""
        self.commit = stable.snapshot.index
        self.applied = stable.snapshot.index
        self.progress: dict[str, Progress] = {}  # of the others, while leading
        self._random = random
        self._ready = Ready()
        self._votes: dict[str, bool] = {}
        self._transferee = ""
        self._round = 0
        self._reads: list[tuple[Any, int, int]] = []  # who, commit index when asked, round
        self._early_reads: list[Any] = []  # asked before this term had committed anything
        self._elapsed = 0
        self._timeout = self._random_timeout()

    @property
    def term(self) -> int:
        """The latest term that this member has seen."""
        return self.stable.term

    def ready(self) -> Ready:
        """Hand out, once, the messages to send and the entries to apply."""
        ready, self._ready = self._ready, Ready()
        ready.committed = self.stable.after(self.applied, self.commit - self.applied)
        self.applied = self.commit
        return ready

    def tick(self) -> None:
        """A heartbeat's time has passed."""
        self._elapsed += 1
        if self.role == LEADER:
            if self._elapsed >= ELECTION_TICKS:
                self._check_quorum()
            if self.role == LEADER:
                self._broadcast()
        elif self._elapsed >= self._timeout:
            self.campaign(pre=True)

    def step(self, message: Message) -> None:
        """Take a message ("Rules for Servers": a higher term makes a follower of everybody)."""
        if message.term > self.term:
            if isinstance(message, RequestVote) and not message.transfer and self._hears_leader():
                return
            if not _about_the_future(message):
                leads = isinstance(message, AppendEntries | InstallSnapshot)
                self._follow(message.term, message.source if leads else "")
        elif message.term < self.term:
            self._correct(message)
            return
        match message:
            case RequestVote():
                self._vote(message)
            case Vote():
                self._count(message)
            case AppendEntries():
                self._append(message)
            case InstallSnapshot():
                self._install(message)
            case Appended() if self.role == LEADER:
                self._advance(message)
            case TimeoutNow() if self.role == FOLLOWER:
                self.campaign(transfer=True)

    def propose(self, command: Any) -> Entry:
        """Append a command to the leader's log; it is done once it comes out of `ready`.

        It may also never come out, when the leader is deposed first. Raises NotLeaderError.
        """
        if self.role != LEADER or self._transferee:
            raise NotLeaderError("" if self.role == LEADER else self.leader)
        entry = Entry(self.term, self.stable.last_index + 1, command)
        self.stable.log.append(entry)
        self._broadcast()
        self._commit_what_a_majority_has()
        return entry

    def read_index(self, who: Any) -> None:
        """Ask for the index at which a read is linearizable. Raises NotLeaderError.

        That is the commit index of now, if a majority then still takes this member for the
        leader, and if the leader has committed something in its term: only then it knows how far
        the terms before had come.
        """
        if self.role != LEADER:
            raise NotLeaderError(self.leader)
        if self.stable.term_at(self.commit) != self.term:
            self._early_reads.append(who)
            return
        self._round += 1
        self._reads.append((who, self.commit, self._round))
        self._broadcast()
        self._release_reads()

    def transfer_leadership(self, target: str) -> None:
        """Hand over to another member once it has the whole log. Raises NotLeaderError."""
        if self.role != LEADER:
            raise NotLeaderError(self.leader)
        self._transferee = target
        self._elapsed = 0  # it has an election timeout's time
        self._hand_over_when_ready()
        self._send_entries(target)

    def compact(self, index: int, state: Any = None) -> None:
        """Replace the log up to an applied index by the state that it led to."""
        index = min(index, self.applied)
        term = self.stable.term_at(index)
        if term is None or index == self.stable.snapshot.index:
            return
        log = self.stable.after(index)
        self.stable.snapshot, self.stable.log = Snapshot(index, term, state), log

    # Elections

    def campaign(self, *, pre: bool = False, transfer: bool = False) -> None:
        """Ask for votes: for the next term (pre), or in it."""
        self.leader = ""
        self._elapsed, self._timeout = 0, self._random_timeout()
        self._votes = {}
        if pre:
            self.role = PRE_CANDIDATE
        else:
            self.role = CANDIDATE
            self.stable.term += 1
            self.stable.vote = self.name
        term = self.term + 1 if pre else self.term
        for peer in self.peers:
            self._send(
                RequestVote,
                peer,
                term,
                last_index=self.stable.last_index,
                last_term=self.stable.last_term,
                pre=pre,
                transfer=transfer,
            )
        self._count(Vote(source=self.name, target=self.name, term=term, granted=True, pre=pre))

    def _vote(self, request: RequestVote) -> None:
        """Grant a vote to the first who asks in a term, if its log misses nothing that mine has."""
        mine = (self.stable.last_term, self.stable.last_index)
        complete = (request.last_term, request.last_index) >= mine
        future = request.pre and request.term > self.term
        free = not self.leader and self.stable.vote in ("", request.source)
        granted = complete and (future or free)
        if granted and not request.pre:
            self.stable.vote = request.source
            self._elapsed = 0
        term = request.term if granted else self.term
        self._send(Vote, request.source, term, granted=granted, pre=request.pre)

    def _count(self, vote: Vote) -> None:
        if self.role != (PRE_CANDIDATE if vote.pre else CANDIDATE):
            return
        self._votes[vote.source] = vote.granted
        if sum(self._votes.values()) >= self.majority:
            self.campaign() if vote.pre else self._lead()
        elif len(self._votes) - sum(self._votes.values()) >= self.majority:
            self._follow(self.term)

    def _lead(self) -> None:
        self.role, self.leader = LEADER, self.name
        self._elapsed = 0
        self.progress = {peer: Progress(self.stable.last_index + 1) for peer in self.peers}
        self.propose(None)  # only an entry of its own term tells a leader what is committed

    def _follow(self, term: int, leader: str = "") -> None:
        if term > self.term:
            self.stable.term, self.stable.vote = term, ""
        self.role, self.leader = FOLLOWER, leader
        self._elapsed, self._timeout = 0, self._random_timeout()
        self._transferee = ""
        self._reads, self._early_reads, self.progress = [], [], {}

    def _check_quorum(self) -> None:
        """Step down when no majority has been heard from for an election timeout."""
        self._elapsed, self._transferee = 0, ""
        heard = 1 + sum(progress.active for progress in self.progress.values())
        for progress in self.progress.values():
            progress.active = False
        if heard < self.majority:
            self._follow(self.term)

    def _hears_leader(self) -> bool:
        return bool(self.leader) and self._elapsed < ELECTION_TICKS

    def _random_timeout(self) -> int:
        return ELECTION_TICKS + self._random.randrange(ELECTION_TICKS)

    def _correct(self, message: Message) -> None:
        """Tell who is behind that there is a newer term, or it would go on for ever."""
        match message:
            case AppendEntries() | InstallSnapshot():
                self._answer(message.source, success=False, index=0)
            case RequestVote(pre=True):
                self._send(Vote, message.source, self.term, granted=False, pre=True)

    # Replication

    def _broadcast(self) -> None:
        for peer in self.peers:
            self._send_entries(peer)

    def _send_entries(self, peer: str) -> None:
        """Send a follower what it misses, or a heartbeat if that is nothing."""
        progress = self.progress[peer]
        previous = progress.next - 1
        previous_term = self.stable.term_at(previous)
        if previous_term is None:
            snapshot = self.stable.snapshot
            self._send(InstallSnapshot, peer, self.term, snapshot=snapshot, round=self._round)
            progress.next = snapshot.index + 1
            return
        entries = self.stable.after(previous, MAX_ENTRIES)
        progress.next += len(entries)  # should they be lost, the next message will be refused
        self._send(
            AppendEntries,
            peer,
            self.term,
            previous=previous,
            previous_term=previous_term,
            entries=entries,
            commit=self.commit,
            round=self._round,
        )

    def _append(self, message: AppendEntries) -> None:
        self._obey(message.source)
        if message.previous < self.commit:  # an old message: what is committed agrees anyway
            self._answer(message.source, success=True, index=self.commit, round=message.round)
            return
        if self.stable.term_at(message.previous) != message.previous_term:
            self._answer(message.source, success=False, index=self.commit, round=message.round)
            return
        for entry in message.entries:
            known = self.stable.term_at(entry.index)
            if known is not None and known != entry.term:
                self.stable.truncate(entry.index)
                known = None
            if known is None:
                self.stable.log.append(entry)
        agreed = message.previous + len(message.entries)
        self.commit = max(self.commit, min(message.commit, agreed))
        self._answer(message.source, success=True, index=agreed, round=message.round)

    def _install(self, message: InstallSnapshot) -> None:
        self._obey(message.source)
        snapshot = message.snapshot
        if snapshot.index > self.commit:
            self.stable.snapshot, self.stable.log = snapshot, []
            self.commit = self.applied = snapshot.index
            self._ready.snapshot = snapshot
        self._answer(message.source, success=True, index=self.commit, round=message.round)

    def _obey(self, leader: str) -> None:
        self.role, self.leader, self._elapsed = FOLLOWER, leader, 0

    def _advance(self, answer: Appended) -> None:
        progress = self.progress[answer.source]
        progress.active = True
        progress.round = max(progress.round, answer.round)
        self._release_reads()
        if not answer.success:
            progress.next = max(progress.match, min(answer.index, progress.next - 1)) + 1
            self._send_entries(answer.source)
            return
        progress.match = max(progress.match, answer.index)
        progress.next = max(progress.next, progress.match + 1)
        self._hand_over_when_ready()
        self._commit_what_a_majority_has()
        if progress.next <= self.stable.last_index:
            self._send_entries(answer.source)

    def _commit_what_a_majority_has(self) -> None:
        """Commit by counting, but only entries of the own term (§5.4.2): those before come along.

        An entry of an older term can be on a majority and still be overwritten (Figure 8).
        """
        matches = [self.stable.last_index, *(p.match for p in self.progress.values())]
        agreed = sorted(matches, reverse=True)[self.majority - 1]
        if agreed <= self.commit or self.stable.term_at(agreed) != self.term:
            return
        self.commit = agreed
        self._broadcast()
        early, self._early_reads = self._early_reads, []
        for who in early:
            self.read_index(who)

    def _release_reads(self) -> None:
        rounds = [self._round, *(progress.round for progress in self.progress.values())]
        confirmed = sorted(rounds, reverse=True)[self.majority - 1]
        while self._reads and self._reads[0][2] <= confirmed:
            who, index, _ = self._reads.pop(0)
            self._ready.reads.append((who, index))

    def _hand_over_when_ready(self) -> None:
        progress = self.progress.get(self._transferee)
        if progress and progress.match == self.stable.last_index:
            self._send(TimeoutNow, self._transferee, self.term)

    def _answer(self, target: str, **fields: Any) -> None:
        self._send(Appended, target, self.term, **fields)

    def _send(self, kind: type[Message], target: str, term: int, **fields: Any) -> None:
        self._ready.messages.append(kind(source=self.name, target=target, term=term, **fields))


def _about_the_future(message: Message) -> bool:
    """Whether a message only speaks of a term that has not begun: pre-votes begin none."""
    match message:
        case RequestVote(pre=True) | Vote(pre=True, granted=True):
            return True
    return False
