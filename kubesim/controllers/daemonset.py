"""The DaemonSet controller: one Pod on every node that fits.

Kubernetes' `pkg/controller/daemon` (`daemon_controller.go`, `update.go`). Which nodes fit is asked
again only when a node's labels or taints change, so that the cost of a Pod's news does not grow
with what a node's fit costs.
"""

import functools
import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence

from kubesim.apimachinery.objects import (
    Object,
    controller_of,
    is_being_deleted,
    key,
    pod_is_ready,
    split_key,
    uid,
)
from kubesim.apiserver.errors import StatusError
from kubesim.clientgo.client import Client
from kubesim.clientgo.flowcontrol import Backoff
from kubesim.clientgo.informer import Change, InformerFactory
from kubesim.clock import Clock
from kubesim.controllers import daemonset_update
from kubesim.controllers import daemonset_util as util
from kubesim.controllers.controller import Controller
from kubesim.controllers.daemonset_revisions import DaemonSetRevisions, hash_of
from kubesim.controllers.daemonset_util import Fit
from kubesim.controllers.expectations import Expectations
from kubesim.controllers.history import REVISIONS, History
from kubesim.controllers.ownership import Ownership, concerned, owner_in
from kubesim.controllers.podcontrol import PodControl, delete_all, first_failure, slow_start
from kubesim.controllers.pods import is_available
from kubesim.controllers.status import write_status

DAEMONSETS = "daemonsets.apps"
BURST_REPLICAS = 250
FIRST_BACKOFF = 1.0
LONGEST_BACKOFF = 15 * 60.0
SELECTING_ALL = "This daemon set is selecting all pods. A non-empty selector is required."

PodsOnNodes = Mapping[str, Sequence[Object]]


