"""The Pods of StatefulSets and their claims, made and deleted (`stateful_pod_control.go`)."""

from kubesim.apimachinery.objects import (
    Object,
    controller_reference,
    is_being_deleted,
    labels_of,
    uid,
)
from kubesim.apiserver.errors import StatusError
from kubesim.clientgo.absence import NOT_FOUND, find, tolerating
from kubesim.clientgo.client import Client
from kubesim.clientgo.events import EventRecorder
from kubesim.clientgo.informer import Cache
from kubesim.controllers import statefulset_util as util

CLAIMS = "persistentvolumeclaims"


class StatefulPodControl:
    """Creates, mends and deletes Pods by name, and the claims that belong to them."""

    def __init__(self, client: Client, recorder: EventRecorder, claims: Cache) -> None:
        self._client = client
        self._recorder = recorder
        self._claims = claims

    async def create(self, stateful_set: Object, pod: Object) -> None:
        """Create the claims of a Pod that are missing, then the Pod. Raises StatusError."""
        await self.create_claims(stateful_set, pod)
        try:
            await self._client.create("pods", pod)
        except StatusError as error:
            if error.reason != "AlreadyExists":
                self._tell(stateful_set, "create", pod, error)
            raise
        self._tell(stateful_set, "create", pod)

    async def delete(self, stateful_set: Object, pod: Object) -> None:
        """Delete a Pod; that it is gone already is none of our business."""
        meta = pod["metadata"]
        try:
            await self._client.delete("pods", meta["name"], meta["namespace"])
        except StatusError as error:
            if error.code == NOT_FOUND:
                return
            self._tell(stateful_set, "delete", pod, error)
            raise
        self._tell(stateful_set, "delete", pod)

    async def mend(self, stateful_set: Object, pod: Object) -> None:
        """Give a Pod its identity labels again, and its claims if they are gone."""
        meta = pod["metadata"]
        labels = labels_of(pod) | util.identity_labels(meta["name"])
        await self.create_claims(stateful_set, pod)
        try:
            await self._client.update("pods", pod | {"metadata": meta | {"labels": labels}})
        except StatusError as error:
            self._tell(stateful_set, "update", pod, error)
            raise
        self._tell(stateful_set, "update", pod)

    async def create_claims(self, stateful_set: Object, pod: Object) -> None:
        """Create the claims of a Pod that are missing. Raises StatusError."""
        namespace = stateful_set["metadata"]["namespace"]
        for claim in util.claims(stateful_set, util.ordinal(pod)):
            name = claim["metadata"]["name"]
            existing = self._claims.get(name, namespace)
            if existing is None:
                existing = await find(self._client, CLAIMS, name, namespace)
            if existing is None:
                await self._create_claim(stateful_set, pod, claim)
            elif is_being_deleted(existing):
                raise StatusError(409, f"pvc {name} is being deleted")

    async def _create_claim(self, stateful_set: Object, pod: Object, claim: Object) -> None:
        names = (claim["metadata"]["name"], pod["metadata"]["name"])
        owner = stateful_set["metadata"]["name"]
        try:
            await self._client.create(CLAIMS, claim)
        except StatusError as error:
            message = "create Claim {} for Pod {} in StatefulSet {} failed error: {}"
            told = message.format(*names, owner, error)
            self._recorder.event(stateful_set, "Warning", "FailedCreate", told)
            raise
        told = "create Claim {} Pod {} in StatefulSet {} success".format(*names, owner)
        self._recorder.event(stateful_set, "Normal", "SuccessfulCreate", told)

    async def retain(self, stateful_set: Object, pod: Object, *, condemned: bool) -> None:
        """Make the claims of a Pod go with the StatefulSet, with the Pod, or stay.

        Who owns a claim decides, so that the garbage collector does the rest.
        """
        policy = stateful_set["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
        owner: Object | None = None
        if condemned and policy.get("whenScaled") == "Delete":
            owner = {"apiVersion": "v1", "kind": "Pod", **pod}
        elif policy.get("whenDeleted") == "Delete":
            owner = stateful_set
        for claim in util.claims(stateful_set, util.ordinal(pod)):
            existing = self._claims.get(claim["metadata"]["name"], claim["metadata"]["namespace"])
            if existing is not None and not is_being_deleted(existing):
                await self._own(existing, owner, stateful_set, pod)

    async def _own(
        self, claim: Object, owner: Object | None, stateful_set: Object, pod: Object
    ) -> None:
        """Put one owner in the place of those that were set here before."""
        given = claim["metadata"].get("ownerReferences") or []
        name = pod["metadata"]["name"]
        others = [
            each
            for each in given
            if each["uid"] != uid(stateful_set) and (each["kind"], each["name"]) != ("Pod", name)
        ]
        wanted = [*others, *([controller_reference(owner)] if owner else [])]
        if wanted == given:
            return
        meta = claim["metadata"] | {"ownerReferences": wanted}
        with tolerating(NOT_FOUND):
            await self._client.update(CLAIMS, claim | {"metadata": meta})

    def _tell(
        self, stateful_set: Object, verb: str, pod: Object, error: StatusError | None = None
    ) -> None:
        name, owner = pod["metadata"]["name"], stateful_set["metadata"]["name"]
        message = f"{verb} Pod {name} in StatefulSet {owner}"
        if error is None:
            reason = f"Successful{verb.capitalize()}"
            self._recorder.event(stateful_set, "Normal", reason, f"{message} successful")
        else:
            reason = f"Failed{verb.capitalize()}"
            told = f"{message} failed error: {error}"
            self._recorder.event(stateful_set, "Warning", reason, told)
