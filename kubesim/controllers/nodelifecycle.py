"""The node lifecycle controller: notices nodes that fell silent.

Kubernetes' `pkg/controller/nodelifecycle/node_lifecycle_controller.go`. Every 5 s it compares each
node's heartbeats (its Lease in kube-node-lease, or a newer status) with the time when *it* saw them
change. After 50 s of silence (40 s before 1.32) the node's conditions become Unknown, the node gets
the taints `unreachable`, and its Pods are no longer ready. Evicting the Pods is the taint eviction
controller's business.
"""

import asyncio
import logging
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from kubesim.apimachinery.objects import (
    Object,
    condition,
    condition_status,
    key,
    labels_of,
    pod_is_ready,
    timestamp,
    uid,
)
from kubesim.apiserver.errors import StatusError
from kubesim.clientgo.absence import tolerating
from kubesim.clientgo.client import Client
from kubesim.clientgo.informer import Change, InformerFactory
from kubesim.clock import Clock
from kubesim.controllers.controller import Controller
from kubesim.controllers.pods import BY_NODE

LEASES = "leases.coordination.k8s.io"
LEASE_NAMESPACE = "kube-node-lease"
MONITOR_PERIOD = 5.0
GRACE_PERIOD = 50.0
STARTUP_GRACE_PERIOD = 60.0
EVICTION_INTERVAL = 10.0  # of nodes in one zone, the real --node-eviction-rate 0.1

CONDITIONS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
TAINT_OF_READY = {"False": NOT_READY, "Unknown": UNREACHABLE}
TAINT_OF_CONDITION = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
    "NetworkUnavailable": "node.kubernetes.io/network-unavailable",
}
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
MANAGED_NO_SCHEDULE = {*TAINT_OF_READY.values(), *TAINT_OF_CONDITION.values(), UNSCHEDULABLE}
MANAGED_NO_EXECUTE = {NOT_READY, UNREACHABLE}


@dataclass
class _Health:
    """What was last seen of a node, and when."""

    signs: tuple[Any, ...]
    seen_at: float
    ready: str


@dataclass
class _Zone:
    """Nodes of a zone are tainted for eviction one by one, lest a zone's outage empty it."""

    next_taint_at: float = field(default=float("-inf"))


