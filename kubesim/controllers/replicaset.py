"""The ReplicaSet controller: keeps as many Pods running as `spec.replicas` says.

Kubernetes' `pkg/controller/replicaset/replica_set.go`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
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
from kubesim.clientgo.informer import Change, InformerFactory
from kubesim.clock import Clock
from kubesim.controllers import conditions
from kubesim.controllers.controller import Controller
from kubesim.controllers.expectations import Expectations
from kubesim.controllers.ownership import Ownership, concerned, owner_in
from kubesim.controllers.pods import choose_for_deletion, from_template, is_available

REPLICASETS = "replicasets.apps"
BURST_REPLICAS = 500
SLOW_START_FIRST_BATCH = 1


class ReplicaSetController(Controller):
    """Creates and deletes Pods until the number is right, and reports what it sees."""

    name = "replicaset-controller"

    def __init__(self, client: Client, informers: InformerFactory, clock: Clock) -> None:
        self.expectations = Expectations(clock)
        self.ownership = Ownership(client, REPLICASETS, "pods")
        super().__init__(client, informers, clock)

    def watch(self, informers: InformerFactory) -> None:
        """ReplicaSets fill the queue, and so do Pods that belong or might belong to one."""
        replica_sets, pods = informers.informer(REPLICASETS), informers.informer("pods")
        self.replica_sets, self.pods = replica_sets.cache, pods.cache
        replica_sets.add_handler(self._replica_set_changed)
        pods.add_handler(self._pod_changed)

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
        created, failure = await slow_start(count, lambda: self._create_pod(replica_set))
        for _ in range(count - created):
            self.expectations.creation_observed(name)
        return failure

    async def _create_pod(self, replica_set: Object) -> None:
        pod = from_template(replica_set["spec"]["template"], replica_set)
        try:
            created = await self.client.create("pods", pod)
        except StatusError as error:
            if not _namespace_is_terminating(error):
                message = f"Error creating: {error}"
                self.recorder.event(replica_set, "Warning", "FailedCreate", message)
            raise
        message = f"Created pod: {created['metadata']['name']}"
        self.recorder.event(replica_set, "Normal", "SuccessfulCreate", message)

    async def _delete_pods(
        self, replica_set: Object, active: list[Object], count: int
    ) -> StatusError | None:
        related = [*self._related_pods(replica_set)]
        doomed = choose_for_deletion(active, related, count, self.clock.now())
        self.expectations.expect_deletions(key(replica_set), map(key, doomed))
        results = await asyncio.gather(*(self._delete_pod(replica_set, pod) for pod in doomed))
        return next(filter(None, results), None)

    async def _delete_pod(self, replica_set: Object, pod: Object) -> StatusError | None:
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        try:
            await self.client.delete("pods", name, namespace)
        except StatusError as error:
            self.expectations.deletion_observed(key(replica_set), key(pod))
            if error.code == 404:
                return None
            message = f"Error deleting: {error}"
            self.recorder.event(replica_set, "Warning", "FailedDelete", message)
            return error
        message = f"Deleted pod: {name}"
        self.recorder.event(replica_set, "Normal", "SuccessfulDelete", message)
        return None

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
        """Write status; a cached object that is out of date is worth one more attempt."""
        changed = replica_set | {"status": status}
        try:
            await self.client.update(REPLICASETS, changed, subresource="status")
        except StatusError as error:
            if error.reason != "Conflict":
                raise
            meta = replica_set["metadata"]
            fresh = await self.client.get(REPLICASETS, meta["name"], meta["namespace"])
            changed = fresh | {"status": status}
            await self.client.update(REPLICASETS, changed, subresource="status")

    def _replica_set_changed(self, change: Change) -> None:
        if change.new is None:
            self.expectations.forget(key(change.object))
        self.enqueue(change)

    def _pod_changed(self, change: Change) -> None:
        for owner in concerned(self.replica_sets, "ReplicaSet", change):
            self.queue.add(key(owner))
        present = owner_in(self.replica_sets, "ReplicaSet", change.object)
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


async def slow_start(
    count: int, create: Callable[[], Awaitable[None]]
) -> tuple[int, StatusError | None]:
    """Call `create` so often in batches of 1, 2, 4 …, and stop after a batch with a failure.

    So a quota that refuses every Pod costs one refused request, not five hundred.

    Returns:
        How many succeeded, and the first failure.

    """
    succeeded, batch = 0, SLOW_START_FIRST_BATCH
    while succeeded < count:
        size = min(batch, count - succeeded)
        results = await asyncio.gather(*(create() for _ in range(size)), return_exceptions=True)
        failures = [result for result in results if isinstance(result, BaseException)]
        succeeded += size - len(failures)
        for failure in failures:
            if not isinstance(failure, StatusError):
                raise failure
            return succeeded, None if _namespace_is_terminating(failure) else failure
        batch *= 2
    return succeeded, None


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


def _namespace_is_terminating(error: StatusError) -> bool:
    causes = (error.status.get("details") or {}).get("causes") or []
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)
