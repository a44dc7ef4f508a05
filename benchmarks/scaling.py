"""A large cluster in one process: many Pods on many nodes; many nodes heart-beating."""

import asyncio
import resource
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.table import Row
from kubesim.clock import Clock
from kubesim.cluster import Cluster, default_nodes

READY = {"type": "Ready", "status": "True"}


def pods_ready(pods: int, nodes: int) -> tuple[float, float]:
    """Return the seconds until all Pods of one Deployment are ready, and of work."""
    return asyncio.run(_pods_ready(pods, nodes))


async def _pods_ready(pods: int, nodes: int) -> tuple[float, float]:
    cluster = Cluster(nodes=default_nodes("large", nodes))
    await cluster.start()
    user = cluster.client("admin", ("system:masters", "system:authenticated"))
    await _settle(user, nodes)
    labels = {"app": "web"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "web", "image": "nginx:1.27"}]},
    }
    spec = {"replicas": pods, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": "web", "namespace": "default"}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}
    begin, idle = time.perf_counter(), time.process_time()
    await user.create("deployments.apps", deployment)
    while deployment.get("status", {}).get("readyReplicas") != pods:  # type: ignore[attr-defined]
        await asyncio.sleep(0.1)
        deployment = await user.get("deployments.apps", "web", "default")
    seconds, worked = time.perf_counter() - begin, time.process_time() - idle
    await cluster.stop()
    return seconds, worked


async def _settle(user: Any, nodes: int) -> None:
    """Wait until every node is ready and runs its Pods of kube-system."""
    while True:
        await asyncio.sleep(0.2)
        listed = (await user.list("nodes"))["items"]
        system = (await user.list("pods", "kube-system"))["items"]
        if len(listed) == nodes and all(map(_is_ready, listed + system)) and len(system) > nodes:
            return


def _is_ready(obj: Any) -> bool:
    conditions = obj["status"].get("conditions") or ()
    return any(READY.items() <= each.items() for each in conditions)


def beats(nodes: int, seconds: float) -> float:
    """Return the seconds that a simulated time of heartbeats takes, with nodes doing nothing."""
    return asyncio.run(_beats(nodes, seconds))


async def _beats(nodes: int, seconds: float) -> float:
    clock = Clock(speed=0)
    cluster = Cluster(nodes=default_nodes("large", nodes), clock=clock)
    await cluster.start()
    await clock.advance(30)
    begin = time.perf_counter()
    await clock.advance(seconds)
    spent = time.perf_counter() - begin
    await cluster.stop()
    return spent


def measure(full: bool) -> Iterator[Row]:
    """Measure the sizes in turn; the largest takes minutes and is left out unless wanted."""
    sizes = [(1000, 100, "< 6 s"), *([(10_000, 1000, "< 60 s")] if full else [])]
    for pods, nodes, goal in sizes:
        seconds, worked = pods_ready(pods, nodes)
        yield Row(f"{pods:,} Pods on {nodes:,} nodes ready", goal, [seconds])
        yield Row("… of it processor time", "", [worked])
    yield Row("100 nodes heart-beating for ten minutes", "", [beats(100, 600)])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield Row("most memory used for these", "< 1500 MB", [peak], unit="MB")
