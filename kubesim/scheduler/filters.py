"""Filter plugins: which nodes can a Pod run on at all, and if not, why.

A plugin looks at a Pod and the whole cluster once (the framework's PreFilter) and returns the test
for one node (Filter), or None when the Pod gives it nothing to test (Skip). The sentences are those
of Kubernetes 1.37. Older ones differ: up to 1.34 the taint is named, "node(s) had untolerated taint
{key: value}"; 1.20 says "node(s) had taint {key: value}, that the pod didn't tolerate" and "node(s)
didn't match Pod's node affinity".
"""

from collections.abc import Callable

from kubesim.apimachinery.objects import Object
from kubesim.apimachinery.taints import tolerates
from kubesim.scheduler import interpodaffinity, nodeaffinity, podtopologyspread, volumebinding
from kubesim.scheduler.framework import ClusterEvent, FilterPlugin, NodeTest, Rejection
from kubesim.scheduler.nodeinfo import NOTHING, NodeInfo, host_ports, per_node, requests
from kubesim.scheduler.snapshot import Snapshot

UNSCHEDULABLE = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
BLOCKING_EFFECTS = {"NoSchedule", "NoExecute"}
ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - host ports of Pods are compared, nothing is bound


def node_unschedulable(pod: Object, _: Snapshot) -> NodeTest | None:
    """NodeUnschedulable: a cordoned node takes nobody who does not tolerate that."""
    if tolerates(pod, UNSCHEDULABLE):
        return None
    rejection = Rejection(("node(s) were unschedulable",), final=True)
    return lambda info: rejection if info.node["spec"].get("unschedulable") else None


def node_name(pod: Object, _: Snapshot) -> NodeTest | None:
    """NodeName: a Pod that names its node gets it or none."""
    name = pod["spec"].get("nodeName")
    if not name:
        return None
    rejection = Rejection(("node(s) didn't match the requested node name",), final=True)
    return lambda info: rejection if name != info.name else None


def taint_toleration(pod: Object, _: Snapshot) -> NodeTest:
    """TaintToleration: every NoSchedule and NoExecute taint must be tolerated."""
    rejection = Rejection(("node(s) had untolerated taint(s)",), final=True)

    def test(info: NodeInfo) -> Rejection | None:
        if not info.taints:
            return None
        blocking = (taint for taint in info.taints if taint["effect"] in BLOCKING_EFFECTS)
        return None if all(tolerates(pod, taint) for taint in blocking) else rejection

    return test


def node_ports(pod: Object, _: Snapshot) -> NodeTest | None:
    """NodePorts: the host ports that the Pod wants must be free."""
    wanted = host_ports(pod)
    if not wanted:
        return None
    rejection = Rejection(("node(s) didn't have free ports for the requested pod ports",))

    def test(info: NodeInfo) -> Rejection | None:
        clash = any(_same_port(one, other) for one in wanted for other in info.ports)
        return rejection if clash else None

    return test


def _same_port(one: tuple[str, str, int], other: tuple[str, str, int]) -> bool:
    if one[1:] != other[1:]:
        return False
    return one[0] == other[0] or ANY_ADDRESS in {one[0], other[0]}


def node_resources_fit(pod: Object, _: Snapshot) -> NodeTest:
    """NodeResourcesFit: requests must fit into what the node's Pods leave of its allocatable."""
    wanted = {name: amount for name, amount in requests(pod).items() if amount}

    def test(info: NodeInfo) -> Rejection | None:
        reasons = ["Too many pods"] if len(info.infos) + 1 > info.allocatable.get("pods", 0) else []
        hopeless = False
        for name, amount in wanted.items():
            total = info.allocatable.get(name, NOTHING)
            if amount > total - info.requested.get(name, NOTHING):
                reasons.append(f"Insufficient {name}")
                hopeless = hopeless or amount > total
        return Rejection(tuple(reasons), final=hopeless) if reasons else None

    return per_node("NodeResourcesFit", (*wanted.items(),), test)


_NODES_AND_LABELS = frozenset({ClusterEvent.NODE_ADDED, ClusterEvent.NODE_LABELS})
_NODES_AND_TAINTS = frozenset({ClusterEvent.NODE_ADDED, ClusterEvent.NODE_TAINTS})
_NODES_AND_SPACE = frozenset(
    {ClusterEvent.NODE_ADDED, ClusterEvent.NODE_ALLOCATABLE, ClusterEvent.POD_GONE}
)
_PODS_AND_STORAGE = frozenset({ClusterEvent.POD_GONE, ClusterEvent.STORAGE})
_NODES_AND_STORAGE = frozenset(
    {ClusterEvent.NODE_ADDED, ClusterEvent.NODE_LABELS, ClusterEvent.STORAGE}
)
_NODES_AND_PODS = frozenset(
    {
        ClusterEvent.NODE_ADDED,
        ClusterEvent.NODE_LABELS,
        ClusterEvent.NODE_TAINTS,
        ClusterEvent.POD_PLACED,
        ClusterEvent.POD_CHANGED,
        ClusterEvent.POD_GONE,
    }
)

FILTERS = (
    FilterPlugin("NodeUnschedulable", node_unschedulable, _NODES_AND_TAINTS),
    FilterPlugin("NodeName", node_name, frozenset({ClusterEvent.NODE_ADDED})),
    FilterPlugin("TaintToleration", taint_toleration, _NODES_AND_TAINTS),
    FilterPlugin("NodeAffinity", nodeaffinity.prepare, _NODES_AND_LABELS),
    FilterPlugin("NodePorts", node_ports, _NODES_AND_SPACE),
    FilterPlugin("NodeResourcesFit", node_resources_fit, _NODES_AND_SPACE),
    FilterPlugin("VolumeRestrictions", volumebinding.restrictions, _PODS_AND_STORAGE),
    FilterPlugin("VolumeBinding", volumebinding.prepare, _NODES_AND_STORAGE),
    FilterPlugin("PodTopologySpread", podtopologyspread.prepare, _NODES_AND_PODS),
    FilterPlugin("InterPodAffinity", interpodaffinity.prepare, _NODES_AND_PODS),
)


def judge(pod: Object, snapshot: Snapshot) -> Callable[[NodeInfo], tuple[str, Rejection] | None]:
    """The test of a node by all filters in order: the first to reject it, and why, or None."""
    prepared = [(plugin.name, plugin.prepare(pod, snapshot)) for plugin in FILTERS]
    tests = [(name, test) for name, test in prepared if test]

    def judge_one(info: NodeInfo) -> tuple[str, Rejection] | None:
        for name, test in tests:
            why = test(info)
            if why is not None:
                return name, why
        return None

    return judge_one
