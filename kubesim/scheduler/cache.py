"""The scheduler's cache (`pkg/scheduler/backend/cache`): nodes and what is on them, kept current.

Every change of a Pod or node changes one NodeInfo, so a decision starts from what is there and
does not count the cluster again. A Pod that was given a node is *assumed* to be there at once,
until the API server says so or the binding fails.
"""

from bisect import bisect_left, insort

from kubesim.apimachinery.objects import Object, pod_is_finished, uid
from kubesim.scheduler.nodeinfo import NodeInfo, PodInfo


class Cache:
    """What is on which node."""

    def __init__(self) -> None:
        self._nodes: dict[str, NodeInfo] = {}
        self._names: list[str] = []  # of the nodes, in order
        self._homeless: dict[str, dict[str, PodInfo]] = {}  # Pods of nodes that are not there
        self._places: dict[str, str] = {}  # the node's name by the Pod's uid
        self._assumed: set[str] = set()

    def set_node(self, node: Object) -> None:
        """Take a node's newest state."""
        name = node["metadata"]["name"]
        known = self._nodes.get(name)
        if known:
            self._nodes[name] = known.with_node(node)
            return
        info = NodeInfo(node)
        for pod in self._homeless.pop(name, {}).values():
            info = info.plus(pod)
        self._nodes[name] = info
        insort(self._names, name)

    def remove_node(self, name: str) -> None:
        """Forget a node; its Pods are forgotten one by one."""
        info = self._nodes.pop(name)
        self._homeless[name] = dict(info.infos)
        del self._names[bisect_left(self._names, name)]

    def set_pod(self, pod: Object) -> None:
        """Take a Pod's newest state; one without a node, or that has finished, takes no room."""
        node = pod["spec"].get("nodeName")
        if not node and uid(pod) in self._assumed:
            return
        self._assumed.discard(uid(pod))
        if node and not pod_is_finished(pod):
            self._place(pod, node)
        else:
            self.remove_pod(uid(pod))

    def assume(self, pod: Object) -> None:
        """Take it that a Pod is on the node that was chosen for it."""
        self._place(pod, pod["spec"]["nodeName"])
        self._assumed.add(uid(pod))

    def is_assumed(self, pod: Object) -> bool:
        """Whether a Pod is on its node by assumption only."""
        return uid(pod) in self._assumed

    def remove_pod(self, identity: str) -> None:
        """Forget a Pod, by its uid."""
        self._assumed.discard(identity)
        node = self._places.pop(identity, "")
        info = self._nodes.get(node)
        if info:
            self._nodes[node] = info.minus(info.infos[identity])
        elif node:
            del self._homeless[node][identity]

    def nodes(self, awaited: list[Object]) -> tuple[NodeInfo, ...]:
        """Every node by name, as if the awaited Pods were there already."""
        infos = [self._nodes[name] for name in self._names]
        for pod in awaited:
            index = bisect_left(self._names, pod["spec"]["nodeName"])
            if infos[index : index + 1] and infos[index].name == pod["spec"]["nodeName"]:
                infos[index] = infos[index].plus(PodInfo(pod))
        return tuple(infos)

    def _place(self, pod: Object, node: str) -> None:
        info = self._nodes.get(node)
        known = info.infos.get(uid(pod)) if info else None
        if info and known and known.asks_the_same(pod):
            self._nodes[node] = info.with_newer(pod)
            return
        self.remove_pod(uid(pod))
        self._places[uid(pod)] = node
        info = self._nodes.get(node)
        if info:
            self._nodes[node] = info.plus(PodInfo(pod))
        else:
            self._homeless.setdefault(node, {})[uid(pod)] = PodInfo(pod)
