"""Raft: one member's rules by themselves, then a group under random faults."""

import asyncio
import contextlib
from random import Random

import pytest

from kubesim.clock import Clock
from kubesim.etcd.group import LOG_LIMIT, Group
from kubesim.etcd.raft import (
    ELECTION_TICKS,
    LEADER,
    PRE_CANDIDATE,
    Appended,
    AppendEntries,
    Entry,
    NotLeaderError,
    Raft,
    RequestVote,
    Snapshot,
    Stable,
    TimeoutNow,
    Vote,
)

NAMES = ("a", "b", "c")


def raft(name="a", members=NAMES, term=0, log=()):
    stable = Stable(term, log=[Entry(t, i + 1, f"x{i + 1}") for i, t in enumerate(log)])
    return Raft(name, members, stable, Random(1))


def elected(member):
    """Make a member leader of the next term, with the vote of b."""
    member.campaign()
    vote = Vote(source="b", target=member.name, term=member.term, granted=True)
    member.step(vote)
    member.ready()
    return member


def append(term, previous=0, previous_term=0, entries=(), commit=0, source="b", target="a"):
    return AppendEntries(
        source=source,
        target=target,
        term=term,
        previous=previous,
        previous_term=previous_term,
        entries=entries,
        commit=commit,
        round=0,
    )


def request(term, last_index=0, last_term=0, source="b", **how):
    return RequestVote(
        source=source, target="a", term=term, last_index=last_index, last_term=last_term, **how
    )


def acknowledged(term, index, asked=0):
    return Appended(source="b", target="a", term=term, success=True, index=index, round=asked)


def answers(member):
    return member.ready().messages


# Elections


def test_a_single_member_leads_and_commits_by_itself():
    alone = raft(members=("a",))
    alone.campaign(pre=True)
    assert alone.role == LEADER
    alone.propose("x")
    assert [entry.command for entry in alone.ready().committed] == [None, "x"]


def test_who_hears_nothing_first_asks_whether_it_would_win():
    member = raft(term=3)
    for _ in range(2 * ELECTION_TICKS):
        member.tick()
    assert member.role == PRE_CANDIDATE
    assert member.term == 3  # asking changes nothing
    assert {(m.target, m.term, m.pre) for m in answers(member)} >= {("b", 4, True), ("c", 4, True)}


def test_a_majority_of_pre_votes_starts_the_election_and_one_of_votes_wins_it():
    member = raft(term=3)
    member.campaign(pre=True)
    member.step(Vote(source="b", target="a", term=4, granted=True, pre=True))
    assert (member.role, member.term, member.stable.vote) == ("candidate", 4, "a")
    member.step(Vote(source="c", target="a", term=4, granted=True))
    assert member.role == LEADER


def test_a_vote_is_given_once_a_term_and_remembered_after_a_restart():
    member = raft()
    member.step(request(1, source="b"))
    assert [m.granted for m in answers(member)] == [True]
    again = Raft("a", NAMES, member.stable, Random(1))
    again.step(request(1, source="c"))
    assert [m.granted for m in answers(again)] == [False]


@pytest.mark.parametrize(
    ("last_index", "last_term", "granted"),
    [(1, 1, False), (2, 1, False), (2, 2, True), (3, 2, True), (1, 3, True)],
)
def test_a_vote_is_refused_to_a_log_that_misses_something(last_index, last_term, granted):
    member = raft(term=2, log=(1, 2))
    member.step(request(4, last_index, last_term))
    assert [m.granted for m in answers(member)] == [granted]


def test_who_hears_a_leader_ignores_candidates_unless_the_leader_sent_them():
    member = raft(term=1)
    member.step(append(1, source="c"))
    answers(member)
    member.step(request(5))
    assert answers(member) == []
    assert member.term == 1
    member.step(request(5, transfer=True))
    assert [m.granted for m in answers(member)] == [True]


