"""The store's promises, kept by both backends."""

import asyncio
import os
import random
import signal
import subprocess
import sys

import pytest

from kubesim.clock import Clock
from kubesim.etcd.backends import MemoryBackend
from kubesim.etcd.sqlite import SqliteBackend
from kubesim.etcd.store import (
    CompactedError,
    Delete,
    Etcd,
    FutureRevisionError,
    LeaseNotFoundError,
    Put,
)


@pytest.fixture(params=["memory", "sqlite"])
def make_store(request, tmp_path):
    stores = []

    def make(**options):
        backend = MemoryBackend()
        if request.param == "sqlite":
            backend = SqliteBackend(tmp_path / "etcd.db")
        options.setdefault("clock", Clock(speed=0))
        stores.append(Etcd(backend, **options))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def store(make_store):
    return make_store()


def values(found):
    return {record.key: record.value for record in found.records}


def test_every_change_takes_the_next_revision(store):
    start = store.revision
    assert [store.put("a", b"1"), store.put("b", b"2"), store.put("a", b"3")] == [
        start + 1,
        start + 2,
        start + 3,
    ]
    record = store.get("a")
    assert (record.value, record.create_revision, record.revision, record.version) == (
        b"3",
        start + 1,
        start + 3,
        2,
    )


def test_a_key_starts_anew_after_its_deletion(store):
    store.put("a", b"1")
    assert store.delete("a")
    assert store.get("a") is None
    revision = store.put("a", b"2")
    assert (store.get("a").version, store.get("a").create_revision) == (1, revision)


def test_deleting_nothing_takes_no_revision(store):
    before = store.revision
    assert not store.delete("a")
    assert store.revision == before


def test_a_range_reads_a_prefix_in_order_now_and_then(store):
    for key in ("/p/b", "/q/x", "/p/a"):
        store.put(key, key.encode())
    then = store.revision
    store.put("/p/a", b"new")
    store.delete("/p/b")
    assert [r.key for r in store.range("/p/", revision=then).records] == ["/p/a", "/p/b"]
    assert values(store.range("/p/")) == {"/p/a": b"new"}


def test_a_range_is_cut_by_limit_and_goes_on_from_a_key(store):
    for number in range(5):
        store.put(f"/p/{number}", b"")
    first = store.range("/p/", limit=2)
    assert ([r.key for r in first.records], first.count) == (["/p/0", "/p/1"], 5)
    rest = store.range("/p/", start="/p/2", revision=first.revision)
    assert [r.key for r in rest.records] == ["/p/2", "/p/3", "/p/4"]


def test_the_future_cannot_be_read(store):
    with pytest.raises(FutureRevisionError):
        store.range("/", revision=store.revision + 1)


def test_a_transaction_holds_whole_or_not_at_all(store):
    revision = store.put("a", b"1")
    operations = [Put("a", b"2"), Put("b", b"2"), Delete("c")]
    assert not store.txn({"a": revision - 1}, operations).succeeded
    assert not store.txn({"a": revision, "b": 7}, operations).succeeded
    assert values(store.range("")) == {"a": b"1"}
    result = store.txn({"a": revision, "b": 0}, operations)
    assert result.succeeded
    assert {r.revision for r in store.range("").records} == {result.revision}


async def test_a_watch_replays_what_it_missed_and_goes_on_live(store):
    store.put("/p/a", b"1")
    since = store.revision
    store.put("/p/a", b"2")
    store.put("/q/a", b"not asked for")
    watch = store.watch("/p/", since)
    store.delete("/p/a")
    missed, live = await watch.next()
    assert (missed.record.value, missed.previous.value) == (b"2", b"1")
    assert live.record.deleted
    assert live.previous.value == b"2"
    reading = asyncio.create_task(watch.next())
    await asyncio.sleep(0)
    store.txn({}, [Put("/p/b", b"3"), Put("/p/c", b"3")])
    together = await reading
    assert len({event.record.revision for event in together}) == 1
    assert [event.record.key for event in together] == ["/p/b", "/p/c"]


async def test_a_closed_watch_ends(store):
    watch = store.watch("/")
    reading = asyncio.create_task(watch.next())
    await asyncio.sleep(0)
    watch.close()
    assert await reading == []


def test_a_watch_that_nobody_reads_is_cut_off(store, monkeypatch):
    monkeypatch.setattr("kubesim.etcd.store.SLOW_WATCHER", 10)
    watch = store.watch("/")
    for number in range(11):
        store.put(f"/{number}", b"")
    assert watch.closed


def test_compaction_forgets_the_past_and_keeps_the_present(store):
    store.put("a", b"1")
    old = store.revision
    store.put("a", b"2")
    store.put("b", b"1")
    store.delete("b")
    store.compact(store.revision)
    assert values(store.range("")) == {"a": b"2"}
    with pytest.raises(CompactedError):
        store.range("", revision=old)
    with pytest.raises(CompactedError):
        store.watch("", old)
    with pytest.raises(CompactedError):
        store.compact(old)


