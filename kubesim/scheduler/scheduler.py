"""One Pod from the queue to its binding, in the order in which it happens.

Kubernetes' `pkg/scheduler/schedule_one.go`: filter, score, choose, assume, bind. What is chosen is
assumed at once, because the cache hears of the binding only later and the next Pod must not be
given the same place. Where the real scheduler picks among equally good nodes at random, this one
takes the one that comes first by name, so that the same lab gives the same picture.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from kubesim.apiserver.errors import StatusError
from kubesim.client import Client
from kubesim.clock import Clock
from kubesim.events import SeriesRecorder
from kubesim.informer import Change, InformerFactory
from kubesim.objects import (
    Object,
    condition,
    is_being_deleted,
    key,
    labels_of,
    pod_is_finished,
    timestamp,
    uid,
)
from kubesim.scheduler.filters import FILTERS
from kubesim.scheduler.framework import ClusterEvent, Rejection
from kubesim.scheduler.queue import QueuedPod, SchedulingQueue
from kubesim.scheduler.scores import SCORES
from kubesim.scheduler.snapshot import NodeInfo, Snapshot

NAME = "default-scheduler"
REPLICASETS = "replicasets.apps"
NO_NODES = "no nodes available to schedule pods"
UNHELPFUL = "Preemption is not helpful for scheduling"
NO_VICTIMS = "No preemption victims found for incoming pod"

Rejections = Mapping[str, tuple[str, Rejection]]


class UnschedulableError(Exception):
    """No node will do; says why, and which plugins might change their mind after what."""

    def __init__(self, message: str, plugins: Iterable[str]) -> None:
        super().__init__(message)
        self.hopes = frozenset[ClusterEvent]().union(
            *(plugin.events for plugin in FILTERS if plugin.name in set(plugins))
        )


class Scheduler:
    """Watches for Pods without a node and binds them."""

    def __init__(self, client: Client, informers: InformerFactory, clock: Clock, host: str) -> None:
        self.client = client
        self.clock = clock
        self.queue = SchedulingQueue(clock)
        self.recorder = SeriesRecorder(client, clock, NAME, host)
        self.assumed: dict[str, Object] = {}
        self.pods, self.nodes = informers.informer("pods").cache, informers.informer("nodes").cache
        self.namespaces = informers.informer("namespaces").cache
        self.services = informers.informer("services").cache
        self.replica_sets = informers.informer(REPLICASETS).cache
        informers.informer("pods").add_handler(self._pod_changed)
        informers.informer("nodes").add_handler(self._node_changed)

    async def run(self) -> None:
        """Schedule one Pod after the other until cancelled; the informers must have synced."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.recorder.run())
            tasks.create_task(self._schedule_forever())

    async def _schedule_forever(self) -> None:
        while True:
            await self.schedule_one(await self.queue.pop())

    async def schedule_one(self, queued: QueuedPod) -> None:
        """Find a node for a Pod and bind it there, or say why not and put it back."""
        pod = queued.pod
        try:
            node = select_node(pod, self.snapshot())
        except UnschedulableError as error:
            await self._report(pod, "Unschedulable", str(error))
            self.queue.park(queued, error.hopes)
            return
        self.assumed[uid(pod)] = pod | {"spec": pod["spec"] | {"nodeName": node}}
        try:
            await self._bind(pod, node)
        except StatusError as error:
            del self.assumed[uid(pod)]
            if error.code != 404:
                await self._report(pod, "SchedulerError", f"binding rejected: {error}")
                self.queue.retry(queued)

    def snapshot(self) -> Snapshot:
        """The cluster as the caches know it, with the Pods that were bound a moment ago."""
        placed: dict[str, list[Object]] = {}
        for pod in [*self.pods.list(), *self.assumed.values()]:
            name = pod["spec"].get("nodeName")
            if name and not pod_is_finished(pod):
                placed.setdefault(name, []).append(pod)
        nodes = sorted(self.nodes.list(), key=key)
        return Snapshot(
            tuple(NodeInfo(node, tuple(placed.get(key(node), ()))) for node in nodes),
            {key(each): labels_of(each) for each in self.namespaces.list()},
            (*self.services.list(), *self.replica_sets.list()),
        )

    async def _bind(self, pod: Object, node: str) -> None:
        meta = pod["metadata"]
        target = {"apiVersion": "v1", "kind": "Node", "name": node}
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": meta["name"], "namespace": meta["namespace"], "uid": uid(pod)},
            "target": target,
        }
        name, namespace = meta["name"], meta["namespace"]
        await self.client.create("pods", binding, namespace, name=name, subresource="binding")
        message = f"Successfully assigned {namespace}/{name} to {node}"
        self.recorder.event(pod, "Normal", "Scheduled", message, "Binding")

    async def _report(self, pod: Object, reason: str, message: str) -> None:
        """Write why the Pod has no node: an Event, and its PodScheduled condition."""
        self.recorder.event(pod, "Warning", "FailedScheduling", message, "Scheduling")
        old = condition(pod, "PodScheduled") or {}
        if (old.get("status"), old.get("reason"), old.get("message")) == ("False", reason, message):
            return
        now = timestamp(self.clock.now())
        changed = old.get("status") != "False"
        made = {
            "type": "PodScheduled",
            "status": "False",
            "reason": reason,
            "message": message,
            "lastProbeTime": None,
            "lastTransitionTime": now if changed else old["lastTransitionTime"],
            "observedGeneration": pod["metadata"].get("generation", 0),
        }
        meta = pod["metadata"]
        patch = {"status": {"conditions": [made]}}
        try:
            await self.client.patch(
                "pods", meta["name"], patch, meta["namespace"], subresource="status"
            )
        except StatusError as error:
            if error.code != 404:
                raise

    # What wakes us

    def _pod_changed(self, change: Change) -> None:
        pod = change.object
        placed = bool(pod["spec"].get("nodeName"))
        if change.new is None or pod_is_finished(pod) or placed:
            self.assumed.pop(uid(pod), None)
            self.queue.remove(pod)
            if placed:
                self._placed_pod_changed(change)
        elif _is_ours(pod) and uid(pod) not in self.assumed:
            self._pending_pod_changed(change)

    def _pending_pod_changed(self, change: Change) -> None:
        """Our own status writes are no reason to try again."""
        if change.old is None or _wishes(change.old) != _wishes(change.object):
            self.queue.add(change.object)

    def _placed_pod_changed(self, change: Change) -> None:
        pod = change.object
        if change.new is None or pod_is_finished(pod):
            self.queue.happened(ClusterEvent.POD_GONE)
        elif change.old is None or not change.old["spec"].get("nodeName"):
            self.queue.happened(ClusterEvent.POD_PLACED)
        elif labels_of(change.old) != labels_of(pod):
            self.queue.happened(ClusterEvent.POD_CHANGED)

    def _node_changed(self, change: Change) -> None:
        if change.new is None:
            return
        if change.old is None:
            self.queue.happened(ClusterEvent.NODE_ADDED)
            return
        for event, aspect in _NODE_ASPECTS.items():
            if aspect(change.old) != aspect(change.new):
                self.queue.happened(event)