class NodeLifecycleController(Controller):
    """Health by a clock, taints by a queue of node names."""

    name = "node-controller"

    def __init__(self, client: Client, informers: InformerFactory, clock: Clock) -> None:
        self._health: dict[str, _Health] = {}
        self._log = logging.getLogger(f"kubesim.{self.name}")
        self._zones: defaultdict[str, _Zone] = defaultdict(_Zone)
        super().__init__(client, informers, clock)

    def watch(self, informers: InformerFactory) -> None:
        """Changed nodes fill the queue; Leases and Pods are only looked up."""
        nodes, pods = informers.informer("nodes"), informers.informer("pods")
        self.nodes, self.pods = nodes.cache, pods.cache
        self.pods.add_index(*BY_NODE)
        self.leases = informers.informer(LEASES).cache
        nodes.add_handler(self._node_changed)

    async def run(self) -> None:
        """Watch the nodes' health and keep their taints until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(super().run())
            tasks.create_task(self._monitor())

    async def sync(self, key: str) -> None:
        """Make a node's NoSchedule taints say what its conditions say."""
        node = self.nodes.get(key)
        if node is None:
            self._health.pop(key, None)
            return
        wanted = {(name, "NoSchedule") for name in no_schedule_taints(node)}
        await self._swap_taints(node, wanted, "NoSchedule", MANAGED_NO_SCHEDULE)

    async def _monitor(self) -> None:
        while True:
            try:
                for node in self.nodes.list():
                    await self._examine(node)
                await self._taint_for_eviction()
            except Exception:  # whatever failed is looked at again
                self._log.exception("will look again in %s s", MONITOR_PERIOD)
            await self.clock.sleep(MONITOR_PERIOD)

    # Health

    async def _examine(self, node: Object) -> None:
        """Judge one node by its heartbeats; what fails now is tried again in 5 s."""
        health = self._observe(node)
        grace = GRACE_PERIOD if condition(node, "Ready") else STARTUP_GRACE_PERIOD
        if self.clock.monotonic() - health.seen_at > grace:
            node = await self._mark_unknown(node)
        before, health.ready = health.ready, _ready(node)
        if health.ready not in TAINT_OF_READY:
            return
        if before == "True":
            message = f"Node {key(node)} status is now: NodeNotReady"
            self.recorder.event(node, "Normal", "NodeNotReady", message)
        for pod in self.pods.by_index(BY_NODE[0], key(node)):
            if pod_is_ready(pod):
                await self._mark_not_ready(pod)

    def _observe(self, node: Object) -> _Health:
        signs = self._signs(node)
        health = self._health.get(key(node))
        if health is None or health.signs[0] != signs[0]:
            health = _Health(signs, self.clock.monotonic(), _ready(node))
            self._health[key(node)] = health
        elif health.signs != signs:
            health.signs, health.seen_at = signs, self.clock.monotonic()
        return health

    def _signs(self, node: Object) -> tuple[Any, ...]:
        """What a living kubelet changes: its Lease and the heartbeat in the node's status."""
        ready = condition(node, "Ready") or {}
        lease = self.leases.get(key(node), LEASE_NAMESPACE) or {"spec": {}}
        return uid(node), ready.get("lastHeartbeatTime"), lease["spec"].get("renewTime")

    async def _mark_unknown(self, node: Object) -> Object:
        """Nobody knows any more how the node is."""
        found = (node.get("status") or {}).get("conditions") or []
        unknown = [self._unknown(node, kind) for kind in CONDITIONS]
        others = [each for each in found if each["type"] not in CONDITIONS]
        if all(new == condition(node, new["type"]) for new in unknown):
            return node
        status = (node.get("status") or {}) | {"conditions": [*others, *unknown]}
        changed = node | {"status": status}
        try:
            return await self.client.update("nodes", changed, subresource="status")
        except StatusError:  # changed or deleted meanwhile: the next round sees it
            return node

    def _unknown(self, node: Object, kind: str) -> Object:
        now = timestamp(self.clock.now())
        old = condition(node, kind)
        if old is None:
            return {
                "type": kind,
                "status": "Unknown",
                "reason": "NodeStatusNeverUpdated",
                "message": "Kubelet never posted node status.",
                "lastHeartbeatTime": node["metadata"]["creationTimestamp"],
                "lastTransitionTime": now,
            }
        if old["status"] == "Unknown":
            return old
        return old | {
            "status": "Unknown",
            "reason": "NodeStatusUnknown",
            "message": "Kubelet stopped posting node status.",
            "lastTransitionTime": now,
        }

    async def _mark_not_ready(self, pod: Object) -> None:
        """Take the Pod out of its Services; only its node could say that it is ready."""
        ready = condition(pod, "Ready")
        assert ready is not None
        changed = ready | {"status": "False", "lastTransitionTime": timestamp(self.clock.now())}
        patch = {"metadata": {"uid": uid(pod)}, "status": {"conditions": [changed]}}
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        self.recorder.event(pod, "Warning", "NodeNotReady", "Node is not ready")
        with tolerating(404, 409):
            await self.client.patch("pods", name, patch, namespace, subresource="status")

    # Taints

    async def _taint_for_eviction(self) -> None:
        """Let the Pods of lost nodes be evicted, unless every node is lost.

        When no node is well, it is more likely that this controller cannot see them than that all
        of them died; then nothing is evicted.
        """
        nodes = self.nodes.list()
        blackout = not any(_ready(node) == "True" for node in nodes)
        for node in nodes:
            taint = None if blackout else TAINT_OF_READY.get(_ready(node))
            wanted = {(taint, "NoExecute")} if taint else set()
            present = _managed_taints(node, "NoExecute", MANAGED_NO_EXECUTE)
            if present == wanted or (not present and not self._may_taint(node)):
                continue
            await self._swap_taints(node, wanted, "NoExecute", MANAGED_NO_EXECUTE)

    def _may_taint(self, node: Object) -> bool:
        labels = labels_of(node)
        where = labels.get("topology.kubernetes.io/zone", "")
        zone = self._zones[f"{labels.get('topology.kubernetes.io/region', '')}:{where}"]
        if self.clock.monotonic() < zone.next_taint_at:
            return False
        zone.next_taint_at = self.clock.monotonic() + EVICTION_INTERVAL
        return True

    async def _swap_taints(
        self, node: Object, wanted: set[tuple[str, str]], effect: str, managed: set[str]
    ) -> None:
        present = _managed_taints(node, effect, managed)
        if present == wanted:
            return
        now = timestamp(self.clock.now())
        kept = [
            taint
            for taint in node["spec"].get("taints") or ()
            if (taint["key"], taint["effect"]) not in present - wanted
        ]
        new = [
            {"key": name, "effect": effect, "timeAdded": now}
            for name, effect in sorted(wanted - present)
        ]
        meta = {"resourceVersion": node["metadata"]["resourceVersion"]}
        patch = {"metadata": meta, "spec": {"taints": [*kept, *new] or None}}
        with tolerating(404, 409):  # a newer state of the node brings it here again
            await self.client.patch("nodes", key(node), patch, kind="merge")

    def _node_changed(self, change: Change) -> None:
        name = key(change.object)
        self.queue.add(name)
        if change.old is None:
            message = f"Node {name} event: Registered Node {name} in Controller"
            self.recorder.event(change.object, "Normal", "RegisteredNode", message)
        elif change.new is None:
            message = f"Node {name} event: Removing Node {name} from Controller"
            self.recorder.event(change.object, "Normal", "RemovingNode", message)


def no_schedule_taints(node: Object) -> set[str]:
    """The keys of the NoSchedule taints that a node's conditions and spec call for."""
    found = {
        taint
        for kind, taint in TAINT_OF_CONDITION.items()
        if condition_status(node, kind) == "True"
    }
    if _ready(node) in TAINT_OF_READY:
        found.add(TAINT_OF_READY[_ready(node)])
    return found | ({UNSCHEDULABLE} if node["spec"].get("unschedulable") else set())


def _ready(node: Object) -> str:
    """The status of a node's Ready condition; empty when its kubelet has never said a word."""
    found = condition(node, "Ready")
    return str(found["status"]) if found else ""


def _managed_taints(node: Object, effect: str, managed: set[str]) -> set[tuple[str, str]]:
    """The taints of one effect that are this controller's to add and remove."""
    return {
        (taint["key"], effect)
        for taint in node["spec"].get("taints") or ()
        if taint["effect"] == effect and taint["key"] in managed
    }
