"""The ReplicaSet controller: keeps as many Pods running as `spec.replicas` says.

Kubernetes' `pkg/controller/replicaset/replica_set.go`.
"""

from collections.abc import Sequence
from datetime import datetime

from kubesim.apimachinery.labels import has_all
from kubesim.apimachinery.objects import (
    Object,
    controller_of,
    is_being_deleted,
    is_controlled_by,
    key,
    labels_of,
    pod_is_active,
    pod_is_finished,
    pod_is_ready,
    split_key,
    timestamp,
    uid,
)
from kubesim.apiserver.errors import StatusError
from kubesim.clientgo.client import Client
from kubesim.clientgo.informer import Change, InformerFactory, Source
from kubesim.clock import Clock
from kubesim.controllers import conditions
from kubesim.controllers.controller import Controller
from kubesim.controllers.expectations import Expectations
from kubesim.controllers.ownership import Ownership, concerned, owner_in
from kubesim.controllers.podcontrol import PodControl, delete_all, first_failure, slow_start
from kubesim.controllers.pods import choose_for_deletion, from_template, is_available
from kubesim.controllers.status import write_status

REPLICASETS = "replicasets.apps"
BURST_REPLICAS = 500


class ReplicaSetController(Controller):
    """Creates and deletes Pods until the number is right, and reports what it sees."""

    name = "replicaset-controller"
    kind = "ReplicaSet"
    resource = REPLICASETS

    def __init__(self, client: Client, informers: InformerFactory, clock: Clock) -> None:
        self.expectations = Expectations(clock)
        self.ownership = Ownership(client, self.resource, "pods")
        super().__init__(client, informers, clock)
        self.pod_control = PodControl(client, self.recorder)

    def watch(self, informers: InformerFactory) -> None:
        """ReplicaSets fill the queue, and so do Pods that belong or might belong to one."""
        replica_sets, pods = self._source(informers), informers.informer("pods")
        self.replica_sets, self.pods = replica_sets.cache, pods.cache
        replica_sets.add_handler(self._replica_set_changed)
        pods.add_handler(self._pod_changed)

    def _source(self, informers: InformerFactory) -> Source:
        return informers.informer(self.resource)

    async def sync(self, key: str) -> None:
        """Create or delete Pods, then write status."""
        replica_set = self.replica_sets.get(*reversed(split_key(key)))
        if replica_set is None:
            self.expectations.forget(key)
            return
        settled = self.expectations.satisfied(key)
        owned = await self._claim(replica_set)
        active = [pod for pod in owned if pod_is_active(pod)]
        failure: StatusError | None = None
        if settled and not is_being_deleted(replica_set):
            failure = await self._manage(replica_set, active)
        await self._update_status(replica_set, owned, failure)
        if failure is not None:
            raise failure

    async def _claim(self, replica_set: Object) -> list[Object]:
        pods = self.pods.list(replica_set["metadata"]["namespace"])
        candidates = [
            pod
            for pod in pods
            if not pod_is_finished(pod)
            and (controller_of(pod) is None or is_controlled_by(pod, replica_set))
        ]
        return await self.ownership.claim(replica_set, candidates)

    async def _manage(self, replica_set: Object, active: list[Object]) -> StatusError | None:
        missing = replica_set["spec"]["replicas"] - len(active)
        if missing > 0:
            return await self._create_pods(replica_set, min(missing, BURST_REPLICAS))
        if missing < 0:
            return await self._delete_pods(replica_set, active, min(-missing, BURST_REPLICAS))
        return None

    async def _create_pods(self, replica_set: Object, count: int) -> StatusError | None:
        name = key(replica_set)
        self.expectations.expect_creations(name, count)
        created, failure = await slow_start(count, lambda _: self._create_pod(replica_set))
        for _ in range(count - created):
            self.expectations.creation_observed(name)
        return failure

    async def _create_pod(self, replica_set: Object) -> None:
        pod = from_template(replica_set["spec"]["template"], replica_set)
        await self.pod_control.create(replica_set, pod)

    async def _delete_pods(
        self, replica_set: Object, active: list[Object], count: int
    ) -> StatusError | None:
        related = [*self._related_pods(replica_set)]
        doomed = choose_for_deletion(active, related, count, self.clock.now())
        self.expectations.expect_deletions(key(replica_set), map(key, doomed))
        results = await delete_all(self.pod_control, self.expectations, replica_set, doomed)
        return first_failure(results)

    def _related_pods(self, replica_set: Object) -> list[Object]:
        """Active Pods of all ReplicaSets with the same owner, so of one Deployment."""
        namespace = replica_set["metadata"]["namespace"]
        owner = controller_of(replica_set)
        family = {uid(replica_set)} | {
            uid(other)
            for other in self.replica_sets.list(namespace)
            if owner and (controller_of(other) or {}).get("uid") == owner["uid"]
        }
        return [
            pod
            for pod in self.pods.list(namespace)
            if pod_is_active(pod) and (controller_of(pod) or {}).get("uid") in family
        ]

    async def _update_status(
        self, replica_set: Object, owned: Sequence[Object], failure: StatusError | None
    ) -> None:
        status = calculate_status(replica_set, owned, failure, self.clock.now())
        if status != replica_set.get("status"):
            await self._write_status(replica_set, status)
        wait = replica_set["spec"].get("minReadySeconds", 0)
        ready, available = status.get("readyReplicas", 0), status.get("availableReplicas", 0)
        if wait and ready == replica_set["spec"]["replicas"] != available:
            self.queue.add_after(key(replica_set), wait)

    async def _write_status(self, replica_set: Object, status: Object) -> None:
        await write_status(self.client, self.resource, replica_set, status)

    def _replica_set_changed(self, change: Change) -> None:
        if change.new is None:
            self.expectations.forget(key(change.object))
        self.enqueue(change)

    def _pod_changed(self, change: Change) -> None:
        for owner in concerned(self.replica_sets, self.kind, change):
            self.queue.add(key(owner))
        present = owner_in(self.replica_sets, self.kind, change.object)
        if present is not None:
            self._observe(present, change)

    def _observe(self, owner: Object, change: Change) -> None:
        pod = change.object
        if change.new is None or is_being_deleted(pod):
            self.expectations.deletion_observed(key(owner), key(pod))
        if change.old is None and not is_being_deleted(pod):
            self.expectations.creation_observed(key(owner))
        wait = owner["spec"].get("minReadySeconds", 0)
        became_ready = change.old is not None and not pod_is_ready(change.old) and pod_is_ready(pod)
        if wait and became_ready:
            self.queue.add_after(key(owner), wait + 1)