def _allocatable(node: Object) -> object:
    return node["status"].get("allocatable")


def _taints(node: Object) -> object:
    return node["spec"].get("taints"), node["spec"].get("unschedulable")


_NODE_ASPECTS: dict[ClusterEvent, Callable[[Object], object]] = {
    ClusterEvent.NODE_LABELS: labels_of,
    ClusterEvent.NODE_ALLOCATABLE: _allocatable,
    ClusterEvent.NODE_TAINTS: _taints,
}


def select_node(pod: Object, snapshot: Snapshot) -> str:
    """The name of the best node for a Pod. Raises UnschedulableError when none will do."""
    feasible = find_feasible(pod, snapshot)
    if len(feasible) == 1:
        return feasible[0].name
    points: Counter[str] = Counter()
    for plugin in SCORES:
        for name, value in plugin.score(pod, snapshot, feasible).items():
            points[name] += int(value) * plugin.weight
    return max(feasible, key=lambda info: points[info.name]).name


def find_feasible(pod: Object, snapshot: Snapshot) -> list[NodeInfo]:
    """The nodes that pass every filter, asked in order; a node's first rejection counts."""
    if not snapshot.nodes:
        raise UnschedulableError(NO_NODES, {plugin.name for plugin in FILTERS})
    tests = [(plugin.name, plugin.prepare(pod, snapshot)) for plugin in FILTERS]
    feasible, rejected = [], {}
    for info in snapshot.nodes:
        found = ((name, test(info)) for name, test in tests)
        rejection = next(((name, why) for name, why in found if why is not None), None)
        if rejection is None:
            feasible.append(info)
        else:
            rejected[info.name] = rejection
    if not feasible:
        raise UnschedulableError(explain(pod, rejected), {name for name, _ in rejected.values()})
    return feasible


def explain(pod: Object, rejected: Rejections) -> str:
    """The scheduler's sentence: how many nodes were rejected for which reason.

    The second half says why preemption does not help: here no Pod has a higher priority than
    another. 1.20 has the first half only; "no new claims to deallocate" came with 1.34.
    """
    reasons = Counter(reason for _, why in rejected.values() for reason in why.reasons)
    return (
        f"0/{len(rejected)} nodes are available: {_histogram(reasons)}. "
        f"no new claims to deallocate, preemption: {_preemption(pod, rejected)}"
    )


def _preemption(pod: Object, rejected: Rejections) -> str:
    if pod["spec"].get("preemptionPolicy") == "Never":
        return "not eligible due to preemptionPolicy=Never."
    outcomes = Counter(UNHELPFUL if why.final else NO_VICTIMS for _, why in rejected.values())
    return f"0/{len(rejected)} nodes are available: {_histogram(outcomes)}."


def _histogram(counts: Counter[str]) -> str:
    return ", ".join(sorted(f"{count} {reason}" for reason, count in counts.items()))


def _is_ours(pod: Object) -> bool:
    spec = pod["spec"]
    mine = spec.get("schedulerName", NAME) == NAME
    return mine and not is_being_deleted(pod) and not spec.get("schedulingGates")


def _wishes(pod: Object) -> tuple[Object, dict[str, str]]:
    """The parts of a Pod on which its placement depends."""
    return pod["spec"], labels_of(pod)