class DaemonSetController(Controller):
    """Creates and deletes Pods node by node, and rolls them over to a new template."""

    name = "daemon-set-controller"
    component = "daemonset-controller"

    def __init__(self, client: Client, informers: InformerFactory, clock: Clock) -> None:
        self.expectations = Expectations(clock)
        self.ownership = Ownership(client, DAEMONSETS, "pods")
        self._failed_pods = Backoff(clock, FIRST_BACKOFF, LONGEST_BACKOFF)
        self._fits: dict[str, tuple[tuple[str, int], dict[str, Fit]]] = {}
        super().__init__(client, informers, clock)
        self.pod_control = PodControl(client, self.recorder)

    def watch(self, informers: InformerFactory) -> None:
        """DaemonSets fill the queue; so do their Pods and revisions, and nodes that change fit."""
        daemon_sets, pods = informers.informer(DAEMONSETS), informers.informer("pods")
        nodes, revisions = informers.informer("nodes"), informers.informer(REVISIONS)
        self.daemon_sets, self.pods, self.nodes = daemon_sets.cache, pods.cache, nodes.cache
        history = History(self.client, DAEMONSETS, revisions.cache)
        self.revisions = DaemonSetRevisions(self.client, DAEMONSETS, history)
        daemon_sets.add_handler(self._daemon_set_changed)
        pods.add_handler(self._pod_changed)
        nodes.add_handler(self._node_changed)
        revisions.add_handler(self._revision_changed)

    async def sync(self, key: str) -> None:
        """Create or delete Pods, move a rolling update on, then write status."""
        daemon_set = self.daemon_sets.get(*reversed(split_key(key)))
        if daemon_set is None or is_being_deleted(daemon_set):
            return
        if not any(daemon_set["spec"]["selector"].values()):
            self.recorder.event(daemon_set, "Warning", "SelectingAll", SELECTING_ALL)
            return
        on_node = await self._pods_on_nodes(daemon_set)
        pods = [*itertools.chain(*on_node.values())]
        current, old = await self.revisions.current_and_old(daemon_set, pods)
        revision_hash = hash_of(current)
        failure, settled = None, self.expectations.satisfied(key)
        if settled:
            failure = await self._manage(daemon_set, on_node, revision_hash)
        if settled and failure is None and self.expectations.satisfied(key):
            if daemon_set["spec"]["updateStrategy"]["type"] == "RollingUpdate":
                failure = await self._roll(daemon_set, revision_hash)
            limit = daemon_set["spec"]["revisionHistoryLimit"]
            await self.revisions.clean_up(limit, old, pods)
        await self._update_status(daemon_set, revision_hash, observed=settled)
        if failure is not None:
            raise failure

    async def _pods_on_nodes(self, daemon_set: Object) -> PodsOnNodes:
        candidates = self.pods.list(daemon_set["metadata"]["namespace"])
        on_node = defaultdict(list)
        for pod in await self.ownership.claim(daemon_set, candidates):
            on_node[util.target_node(pod)].append(pod)
        return on_node

    def _fits_of(self, daemon_set: Object) -> dict[str, Fit]:
        """What every node means to the DaemonSet as it is now."""
        name = key(daemon_set)
        version = uid(daemon_set), daemon_set["metadata"].get("generation", 0)
        known = self._fits.get(name)
        if known is None or known[0] != version:
            fits = {key(node): util.fit(daemon_set, node) for node in self.nodes.list()}
            known = self._fits[name] = version, fits
        return known[1]

    # Pods where they should be

    async def _manage(
        self, daemon_set: Object, on_node: PodsOnNodes, revision_hash: str
    ) -> StatusError | None:
        needing: list[str] = []
        doomed: list[Object] = []
        fits = self._fits_of(daemon_set)
        for node, fit in fits.items():
            pods = [pod for pod in on_node.get(node, ()) if not is_being_deleted(pod)]
            if fit.run and not on_node.get(node):
                needing.append(node)
            elif fit.stay:
                doomed += self._superfluous(daemon_set, node, pods, revision_hash)
            else:
                doomed += pods
        gone = [pod for node, pods in on_node.items() if node not in fits for pod in pods]
        doomed += [pod for pod in gone if not pod["spec"].get("nodeName")]
        return await self._sync_nodes(daemon_set, doomed, needing, revision_hash)

    def _superfluous(
        self, daemon_set: Object, node: str, pods: Sequence[Object], revision_hash: str
    ) -> list[Object]:
        """The Pods of a node that must go: finished ones, and all but the oldest running one."""
        doomed, running = [], []
        for pod in pods:
            phase = pod["status"].get("phase")
            if phase == "Failed":
                doomed += self._failed(daemon_set, node, pod)
            elif phase == "Succeeded":
                message = (
                    f"Found succeeded daemon pod {key(pod)} on node {node}, will try to delete it"
                )
                self.recorder.event(daemon_set, "Normal", "SucceededDaemonPod", message)
                doomed.append(pod)
            else:
                running.append(pod)
        if len(running) <= 1:
            return doomed
        if not util.allows_surge(daemon_set):
            return [*doomed, *util.by_age(running)[1:]]
        return [*doomed, *self._surged_over(daemon_set, running, revision_hash)]

    def _failed(self, daemon_set: Object, node: str, pod: Object) -> list[Object]:
        """A failed Pod is killed and made anew, at longer and longer intervals."""
        attempt = (uid(daemon_set), daemon_set["metadata"]["generation"], node)
        wait = self._failed_pods.remaining(attempt)
        if wait:
            self.queue.add_after(key(daemon_set), wait)
            return []
        self._failed_pods.collect()
        self._failed_pods.next(attempt)
        message = f"Found failed daemon pod {key(pod)} on node {node}, will try to kill it"
        self.recorder.event(daemon_set, "Warning", "FailedDaemonPod", message)
        return [pod]

    def _surged_over(
        self, daemon_set: Object, running: Sequence[Object], revision_hash: str
    ) -> list[Object]:
        """While surging, one old and one new Pod may be there, until the new one is available."""
        ordered = util.by_age(running)
        new = [pod for pod in ordered if util.is_updated(pod, daemon_set, revision_hash)]
        old = [pod for pod in ordered if pod not in new]
        doomed = new[1:] + old[1:]
        replaced = new and old and (not pod_is_ready(old[0]) or self._available(daemon_set, new[0]))
        return [*doomed, *(old[:1] if replaced else [])]

    def _available(self, daemon_set: Object, pod: Object) -> bool:
        min_ready = daemon_set["spec"].get("minReadySeconds", 0)
        return is_available(pod, min_ready, self.clock.now())

    async def _sync_nodes(
        self, daemon_set: Object, doomed: list[Object], needing: list[str], revision_hash: str
    ) -> StatusError | None:
        name = key(daemon_set)
        doomed, needing = doomed[:BURST_REPLICAS], needing[:BURST_REPLICAS]
        self.expectations.expect(name, len(needing), map(key, doomed))

        async def create(number: int) -> None:
            pod = util.new_pod(daemon_set, needing[number], revision_hash)
            await self.pod_control.create(daemon_set, pod)

        created, failure = await slow_start(len(needing), create)
        for _ in range(len(needing) - created):
            self.expectations.creation_observed(name)
        results = await delete_all(self.pod_control, self.expectations, daemon_set, doomed)
        return failure or first_failure(results)

    # Rolling update

    async def _roll(self, daemon_set: Object, revision_hash: str) -> StatusError | None:
        on_node = await self._pods_on_nodes(daemon_set)
        wanted = [node for node, fit in self._fits_of(daemon_set).items() if fit.run]
        surge, unavailable = util.limits(daemon_set, len(wanted))
        nodes = dict.fromkeys([*on_node, *wanted])
        pairs = {
            node: util.new_and_old(on_node.get(node, ()), daemon_set, revision_hash)
            for node in nodes
        }
        available = functools.partial(self._available, daemon_set)
        if surge:
            doomed, needing = daemonset_update.surge(pairs, surge, available)
        else:
            doomed, needing = daemonset_update.replace(pairs, unavailable, available), []
        return await self._sync_nodes(daemon_set, doomed, needing, revision_hash)

    # Status

    async def _update_status(
        self, daemon_set: Object, revision_hash: str, *, observed: bool
    ) -> None:
        before = daemon_set.get("status") or {}
        fits, on_node = self._fits_of(daemon_set), await self._pods_on_nodes(daemon_set)
        now = self.clock.now()
        status = util.calculate_status(daemon_set, fits, on_node, revision_hash, now)
        if not observed:
            status["observedGeneration"] = before.get("observedGeneration", 0)
        if status != before:
            await write_status(self.client, DAEMONSETS, daemon_set, status)
        wait = daemon_set["spec"].get("minReadySeconds", 0)
        if wait and status["numberReady"] != status.get("numberAvailable", 0):
            self.queue.add_after(key(daemon_set), wait)

    # What wakes us

    def _daemon_set_changed(self, change: Change) -> None:
        if change.new is None:
            self.expectations.forget(key(change.object))
            self._fits.pop(key(change.object), None)
        self.enqueue(change)

    def _pod_changed(self, change: Change) -> None:
        if change.old and change.new and _matters(change.old) == _matters(change.new):
            return
        for concern in concerned(self.daemon_sets, "DaemonSet", change):
            self.queue.add(key(concern))
        owner = owner_in(self.daemon_sets, "DaemonSet", change.object)
        if owner is None:
            return
        if change.new is None or is_being_deleted(change.object):
            self.expectations.deletion_observed(key(owner), key(change.object))
        elif change.old is None:
            self.expectations.creation_observed(key(owner))

    def _node_changed(self, change: Change) -> None:
        """Wake the DaemonSets to which the node now means something else."""
        name, new = key(change.object), change.new
        if change.old is not None and new is not None and _placing(change.old) == _placing(new):
            return
        for daemon_set in self.daemon_sets.list():
            fits = self._fits_of(daemon_set)
            before = fits.pop(name, util.NOWHERE)
            if new is not None:
                fits[name] = util.fit(daemon_set, new)
            if fits.get(name, util.NOWHERE) != before:
                self.queue.add(key(daemon_set))

    def _revision_changed(self, change: Change) -> None:
        for owner in concerned(self.daemon_sets, "DaemonSet", change):
            self.queue.add(key(owner))


def _placing(node: Object) -> tuple[object, object]:
    """The parts of a node on which its fit depends."""
    return node["metadata"].get("labels"), node["spec"].get("taints")


def _matters(pod: Object) -> tuple[object, ...]:
    """The parts of a Pod that a DaemonSet acts on or reports."""
    return (
        pod["metadata"].get("labels"),
        controller_of(pod),
        is_being_deleted(pod),
        pod["spec"].get("nodeName"),
        pod["status"].get("phase"),
        pod_is_ready(pod),
    )
