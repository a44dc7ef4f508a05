"""The Pod garbage collector: Pods that nobody will ever clean up.

Kubernetes' `pkg/controller/podgc/gc_controller.go`: Pods of nodes that do not exist (any more),
40 s after that was noticed; and finished Pods beyond 12500. The real one looks every 20 s, this one
when a node goes or a Pod turns up on a node that is not there.
"""

from kubesim.apimachinery.objects import Object, key, pod_is_finished, timestamp
from kubesim.clientgo.absence import NOT_FOUND, find, tolerating
from kubesim.clientgo.disruption import disrupt
from kubesim.clientgo.informer import Change, InformerFactory
from kubesim.controllers.controller import Controller
from kubesim.controllers.pods import BY_NODE

QUARANTINE = 40.0
MAX_FINISHED = 12500
FINISHED_PODS = "finished pods"


class PodGCController(Controller):
    """Keys are names of absent nodes, and one for finished Pods."""

    name = "pod-garbage-collector"
    workers = 1

    def watch(self, informers: InformerFactory) -> None:
        """Deleted nodes, Pods on absent nodes and finished Pods fill the queue."""
        nodes, pods = informers.informer("nodes"), informers.informer("pods")
        self.nodes, self.pods = nodes.cache, pods.cache
        self.pods.add_index(*BY_NODE)
        self.pods.add_index("finished", lambda pod: ("yes",) if pod_is_finished(pod) else ())
        nodes.add_handler(self._node_changed)
        pods.add_handler(self._pod_changed)

    async def sync(self, key: str) -> None:
        """Delete the Pods of a node that is really gone, or the oldest finished ones."""
        if key == FINISHED_PODS:
            await self._collect_finished()
        elif self.nodes.get(key) is None and await find(self.client, "nodes", key) is None:
            for pod in self.pods.by_index(BY_NODE[0], key):
                await disrupt(
                    self.client,
                    pod,
                    reason="DeletionByPodGC",
                    message="PodGC: node no longer exists",
                    now=timestamp(self.clock.now()),
                    unattended=True,
                )

    async def _collect_finished(self) -> None:
        finished = sorted(self.pods.by_index("finished", "yes"), key=_age)
        for pod in finished[: max(0, len(finished) - MAX_FINISHED)]:
            meta = pod["metadata"]
            with tolerating(NOT_FOUND):
                await self.client.delete("pods", meta["name"], meta["namespace"], grace_period=0)

    def _node_changed(self, change: Change) -> None:
        if change.new is None:
            self.queue.add_after(key(change.object), QUARANTINE)

    def _pod_changed(self, change: Change) -> None:
        if change.new is None:
            return
        node = change.new["spec"].get("nodeName")
        if node and self.nodes.get(node) is None:
            self.queue.add_after(node, QUARANTINE)
        if pod_is_finished(change.new):
            self.queue.add(FINISHED_PODS)


def _age(pod: Object) -> tuple[str, str]:
    return pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]
