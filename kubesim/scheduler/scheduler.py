"""One Pod from the queue to its binding, in the order in which it happens.

Kubernetes' `pkg/scheduler/schedule_one.go`: filter, score, choose, assume, bind. What is chosen is
assumed at once, because the cache hears of the binding only later and the next Pod must not be
given the same place. A Pod that fits nowhere may preempt others. Where the real scheduler picks
among equally good nodes at random, this one takes the one that comes first by name, so that the
same lab gives the same picture.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping

from kubesim.apimachinery.objects import (
    Object,
    condition,
    is_being_deleted,
    key,
    labels_of,
    pod_is_finished,
    timestamp,
    uid,
)
from kubesim.apiserver.errors import StatusError
from kubesim.clientgo.absence import NOT_FOUND, tolerating
from kubesim.clientgo.client import Client
from kubesim.clientgo.disruption import disrupt
from kubesim.clientgo.events import SeriesRecorder
from kubesim.clientgo.informer import Change, InformerFactory
from kubesim.clock import Clock
from kubesim.scheduler import nodeaffinity, preemption
from kubesim.scheduler.cache import Cache
from kubesim.scheduler.filters import FILTERS, judge
from kubesim.scheduler.framework import ClusterEvent, PreFilterRejectedError, Rejection, explain
from kubesim.scheduler.nodeinfo import NodeInfo, priority
from kubesim.scheduler.queue import QueuedPod, SchedulingQueue
from kubesim.scheduler.scores import SCORES
from kubesim.scheduler.snapshot import Snapshot
from kubesim.scheduler.volumebinding import Promised, VolumeBinder, VolumeBindingError

NAME = "default-scheduler"
REPLICASETS = "replicasets.apps"
NO_NODES = "no nodes available to schedule pods"
MIN_FEASIBLE = 100

# The plugin for dynamic resources has its say in every message since 1.34.
NO_CLAIMS = "no new claims to deallocate"


class UnschedulableError(Exception):
    """No node will do: says why, of each node and in one sentence."""

    def __init__(self, message: str, rejected: Mapping[str, tuple[str, Rejection]]) -> None:
        super().__init__(message)
        self.reasons = {node: why for node, (_, why) in rejected.items()}
        self._plugins = {name for name, _ in rejected.values()}

    @property
    def hopes(self) -> frozenset[ClusterEvent]:
        """The events after which a plugin that said no may say yes."""
        asked = (each for each in FILTERS if not self._plugins or each.name in self._plugins)
        return frozenset[ClusterEvent]().union(*(plugin.events for plugin in asked))


class Scheduler:
    """Watches for Pods without a node and binds them."""

    def __init__(self, client: Client, informers: InformerFactory, clock: Clock, host: str) -> None:
        self.client = client
        self.clock = clock
        self.queue = SchedulingQueue(clock)
        self.recorder = SeriesRecorder(client, clock, NAME, host)
        self._log = logging.getLogger(f"kubesim.{NAME}")
        self.cache = Cache()
        self.nominated: dict[str, Object] = {}
        self._next_start = 0  # where in the list of nodes the next search begins
        self.pods = informers.informer("pods").cache
        self.namespaces = informers.informer("namespaces").cache
        self.services = informers.informer("services").cache
        self.replica_sets = informers.informer(REPLICASETS).cache
        self.volumes = VolumeBinder(client, informers, clock, self._storage_changed)
        self._binding: set[asyncio.Task[None]] = set()
        informers.informer("pods").add_handler(self._pod_changed)
        informers.informer("nodes").add_handler(self._node_changed)

    async def run(self) -> None:
        """Schedule one Pod after the other until cancelled; the informers must have synced."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.recorder.run())
                tasks.create_task(self._schedule_forever())
        finally:
            for task in self._binding:
                task.cancel()

    async def _schedule_forever(self) -> None:
        while True:
            queued = await self.queue.pop()
            try:
                await self.schedule_one(queued)
            except Exception as error:  # one Pod's trouble must not stop the others
                bug = not isinstance(error, StatusError)
                self._log.warning("%s: will retry: %s", key(queued.pod), error, exc_info=bug)
                self._put_back(queued)

    async def schedule_one(self, queued: QueuedPod) -> None:
        """Find a node for a Pod and bind it there, or say why not and put it back."""
        pod = queued.pod
        snapshot = self.snapshot(pod)
        try:
            node = self._select_node(pod, snapshot)
        except UnschedulableError as error:
            await self._make_room(pod, snapshot, error)
            self._put_back(queued, error.hopes)
            return
        self.cache.assume(_on(pod, node))
        self.nominated.pop(uid(pod), None)
        promised = self.volumes.promise(pod, node, snapshot)
        if not promised:
            await self._bind_assumed(pod, node)
            return
        # volumes take their time, and the next Pod need not wait for them
        task = asyncio.ensure_future(self._bind_when_bound(queued, node, promised))
        self._binding.add(task)
        task.add_done_callback(self._binding.discard)

    async def _bind_when_bound(self, queued: QueuedPod, node: str, promised: Promised) -> None:
        """Bind a Pod's claims, then the Pod; put it back if that does not work out."""
        try:
            try:
                await self.volumes.bind(promised, node)
            except (StatusError, VolumeBindingError) as error:
                self.cache.remove_pod(uid(queued.pod))
                why = f'running PreBind plugin "VolumeBinding": {error}'
                await self._report(queued.pod, "SchedulerError", why)
                raise
            await self._bind_assumed(queued.pod, node)
        except (StatusError, VolumeBindingError) as error:
            self._log.warning("%s: will retry: %s", key(queued.pod), error)
            self._put_back(queued)

    async def _bind_assumed(self, pod: Object, node: str) -> None:
        try:
            await self._bind(pod, node)
        except StatusError as error:
            self.cache.remove_pod(uid(pod))
            await self._report(pod, "SchedulerError", f"binding rejected: {error}")
            raise

    def _put_back(self, queued: QueuedPod, hopes: frozenset[ClusterEvent] | None = None) -> None:
        """Queue a Pod again, in its present state, unless it is gone or has a node by now."""
        meta = queued.pod["metadata"]
        present = self.pods.get(meta["name"], meta["namespace"])
        if present is None or uid(present) != uid(queued.pod) or present["spec"].get("nodeName"):
            return
        queued.pod = present
        if hopes is None:
            self.queue.retry(queued)
        else:
            self.queue.park(queued, hopes)

    async def _make_room(self, pod: Object, snapshot: Snapshot, error: UnschedulableError) -> None:
        """Preempt Pods of lower priority if that helps, and tell how it stands."""
        candidate, why_not = preemption.find_candidate(pod, snapshot, error.reasons)
        if candidate is None:
            told = f"{error} {NO_CLAIMS}, preemption: {why_not}" if why_not else str(error)
            await self._report(pod, "Unschedulable", told)
            return
        for victim in candidate.victims:
            await self._preempt(victim, pod, candidate.node)
        self.nominated[uid(pod)] = _on(pod, candidate.node)
        await self._report(pod, "Unschedulable", str(error), candidate.node)

    async def _preempt(self, victim: Object, pod: Object, node: str) -> None:
        message = f"Preempted by pod {uid(pod)} on node {node}"
        self.recorder.event(victim, "Normal", "Preempted", message, "Preempting")
        await disrupt(
            self.client,
            victim,
            reason="PreemptionByScheduler",
            message=f"{NAME}: preempting to accommodate a higher priority pod",
            now=timestamp(self.clock.now()),
        )

    def snapshot(self, pod: Object) -> Snapshot:
        """The cluster as the caches know it, as far as it matters to a Pod.

        That includes the Pods that were bound a moment ago, and those for which room is being
        made, unless the Pod is more important than they are.
        """
        awaited = [
            other
            for other in self.nominated.values()
            if uid(other) != uid(pod) and priority(other) >= priority(pod)
        ]
        return Snapshot(
            self.cache.nodes(awaited),
            self._labels_of_namespace,
            self._selectors_in,
            self.volumes.storage(),
        )

    def _labels_of_namespace(self, name: str) -> dict[str, str]:
        namespace = self.namespaces.get(name)
        return labels_of(namespace) if namespace else {}

    def _selectors_in(self, namespace: str) -> list[Object]:
        return [*self.services.list(namespace), *self.replica_sets.list(namespace)]

    def _select_node(self, pod: Object, snapshot: Snapshot) -> str:
        feasible, looked_at = find_feasible(pod, snapshot, self._next_start)
        self._next_start = (self._next_start + looked_at) % len(snapshot.nodes)
        return best_of(feasible, pod, snapshot)

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

    async def _report(self, pod: Object, reason: str, message: str, nominated: str = "") -> None:
        """Write why the Pod has no node (yet): an Event, and its PodScheduled condition."""
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
        status = {"conditions": [made]} | ({"nominatedNodeName": nominated} if nominated else {})
        patch = {"status": status}
        with tolerating(NOT_FOUND):
            await self.client.patch(
                "pods", meta["name"], patch, meta["namespace"], subresource="status"
            )

    # What wakes us

    def _pod_changed(self, change: Change) -> None:
        pod = change.object
        if change.new is None:
            self.cache.remove_pod(uid(pod))
        else:
            self.cache.set_pod(pod)
        placed = bool(pod["spec"].get("nodeName"))
        if change.new is None or pod_is_finished(pod) or placed:
            self.nominated.pop(uid(pod), None)
            self.queue.remove(pod)
            if placed:
                self._placed_pod_changed(change)
        elif _is_ours(pod) and not self.cache.is_assumed(pod):
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

    def _storage_changed(self) -> None:
        self.queue.happened(ClusterEvent.STORAGE)

    def _node_changed(self, change: Change) -> None:
        if change.new is None:
            self.cache.remove_node(key(change.object))
            return
        self.cache.set_node(change.new)
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


