"""The StatefulSet controller: Pods with names of their own, that come and go in order.

Kubernetes' `pkg/controller/statefulset/stateful_set.go`. What happens to the Pods is in
`statefulset_update.py`.
"""

from collections.abc import Sequence

from kubesim.apimachinery.objects import (
    Object,
    is_being_deleted,
    key,
    split_key,
)
from kubesim.apiserver.errors import StatusError
from kubesim.clientgo.client import Client
from kubesim.clientgo.informer import Change, InformerFactory
from kubesim.clock import Clock
from kubesim.controllers import statefulset_util as util
from kubesim.controllers.controller import Controller
from kubesim.controllers.deployment_util import template_hash
from kubesim.controllers.history import (
    REVISIONS,
    History,
    new_revision,
    next_number,
    template_patch,
)
from kubesim.controllers.ownership import Ownership, concerned
from kubesim.controllers.statefulset_pods import CLAIMS, StatefulPodControl
from kubesim.controllers.statefulset_update import Update
from kubesim.controllers.status import write_status

STATEFULSETS = "statefulsets.apps"
REVISION_HASH = "controller.kubernetes.io/hash"
SUCCESSION = 0.3


class StatefulSetController(Controller):
    """One step of each StatefulSet a sync."""

    name = "statefulset-controller"

    def __init__(self, client: Client, informers: InformerFactory, clock: Clock) -> None:
        self.ownership = Ownership(client, STATEFULSETS, "pods")
        super().__init__(client, informers, clock)

    def watch(self, informers: InformerFactory) -> None:
        """StatefulSets fill the queue, and so do Pods and revisions that might be theirs."""
        stateful_sets, pods = informers.informer(STATEFULSETS), informers.informer("pods")
        revisions, claims = informers.informer(REVISIONS), informers.informer(CLAIMS)
        self.stateful_sets, self.pods = stateful_sets.cache, pods.cache
        self.history = History(self.client, STATEFULSETS, revisions.cache)
        self.control = StatefulPodControl(self.client, self.recorder, claims.cache)
        stateful_sets.add_handler(self.enqueue)
        pods.add_handler(self._pod_changed)
        revisions.add_handler(self._concerned_changed)

    async def sync(self, key: str) -> None:
        """Move the StatefulSet on by one step, then write status."""
        stateful_set = self.stateful_sets.get(*reversed(split_key(key)))
        if stateful_set is None:
            return
        found = self.pods.list(stateful_set["metadata"]["namespace"])
        pods = await self.ownership.claim(
            stateful_set, [pod for pod in found if util.is_member(stateful_set, pod)]
        )
        revisions = await self.history.claim(stateful_set)
        update, collisions = await self._update_revision(stateful_set, revisions)
        named = (stateful_set.get("status") or {}).get("currentRevision")
        current = next((each for each in revisions if each["metadata"]["name"] == named), update)
        failure: StatusError | None = None
        if not is_being_deleted(stateful_set):
            step = Update(self.control, stateful_set, current, update, self.clock.now())
            try:
                await step.run(pods)
            except StatusError as error:
                failure = error
        await self._update_status(stateful_set, pods, current, update, collisions)
        await self._clean_up_history(stateful_set, pods, revisions, (current, update))
        if failure is not None:
            raise failure

    async def _update_revision(
        self, stateful_set: Object, revisions: Sequence[Object]
    ) -> tuple[Object, int]:
        """The revision of the present template, made newest if need be, and the collisions."""
        collisions = (stateful_set.get("status") or {}).get("collisionCount", 0)
        patch = template_patch(stateful_set)
        equal = [each for each in revisions if each["data"] == patch]
        if equal and equal[-1] is revisions[-1]:
            return equal[-1], collisions
        if equal:
            return await self.history.renumber(equal[-1], next_number(revisions)), collisions
        while True:
            value = template_hash(stateful_set["spec"]["template"], collisions)
            labels = {REVISION_HASH: value}
            made = new_revision(stateful_set, next_number(revisions), value, labels)
            created = await self.history.create(stateful_set, made)
            if created is not None:
                return created, collisions
            collisions += 1

    async def _update_status(
        self,
        stateful_set: Object,
        pods: Sequence[Object],
        current: Object,
        update: Object,
        collisions: int,
    ) -> None:
        names = current["metadata"]["name"], update["metadata"]["name"]
        status = {
            "observedGeneration": stateful_set["metadata"].get("generation", 0),
            "currentRevision": names[0],
            "updateRevision": names[1],
            "collisionCount": collisions,
            **util.count(stateful_set, pods, *names, self.clock.now()),
        }
        status = util.complete(stateful_set, status)
        before = stateful_set.get("status") or {}
        if status != before:
            await write_status(self.client, STATEFULSETS, stateful_set, status)
        wait = stateful_set["spec"].get("minReadySeconds", 0)
        if wait and status.get("readyReplicas", 0) != status["availableReplicas"]:
            self.queue.add_after(key(stateful_set), wait)

    async def _clean_up_history(
        self,
        stateful_set: Object,
        pods: Sequence[Object],
        revisions: Sequence[Object],
        in_use: Sequence[Object],
    ) -> None:
        """Forget the oldest revisions beyond the limit that nothing was made from."""
        alive = {each["metadata"]["name"] for each in in_use} | {*map(util.revision_of, pods)}
        unused = [each for each in revisions if each["metadata"]["name"] not in alive]
        excess = len(unused) - stateful_set["spec"]["revisionHistoryLimit"]
        for each in unused[: max(0, excess)]:
            await self.history.delete(each)

    def _pod_changed(self, change: Change) -> None:
        """Wake the owner; when a Pod is gone only a moment later.

        On real machines a Pod takes so long to go that `kubectl delete` sees it go; here its
        successor would have come under its name between two looks, and be waited for as well.
        """
        if change.new is not None:
            self._concerned_changed(change)
            return
        for owner in concerned(self.stateful_sets, "StatefulSet", change):
            self.queue.add_after(key(owner), SUCCESSION)

    def _concerned_changed(self, change: Change) -> None:
        for owner in concerned(self.stateful_sets, "StatefulSet", change):
            self.queue.add(key(owner))
