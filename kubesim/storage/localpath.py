"""The local-path provisioner, which kind installs: a volume is a directory on the chosen node.

See https://github.com/rancher/local-path-provisioner. A real one starts a helper Pod on the node to
make and remove the directory; here the disk is at hand.
"""

from collections.abc import Mapping

from kubesim.apimachinery.objects import (
    Object,
    annotations_of,
    key,
    object_reference,
    split_key,
    uid,
)
from kubesim.apimachinery.volumes import (
    CLAIMS,
    CLASSES,
    PROVISIONED_BY,
    SELECTED_NODE,
    STORAGE_PROVISIONER,
    VOLUMES,
    class_of,
)
from kubesim.clientgo.absence import NOT_FOUND, tolerating
from kubesim.clientgo.client import Client
from kubesim.clientgo.informer import Change, InformerFactory
from kubesim.clock import Clock
from kubesim.controllers.controller import Controller
from kubesim.storage import disk
from kubesim.storage.disk import NodeDisk

PROVISIONER = "rancher.io/local-path"
NAMESPACE = "local-path-storage"
ACCOUNT = "local-path-provisioner-service-account"
ALREADY_EXISTS = 409
MODES = {"ReadWriteOnce", "ReadWriteOncePod"}
BAD_MODE = "NodePath only supports ReadWriteOnce and ReadWriteOncePod (1.22+) access modes"
NO_NODE = "configuration error, no node was specified"


class LocalPathProvisioner(Controller):
    """Makes the volumes of its claims, and deletes them when they are released."""

    name = "local-path-provisioner"
    component = PROVISIONER

    def __init__(
        self,
        client: Client,
        informers: InformerFactory,
        clock: Clock,
        disks: Mapping[str, NodeDisk],
    ) -> None:
        self._disks = disks
        super().__init__(client, informers, clock)

    def watch(self, informers: InformerFactory) -> None:
        """Claims and volumes fill the queue."""
        claims, volumes = informers.informer(CLAIMS), informers.informer(VOLUMES)
        self.claims, self.volumes = claims.cache, volumes.cache
        self.classes = informers.informer(CLASSES).cache
        claims.add_handler(self._claim_changed)
        volumes.add_handler(self._volume_changed)

    def _claim_changed(self, change: Change) -> None:
        if annotations_of(change.object).get(STORAGE_PROVISIONER) == PROVISIONER:
            self.enqueue(change)

    def _volume_changed(self, change: Change) -> None:
        if annotations_of(change.object).get(PROVISIONED_BY) == PROVISIONER:
            self.enqueue(change)

    async def sync(self, key: str) -> None:
        """Provision for a claim, or delete a released volume; a volume's key has no namespace."""
        namespace, name = split_key(key)
        if namespace:
            claim = self.claims.get(name, namespace)
            if claim is not None and not claim["spec"].get("volumeName"):
                await self._provision(claim)
            return
        volume = self.volumes.get(name)
        if volume is not None and _is_to_go(volume):
            await self._delete(volume)

    async def _provision(self, claim: Object) -> None:
        name, storage_class = f"pvc-{uid(claim)}", self.classes.get(class_of(claim))
        if self.volumes.get(name) is not None or storage_class is None:
            return
        message = f'External provisioner is provisioning volume for claim "{key(claim)}"'
        self.recorder.event(claim, "Normal", "Provisioning", message)
        node = annotations_of(claim).get(SELECTED_NODE, "")
        modes = set(claim["spec"]["accessModes"])
        problem = NO_NODE if not node else BAD_MODE if not modes <= MODES else ""
        if problem:
            message = f'failed to provision volume with StorageClass "{class_of(claim)}": {problem}'
            self.recorder.event(claim, "Warning", "ProvisioningFailed", message)
            raise RuntimeError(message)
        volume = _volume(name, claim, storage_class, node)
        if node in self._disks:
            self._disks[node].directory(volume["spec"]["hostPath"]["path"], 0o777)
        with tolerating(ALREADY_EXISTS):
            await self.client.create(VOLUMES, volume)
        message = f"Successfully provisioned volume {name}"
        self.recorder.event(claim, "Normal", "ProvisioningSucceeded", message)

    async def _delete(self, volume: Object) -> None:
        place = volume["spec"]["hostPath"]["path"]
        terms = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
        for node in terms[0]["matchExpressions"][0]["values"]:
            if node in self._disks:
                self._disks[node].remove(place)
        with tolerating(NOT_FOUND):
            await self.client.delete(VOLUMES, volume["metadata"]["name"], uid=uid(volume))


def _is_to_go(volume: Object) -> bool:
    released = (volume.get("status") or {}).get("phase") == "Released"
    return released and volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete"


def _volume(name: str, claim: Object, storage_class: Object, node: str) -> Object:
    meta, spec = claim["metadata"], claim["spec"]
    place = f"{disk.VOLUMES}/{name}_{meta['namespace']}_{meta['name']}"
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {PROVISIONED_BY: PROVISIONER}},
        "spec": {
            "accessModes": spec["accessModes"],
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "claimRef": object_reference(claim),
            "hostPath": {"path": place, "type": "DirectoryOrCreate"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
            "persistentVolumeReclaimPolicy": storage_class["reclaimPolicy"],
            "storageClassName": storage_class["metadata"]["name"],
            "volumeMode": spec.get("volumeMode", "Filesystem"),
        },
    }


async def run(client: Client, clock: Clock, disks: Mapping[str, NodeDisk]) -> None:
    """Run the provisioner until cancelled."""
    informers = InformerFactory(client, clock)
    await informers.run_with(LocalPathProvisioner(client, informers, clock, disks).run)