def test_a_leader_without_a_majority_steps_down():
    member = elected(raft())
    for _ in range(2 * ELECTION_TICKS):
        member.tick()
    assert member.role == "follower"
    with pytest.raises(NotLeaderError):
        member.propose("x")


def test_who_is_behind_is_told_of_the_newer_term():
    member = raft(term=5)
    member.step(append(3))
    [answer] = answers(member)
    assert (answer.term, answer.success) == (5, False)
    old = elected(raft("b"))
    old.step(Appended(source="a", target="b", term=5, success=False, index=0))
    assert (old.role, old.term) == ("follower", 5)


# Replication


def test_an_entry_is_appended_only_after_the_one_before_it():
    member = raft(term=1, log=(1,))
    member.step(append(1, previous=2, previous_term=1, entries=[Entry(1, 3, "y")]))
    assert [m.success for m in answers(member)] == [False]
    assert member.stable.last_index == 1


def test_what_contradicts_the_leader_is_overwritten():
    member = raft(term=2, log=(1, 1, 2))
    member.step(append(3, previous=1, previous_term=1, entries=[Entry(3, 2, "new")]))
    assert [(e.term, e.command) for e in member.stable.log] == [(1, "x1"), (3, "new")]


def test_an_old_message_takes_nothing_away():
    member = raft(term=1, log=(1, 1, 1))
    member.step(append(1, previous=0, entries=[Entry(1, 1, "x1")], commit=3))
    assert member.stable.last_index == 3
    assert member.commit == 1  # no further than the message vouches for


def test_committed_is_what_a_majority_has():
    member = elected(raft())
    entry = member.propose("x")
    assert member.ready().committed == []
    member.step(acknowledged(member.term, entry.index))
    assert [e.command for e in member.ready().committed] == [None, "x"]


def test_an_entry_of_an_older_term_is_committed_only_with_one_of_the_own():
    """Figure 8 of the paper."""
    member = elected(raft(term=2, log=(1, 2)))
    member.step(acknowledged(member.term, 2))
    assert member.ready().committed == []
    member.step(acknowledged(member.term, 3))
    assert [e.command for e in member.ready().committed] == ["x1", "x2", None]


def test_a_follower_that_lags_is_sent_what_it_misses():
    member = elected(raft(term=1, log=(1, 1)))
    refused = Appended(source="b", target="a", term=member.term, success=False, index=0)
    member.step(refused)
    [sent] = answers(member)
    assert (sent.previous, [e.command for e in sent.entries]) == (0, ["x1", "x2", None])


def test_who_lags_behind_the_compacted_log_is_sent_the_state():
    member = elected(raft(members=("a", "b", "c")))
    member.propose("x")
    member.step(acknowledged(member.term, 2))
    member.ready()
    member.compact(2, "the state")
    member.step(Appended(source="c", target="a", term=member.term, success=False, index=0))
    [sent] = answers(member)
    assert sent.snapshot == Snapshot(2, member.term, "the state")
    follower = raft("c")
    follower.step(sent)
    assert follower.ready().snapshot == sent.snapshot
    assert (follower.commit, follower.stable.last_index) == (2, 2)


# Reads and hand-over


def test_a_read_waits_until_a_majority_confirms_the_leader():
    member = elected(raft())
    member.step(acknowledged(member.term, 1))
    member.read_index("me")
    [heartbeat, _] = [m for m in answers(member) if m.round]
    assert member.ready().reads == []
    member.step(acknowledged(member.term, 1, heartbeat.round))
    assert member.ready().reads == [("me", 1)]


def test_a_new_leader_answers_reads_once_its_term_has_committed_something():
    member = elected(raft(term=1, log=(1,)))
    member.read_index("me")
    member.step(acknowledged(member.term, 1, 1))
    assert member.ready().reads == []
    member.step(acknowledged(member.term, 2))
    member.step(acknowledged(member.term, 2, 1))
    assert member.ready().reads == [("me", 2)]