def best_of(feasible: list[NodeInfo], pod: Object, snapshot: Snapshot) -> str:
    """The name of the best of the nodes that will do."""
    if len(feasible) == 1:
        return feasible[0].name
    points = dict.fromkeys((info.name for info in feasible), 0)
    for plugin in SCORES:
        for name, value in plugin.score(pod, snapshot, feasible).items():
            points[name] += int(value) * plugin.weight
    return max(points, key=points.__getitem__)


def find_feasible(pod: Object, snapshot: Snapshot, start: int) -> tuple[list[NodeInfo], int]:
    """Nodes that pass every filter, and how many were looked at to find them.

    In a large cluster enough of them will do; the next Pod's search begins where this one ended.
    Where a Pod names its nodes, the others are looked at only to tell why none will do.
    Raises UnschedulableError when there is none.
    """
    if not snapshot.nodes:
        raise UnschedulableError(NO_NODES, {})
    try:
        test = judge(pod, snapshot)
    except PreFilterRejectedError as error:
        raise _nowhere(snapshot, *error.args) from None
    named = nodeaffinity.named_nodes(pod)
    only = [info for info in snapshot.nodes if info.name in named and not test(info)]
    if only:
        return only, 0
    enough = enough_feasible(len(snapshot.nodes))
    feasible: list[NodeInfo] = []
    rejected: dict[str, tuple[str, Rejection]] = {}
    for info in (*snapshot.nodes[start:], *snapshot.nodes[:start]):
        verdict = test(info)
        if verdict:
            rejected[info.name] = verdict
            continue
        feasible.append(info)
        if len(feasible) == enough:
            break
    if not feasible:
        raise UnschedulableError(explain({n: why for n, (_, why) in rejected.items()}), rejected)
    return feasible, len(feasible) + len(rejected)


