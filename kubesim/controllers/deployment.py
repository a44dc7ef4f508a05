"""The Deployment controller: rolls ReplicaSets over from one Pod template to the next.

Kubernetes' `pkg/controller/deployment` (`deployment_controller.go`, `sync.go`, `rolling.go`,
`recreate.go`, `progress.go`). Every sync moves the rollout by one step that keeps within maxSurge
and maxUnavailable; the ReplicaSets' status changes bring the next sync.
"""

import copy
from collections.abc import Callable, Sequence
from datetime import timedelta

from kubesim.apimachinery.objects import (
    Object,
    annotations_of,
    controller_of,
    controller_reference,
    is_being_deleted,
    is_controlled_by,
    key,
    pod_is_finished,
    split_key,
    uid,
)
from kubesim.apiserver.errors import StatusError
from kubesim.clientgo.absence import NOT_FOUND, tolerating
from kubesim.clientgo.client import Client
from kubesim.clientgo.informer import Change, InformerFactory
from kubesim.clock import Clock
from kubesim.controllers import conditions
from kubesim.controllers import deployment_util as util
from kubesim.controllers.controller import Controller
from kubesim.controllers.deployment_util import reported, total, wanted
from kubesim.controllers.ownership import Ownership, concerned, owner_in

DEPLOYMENTS = "deployments.apps"
REPLICASETS = "replicasets.apps"


