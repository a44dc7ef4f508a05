"""The volume controller: claims find volumes, and volumes end as their policy says.

Kubernetes' `pkg/controller/volume/persistentvolume/pv_controller.go`. Binding goes both ways and in
steps, so that it can be taken up again wherever it was cut off: the volume names the claim, then
the claim names the volume, then `bind-completed` says that both are done. Volumes are made by
provisioners outside of this controller; it only tells which one is to make it.
"""

from kubesim.apimachinery.objects import (
    Object,
    annotations_of,
    key,
    object_reference,
    split_key,
    timestamp,
    uid,
)
from kubesim.apimachinery.volumes import (
    BETA_STORAGE_PROVISIONER,
    BIND_COMPLETED,
    BOUND_BY_CONTROLLER,
    CLAIMS,
    CLASSES,
    PROVISIONED_BY,
    STORAGE_PROVISIONER,
    VOLUMES,
    annotate,
    claim_keys,
    class_of,
    find_match,
    is_delayed,
    is_meant_for,
    why_unfit,
)
from kubesim.clientgo.absence import NOT_FOUND, tolerating
from kubesim.clientgo.informer import Change, InformerFactory
from kubesim.controllers.controller import Controller

RESYNC = 15.0  # seconds after which a claim without a volume is looked at again
CLAIM, VOLUME = "claim:", "volume:"
NO_CLASS = "no persistent volumes available for this claim and no storage class is set"
FIRST_CONSUMER = "waiting for first consumer to be created before binding"
EXTERNAL = (
    "Waiting for a volume to be created either by the external provisioner '{}' or manually by "
    "the system administrator. If volume creation is delayed, please verify that the provisioner "
    "is running and correctly registered."
)
LOST_REFERENCE = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!"
LOST_VOLUME = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
MISBOUND = "Two claims are bound to the same volume, this one is bound incorrectly"