def _nowhere(snapshot: Snapshot, plugin: str, reason: str) -> UnschedulableError:
    """What to raise when a plugin has rejected every node at once."""
    message = f"0/{len(snapshot.nodes)} nodes are available: {reason}."
    why = Rejection((reason,), final=True)
    return UnschedulableError(message, {info.name: (plugin, why) for info in snapshot.nodes})


def enough_feasible(nodes: int) -> int:
    """How many feasible nodes to choose from: percentageOfNodesToScore as the real one adapts it.

    All below a hundred; then 50 % and less the more there are, down to 5 %, but never below 100.
    """
    if nodes < MIN_FEASIBLE:
        return nodes
    percentage = max(50 - nodes // 125, 5)
    return max(nodes * percentage // 100, MIN_FEASIBLE)


def _on(pod: Object, node: str) -> Object:
    """The Pod as if it had that node."""
    return pod | {"spec": pod["spec"] | {"nodeName": node}}


def _is_ours(pod: Object) -> bool:
    spec = pod["spec"]
    mine = spec.get("schedulerName", NAME) == NAME
    return mine and not is_being_deleted(pod) and not spec.get("schedulingGates")


def _wishes(pod: Object) -> tuple[Object, dict[str, str]]:
    """The parts of a Pod on which its placement depends."""
    return pod["spec"], labels_of(pod)
