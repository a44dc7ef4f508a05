"""Score plugins: among the nodes that will do, which is best.

Weights are those of the default profile.
"""

from decimal import Decimal

from kubesim.apimachinery.objects import Object
from kubesim.apimachinery.taints import covers
from kubesim.scheduler import interpodaffinity, nodeaffinity, podtopologyspread
from kubesim.scheduler.framework import MAX_SCORE, ScorePlugin, Scores, normalize
from kubesim.scheduler.snapshot import NodeInfo, Snapshot, presumed_requests, requests

SCORED_RESOURCES = ("cpu", "memory")


def taint_toleration(pod: Object, _: Snapshot, feasible: list[NodeInfo]) -> Scores:
    """TaintToleration: fewer untolerated PreferNoSchedule taints are better."""
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
        total = info.allocatable.get(name, Decimal(0))
        used = info.presumed.get(name, Decimal(0)) + wanted[name]
        return max(total - used, Decimal(0)) * MAX_SCORE // total if total else Decimal(0)

    return {
        info.name: int(sum(free(info, name) for name in SCORED_RESOURCES) // len(SCORED_RESOURCES))
        for info in feasible
    }


def balanced_allocation(pod: Object, _: Snapshot, feasible: list[NodeInfo]) -> Scores:
    """NodeResourcesBalancedAllocation: cpu and memory should fill up alike."""
    wanted = requests(pod)
    if not any(wanted.get(name) for name in SCORED_RESOURCES):
        return dict.fromkeys((info.name for info in feasible), 0)

    def used(info: NodeInfo, name: str) -> float:
        total = info.allocatable.get(name, Decimal(0))
        amount = info.requested.get(name, Decimal(0)) + wanted.get(name, Decimal(0))
        return min(1.0, float(amount / total)) if total else 1.0

    return {
        info.name: int((1 - abs(used(info, "cpu") - used(info, "memory")) / 2) * MAX_SCORE)
        for info in feasible
    }


SCORES = (
    ScorePlugin("TaintToleration", taint_toleration, weight=3),
    ScorePlugin("NodeAffinity", nodeaffinity.score, weight=2),
    ScorePlugin("NodeResourcesFit", least_allocated),
    ScorePlugin("PodTopologySpread", podtopologyspread.score, weight=2),
    ScorePlugin("InterPodAffinity", interpodaffinity.score, weight=2),
    ScorePlugin("NodeResourcesBalancedAllocation", balanced_allocation),
)