class DeploymentController(Controller):
    """One rollout step a sync."""

    name = "deployment-controller"

    def __init__(self, client: Client, informers: InformerFactory, clock: Clock) -> None:
        self.ownership = Ownership(client, DEPLOYMENTS, REPLICASETS)
        super().__init__(client, informers, clock)

    def watch(self, informers: InformerFactory) -> None:
        """Deployments fill the queue, and so do their ReplicaSets and, for Recreate, Pods."""
        deployments = informers.informer(DEPLOYMENTS)
        replica_sets, pods = informers.informer(REPLICASETS), informers.informer("pods")
        self.deployments, self.replica_sets = deployments.cache, replica_sets.cache
        self.pods = pods.cache
        deployments.add_handler(self.enqueue)
        replica_sets.add_handler(self._replica_set_changed)
        pods.add_handler(self._pod_changed)

    async def sync(self, key: str) -> None:
        """Scale when scaling is asked for, roll out otherwise, and write status either way."""
        cached = self.deployments.get(*reversed(split_key(key)))
        if cached is None:
            return
        deployment = copy.deepcopy(cached)
        owned = await self._claim(deployment)
        if is_being_deleted(deployment):
            new, old = util.new_and_old(deployment, owned)
            await self._sync_status(deployment, old, new)
            return
        await self._check_paused(deployment)
        if deployment["spec"].get("paused") or self._is_scaling(deployment, owned):
            await self._sync_scale(deployment, owned)
        elif util.is_rolling(deployment):
            await self._roll(deployment, owned)
        else:
            await self._recreate(deployment, owned)

    async def _claim(self, deployment: Object) -> list[Object]:
        found = self.replica_sets.list(deployment["metadata"]["namespace"])
        return copy.deepcopy(await self.ownership.claim(deployment, found))

    # Scaling and pausing

    async def _check_paused(self, deployment: Object) -> None:
        """Pausing and resuming restart the progress deadline, so they are written down."""
        if not util.has_deadline(deployment):
            return
        progress = conditions.find(_conditions(deployment), "Progressing")
        reason = progress["reason"] if progress else ""
        paused = bool(deployment["spec"].get("paused"))
        if reason == "ProgressDeadlineExceeded" or paused == (reason == "DeploymentPaused"):
            return
        word = "paused" if paused else "resumed"
        self._set_progressing(
            deployment, "Unknown", f"Deployment{word.capitalize()}", f"Deployment is {word}"
        )
        await self._write_status(deployment)

    @staticmethod
    def _is_scaling(deployment: Object, owned: Sequence[Object]) -> bool:
        """Whether `spec.replicas` changed since the ReplicaSets were last sized."""
        desired = (annotations_of(each).get(util.DESIRED) for each in util.active(owned))
        return any(each is not None and int(each) != wanted(deployment) for each in desired)

    async def _sync_scale(self, deployment: Object, owned: Sequence[Object]) -> None:
        new, old = await self._new_and_old(deployment, owned, create=False)
        await self._scale_all(deployment, new, old)
        if deployment["spec"].get("paused"):
            await self._clean_up(deployment, old)
        await self._sync_status(deployment, old, new)

    async def _scale_all(
        self, deployment: Object, new: Object | None, old: Sequence[Object]
    ) -> None:
        everything = [*old, *([new] if new else [])]
        active = util.active(everything)
        if len(active) <= 1:
            only = active[0] if active else new or (old[-1] if old else None)
            if only is not None:
                await self._scale(deployment, only, wanted(deployment))
        elif new is not None and _is_saturated(deployment, new):
            for each in util.active(old):
                await self._scale(deployment, each, 0)
        elif util.is_rolling(deployment):
            sizes = util.proportions(deployment, active)
            for each in active:
                await self._scale(deployment, each, sizes[each["metadata"]["name"]])

    async def _scale(self, deployment: Object, replica_set: Object, size: int) -> bool:
        """Give a ReplicaSet a size; whether that changed anything."""
        before, name = wanted(replica_set), replica_set["metadata"]["name"]
        noted = annotations_of(replica_set) | util.replicas_annotations(deployment)
        if before == size and noted == annotations_of(replica_set):
            return False
        replica_set["spec"]["replicas"] = size
        replica_set["metadata"]["annotations"] = noted
        replica_set.update(await self.client.update(REPLICASETS, replica_set))
        if before == size:
            return False
        direction = "up" if size > before else "down"
        message = f"Scaled {direction} replica set {name} from {before} to {size}"
        self.recorder.event(deployment, "Normal", "ScalingReplicaSet", message)
        return True

    # Rolling out

    async def _roll(self, deployment: Object, owned: Sequence[Object]) -> None:
        new, old = await self._new_and_old(deployment, owned, create=True)
        assert new is not None
        if not await self._grow_new(deployment, new, old) and not await self._shrink_old(
            deployment, new, util.active(old)
        ):
            await self._clean_up_when_complete(deployment, old)
        await self._sync_rollout_status(deployment, old, new)

    async def _grow_new(self, deployment: Object, new: Object, old: Sequence[Object]) -> bool:
        if wanted(new) == wanted(deployment):
            return False
        size = wanted(deployment)
        if wanted(new) < size:
            size = util.new_replicas(deployment, [*old, new], new)
        return await self._scale(deployment, new, size)

    async def _shrink_old(self, deployment: Object, new: Object, old: Sequence[Object]) -> bool:
        """Take away as many old Pods as may be missing, the unhealthy ones first.

        A ReplicaSet that has not acted on its new size yet still reports Pods that are as good as
        gone; unlike the real controller, which relies on Pods starting slowly, count them as gone.
        """
        _, unavailable = util.fenceposts(deployment)
        least = wanted(deployment) - unavailable
        spare = total([*old, new]) - least - util.unhealthy(new)
        if not old or spare <= 0:
            return False
        removed = await self._remove(deployment, old, spare, util.unhealthy)
        available = sum(
            min(wanted(each), reported(each, "availableReplicas")) for each in [*old, new]
        )
        removed += await self._remove(deployment, old, available - least, wanted)
        return removed > 0

    async def _remove(
        self, deployment: Object, old: Sequence[Object], most: int, spare: Callable[[Object], int]
    ) -> int:
        """Scale down by at most `most` Pods together, each ReplicaSet by what it can spare."""
        removed = 0
        for each in util.by_age(old):
            count = min(most - removed, spare(each))
            if count > 0:
                await self._scale(deployment, each, wanted(each) - count)
                removed += count
        return removed

    async def _recreate(self, deployment: Object, owned: Sequence[Object]) -> None:
        """All old Pods go, and only when they are gone the new ones come."""
        new, old = await self._new_and_old(deployment, owned, create=False)
        scaled = [await self._scale(deployment, each, 0) for each in util.active(old)]
        if not any(scaled) and not self._old_pods_run(deployment, old):
            if new is None:
                new, old = await self._new_and_old(deployment, owned, create=True)
            assert new is not None
            await self._scale(deployment, new, wanted(deployment))
            await self._clean_up_when_complete(deployment, old)
        await self._sync_rollout_status(deployment, old, new)

    def _old_pods_run(self, deployment: Object, old: Sequence[Object]) -> bool:
        if any(reported(each, "replicas") for each in old):
            return True
        uids = {uid(each) for each in old}
        return any(
            not pod_is_finished(pod) and (controller_of(pod) or {}).get("uid") in uids
            for pod in self.pods.list(deployment["metadata"]["namespace"])
        )

    # ReplicaSets and revisions

    async def _new_and_old(
        self, deployment: Object, owned: Sequence[Object], *, create: bool
    ) -> tuple[Object | None, list[Object]]:
        """The ReplicaSet of the present template, with its revision up to date, and the others."""
        new, old = util.new_and_old(deployment, owned)
        number = max(map(util.revision, old), default=0) + 1
        if new is not None:
            await self._refresh_new(deployment, new, number)
        elif create:
            new = await self._create_new(deployment, old, number)
        return new, old

    async def _refresh_new(self, deployment: Object, new: Object, number: int) -> None:
        noted = util.new_annotations(deployment, new, number)
        min_ready = deployment["spec"].get("minReadySeconds", 0)
        if noted != annotations_of(new) or min_ready != new["spec"].get("minReadySeconds", 0):
            new["metadata"]["annotations"] = noted
            new["spec"]["minReadySeconds"] = min_ready
            new.update(await self.client.update(REPLICASETS, new))
            return
        changed = _set_revision(deployment, util.revision(new))
        unknown = conditions.find(_conditions(deployment), "Progressing") is None
        if util.has_deadline(deployment) and unknown:
            message = f'Found new replica set "{new["metadata"]["name"]}"'
            self._set_progressing(deployment, "True", "FoundNewReplicaSet", message)
            changed = True
        if changed:
            await self._write_status(deployment)

    async def _create_new(self, deployment: Object, old: Sequence[Object], number: int) -> Object:
        new = _new_replica_set(deployment, old, number)
        name = new["metadata"]["name"]
        try:
            new = await self.client.create(REPLICASETS, new)
        except StatusError as error:
            new = await self._explain_failure(deployment, new, error)
        else:
            if wanted(new):
                message = f"Scaled up replica set {name} from 0 to {wanted(new)}"
                self.recorder.event(deployment, "Normal", "ScalingReplicaSet", message)
            if util.has_deadline(deployment):
                message = f'Created new replica set "{name}"'
                self._set_progressing(deployment, "True", "NewReplicaSetCreated", message)
        _set_revision(deployment, number)
        await self._write_status(deployment)
        return new

    async def _explain_failure(self, deployment: Object, new: Object, error: StatusError) -> Object:
        """The ReplicaSet that is there already, if it is ours; otherwise write down why not."""
        name, namespace = new["metadata"]["name"], new["metadata"]["namespace"]
        if error.reason == "AlreadyExists":
            existing = await self.client.get(REPLICASETS, name, namespace)
            if is_controlled_by(existing, deployment) and util.same_template(
                existing["spec"]["template"], new["spec"]["template"]
            ):
                return existing
            status = deployment.setdefault("status", {})
            status["collisionCount"] = status.get("collisionCount", 0) + 1
        elif util.has_deadline(deployment):
            message = f'Failed to create new replica set "{name}": {error}'
            self._set_progressing(deployment, "False", "ReplicaSetCreateError", message)
            self.recorder.event(deployment, "Warning", "ReplicaSetCreateError", message)
        await self._write_status(deployment)
        raise error

    async def _clean_up_when_complete(self, deployment: Object, old: Sequence[Object]) -> None:
        if util.is_complete(deployment, deployment.get("status") or {}):
            await self._clean_up(deployment, old)

    async def _clean_up(self, deployment: Object, old: Sequence[Object]) -> None:
        limit = deployment["spec"].get("revisionHistoryLimit", 2**31 - 1)
        for each in util.removable(old, limit):
            with tolerating(NOT_FOUND):
                meta = each["metadata"]
                await self.client.delete(REPLICASETS, meta["name"], meta["namespace"])

    # Status

    async def _sync_status(
        self, deployment: Object, old: Sequence[Object], new: Object | None
    ) -> None:
        status = self._calculate(deployment, old, new)
        if status != deployment.get("status"):
            await self._write_status(deployment | {"status": status})

    async def _sync_rollout_status(
        self, deployment: Object, old: Sequence[Object], new: Object | None
    ) -> None:
        status = self._calculate(deployment, old, new)
        self._judge_progress(deployment, status, new)
        failure = _replica_failure(old, new)
        status["conditions"] = (
            conditions.without(status["conditions"], "ReplicaFailure")
            if failure is None
            else conditions.with_condition(status["conditions"], failure)
        )
        if status != deployment.get("status"):
            await self._write_status(deployment | {"status": status})
        else:
            self._come_back_at_deadline(deployment)

    def _calculate(self, deployment: Object, old: Sequence[Object], new: Object | None) -> Object:
        everything = [*old, *([new] if new else [])]
        return util.calculate_status(deployment, everything, new, self.clock.now())

    def _judge_progress(self, deployment: Object, status: Object, new: Object | None) -> None:
        """Set the Progressing condition: done, under way, or out of time."""
        progress = conditions.find(_conditions(deployment), "Progressing")
        if not util.has_deadline(deployment):
            status["conditions"] = conditions.without(status["conditions"], "Progressing")
            return
        done = progress is not None and progress["reason"] == "NewReplicaSetAvailable"
        if done and status.get("replicas", 0) == status.get("updatedReplicas", 0):
            return
        subject = (
            f'ReplicaSet "{new["metadata"]["name"]}"'
            if new
            else (f'Deployment "{deployment["metadata"]["name"]}"')
        )
        if util.is_complete(deployment, status):
            outcome = ("True", "NewReplicaSetAvailable", f"{subject} has successfully progressed.")
        elif util.is_progressing(deployment.get("status") or {}, status):
            outcome = ("True", "ReplicaSetUpdated", f"{subject} is progressing.")
            status["conditions"] = conditions.without(status["conditions"], "Progressing")
        elif self._is_out_of_time(deployment):
            message = f"{subject} has timed out progressing."
            outcome = ("False", "ProgressDeadlineExceeded", message)
        else:
            return
        made = util.make_condition("Progressing", *outcome, self.clock.now())
        if outcome[1] == "ReplicaSetUpdated" and progress and progress["status"] == "True":
            made["lastTransitionTime"] = progress["lastTransitionTime"]
        status["conditions"] = conditions.with_condition(status["conditions"], made)

    def _is_out_of_time(self, deployment: Object) -> bool:
        deadline = util.deadline(deployment)
        return deadline is not None and self.clock.now() > deadline

    def _come_back_at_deadline(self, deployment: Object) -> None:
        """Nothing will wake us when nothing happens, so ask to be woken."""
        deadline = util.deadline(deployment)
        if deadline is None or util.is_complete(deployment, deployment["status"]):
            return
        if self._is_out_of_time(deployment):
            return
        wait = deadline - self.clock.now() + timedelta(seconds=1)
        self.queue.add_after(key(deployment), wait.total_seconds())

    def _set_progressing(self, deployment: Object, status: str, reason: str, message: str) -> None:
        made = util.make_condition("Progressing", status, reason, message, self.clock.now())
        listed = conditions.with_condition(_conditions(deployment), made)
        deployment.setdefault("status", {})["conditions"] = listed

    async def _write_status(self, deployment: Object) -> None:
        """Write status (and the revision annotation, which travels with it)."""
        written = await self.client.update(DEPLOYMENTS, deployment, subresource="status")
        deployment.update(written)

    # What wakes us

    def _replica_set_changed(self, change: Change) -> None:
        for owner in concerned(self.deployments, "Deployment", change):
            self.queue.add(key(owner))

    def _pod_changed(self, change: Change) -> None:
        """A Recreate rollout waits for its last old Pod to go."""
        if change.new is not None:
            return
        replica_set = owner_in(self.replica_sets, "ReplicaSet", change.object)
        deployment = replica_set and owner_in(self.deployments, "Deployment", replica_set)
        if deployment and not util.is_rolling(deployment):
            self.queue.add(key(deployment))


