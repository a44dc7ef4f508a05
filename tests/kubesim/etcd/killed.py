"""Kills an API server on an SQLite store again and again, and looks for what it had acknowledged.

Run as `python killed.py DIRECTORY KILLS SEED`. Each round forks a server that writes as fast as it
can and tells of every answered write through a pipe; after some milliseconds it gets SIGKILL, at
whatever it is. Then the file is opened anew. Prints one line: rounds, writes acknowledged.
"""

import asyncio
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from kubesim.apiserver.server import APIServer
from kubesim.clientgo.client import Client
from kubesim.clock import Clock
from kubesim.etcd.sqlite import SqliteBackend
from kubesim.etcd.store import Etcd

HISTORY = 60  # so small that compactions are struck as well
WRITERS = 4


def opened(path):
    clock = Clock()
    return Etcd(SqliteBackend(path), clock, HISTORY), clock


async def write(api, writer, told, counts):
    """Create, update and delete; tell of each answer: what the writer's object must now be."""
    name, count = f"writer-{writer}", counts.get(writer, 0)
    body = {"apiVersion": "v1", "kind": "ConfigMap"}
    while True:
        count += 1
        metadata = {"name": name, "namespace": "default"}
        obj = {**body, "metadata": metadata, "data": {"count": str(count), "pad": "x" * 300}}
        if count % 10 == 0:
            await api.delete("configmaps", name, "default")
            version = 0
        else:
            exists = count % 10 != 1
            answer = await (api.update if exists else api.create)("configmaps", obj)
            version = int(answer["metadata"]["resourceVersion"])
        os.write(told, json.dumps([writer, count, version]).encode() + b"\n")
        await asyncio.sleep(0)


async def serve(path, told, counts):
    store, clock = opened(path)
    api = Client(APIServer(store, clock), "admin", ("system:masters",))
    await asyncio.gather(*(write(api, n, told, counts) for n in range(WRITERS)))


def kill_one(path, counts, chance):
    """Start a server, kill it; return what it had acknowledged, the latest of each writer."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        asyncio.run(serve(path, writer, counts))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        first = pipe.readline()  # it writes by now
        time.sleep(chance.random() * 0.03)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        lines = [first, *pipe.read().splitlines(keepends=True)]
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


def check(path, acknowledged, counts):
    """Compare the file with what was acknowledged; take up the counts that are there."""
    store, _ = opened(path)
    latest = {writer: (count, version) for writer, count, version in acknowledged}
    revision = max((version for _, _, version in acknowledged), default=0)
    assert store.revision >= revision, f"revision {revision} is gone: {store.revision}"
    for writer in range(WRITERS):
        count, version = latest.get(writer, (counts.get(writer, 0), None))
        record = store.get(f"/registry/configmaps/default/writer-{writer}")
        kept = int(json.loads(record.value)["data"]["count"]) if record else count - count % 10
        if not record and count % 10:  # deleted, and not told any more
            kept = count + 1
            assert kept % 10 == 0, f"writer {writer}: {count} was acknowledged, nothing is there"
        assert kept in (count, count + 1), f"writer {writer}: {count} was acknowledged, {kept} kept"
        if record and version and kept == count:
            assert record.revision == version
        counts[writer] = kept
    store.close()


def main(directory, kills, seed):
    path, counts, chance, total = Path(directory) / "etcd.db", {}, random.Random(seed), 0
    for _ in range(kills):
        acknowledged = kill_one(path, counts, chance)
        total += len(acknowledged)
        check(path, acknowledged, counts)
    print(kills, total)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