def test_leadership_is_handed_to_a_member_that_has_everything():
    member = elected(raft())
    member.transfer_leadership("b")
    assert not any(isinstance(m, TimeoutNow) for m in answers(member))
    with pytest.raises(NotLeaderError):
        member.propose("x")  # nothing new while handing over
    member.step(acknowledged(member.term, 1))
    assert any(isinstance(m, TimeoutNow) for m in answers(member))


# A group


class Registers:
    """A group whose members each keep their own registers, as far as they have applied."""

    def __init__(self, seed, operation=tuple):
        self.operation = operation
        self.clock = Clock(speed=0)
        self.random = Random(seed)
        self.values = {name: {} for name in NAMES}
        self.positions = dict.fromkeys(NAMES, 0)
        self.committed = {}  # index -> entry, as the first member applied it
        self.leaders = {}  # term -> name
        self.history = {}  # key -> operations
        self.waiting = {}
        self.asked = 0
        self.group = Group(
            NAMES, self.clock, Random(seed + 1), self.apply, self.state, self.restore
        )

    def apply(self, name, entry):
        assert self.committed.setdefault(entry.index, entry) == entry, "state machine safety"
        if entry.index <= self.positions[name]:
            return
        assert entry.index == self.positions[name] + 1, "applied in order, without gaps"
        self.positions[name] = entry.index
        if entry.command:
            number, key, value = entry.command
            self.values[name][key] = value
            done = self.waiting.pop(number, None)
            if done and not done.done():
                done.set_result(None)

    def state(self, name):
        return dict(self.values[name]), self.positions[name]

    def restore(self, name, snapshot):
        values, position = snapshot.state or ({}, 0)
        if position > self.positions[name]:
            self.values[name], self.positions[name] = dict(values), position

    async def write(self, name, key, value):
        """Propose to one member, whoever it believes to be; wait until applied."""
        member = self.group.members[name].raft
        if not member or member.role != LEADER:
            return
        self.asked += 1
        done = self.waiting[self.asked] = asyncio.get_running_loop().create_future()
        asked = self.now()
        with contextlib.suppress(NotLeaderError):
            member.propose((self.asked, key, value))
            await self.recorded("w", key, value, asked, done)

    async def read(self, name, key):
        member = self.group.members[name].raft
        if not member or member.role != LEADER:
            return
        asked = self.now()
        done = asyncio.get_running_loop().create_future()
        member.read_index(done)
        with contextlib.suppress(TimeoutError):
            async with self.clock.timeout(3):
                index = await done
                assert self.positions[name] >= index
                value = self.values[name].get(key)
                self.record(key, self.operation("r", value, asked, self.now()))

    async def recorded(self, kind, key, value, asked, done):
        try:
            async with self.clock.timeout(3):
                await done
        except TimeoutError:
            self.record(key, self.operation(kind, value, asked))
        else:
            self.record(key, self.operation(kind, value, asked, self.now()))

    def record(self, key, operation):
        self.history.setdefault(key, []).append(operation)

    def now(self):
        return self.clock.monotonic()

    def check_invariants(self):
        for member in self.group.running():
            if member.role == LEADER:
                known = self.leaders.setdefault(member.term, member.name)
                assert known == member.name, "election safety"
        stables = [member.stable for member in self.group.members.values()]
        for a in stables:
            for b in stables:
                low = max(a.snapshot.index, b.snapshot.index)
                for index in range(min(a.last_index, b.last_index), low, -1):
                    if a.term_at(index) == b.term_at(index):
                        assert a.after(low)[: index - low] == b.after(low)[: index - low], (
                            "log matching"
                        )
                        break
        leader = self.group.leader()
        if leader:
            for index, entry in self.committed.items():
                if index > leader.stable.snapshot.index and entry.term < leader.term:
                    assert leader.stable.term_at(index) == entry.term, "leader completeness"


