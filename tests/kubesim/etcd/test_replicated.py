"""The store of three control plane nodes: what a client may rely on while members fail."""

import asyncio
from contextlib import asynccontextmanager
from random import Random

import pytest

from kubesim.apiserver.errors import StatusError
from kubesim.apiserver.server import APIServer
from kubesim.clientgo.client import Client
from kubesim.clock import Clock
from kubesim.etcd.backends import UnavailableError
from kubesim.etcd.replicated import REQUEST_TIMEOUT, ReplicatedEtcd

NAMES = ("etcd-1", "etcd-2", "etcd-3")
TIMED_OUT = "etcdserver: request timed out"


@asynccontextmanager
async def replicated(seed=1):
    store = ReplicatedEtcd(NAMES, Clock(speed=0, seed=seed))
    running = asyncio.create_task(store.run())
    try:
        yield store
        assert not running.done()
    finally:
        running.cancel()


@pytest.fixture
def advance():
    """Awaits work while time passes."""

    async def run(store, work, seconds=REQUEST_TIMEOUT):
        task = asyncio.create_task(work)
        await store._clock.advance(seconds)
        return await task

    return run


@asynccontextmanager
async def served():
    async with replicated() as store:
        server = APIServer(store, store._clock)
        yield store, Client(server, "admin", ("system:masters",))


def config_map(name):
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


async def put(store, key, value):
    return await store.write(lambda: store.put(key, value))


async def test_a_healthy_group_answers_at_once():
    async with replicated() as store:
        watch = store.watch("/")
        revision = await put(store, "/a", b"1")
        assert (await store.read(lambda: store.get("/a"))).value == b"1"
        assert [event.record.revision for event in watch.take()] == [revision]


async def test_a_write_survives_the_loss_of_any_member(advance):
    for lost in NAMES:
        async with replicated() as store:
            await put(store, "/a", b"1")
            store.group.stop(lost)
            await store._clock.advance(3)
            await advance(store, put(store, "/b", b"2"))
            assert store.range("/").count == 2


async def test_what_no_majority_has_is_seen_by_nobody(advance):
    async with replicated() as store:
        watch = store.watch("/")
        before = store.revision
        store.group.partition(NAMES[:1], NAMES[1:2], NAMES[2:])
        with pytest.raises(UnavailableError, match=TIMED_OUT):
            await advance(store, put(store, "/a", b"1"))
        assert store.get("/a") is None
        assert store.revision == before
        assert watch.take() == []


async def test_a_write_waits_for_the_new_leader(advance):
    async with replicated() as store:
        store.group.partition(NAMES[:1], NAMES[1:])
        await advance(store, put(store, "/a", b"1"), 6)
        assert store.group.leader().name != "etcd-1"
        assert store.get("/a").value == b"1"


async def test_a_write_whose_answer_was_lost_may_have_been_kept_and_harms_nobody(advance):
    async with replicated() as store:
        store.group.slow("etcd-1", 0.05)
        write = asyncio.create_task(put(store, "/a", b"late"))
        await store._clock.advance(0.17)  # the others have it, their answers are on their way
        store.group.partition(NAMES[:1], NAMES[1:2], NAMES[2:])
        await store._clock.advance(REQUEST_TIMEOUT)
        with pytest.raises(UnavailableError):
            await write
        assert store.get("/a") is None
        store.group.partition()
        await store._clock.advance(5)
        assert store.get("/a").value == b"late"
        await advance(store, put(store, "/a", b"next"))
        assert [e.record.value for e in store.watch("/a", 1).take()] == [b"late", b"next"]


async def test_revisions_only_grow_also_past_writes_that_came_to_nothing(advance):
    async with replicated() as store:
        first = await put(store, "/a", b"1")
        for name in NAMES[1:]:
            store.group.stop(name)
        with pytest.raises(UnavailableError):
            await advance(store, put(store, "/a", b"2"))
        for name in NAMES[1:]:
            store.group.start(name)
        await store._clock.advance(5)
        assert await advance(store, put(store, "/a", b"3")) > first
        assert store.get("/a").version == 2


