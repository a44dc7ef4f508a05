"""The same seed gives the same history, byte for byte, in every process."""

import asyncio
import hashlib
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from kubesim import history
from kubesim.clock import Clock
from kubesim.cluster import Cluster, NodeSpec

START = datetime(2026, 1, 1, tzinfo=UTC)
IN_ANOTHER_PROCESS = """
import sys; sys.path.insert(0, {folder!r})
import test_history
print(test_history.fingerprint(test_history.tell({seed})))
"""


def deployment(image):
    container = {"name": "main", "image": image}
    labels = {"app": "web"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": 4,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


THREE = [
    *(NodeSpec(f"control-plane{number}", "control-plane") for number in "123"),
    NodeSpec("kubesim-worker"),
    NodeSpec("kubesim-worker2"),
]


async def _tell(seed, nodes):
    """A Deployment, a node that falls silent until its Pods are evicted, a rollout.

    Of three control plane nodes one is gone from the beginning, and etcd's leader with it.
    """
    cluster = Cluster(nodes=nodes, clock=Clock(speed=0, start=START, seed=seed))
    await cluster.start()
    advance, admin = cluster.clock.advance, cluster.client("admin", ("system:masters",))
    await advance(30)
    if nodes:
        await cluster.faults.inject("node-stopped", "control-plane1")
        await advance(30)
    await admin.create("deployments.apps", deployment("nginx:1.26"))
    await advance(30)
    await cluster.stop_node("kubesim-worker")
    await advance(400)
    await admin.update("deployments.apps", deployment("nginx:1.27"))
    await advance(30)
    await cluster.start_node("kubesim-worker")
    await advance(60)
    told = [*history.lines(cluster.store, cluster.audit.events)]
    await cluster.stop()
    return told


def tell(seed, nodes=None):
    return asyncio.run(_tell(seed, nodes))


def fingerprint(lines):
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def test_the_same_seed_gives_the_same_history_in_every_process():
    here = tell(7)
    assert sum('"reason":"TaintManagerEviction"' in line for line in here) >= 1
    script = IN_ANOTHER_PROCESS.format(folder=str(Path(__file__).parent), seed=7)
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert done.stdout.strip() == fingerprint(here)


def test_three_control_plane_nodes_elect_the_same_leader_at_the_same_time():
    assert tell(7, THREE) == tell(7, THREE)


def test_another_seed_gives_another_history():
    assert tell(1) != tell(2)
