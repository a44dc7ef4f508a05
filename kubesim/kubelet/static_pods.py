"""Static Pods: what a kubelet runs from its manifest directory, told by nobody.

That is how kubeadm brings up a control plane: nothing can be asked of an API server before there is
one. A *mirror Pod* shows each static Pod in the API; it is a picture, and the kubelet writes
the real Pod's status into it. See pkg/kubelet/config/file.go and pkg/kubelet/pod/mirror_client.go.

The real kubelet leaves the containers alone when somebody deletes the mirror, and only draws it
again. Here the Pod is restarted, so that `kubectl delete pod` is a way to restart a component.
"""

import asyncio
import contextlib
import copy
import hashlib
import json
import logging

from kubesim.api import resources
from kubesim.apimachinery.objects import (
    CONFIG_MIRROR,
    Object,
    annotations_of,
    is_being_deleted,
    timestamp,
    uid,
)
from kubesim.apiserver.errors import StatusError
from kubesim.apiserver.registry.defaults import apply_defaults
from kubesim.clientgo.informer import Change
from kubesim.kubelet.context import NodeContext
from kubesim.kubelet.node import NodeAgent
from kubesim.kubelet.pod_worker import PodWorker

CONFIG_HASH = "kubernetes.io/config.hash"
CONFIG_SEEN = "kubernetes.io/config.seen"
CONFIG_SOURCE = "kubernetes.io/config.source"
PODS = resources.named("pods")
MIRROR_RETRY = 1.0

log = logging.getLogger(__name__)


class Manifests:
    """The files of a node's /etc/kubernetes/manifests; they outlive the kubelet that reads them."""

    def __init__(self) -> None:
        self.files: dict[str, Object] = {}
        self.changed = asyncio.Event()

    def write(self, name: str, pod: Object) -> None:
        """Put a Pod's manifest into the directory, or replace it."""
        self.files[name] = pod
        self.changed.set()

    def take(self, name: str) -> Object:
        """Move a manifest out of the directory. Raises KeyError."""
        manifest = self.files.pop(name)
        self.changed.set()
        return manifest


