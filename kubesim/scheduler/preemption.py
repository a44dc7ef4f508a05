"""Preemption: whose going would make room for a Pod of higher priority.

`pkg/scheduler/framework/preemption` and its plugin DefaultPreemption. On each node where it could
help, all Pods of lower priority are taken away in thought; if the Pod fits then, as many as
possible are given back, the most important first, and the rest are the victims. There are no
PodDisruptionBudgets to respect here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from kubesim.objects import Object, is_being_deleted
from kubesim.scheduler.filters import judge
from kubesim.scheduler.framework import Rejection
from kubesim.scheduler.snapshot import NodeInfo, Snapshot, priority

NO_VICTIMS = "No preemption victims found for incoming pod"
UNHELPFUL = "Preemption is not helpful for scheduling"
NEVER = "not eligible due to preemptionPolicy=Never."
VICTIMS_ARE_GOING = "not eligible due to a terminating pod on the nominated node."


@dataclass(frozen=True)
class Candidate:
    """A node and the Pods that would have to leave it."""

    node: str
    victims: tuple[Object, ...]

    @property
    def cost(self) -> tuple[int, int, int]:
        """What the choice among candidates minimizes, in that order of weight."""
        priorities = [priority(victim) for victim in self.victims]
        return max(priorities), sum(priorities), len(priorities)


def ineligible(pod: Object, snapshot: Snapshot) -> str:
    """Why a Pod may not preempt at all; empty when it may."""
    if pod["spec"].get("preemptionPolicy") == "Never":
        return NEVER
    nominated = (pod.get("status") or {}).get("nominatedNodeName")
    going = (
        is_being_deleted(other) and priority(other) < priority(pod)
        for info, other in snapshot.pods()
        if info.name == nominated
    )
    return VICTIMS_ARE_GOING if any(going) else ""


def find_candidate(
    pod: Object, snapshot: Snapshot, rejected: Mapping[str, Rejection]
) -> tuple[Candidate | None, dict[str, Rejection]]:
    """The cheapest set of victims, or why there is none, for each node.

    Args:
        pod: the Pod that fits nowhere.
        snapshot: the cluster in which it does not fit.
        rejected: why each node was rejected.

    """
    candidates, reasons = [], {}
    for info in snapshot.nodes:
        if rejected[info.name].final:
            reasons[info.name] = Rejection((UNHELPFUL,), final=True)
            continue
        found = _victims(pod, snapshot, info)
        if isinstance(found, Rejection):
            reasons[info.name] = found
        else:
            candidates.append(Candidate(info.name, found))
    return min(candidates, key=lambda each: each.cost, default=None), reasons


def _victims(pod: Object, snapshot: Snapshot, info: NodeInfo) -> tuple[Object, ...] | Rejection:
    lower = [other for other in info.pods if priority(other) < priority(pod)]
    if not lower:
        return Rejection((NO_VICTIMS,), final=True)
    kept = [other for other in info.pods if priority(other) >= priority(pod)]
    rejection = _rejection(pod, snapshot, info, kept)
    if rejection is not None:
        return rejection
    victims = []
    for other in sorted(lower, key=_importance):
        if _rejection(pod, snapshot, info, [*kept, other]) is None:
            kept.append(other)
        else:
            victims.append(other)
    return tuple(victims)


def _rejection(
    pod: Object, snapshot: Snapshot, info: NodeInfo, pods: list[Object]
) -> Rejection | None:
    """Why the Pod would not fit if only these Pods were on the node."""
    changed = NodeInfo(info.node, tuple(pods))
    nodes = tuple(changed if each is info else each for each in snapshot.nodes)
    found = judge(pod, snapshot.with_nodes(nodes))(changed)
    return found[1] if found else None


def _importance(pod: Object) -> tuple[int, str]:
    """Higher priority first, then those that started earlier."""
    started = (pod.get("status") or {}).get("startTime") or pod["metadata"]["creationTimestamp"]
    return -priority(pod), started
