"""The taint eviction controller: NoExecute taints drive Pods away, some at once, some later.

Kubernetes' `pkg/controller/tainteviction/taint_eviction.go` (1.20: the taint manager within the
node lifecycle controller). A Pod may stay for the shortest `tolerationSeconds` among the
tolerations that cover the node's taints; by default every Pod tolerates `not-ready` and
`unreachable` for 300 s, which is why a lost node's Pods are replaced after five minutes.
"""

from collections.abc import Sequence

from kubesim.apimachinery.objects import Object, is_being_deleted, key, split_key, timestamp, uid
from kubesim.apimachinery.taints import covers
from kubesim.clientgo.client import Client
from kubesim.clientgo.disruption import disrupt
from kubesim.clientgo.informer import Change, InformerFactory
from kubesim.clock import Clock
from kubesim.controllers.controller import Controller
from kubesim.controllers.pods import BY_NODE

REASON = "TaintManagerEviction"


class TaintEvictionController(Controller):
    """Keys are Pods; `_since` remembers when a Pod's time on a tainted node began."""

    name = "taint-eviction-controller"

    def __init__(self, client: Client, informers: InformerFactory, clock: Clock) -> None:
        self._since: dict[str, tuple[str, float]] = {}
        super().__init__(client, informers, clock)

    def watch(self, informers: InformerFactory) -> None:
        """Pods on nodes fill the queue, and so do nodes whose NoExecute taints change."""
        nodes, pods = informers.informer("nodes"), informers.informer("pods")
        self.nodes, self.pods = nodes.cache, pods.cache
        self.pods.add_index(*BY_NODE)
        nodes.add_handler(self._node_changed)
        pods.add_handler(self._pod_changed)

    async def sync(self, key: str) -> None:
        """Delete a Pod whose time is up, or come back when it will be."""
        pod = self.pods.get(*reversed(split_key(key)))
        if pod is None or is_being_deleted(pod):
            self._since.pop(key, None)
            return
        node = self.nodes.get(pod["spec"].get("nodeName") or "")
        taints = no_execute_taints(node) if node else []
        allowed = allowed_seconds(pod, taints)
        if allowed is None:
            self._cancel(pod)
            return
        remaining = self._start(pod) + allowed - self.clock.monotonic()
        if remaining > 0:
            self.queue.add_after(key, remaining)
        else:
            await self._evict(pod)

    def _start(self, pod: Object) -> float:
        """When the Pod's time began; a namesake that came later starts anew."""
        owner, since = self._since.get(key(pod), ("", 0.0))
        if owner != uid(pod):
            since = self.clock.monotonic()
            self._since[key(pod)] = (uid(pod), since)
        return since

    def _cancel(self, pod: Object) -> None:
        if self._since.pop(key(pod), None) is not None:
            message = f"Cancelling deletion of Pod {key(pod)}"
            self.recorder.event(pod, "Normal", REASON, message)

    async def _evict(self, pod: Object) -> None:
        self.recorder.event(pod, "Normal", REASON, f"Marking for deletion Pod {key(pod)}")
        await disrupt(
            self.client,
            pod,
            reason="DeletionByTaintManager",
            message="Taint manager: deleting due to NoExecute taint",
            now=timestamp(self.clock.now()),
        )
        self._since.pop(key(pod), None)

    def _pod_changed(self, change: Change) -> None:
        if change.old is None or _stay(change.old) != _stay(change.object) or change.new is None:
            self.enqueue(change)

    def _node_changed(self, change: Change) -> None:
        before = no_execute_taints(change.old) if change.old else []
        after = no_execute_taints(change.new) if change.new else []
        if before != after:
            for pod in self.pods.by_index(BY_NODE[0], key(change.object)):
                self.queue.add(key(pod))


def no_execute_taints(node: Object) -> list[Object]:
    """The taints of a node that concern Pods which are there already."""
    taints = node["spec"].get("taints") or []
    return [taint for taint in taints if taint["effect"] == "NoExecute"]


def allowed_seconds(pod: Object, taints: Sequence[Object]) -> float | None:
    """How long a Pod may stay with such taints: None for ever, 0 not at all."""
    tolerations = pod["spec"].get("tolerations") or []
    limits = []
    for taint in taints:
        covering = next((each for each in tolerations if covers(each, taint)), None)
        if covering is None:
            return 0.0
        if "tolerationSeconds" in covering:
            limits.append(max(0.0, float(covering["tolerationSeconds"])))
    return min(limits, default=None)


def _stay(pod: Object) -> tuple[object, object]:
    """The parts of a Pod on which its stay depends."""
    return pod["spec"].get("nodeName"), pod["spec"].get("tolerations")