class StaticPods:
    """Runs what is in the manifest directory, for as long as it is there."""

    def __init__(self, node: NodeContext, manifests: Manifests, agent: NodeAgent) -> None:
        self._node = node
        self._manifests = manifests
        self._agent = agent
        self._pods: dict[str, _StaticPod] = {}

    async def run(self) -> None:
        """Follow the directory until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._manifests.changed.clear()
                for name in self._pods.keys() - self._manifests.files.keys():
                    self._pods.pop(name).take(None)
                for name, manifest in self._manifests.files.items():
                    pod = static_pod(manifest, self._node)
                    if name in self._pods:
                        self._pods[name].take(pod)
                    else:
                        self._pods[name] = _StaticPod(self._node, self._agent, pod)
                        tasks.create_task(_guarded(self._pods[name]))
                await self._manifests.changed.wait()
                await self._node.active.wait()

    def workers(self) -> list[PodWorker]:
        """Return the workers of all static Pods."""
        return [each.worker for each in self._pods.values() if each.worker]

    def mirror_changed(self, change: Change) -> None:
        """Hear from the API server about a mirror Pod."""
        for each in self._pods.values():
            if each.mirror == uid(change.object) and (
                change.new is None or is_being_deleted(change.object)
            ):
                each.restart()


def static_pod(manifest: Object, node: NodeContext) -> Object:
    """Return the Pod that a manifest stands for on a node."""
    pod = copy.deepcopy(manifest)
    metadata, spec = pod["metadata"], pod["spec"]
    content = json.dumps([manifest, node.config.name], sort_keys=True)
    identity = hashlib.sha256(content.encode()).hexdigest()[:32]
    metadata["uid"] = identity
    metadata["name"] += f"-{node.config.name}"
    metadata.setdefault("namespace", "default")
    metadata["annotations"] = {
        **(metadata.get("annotations") or {}),
        CONFIG_HASH: identity,
        CONFIG_SEEN: timestamp(node.clock.now()),
        CONFIG_SOURCE: "file",
    }
    spec["nodeName"] = node.config.name
    spec["tolerations"] = [{"operator": "Exists", "effect": "NoExecute"}]
    apply_defaults(PODS, pod)
    return pod


class _StaticPodWorker(PodWorker):
    """A worker whose Pod the API server knows only by its mirror."""

    def is_shown_by(self, stored: Object) -> bool:
        """Tell whether a Pod of the API shows this one."""
        annotations = annotations_of(stored)
        return annotations.get(CONFIG_MIRROR) == self.uid and not is_being_deleted(stored)


class _StaticPod:
    """One manifest: the Pod's worker, and its mirror."""

    def __init__(self, node: NodeContext, agent: NodeAgent, pod: Object) -> None:
        self.worker: _StaticPodWorker | None = None
        self.mirror: str | None = None
        self._node = node
        self._agent = agent
        self._pod: Object | None = pod

    def take(self, pod: Object | None) -> None:
        """Go on as another Pod, or end as none."""
        if pod is None or self._pod is None or uid(pod) != uid(self._pod):
            self._pod = pod
            self.restart()

    def restart(self) -> None:
        """End the containers; `run` starts what there is to start."""
        if self.worker:
            self.worker.remove()

    async def run(self) -> None:
        """Run the Pod until its manifest is gone."""
        while self._pod:
            known = await self._ran_before(self._pod)
            self.worker = _StaticPodWorker(self._node, self._pod | {"status": known})
            showing = asyncio.ensure_future(self._show(self.worker))
            try:
                await self.worker.run()
            finally:
                showing.cancel()
                await asyncio.gather(showing, return_exceptions=True)
            await self._hide(self.worker)
        self.worker = None

    async def _ran_before(self, pod: Object) -> Object:
        """Return the last status of a Pod that ran before the node lost its power."""
        if self.worker:
            return {}
        try:
            mirror = await self._node.client.get("pods", *_place(pod))
        except StatusError:
            return {}
        known: Object = mirror.get("status") or {}
        return known if mirror["metadata"]["annotations"].get(CONFIG_MIRROR) == uid(pod) else {}

    async def _show(self, worker: _StaticPodWorker) -> None:
        """Make the mirror Pod, as soon as the API server takes it."""
        await self._agent.registered.wait()
        while self.mirror is None:
            try:
                await self._draw(worker)
            except StatusError as error:
                log.info("mirror of %s: %s", worker.name, error)
                await self._node.clock.sleep(MIRROR_RETRY)
        await worker.publish()

    async def _draw(self, worker: _StaticPodWorker) -> None:
        client = self._node.client
        try:
            mirror = await client.create("pods", self._picture(worker.pod))
        except StatusError as error:
            if error.reason != "AlreadyExists":
                raise
            mirror = await client.get("pods", *_place(worker.pod))
            if not worker.is_shown_by(mirror):
                await client.delete("pods", *_place(worker.pod), grace_period=0, uid=uid(mirror))
                mirror = await client.create("pods", self._picture(worker.pod))
        self.mirror = uid(mirror)

    def _picture(self, pod: Object) -> Object:
        metadata = {key: value for key, value in pod["metadata"].items() if key != "uid"}
        metadata["annotations"] = {**metadata["annotations"], CONFIG_MIRROR: uid(pod)}
        owner = {
            "apiVersion": "v1",
            "kind": "Node",
            "name": self._node.config.name,
            "uid": self._agent.uid,
            "controller": True,
        }
        metadata["ownerReferences"] = [owner]
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod["spec"]}

    async def _hide(self, worker: _StaticPodWorker) -> None:
        mirror, self.mirror = self.mirror, None
        with contextlib.suppress(StatusError):
            await self._node.client.delete("pods", *_place(worker.pod), grace_period=0, uid=mirror)


def _place(pod: Object) -> tuple[str, str]:
    return pod["metadata"]["name"], pod["metadata"]["namespace"]


async def _guarded(pod: _StaticPod) -> None:
    """Run a static Pod; a defect there must not end the others."""
    try:
        await pod.run()
    except Exception:
        log.exception("a static Pod has failed")