def _conditions(deployment: Object) -> list[Object]:
    return (deployment.get("status") or {}).get("conditions") or []


def _set_revision(deployment: Object, number: int) -> bool:
    if util.revision(deployment) == number:
        return False
    noted = annotations_of(deployment) | {util.REVISION: str(number)}
    deployment["metadata"]["annotations"] = noted
    return True


def _is_saturated(deployment: Object, new: Object) -> bool:
    """Whether the new ReplicaSet alone has all that the Deployment wants, and all available."""
    desired = annotations_of(new).get(util.DESIRED)
    size = wanted(deployment)
    return desired == str(size) and wanted(new) == size == reported(new, "availableReplicas")


def _new_replica_set(deployment: Object, old: Sequence[Object], number: int) -> Object:
    """A ReplicaSet for the Deployment's present template, as large as the strategy allows now."""
    spec = deployment["spec"]
    collisions = (deployment.get("status") or {}).get("collisionCount", 0)
    value = util.template_hash(spec["template"], collisions)
    template = util.with_hash(spec["template"], value)
    chosen = spec["selector"].get("matchLabels") or {}
    min_ready = spec.get("minReadySeconds", 0)
    new: Object = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{deployment['metadata']['name']}-{value}",
            "namespace": deployment["metadata"]["namespace"],
            "labels": template["metadata"]["labels"],
            "ownerReferences": [controller_reference(deployment)],
        },
        "spec": {
            "replicas": 0,
            **({"minReadySeconds": min_ready} if min_ready else {}),
            "selector": spec["selector"] | {"matchLabels": chosen | {util.HASH_LABEL: value}},
            "template": template,
        },
    }
    new["spec"]["replicas"] = util.new_replicas(deployment, [*old, new], new)
    noted = util.new_annotations(deployment, new, number) | util.replicas_annotations(deployment)
    new["metadata"]["annotations"] = noted
    return new


def _replica_failure(old: Sequence[Object], new: Object | None) -> Object | None:
    """Why a ReplicaSet cannot have its Pods, the new one's reason first."""
    for each in [*([new] if new else []), *old]:
        failure = conditions.find(_conditions(each), "ReplicaFailure")
        if failure is not None:
            return failure | {"lastUpdateTime": failure["lastTransitionTime"]}
    return None