def calculate_status(
    replica_set: Object, owned: Sequence[Object], failure: StatusError | None, now: datetime
) -> Object:
    """The status that a ReplicaSet's Pods give it; counters of zero are left out as on the wire."""
    spec = replica_set["spec"]
    active = [pod for pod in owned if pod_is_active(pod)]
    template_labels = (spec["template"].get("metadata") or {}).get("labels") or {}
    min_ready = spec.get("minReadySeconds", 0)
    counters = {
        "fullyLabeledReplicas": sum(has_all(template_labels, labels_of(pod)) for pod in active),
        "readyReplicas": sum(map(pod_is_ready, active)),
        "availableReplicas": sum(is_available(pod, min_ready, now) for pod in active),
        "observedGeneration": replica_set["metadata"].get("generation", 0),
    }
    listed = _failure_conditions(replica_set, len(active), failure, now)
    return {
        "replicas": len(active),
        **{name: value for name, value in counters.items() if value},
        "terminatingReplicas": sum(map(is_being_deleted, owned)),
        **({"conditions": listed} if listed else {}),
    }


def _failure_conditions(
    replica_set: Object, active: int, failure: StatusError | None, now: datetime
) -> list[Object]:
    listed = (replica_set.get("status") or {}).get("conditions") or []
    if failure is None:
        return conditions.without(listed, "ReplicaFailure")
    reason = "FailedCreate" if active < replica_set["spec"]["replicas"] else "FailedDelete"
    made = conditions.make("ReplicaFailure", "True", reason, str(failure), timestamp(now))
    return conditions.with_condition(listed, made)
