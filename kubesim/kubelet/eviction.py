"""Node-pressure eviction: Pods end when a node runs out of memory or disk (pkg/kubelet/eviction).

A simulated node has plenty of both, so nobody looks until something is said to take it away:
`take` is that door. From then on the kubelet looks every ten seconds, reports the pressure as a
condition of the node, and evicts one Pod at a time until there is enough again. The pressure is
reported for five minutes more, as the real kubelet's transition period has it.
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass

from kubesim.apimachinery import quantity
from kubesim.apimachinery.objects import Object
from kubesim.clock import Clock
from kubesim.kubelet.node import NodeAgent
from kubesim.kubelet.pod_worker import PodWorker
from kubesim.kubelet.stats import container_memory, node_memory
from kubesim.runtime.cgroup import MIB, NODE_MEMORY

PERIOD = 10.0  # seconds between two looks (housekeeping)
TRANSITION = 300.0  # seconds that a pressure is reported after its end
CRITICAL = 2_000_000_000  # the priority from which Pods are never evicted
NODE_DISK = 100 * 1024 * MIB


@dataclass(frozen=True)
class Signal:
    """A resource that may run out, and the words about it."""

    resource: str
    condition: str
    capacity: int
    threshold: int
    shown_threshold: str


MEMORY = Signal("memory", "MemoryPressure", NODE_MEMORY, 100 * MIB, "100Mi")
DISK = Signal(
    "ephemeral-storage",
    "DiskPressure",
    NODE_DISK,
    NODE_DISK // 10,
    str(NODE_DISK // 10),
)
SIGNALS = {"memory": MEMORY, "disk": DISK}


class EvictionManager:
    """Looks after one node's memory and disk."""

    def __init__(self, clock: Clock, workers: Callable[[], Collection[PodWorker]]) -> None:
        self._clock = clock
        self._workers = workers
        self._taken: dict[str, int] = {}
        self._since: dict[str, float] = {}  # when a pressure was last seen, by resource
        self._changed = asyncio.Event()

    def take(self, resource: str, amount: int) -> None:
        """Let something that is no Pod use up bytes of "memory" or "disk"; 0 gives them back."""
        self._taken[resource] = amount
        self._changed.set()

    async def run(self, node: NodeAgent) -> None:
        """Look at the node while something is short, and report it."""
        while True:
            await self._changed.wait()
            self._look(node)
            if not self._since and not any(self._taken.values()):
                self._changed.clear()
                continue
            await self._clock.sleep(PERIOD)

    def available(self, resource: str) -> int:
        """Return how many bytes of "memory" or "disk" are left."""
        used = self._taken.get(resource, 0)
        used += node_memory(self._workers()) if resource == "memory" else 0
        return max(0, SIGNALS[resource].capacity - used)

    def _look(self, node: NodeAgent) -> None:
        now = self._clock.monotonic()
        for resource, signal in SIGNALS.items():
            available = self.available(resource)
            if available < signal.threshold:
                if resource not in self._since:
                    node.report_pressure(signal.condition, True)
                self._since[resource] = now
                node.warn("EvictionThresholdMet", f"Attempting to reclaim {signal.resource}")
                self._evict_one(signal, available)
            elif resource in self._since and now - self._since[resource] >= TRANSITION:
                del self._since[resource]
                node.report_pressure(signal.condition, False)

    def _evict_one(self, signal: Signal, available: int) -> None:
        """End the Pod that deserves it most: over its request, of low priority, using much."""
        running = [each for each in self._workers() if each.running and not _critical(each.pod)]
        for worker in sorted(running, key=lambda each: _rank(each, signal)):
            worker.evict(_message(worker, signal, available))
            return


def _critical(pod: Object) -> bool:
    return (pod["spec"].get("priority") or 0) >= CRITICAL


def _rank(worker: PodWorker, signal: Signal) -> tuple[bool, int, int]:
    excess = sum(_usage(worker, signal).values()) - sum(_requests(worker.pod, signal).values())
    return excess <= 0, worker.pod["spec"].get("priority") or 0, -excess


def _usage(worker: PodWorker, signal: Signal) -> dict[str, int]:
    """Return what each running container uses of a resource."""
    if signal is MEMORY:
        return container_memory(worker)
    return {each.name: 0 for each in worker.runners if each.running}


def _requests(pod: Object, signal: Signal) -> dict[str, int]:
    return {
        each["name"]: int(
            quantity.parse(
                ((each.get("resources") or {}).get("requests") or {}).get(signal.resource, "0")
            )
        )
        for each in pod["spec"]["containers"]
    }


def _message(worker: PodWorker, signal: Signal, available: int) -> str:
    """Return the words of eviction/helpers.go evictionMessage."""
    text = (
        f"The node was low on resource: {signal.resource}. Threshold quantity: "
        f"{signal.shown_threshold}, available: {available // 1024}Ki. "
    )
    requests = _requests(worker.pod, signal)
    for name, used in _usage(worker, signal).items():
        if used > requests.get(name, 0):
            asked = requests.get(name, 0)
            text += (
                f"Container {name} was using {used // 1024}Ki, request is "
                f"{f'{asked // 1024}Ki' if asked else 0}, has larger consumption of "
                f"{signal.resource}. "
            )
    return text
