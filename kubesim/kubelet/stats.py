"""What a node's containers use, as the kubelet's /stats/summary tells (stats/v1alpha1 Summary)."""

from collections.abc import Iterable
from datetime import datetime

from kubesim.apimachinery.objects import Object, timestamp
from kubesim.kubelet.container import ContainerRunner
from kubesim.kubelet.pod_worker import PodWorker
from kubesim.runtime.cgroup import MIB, NODE_MEMORY

NANO = 1_000_000_000
SYSTEM_MEMORY = 400 * MIB  # the kubelet, the container runtime and the node's own services
SYSTEM_CORES = 0.04


def summary(node: str, started: datetime, workers: Iterable[PodWorker], now: datetime) -> Object:
    """Return the Summary of a node, and of every Pod and container that runs on it."""
    workers = [*workers]
    pods = [_pod(worker, now) for worker in workers if worker.running]
    cores = SYSTEM_CORES + sum(pod["cpu"]["usageNanoCores"] for pod in pods) / NANO
    seconds = SYSTEM_CORES * (now - started).total_seconds()
    seconds += sum(pod["cpu"]["usageCoreNanoSeconds"] for pod in pods) / NANO
    memory = node_memory(workers)
    available = {"availableBytes": max(0, NODE_MEMORY - memory)}
    return {
        "node": {
            "nodeName": node,
            "startTime": timestamp(started),
            "cpu": _cpu(now, cores, seconds),
            "memory": _memory(now, memory) | available,
        },
        "pods": pods,
    }


def container_memory(worker: PodWorker) -> dict[str, int]:
    """Return what each running container of a Pod holds, in bytes."""
    running = [(each.name, each.current) for each in worker.runners]
    return {name: each.world.memory() for name, each in running if each and each.running}


def node_memory(workers: Iterable[PodWorker]) -> int:
    """Return what a node's Pods and its own services hold, in bytes."""
    return SYSTEM_MEMORY + sum(sum(container_memory(each).values()) for each in workers)


def _pod(worker: PodWorker, now: datetime) -> Object:
    containers = [_container(each, now) for each in worker.runners if each.running]
    metadata = worker.pod["metadata"]
    return {
        "podRef": {key: metadata[key] for key in ("name", "namespace", "uid")},
        "startTime": (worker.pod.get("status") or {}).get("startTime"),
        "containers": containers,
        "cpu": _cpu(
            now,
            sum(each["cpu"]["usageNanoCores"] for each in containers) / NANO,
            sum(each["cpu"]["usageCoreNanoSeconds"] for each in containers) / NANO,
        ),
        "memory": _memory(now, sum(each["memory"]["workingSetBytes"] for each in containers)),
    }


def _container(runner: ContainerRunner, now: datetime) -> Object:
    assert runner.current is not None
    assert runner.current.started_at is not None
    group = runner.current.world.cgroup
    return {
        "name": runner.name,
        "startTime": timestamp(runner.current.started_at),
        "cpu": _cpu(now, group.cores(), group.cpu_seconds),
        "memory": _memory(now, runner.current.world.memory()),
    }


def _cpu(now: datetime, cores: float, seconds: float) -> Object:
    return {
        "time": timestamp(now),
        "usageNanoCores": round(cores * NANO),
        "usageCoreNanoSeconds": round(seconds * NANO),
    }


def _memory(now: datetime, used: int) -> Object:
    return {
        "time": timestamp(now),
        "usageBytes": used,
        "workingSetBytes": used,
        "rssBytes": used,
        "pageFaults": 0,
        "majorPageFaults": 0,
    }