class Chaos:
    """Does something bad, or good, to a group."""

    def __init__(self, world):
        self.world, self.random, self.group = world, world.random, world.group

    def act(self):
        self.random.choice(
            (self.stop, self.start, self.start, self.cut, self.cut, self.heal, self.slow,
             self.slow, self.compact, self.transfer)
        )()  # fmt: skip

    def stop(self):
        name = self.random.choice(NAMES)
        self.group.stop(name)
        self.world.values[name], self.world.positions[name] = {}, 0

    def start(self):
        self.group.start(self.random.choice(NAMES))

    def cut(self):
        names = self.random.sample(NAMES, 3)
        self.group.partition(names[:1], names[1:])

    def heal(self):
        self.group.partition()
        for name in NAMES:
            self.group.slow(name, 0)

    def slow(self):
        self.group.slow(
            self.random.choice(NAMES),
            self.random.choice((0.02, 0.2, 0.5)),
            self.random.random() / 3,
        )

    def compact(self):
        for member in self.group.running():
            member.compact(member.applied - 3, self.world.state(member.name))

    def transfer(self):
        if leader := self.group.leader():
            leader.transfer_leadership(self.random.choice(leader.peers))


async def storm(seed, operation, steps=120):
    world = Registers(seed, operation)
    chaos = Chaos(world)
    ticking = asyncio.create_task(world.group.run())
    clients = []
    for step in range(steps):
        if world.random.random() < 0.25:
            chaos.act()
        for name in NAMES:
            for key in "xy":
                if world.random.random() < 0.3:
                    clients.append(asyncio.create_task(world.read(name, key)))
                if world.random.random() < 0.2:
                    clients.append(asyncio.create_task(world.write(name, key, (step, name))))
        await world.clock.advance(world.random.choice((0.0, 0.05, 0.1, 0.3, 0.6)))
        world.check_invariants()
    chaos.heal()
    for name in NAMES:
        world.group.start(name)
    await world.clock.advance(10)
    world.check_invariants()
    await asyncio.gather(*clients)
    assert not ticking.done()
    ticking.cancel()
    return world


@pytest.mark.parametrize("block", range(6))
async def test_random_faults_break_no_promise(block, operation, linearizable):
    for seed in range(block * 8, block * 8 + 8):
        world = await storm(seed, operation)
        for key, history in world.history.items():
            assert linearizable(history), f"seed {seed}, register {key}: {history}"
        assert len({str(sorted(values.items())) for values in world.values.values()}) == 1
        assert world.group.quiet()


def test_a_history_that_is_not_linearizable_is_found(operation, linearizable):
    write, stale = operation("w", 1, 0, 1), operation("r", None, 2, 3)
    assert not linearizable([write, stale])
    assert linearizable([write, operation("r", None, 0.5, 3)])
    assert linearizable([operation("w", 1, 0), operation("r", None, 2, 3)])
    assert not linearizable([operation("w", 1, 0, 1), operation("w", 2, 2, 3),
                             operation("r", 1, 4, 5)])  # fmt: skip


async def test_a_healthy_group_is_silent():
    world = Registers(1)
    ticking = asyncio.create_task(world.group.run())
    await world.clock.advance(3600)
    assert world.group.quiet()
    assert world.group.leader().name == "a"
    ticking.cancel()


async def test_the_log_is_compacted_by_itself_and_a_wiped_member_comes_back():
    world = Registers(1)
    ticking = asyncio.create_task(world.group.run())
    world.group.stop("c")
    world.group.wipe("c")
    for number in range(LOG_LIMIT + 10):
        world.group.propose((number, "x", number))
    assert len(world.group.members["a"].stable.log) < LOG_LIMIT
    world.positions["c"] = 0
    world.group.start("c")
    await world.clock.advance(5)
    assert world.values["c"] == world.values["a"] == {"x": LOG_LIMIT + 9}
    ticking.cancel()
