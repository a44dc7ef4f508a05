"""What was acknowledged is kept: through kill -9 at any moment, and when there is no room."""

import asyncio
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import kubesim
from kubesim.apiserver.errors import StatusError
from kubesim.apiserver.server import APIServer
from kubesim.clientgo.client import Client
from kubesim.clock import Clock
from kubesim.etcd.backends import UnavailableError
from kubesim.etcd.sqlite import NO_SPACE, SqliteBackend
from kubesim.etcd.store import Etcd

KILLS = 200


def test_nothing_acknowledged_is_lost_however_often_the_server_is_killed(tmp_path):
    script = Path(__file__).with_name("killed.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), str(KILLS), "1"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(kubesim.__file__).parents[1])},
    )
    assert done.returncode == 0, done.stderr
    rounds, acknowledged = map(int, done.stdout.split())
    assert rounds == KILLS
    assert acknowledged > 2 * KILLS


def api_of(path):
    clock = Clock(speed=0)
    store = Etcd(SqliteBackend(path), clock)
    return store, Client(APIServer(store, clock), "admin", ("system:masters",))


def config_map(name, size=1):
    metadata = {"name": name, "namespace": "default"}
    data = {"pad": "x" * size}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


async def test_a_watch_goes_on_after_a_restart_where_it_was(tmp_path):
    store, api = api_of(tmp_path / "etcd.db")
    seen = await api.create("configmaps", config_map("seen"))
    await api.create("configmaps", config_map("missed"))
    store.close()
    store, api = api_of(tmp_path / "etcd.db")
    await api.create("configmaps", config_map("new"))
    watch = api.watch("configmaps", resource_version=seen["metadata"]["resourceVersion"])
    names = [(await anext(watch))[1]["metadata"]["name"] for _ in range(2)]
    assert names == ["missed", "new"]
    await watch.aclose()
    store.close()


async def test_a_watch_from_before_what_a_restarted_server_knows_is_told_410(tmp_path):
    store, api = api_of(tmp_path / "etcd.db")
    for number in range(5):
        await api.create("configmaps", config_map(f"one-{number}"))
    store.compact(store.revision)
    store.close()
    store, api = api_of(tmp_path / "etcd.db")
    with pytest.raises(StatusError) as gone:
        await anext(api.watch("configmaps", resource_version="3"))
    assert gone.value.code == 410
    store.close()


@pytest.fixture
def no_room():
    """Lets this process write no file further than some bytes, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_without_room_writes_are_refused_and_what_was_kept_stays(tmp_path, no_room):
    path = tmp_path / "etcd.db"
    store, api = api_of(path)
    kept = await api.create("configmaps", config_map("kept"))
    watch = store.watch("/registry/configmaps")
    no_room(path.with_name("etcd.db-wal").stat().st_size + 10_000)
    with pytest.raises(StatusError) as refused:
        for number in range(100):
            await api.create("configmaps", config_map(f"big-{number}", 20_000))
    assert (refused.value.code, refused.value.reason) == (500, "")
    assert str(refused.value).startswith("etcd")
    assert store.revision == int(kept["metadata"]["resourceVersion"])
    assert watch.take() == []
    no_room(resource.RLIM_INFINITY)
    after = await api.create("configmaps", config_map("after"))
    store.close()
    store, api = api_of(path)
    assert await api.get("configmaps", "kept", "default") == kept
    assert await api.get("configmaps", "after", "default") == after
    store.close()


def test_a_full_disk_is_told_as_etcd_tells_it(tmp_path):
    backend = SqliteBackend(tmp_path / "etcd.db")
    backend._database.execute("PRAGMA max_page_count = 10")
    store = Etcd(backend)
    with pytest.raises(UnavailableError, match=NO_SPACE):
        for number in range(100):
            store.put(f"/{number}", b"x" * 2000)
    held = store.range("/").count
    store.close()
    again = Etcd(SqliteBackend(tmp_path / "etcd.db"))
    assert again.range("/").count == held
    asyncio.run(again.write(lambda: again.delete("/0")))
    again.close()
