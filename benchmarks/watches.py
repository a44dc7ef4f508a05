"""From a write to its delivery to the last of fifty watchers, through the official client."""

import threading
import time
from typing import Any

from kubernetes import watch

from benchmarks.table import Row

WATCHERS = 50
EVENTS = 40


def deliveries(core: Any, connect: Any, namespace: str) -> list[float]:
    """Return how long each event took to reach everybody, from before its write."""
    barrier = threading.Barrier(WATCHERS + 1)

    def follow() -> None:
        own = connect()
        since = core.list_namespaced_config_map(namespace).metadata.resource_version
        stream = watch.Watch().stream(
            own.list_namespaced_config_map, namespace, resource_version=since, timeout_seconds=120
        )
        barrier.wait()
        for seen, _ in enumerate(stream, 1):
            barrier.wait()
            if seen == EVENTS:
                return

    watchers = [threading.Thread(target=follow, daemon=True) for _ in range(WATCHERS)]
    for each in watchers:
        each.start()
    barrier.wait()
    time.sleep(1.0)  # the requests are on their way
    durations = []
    for number in range(EVENTS):
        begin = time.perf_counter()
        core.create_namespaced_config_map(namespace, {"metadata": {"name": f"event-{number}"}})
        barrier.wait()
        durations.append(time.perf_counter() - begin)
    return durations


def measure(embedded: list[float], real: list[float] | None) -> Row:
    """Compare the deliveries of both clusters."""
    return Row("watch event, write to the last of 50 watchers", "≤ 1.0", embedded, real, "ms")