async def test_work_that_was_overtaken_is_done_again():
    async with replicated() as store:
        store.group.slow("etcd-1", 0.05)
        counts = []

        def increment():
            count = int(record.value if (record := store.get("/n")) else 0)
            counts.append(count)
            store.put("/n", str(count + 1).encode())

        writes = [asyncio.create_task(store.write(increment)) for _ in range(5)]
        await store._clock.advance(5)
        await asyncio.gather(*writes)
        assert store.get("/n").value == b"5"
        assert counts == [0, 1, 2, 3, 4]


async def test_a_refusal_is_passed_on_and_what_was_written_before_it_stays():
    async with replicated() as store:

        def work():
            store.put("/a", b"1")
            raise KeyError("no")

        with pytest.raises(KeyError):
            await store.write(work)
        assert store.get("/a").value == b"1"


async def test_leases_expire_once_a_majority_is_back():
    async with replicated() as store:
        await store.write(lambda: store.put("/event", b"1", store.grant(60)))
        for name in NAMES[1:]:
            store.group.stop(name)
        await store._clock.advance(120)
        assert store.get("/event")
        for name in NAMES[1:]:
            store.group.start(name)
        await store._clock.advance(30)
        assert store.get("/event") is None


async def test_the_api_server_answers_as_etcd_does(advance):
    async with served() as (store, api):
        await api.create("configmaps", config_map("kept"))
        for name in NAMES[1:]:
            store.group.stop(name)
        for work in (api.create("configmaps", config_map("lost")), api.list("configmaps")):
            with pytest.raises(StatusError) as refused:
                await advance(store, work, REQUEST_TIMEOUT + 2)
            assert (refused.value.code, refused.value.reason) == (500, "")
            assert str(refused.value) == TIMED_OUT
        store.group.start("etcd-2")
        await store._clock.advance(5)
        listed = await api.list("configmaps", "default")
        assert [item["metadata"]["name"] for item in listed["items"]] == ["kept"]


async def test_what_the_api_server_remembers_needs_no_majority():
    async with served() as (store, api):
        made = await api.create("configmaps", config_map("kept"))
        watch = api.watch("configmaps", resource_version="1")
        for name in NAMES:
            store.group.stop(name)
        kind, obj = await anext(watch)
        assert (kind, obj["metadata"]["name"]) == ("ADDED", "kept")
        assert made["metadata"]["uid"] == obj["metadata"]["uid"]
        await watch.aclose()


async def client(store, random, clients, history, operation):
    """Reads and writes registers, one operation after the other, and notes what it saw."""
    for number in range(12):
        key, asked = f"/{random.choice('xy')}", store._clock.monotonic()
        value = f"{clients}-{number}".encode()
        note = history.setdefault(key, [])
        try:
            if random.random() < 0.5:
                await put(store, key, value)
                note.append(operation("w", value, asked, store._clock.monotonic()))
            else:
                record = await store.read(lambda key=key: store.get(key))
                seen = record and record.value
                note.append(operation("r", seen, asked, store._clock.monotonic()))
        except UnavailableError:
            note.append(operation("w", value, asked))
        await store._clock.sleep(random.random())


def disturb(group, random):
    match random.randrange(5):
        case 0:
            group.stop(random.choice(NAMES))
        case 1:
            names = random.sample(NAMES, 3)
            group.partition(names[:1], names[1:])
        case 2:
            group.slow(random.choice(NAMES), random.choice((0.01, 0.3, 2)), random.random() / 3)
        case _:
            group.partition()
            for name in NAMES:
                group.start(name)
                group.slow(name, 0)


@pytest.mark.parametrize("block", range(4))
async def test_histories_are_linearizable_whatever_fails(block, operation, linearizable):
    kept = 0
    for seed in range(block * 5, block * 5 + 5):
        random, history = Random(seed), {}
        async with replicated(seed) as store:
            clients = [
                asyncio.create_task(client(store, random, number, history, operation))
                for number in range(4)
            ]
            while not all(task.done() for task in clients):
                if random.random() < 0.4:
                    disturb(store.group, random)
                await store._clock.advance(random.choice((0.2, 1, 3)))
            await asyncio.gather(*clients)
        for key, operations in history.items():
            assert linearizable(operations), f"seed {seed}, key {key}: {operations}"
            kept += sum(o.kind == "w" and o.answered < 1e9 for o in operations)
    assert kept > 50, "most of the time a majority was there"