class PersistentVolumeBinder(Controller):
    """Binds claims to volumes, one after the other."""

    name = "persistent-volume-binder"
    component = "persistentvolume-controller"
    workers = 1

    def watch(self, informers: InformerFactory) -> None:
        """Claims and volumes fill the queue, each with its counterpart."""
        claims, volumes = informers.informer(CLAIMS), informers.informer(VOLUMES)
        pods = informers.informer("pods")
        self.claims, self.volumes, self.pods = claims.cache, volumes.cache, pods.cache
        self.classes = informers.informer(CLASSES).cache
        pods.cache.add_index("claim", claim_keys)
        claims.add_handler(self._claim_changed)
        volumes.add_handler(self._volume_changed)

    def _claim_changed(self, change: Change) -> None:
        claim = change.object
        self.queue.add(CLAIM + key(claim))
        if claim["spec"].get("volumeName"):
            self.queue.add(VOLUME + claim["spec"]["volumeName"])

    def _volume_changed(self, change: Change) -> None:
        volume = change.object
        self.queue.add(VOLUME + key(volume))
        reference = volume["spec"].get("claimRef")
        if reference:
            self.queue.add(f"{CLAIM}{reference.get('namespace', '')}/{reference.get('name', '')}")

    async def sync(self, key: str) -> None:
        """Bring a claim or a volume one step further."""
        kind, _, name = key.partition(":")
        if f"{kind}:" == VOLUME:
            volume = self.volumes.get(name)
            if volume is not None:
                await self._sync_volume(volume)
            return
        claim = self.claims.get(*reversed(split_key(name)))
        if claim is None:
            return
        if BIND_COMPLETED in annotations_of(claim):
            await self._sync_bound_claim(claim)
        else:
            await self._sync_unbound_claim(claim)

    # Claims

    async def _sync_unbound_claim(self, claim: Object) -> None:
        wanted = claim["spec"].get("volumeName")
        if wanted:
            await self._bind_to_named(claim, self.volumes.get(wanted))
            return
        storage_class = self.classes.get(class_of(claim))
        delayed = is_delayed(claim, storage_class)
        volume = find_match(self.volumes.list(), claim, reserved_only=delayed)
        if volume is not None:
            await self._bind(volume, claim)
            return
        self.queue.add_after(CLAIM + key(claim), RESYNC)
        if delayed:
            self._tell_what_is_awaited(claim)
        elif class_of(claim):
            await self._ask_for_a_volume(claim, storage_class)
        else:
            self.recorder.event(claim, "Normal", "FailedBinding", NO_CLASS)

    def _tell_what_is_awaited(self, claim: Object) -> None:
        pods = self.pods.by_index("claim", key(claim))
        waiting = [pod["metadata"]["name"] for pod in pods if not pod["spec"].get("nodeName")]
        if waiting:
            message = f"waiting for pod {','.join(sorted(waiting))} to be scheduled"
            self.recorder.event(claim, "Normal", "WaitForPodScheduled", message)
        else:
            self.recorder.event(claim, "Normal", "WaitForFirstConsumer", FIRST_CONSUMER)

    async def _ask_for_a_volume(self, claim: Object, storage_class: Object | None) -> None:
        """Tell the class's provisioner to make a volume."""
        if storage_class is None:
            message = f'storageclass.storage.k8s.io "{class_of(claim)}" not found'
            self.recorder.event(claim, "Warning", "ProvisioningFailed", message)
            return
        provisioner = storage_class["provisioner"]
        if provisioner.startswith("kubernetes.io/"):
            message = f"no volume plugin matched name: {provisioner}"
            self.recorder.event(claim, "Warning", "ProvisioningFailed", message)
            return
        if annotations_of(claim).get(STORAGE_PROVISIONER) != provisioner:
            made = {BETA_STORAGE_PROVISIONER: provisioner, STORAGE_PROVISIONER: provisioner}
            await self.client.update(CLAIMS, annotate(claim, made))
        message = EXTERNAL.format(provisioner)
        self.recorder.event(claim, "Normal", "ExternalProvisioning", message)

    async def _bind_to_named(self, claim: Object, volume: Object | None) -> None:
        """Bind a claim to the volume that it names, if it may have it."""
        if volume is None:
            self.queue.add_after(CLAIM + key(claim), RESYNC)
        elif is_meant_for(volume, claim):
            await self._bind(volume, claim)
        elif volume["spec"].get("claimRef"):
            message = f'volume "{volume["metadata"]["name"]}" already bound to a different claim.'
            self.recorder.event(claim, "Warning", "FailedBinding", message)
        elif problem := why_unfit(volume, claim):
            message = f'Cannot bind to requested volume "{volume["metadata"]["name"]}": {problem}'
            self.recorder.event(claim, "Warning", "VolumeMismatch", message)
        else:
            await self._bind(volume, claim)

    async def _sync_bound_claim(self, claim: Object) -> None:
        name = claim["spec"].get("volumeName")
        if not name:
            await self._lose(claim, "ClaimLost", LOST_REFERENCE)
            return
        volume = self.volumes.get(name)
        if volume is None:
            await self._lose(claim, "ClaimLost", LOST_VOLUME)
        elif not volume["spec"].get("claimRef") or is_meant_for(volume, claim):
            await self._bind(volume, claim)
        else:
            await self._lose(claim, "ClaimMisbound", MISBOUND)

    async def _lose(self, claim: Object, reason: str, message: str) -> None:
        if claim["status"].get("phase") == "Lost":
            return
        status = {**claim["status"], "phase": "Lost"}
        status.pop("capacity", None)
        status.pop("accessModes", None)
        await self.client.update(CLAIMS, claim | {"status": status}, subresource="status")
        self.recorder.event(claim, "Warning", reason, message)

    # Binding

    async def _bind(self, volume: Object, claim: Object) -> None:
        """Take the steps of a binding that have not been taken yet."""
        volume = await self._name_the_claim(volume, claim)
        volume = await self._set_phase(volume, "Bound")
        claim = await self._name_the_volume(claim, volume)
        status = {
            "phase": "Bound",
            "accessModes": volume["spec"]["accessModes"],
            "capacity": {"storage": volume["spec"]["capacity"]["storage"]},
        }
        if {name: claim["status"].get(name) for name in status} != status:
            await self.client.update(
                CLAIMS, claim | {"status": claim["status"] | status}, subresource="status"
            )

    async def _name_the_claim(self, volume: Object, claim: Object) -> Object:
        reference = volume["spec"].get("claimRef")
        if reference and reference.get("uid") == uid(claim):
            return volume
        if not reference:
            volume = annotate(volume, {BOUND_BY_CONTROLLER: "yes"})
        spec = volume["spec"] | {"claimRef": object_reference(claim)}
        return await self.client.update(VOLUMES, volume | {"spec": spec})

    async def _name_the_volume(self, claim: Object, volume: Object) -> Object:
        name, changed = volume["metadata"]["name"], claim
        if claim["spec"].get("volumeName") != name:
            changed = annotate(changed, {BOUND_BY_CONTROLLER: "yes"})
            changed |= {"spec": claim["spec"] | {"volumeName": name}}
        if BIND_COMPLETED not in annotations_of(claim):
            changed = annotate(changed, {BIND_COMPLETED: "yes"})
        return claim if changed is claim else await self.client.update(CLAIMS, changed)

    async def _set_phase(self, volume: Object, phase: str, message: str = "") -> Object:
        status = volume.get("status") or {}
        if status.get("phase") == phase and status.get("message", "") == message:
            return volume
        now = timestamp(self.clock.now())
        made = {"phase": phase, "lastPhaseTransitionTime": now}
        made |= {"message": message} if message else {}
        return await self.client.update(VOLUMES, volume | {"status": made}, subresource="status")

    # Volumes

    async def _sync_volume(self, volume: Object) -> None:
        reference = volume["spec"].get("claimRef")
        if not reference or not reference.get("uid"):
            await self._set_phase(volume, "Available")
            return
        claim = self.claims.get(reference["name"], reference["namespace"])
        if claim is None or uid(claim) != reference["uid"]:
            await self._release(volume)
        elif not claim["spec"].get("volumeName"):
            self.queue.add(CLAIM + key(claim))
        elif claim["spec"]["volumeName"] == volume["metadata"]["name"]:
            await self._set_phase(volume, "Bound")
        elif PROVISIONED_BY in annotations_of(volume):
            await self._release(volume)  # made for a claim that meanwhile found another one
        else:
            await self._unbind(volume)

    async def _unbind(self, volume: Object) -> None:
        """Give a volume free whose claim chose another one; a user's reservation stays."""
        annotations = annotations_of(volume)
        spec = dict(volume["spec"])
        if BOUND_BY_CONTROLLER in annotations:
            del spec["claimRef"]
            kept = {n: text for n, text in annotations.items() if n != BOUND_BY_CONTROLLER}
            metadata = volume["metadata"] | {"annotations": kept}
            volume = volume | {"metadata": metadata}
        else:
            spec["claimRef"] = {n: v for n, v in spec["claimRef"].items() if n != "uid"}
        await self._set_phase(
            await self.client.update(VOLUMES, volume | {"spec": spec}), "Available"
        )

    async def _release(self, volume: Object) -> None:
        """The claim is gone: the volume is released, and its policy says what becomes of it."""
        if (volume.get("status") or {}).get("phase") == "Failed":
            return
        volume = await self._set_phase(volume, "Released")
        policy = volume["spec"]["persistentVolumeReclaimPolicy"]
        if policy == "Recycle":
            await self._fail(
                volume, "VolumeFailedRecycle", "No recycler plugin found for the volume!"
            )
        elif policy == "Delete" and PROVISIONED_BY not in annotations_of(volume):
            await self._delete(volume)

    async def _delete(self, volume: Object) -> None:
        """Delete a volume that no provisioner made; the one that made it deletes it itself."""
        name, source = volume["metadata"]["name"], volume["spec"].get("hostPath")
        if source is None:
            message = (
                f'error getting deleter volume plugin for volume "{name}": '
                "no deletable volume plugin matched"
            )
            await self._fail(volume, "VolumeFailedDelete", message)
        elif not source["path"].startswith("/tmp/"):  # noqa: S108 - a path on a simulated disk
            message = (
                f"host_path deleter only supports /tmp/.+ but received provided {source['path']}"
            )
            await self._fail(volume, "VolumeFailedDelete", message)
        else:
            with tolerating(NOT_FOUND):
                await self.client.delete(VOLUMES, name, uid=uid(volume))

    async def _fail(self, volume: Object, reason: str, message: str) -> None:
        await self._set_phase(volume, "Failed", message)
        self.recorder.event(volume, "Warning", reason, message)
