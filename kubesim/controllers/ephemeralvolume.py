"""The ephemeral volume controller: a claim for each generic ephemeral volume of a Pod.

Kubernetes' `pkg/controller/volume/ephemeral`. The claim belongs to the Pod and goes with it.
"""

from kubesim.apimachinery.objects import (
    Object,
    controller_reference,
    is_being_deleted,
    is_controlled_by,
    key,
    split_key,
)
from kubesim.apimachinery.volumes import CLAIMS
from kubesim.clientgo.absence import tolerating
from kubesim.clientgo.informer import Change, InformerFactory
from kubesim.controllers.controller import Controller

CONFLICT = 409


class EphemeralVolumeController(Controller):
    """Creates the claims of Pods."""

    name = "ephemeral-volume-controller"

    def watch(self, informers: InformerFactory) -> None:
        """Pods with such volumes fill the queue, and so do their claims when they go."""
        pods, claims = informers.informer("pods"), informers.informer(CLAIMS)
        self.pods, self.claims = pods.cache, claims.cache
        pods.add_handler(self._pod_changed)
        claims.add_handler(self._claim_changed)

    async def sync(self, key: str) -> None:
        """Create the claims that a Pod lacks."""
        pod = self.pods.get(*reversed(split_key(key)))
        if pod is None or is_being_deleted(pod):
            return
        for volume in pod["spec"].get("volumes") or ():
            if "ephemeral" in volume:
                await self._create(pod, volume)

    async def _create(self, pod: Object, volume: Object) -> None:
        name = f"{pod['metadata']['name']}-{volume['name']}"
        present = self.claims.get(name, pod["metadata"]["namespace"])
        if present is not None:
            if not is_controlled_by(present, pod):
                raise RuntimeError(
                    f"PVC {key(present)} was not created for pod {key(pod)} (pod is not owner)"
                )
            return
        template = volume["ephemeral"]["volumeClaimTemplate"]
        given = template.get("metadata") or {}
        metadata = {
            "name": name,
            "namespace": pod["metadata"]["namespace"],
            "ownerReferences": [controller_reference(pod)],
            **{field: given[field] for field in ("labels", "annotations") if field in given},
        }
        with tolerating(CONFLICT):
            claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata}
            await self.client.create(CLAIMS, claim | {"spec": template["spec"]})

    def _pod_changed(self, change: Change) -> None:
        volumes = change.object["spec"].get("volumes") or ()
        if change.old is None and any("ephemeral" in volume for volume in volumes):
            self.enqueue(change)

    def _claim_changed(self, change: Change) -> None:
        if change.new is None:
            for owner in change.object["metadata"].get("ownerReferences") or ():
                if owner["kind"] == "Pod":
                    self.queue.add(f"{change.object['metadata']['namespace']}/{owner['name']}")
