"""The node agent: a worker for every Pod that is bound to this node, and for every static Pod."""

import asyncio
import logging
from collections.abc import Collection

from kubesim.apimachinery.objects import Object, pod_is_mirror
from kubesim.clientgo.client import Client
from kubesim.clientgo.events import EventRecorder
from kubesim.clientgo.informer import Change, Informer
from kubesim.clock import Clock
from kubesim.kubelet.context import NodeContext
from kubesim.kubelet.eviction import EvictionManager
from kubesim.kubelet.node import NodeAgent, NodeConfig
from kubesim.kubelet.pod_worker import PodWorker
from kubesim.kubelet.server import ContainerServer
from kubesim.kubelet.static_pods import Manifests, StaticPods
from kubesim.network.fabric import Network
from kubesim.runtime.images import ImageStore
from kubesim.storage.disk import NodeDisk

log = logging.getLogger(__name__)


class Kubelet:
    """Runs one node. It may be stopped, as by pulling its plug, and run again.

    `pause` stops only the kubelet's process, as `systemctl stop kubelet` does.
    """

    def __init__(
        self,
        config: NodeConfig,
        client: Client,
        images: ImageStore,
        network: Network,
        clock: Clock,
    ) -> None:
        self.config = config
        self.client = client
        self.images = images
        self.network = network
        self.clock = clock
        self.disk = NodeDisk(config.name, clock.now)
        self.running = False
        self.active = asyncio.Event()
        self.manifests = Manifests()
        self.server = ContainerServer(config, clock, self)
        self.eviction = EvictionManager(clock, lambda: self.workers)
        self._workers: dict[str, PodWorker] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._static: StaticPods | None = None
        self._powered: asyncio.Task[None] | None = None
        self._serving: asyncio.Task[None] | None = None
        self.network.add_node(config.name, config.ip).pod_cidr = config.pod_cidr
        self.network.nodes[config.name].up = False

    async def run(self) -> None:
        """Register the node and run its Pods until stopped."""
        self.network.add_node(self.config.name, self.config.ip)
        self.running = True
        self.active.set()
        powered = self._powered = asyncio.ensure_future(self._work())
        try:
            await asyncio.wait({powered})
        finally:
            if self._powered is powered:
                await self.stop()
        if not powered.cancelled():
            powered.result()

    async def stop(self) -> None:
        """Let the node go dark at once: its containers die, nobody hears from it."""
        if not self.running:
            return
        self.running = False
        self.network.nodes[self.config.name].up = False
        tasks = list(self._tasks.values())
        if self._powered:
            tasks.append(self._powered)
            self._powered = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()
        self._workers.clear()
        self.network.remove_pods(self.config.name)

    async def pause(self) -> None:
        """Stop the kubelet's own process: the containers go on, and nobody looks after them."""
        self.active.clear()
        if self._serving:
            self._serving.cancel()
            await asyncio.gather(self._serving, return_exceptions=True)

    def resume(self) -> None:
        """Start the kubelet's process again."""
        self.active.set()

    async def _work(self) -> None:
        recorder = EventRecorder(self.client, self.clock, "kubelet", self.config.name)
        services = Informer(self.client, "services", self.clock)
        pods = Informer(
            self.client, "pods", self.clock, field_selector=f"spec.nodeName={self.config.name}"
        )
        context = NodeContext(
            self.config,
            self.client,
            self.clock,
            self.images,
            self.network,
            recorder,
            services.cache.list,
            self.disk,
            self.active,
        )
        agent = NodeAgent(self.config, self.client, self.clock, self.images, recorder)
        self._static = StaticPods(context, self.manifests, agent)
        pods.add_handler(lambda change: self._pod_changed(context, change))
        static = asyncio.ensure_future(self._static.run())
        try:
            while True:
                await self.active.wait()
                work = self._serve(recorder, agent, services, pods)
                self._serving = asyncio.ensure_future(work)
                await asyncio.wait({self._serving, static}, return_when=asyncio.FIRST_COMPLETED)
                if not self._serving.cancelled():
                    (static if static.done() else self._serving).result()
        finally:
            for task in (static, self._serving):
                if task:
                    task.cancel()
            await asyncio.gather(*filter(None, (static, self._serving)), return_exceptions=True)

    async def _serve(
        self, recorder: EventRecorder, agent: NodeAgent, services: Informer, pods: Informer
    ) -> None:
        """Do the work of the kubelet's process: report, listen, and write what has changed."""
        assert self._static
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(recorder.run())
            tasks.create_task(agent.run())
            tasks.create_task(self.eviction.run(agent))
            tasks.create_task(services.run())
            await services.synced.wait()
            tasks.create_task(pods.run())
            for worker in [*self._workers.values(), *self._static.workers()]:
                tasks.create_task(worker.publish())

    def _pod_changed(self, context: NodeContext, change: Change) -> None:
        pod: Object = change.object
        if pod_is_mirror(pod):
            assert self._static
            self._static.mirror_changed(change)
            return
        uid = pod["metadata"]["uid"]
        worker = self._workers.get(uid)
        if change.new is None:
            if worker:
                worker.remove()
        elif worker:
            worker.update(pod)
        else:
            self._workers[uid] = PodWorker(context, pod)
            task = asyncio.ensure_future(self._workers[uid].run())
            task.add_done_callback(lambda done: self._ended(uid, done))
            self._tasks[uid] = task

    def _ended(self, uid: str, task: asyncio.Task[None]) -> None:
        self._tasks.pop(uid, None)
        self._workers.pop(uid, None)
        if not task.cancelled() and task.exception():
            log.error("pod worker %s failed", uid, exc_info=task.exception())

    @property
    def workers(self) -> Collection[PodWorker]:
        """The workers of all Pods."""
        return [*self._workers.values(), *(self._static.workers() if self._static else [])]

    def worker(self, namespace: str, name: str) -> PodWorker | None:
        """Return the worker of a Pod."""
        wanted = (namespace, name)
        return next((w for w in self.workers if (w.namespace, w.name) == wanted), None)
