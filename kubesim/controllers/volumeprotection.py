"""Protection of what stores data: it is not deleted while it is in use.

Kubernetes' `pkg/controller/volume/pvcprotection` and `pvprotection`. Admission puts the finalizers
in; here they are taken out, once the object is to go and nobody uses it any more.
"""

from kubesim.apimachinery.objects import Object, is_being_deleted, pod_is_finished, split_key
from kubesim.apimachinery.volumes import CLAIMS, VOLUMES, claim_keys
from kubesim.clientgo.absence import NOT_FOUND, tolerating
from kubesim.clientgo.informer import Change, InformerFactory
from kubesim.controllers.controller import Controller


class ClaimProtectionController(Controller):
    """Lets a claim go when no Pod uses it."""

    name = "pvc-protection-controller"
    finalizer = "kubernetes.io/pvc-protection"

    def watch(self, informers: InformerFactory) -> None:
        """Claims fill the queue, and so do those of Pods that end."""
        claims, pods = informers.informer(CLAIMS), informers.informer("pods")
        self.claims, self.pods = claims.cache, pods.cache
        pods.cache.add_index("claim", claim_keys)
        claims.add_handler(self.enqueue)
        pods.add_handler(self._pod_changed)

    async def sync(self, key: str) -> None:
        """Take the finalizer out of a claim that is to go and is not used."""
        claim = self.claims.get(*reversed(split_key(key)))
        if claim is None or not is_being_deleted(claim):
            return
        used = (pod for pod in self.pods.by_index("claim", key) if not _has_let_go(pod))
        if not any(used):
            await let_go(self, CLAIMS, claim, self.finalizer)

    def _pod_changed(self, change: Change) -> None:
        if change.new is None or _has_let_go(change.new):
            for name in claim_keys(change.object):
                self.queue.add(name)


class VolumeProtectionController(Controller):
    """Lets a volume go when it is not bound."""

    name = "pv-protection-controller"
    finalizer = "kubernetes.io/pv-protection"

    def watch(self, informers: InformerFactory) -> None:
        """Volumes fill the queue."""
        volumes = informers.informer(VOLUMES)
        self.volumes = volumes.cache
        volumes.add_handler(self.enqueue)

    async def sync(self, key: str) -> None:
        """Take the finalizer out of a volume that is to go and is not bound."""
        volume = self.volumes.get(key)
        if volume is None or not is_being_deleted(volume):
            return
        if (volume.get("status") or {}).get("phase") != "Bound":
            await let_go(self, VOLUMES, volume, self.finalizer)


def _has_let_go(pod: Object) -> bool:
    """Whether a Pod uses its claims no more: it never ran on a node and goes, or it has ended."""
    unplaced = is_being_deleted(pod) and not pod["spec"].get("nodeName")
    return pod_is_finished(pod) or unplaced


async def let_go(controller: Controller, resource: str, obj: Object, finalizer: str) -> None:
    """Take a finalizer out of an object."""
    finalizers = obj["metadata"].get("finalizers") or []
    if finalizer not in finalizers:
        return
    kept = [each for each in finalizers if each != finalizer]
    changed = obj | {"metadata": obj["metadata"] | {"finalizers": kept}}
    with tolerating(NOT_FOUND):
        await controller.client.update(resource, changed)
