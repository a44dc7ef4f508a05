"""Score plugins: among the nodes that will do, which is best.

Weights are those of the default profile.
"""

from decimal import Decimal

from kubesim.apimachinery.objects import Object
from kubesim.apimachinery.taints import covers
from kubesim.scheduler import interpodaffinity, nodeaffinity, podtopologyspread
from kubesim.scheduler.framework import MAX_SCORE, ScorePlugin, Scores, normalize
from kubesim.scheduler.nodeinfo import (
    NOTHING,
    NodeInfo,
    per_node,
    presumed_requests,
    requests,
)
from kubesim.scheduler.snapshot import Snapshot

SCORED_RESOURCES = ("cpu", "memory")


def taint_toleration(pod: Object, _: Snapshot, feasible: list[NodeInfo]) -> Scores:
    """TaintToleration: fewer untolerated PreferNoSchedule taints are better."""
    if not any(info.taints for info in feasible):
        return {}
    tolerations = [
        each
        for each in pod["spec"].get("tolerations") or ()
        if each.get("effect", "") in {"", "PreferNoSchedule"}
    ]
    points = {
        info.name: sum(
            taint["effect"] == "PreferNoSchedule"
            and not any(covers(each, taint) for each in tolerations)
            for taint in info.taints
        )
        for info in feasible
    }
    return normalize(points, reverse=True)


def least_allocated(pod: Object, _: Snapshot, feasible: list[NodeInfo]) -> Scores:
    """NodeResourcesFit with LeastAllocated: the larger the part that stays free, the better."""
    wanted = presumed_requests(pod)

    def free(info: NodeInfo, name: str) -> Decimal:
        total = info.allocatable.get(name, NOTHING)
        used = info.presumed.get(name, NOTHING) + wanted[name]
        return max(total - used, NOTHING) * MAX_SCORE // total if total else NOTHING

    def points(info: NodeInfo) -> int:
        return int(sum(free(info, name) for name in SCORED_RESOURCES) // len(SCORED_RESOURCES))

    remembered = per_node("LeastAllocated", (*wanted.items(),), points)
    return {info.name: remembered(info) for info in feasible}


def balanced_allocation(pod: Object, _: Snapshot, feasible: list[NodeInfo]) -> Scores:
    """NodeResourcesBalancedAllocation: cpu and memory should fill up alike."""
    wanted = requests(pod)
    if not any(wanted.get(name) for name in SCORED_RESOURCES):
        return {}

    def used(info: NodeInfo, name: str) -> float:
        total = info.allocatable.get(name, NOTHING)
        amount = info.requested.get(name, NOTHING) + wanted.get(name, NOTHING)
        return min(1.0, float(amount / total)) if total else 1.0

    def points(info: NodeInfo) -> int:
        return int((1 - abs(used(info, "cpu") - used(info, "memory")) / 2) * MAX_SCORE)

    remembered = per_node("BalancedAllocation", (*wanted.items(),), points)
    return {info.name: remembered(info) for info in feasible}


SCORES = (
    ScorePlugin("TaintToleration", taint_toleration, weight=3),
    ScorePlugin("NodeAffinity", nodeaffinity.score, weight=2),
    ScorePlugin("NodeResourcesFit", least_allocated),
    ScorePlugin("PodTopologySpread", podtopologyspread.score, weight=2),
    ScorePlugin("InterPodAffinity", interpodaffinity.score, weight=2),
    ScorePlugin("NodeResourcesBalancedAllocation", balanced_allocation),
)