def test_history_stays_bounded_by_itself(make_store):
    store = make_store(history=10)
    for number in range(100):
        store.put("a", str(number).encode())
    assert store.revision - store.compacted <= 20
    assert store.get("a").value == b"99"


async def test_a_lease_takes_its_keys_along(make_store):
    clock = Clock(speed=0)
    store = make_store(clock=clock)
    expiring = asyncio.create_task(store.run())
    long, short = store.grant(100), store.grant(10)
    store.put("kept", b"", short)
    store.put("kept", b"")
    store.put("short", b"", short)
    store.put("long", b"", long)
    watch = store.watch("")
    await clock.advance(9)
    assert store.get("short")
    await clock.advance(2)
    assert [event.record.key for event in watch.take()] == ["short"]
    store.keep_alive(long)
    await clock.advance(95)
    assert sorted(values(store.range(""))) == ["kept", "long"]
    await clock.advance(10)
    assert sorted(values(store.range(""))) == ["kept"]
    with pytest.raises(LeaseNotFoundError):
        store.put("x", b"", short)
    expiring.cancel()


def test_any_sequence_of_writes_reads_as_a_simple_model_says(make_store):
    chance = random.Random(7)
    store = make_store(history=40)
    model, past = {}, {}
    for _ in range(600):
        key = f"/{chance.randrange(12)}"
        if chance.random() < 0.3:
            store.delete(key)
            model.pop(key, None)
        else:
            model[key] = str(chance.random()).encode()
            store.put(key, model[key])
        past[store.revision] = dict(model)
        asked = chance.choice(list(past))
        if asked >= store.compacted:
            assert values(store.range("/", revision=asked)) == past[asked]


def test_a_watch_from_any_revision_rebuilds_the_present(make_store):
    chance = random.Random(8)
    store = make_store()
    snapshots = {store.revision: {}}
    for _ in range(200):
        key = f"/{chance.randrange(8)}"
        if chance.random() < 0.4:
            store.delete(key)
        else:
            store.put(key, str(chance.random()).encode())
        snapshots[store.revision] = values(store.range("/"))
    for revision, seen in snapshots.items():
        for event in store.watch("/", revision).take():
            if event.record.deleted:
                del seen[event.record.key]
            else:
                seen[event.record.key] = event.record.value
        assert seen == values(store.range("/"))


def test_a_reopened_file_goes_on_where_it_was(tmp_path):
    store = Etcd(SqliteBackend(tmp_path / "etcd.db"), Clock(speed=0))
    store.put("a", b"1")
    since = store.revision
    lease = store.grant(10)
    store.put("a", b"2")
    store.put("b", b"1", lease)
    store.delete("a")
    revision = store.revision
    store.close()
    reopened = Etcd(SqliteBackend(tmp_path / "etcd.db"), Clock(speed=0))
    assert reopened.revision == revision
    assert values(reopened.range("")) == {"b": b"1"}
    assert values(reopened.range("", revision=since)) == {"a": b"1"}
    assert len(reopened.watch("", since).take()) == 3
    reopened.revoke(lease)
    assert values(reopened.range("")) == {}
    reopened.close()


def test_compaction_survives_reopening(tmp_path):
    store = Etcd(SqliteBackend(tmp_path / "etcd.db"), Clock(speed=0), history=5)
    for number in range(30):
        store.put(f"/{number % 3}", str(number).encode())
    state = (store.revision, store.compacted, values(store.range("")))
    store.close()
    reopened = Etcd(SqliteBackend(tmp_path / "etcd.db"), Clock(speed=0), history=5)
    assert (reopened.revision, reopened.compacted, values(reopened.range(""))) == state
    with pytest.raises(CompactedError):
        reopened.watch("", reopened.compacted - 1)
    reopened.close()


WRITER = """
import sys
from pathlib import Path
from kubesim.etcd.sqlite import SqliteBackend
from kubesim.etcd.store import Etcd, Put
store = Etcd(SqliteBackend(Path(sys.argv[1])))
for number in range(1_000_000):
    result = store.txn({}, [Put("/a", str(number).encode()), Put("/b", str(number).encode())])
    print(result.revision, number, flush=True)
"""


def test_a_killed_process_loses_nothing_that_it_was_told_is_stored(tmp_path):
    path = tmp_path / "etcd.db"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    )
    for _ in range(50):
        revision, number = map(int, writer.stdout.readline().split())
    os.kill(writer.pid, signal.SIGKILL)
    told = writer.stdout.read().split("\n")[:-1]
    writer.wait()
    if told:
        revision, number = map(int, told[-1].split())
    store = Etcd(SqliteBackend(path), Clock(speed=0))
    assert store.revision in (revision, revision + 1)
    assert store.get("/a").value == store.get("/b").value
    assert int(store.get("/a").value) in (number, number + 1)
    store.close()


def test_the_file_is_for_its_owner_only(tmp_path):
    Etcd(SqliteBackend(tmp_path / "etcd.db"), Clock(speed=0)).close()
    assert (tmp_path / "etcd.db").stat().st_mode & 0o077 == 0
