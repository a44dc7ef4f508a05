"""Preemption: whose going would make room for a Pod of higher priority.

`pkg/scheduler/framework/preemption` and its plugin DefaultPreemption. On each node where it could
help, all Pods of lower priority are taken away in thought; if the Pod fits then, as many as
possible are given back, the most important first, and the rest are the victims. There are no
PodDisruptionBudgets to respect here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from kubesim.apimachinery.objects import Object, is_being_deleted
from kubesim.scheduler.filters import judge
from kubesim.scheduler.framework import Rejection, explain
from kubesim.scheduler.nodeinfo import NodeInfo, priority
from kubesim.scheduler.snapshot import Snapshot

NO_VICTIMS = Rejection(("No preemption victims found for incoming pod",))
UNHELPFUL = Rejection(("Preemption is not helpful for scheduling",))
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


def find_candidate(
    pod: Object, snapshot: Snapshot, rejected: Mapping[str, Rejection]
) -> tuple[Candidate | None, str]:
    """The cheapest set of victims, or in words why there is none.

    Args:
        pod: the Pod that fits nowhere.
        snapshot: the cluster in which it does not fit.
        rejected: why each node was rejected.

    """
    why_not = _ineligible(pod, snapshot)
    if why_not or not rejected:
        return None, why_not
    verdicts = {info.name: _judge(pod, snapshot, info, rejected) for info in snapshot.nodes}
    candidates = [each for each in verdicts.values() if isinstance(each, Candidate)]
    if candidates:
        return min(candidates, key=lambda each: each.cost), ""
    return None, explain({n: why for n, why in verdicts.items() if isinstance(why, Rejection)})


def _ineligible(pod: Object, snapshot: Snapshot) -> str:
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


def _judge(
    pod: Object, snapshot: Snapshot, info: NodeInfo, rejected: Mapping[str, Rejection]
) -> Candidate | Rejection:
    """Who would have to leave a node, or why that would not help."""
    if rejected[info.name].final:
        return UNHELPFUL
    lower = [other for other in info.pods if priority(other) < priority(pod)]
    if not lower:
        return NO_VICTIMS
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
    return Candidate(info.name, tuple(victims)) if victims else NO_VICTIMS


def _rejection(
    pod: Object, snapshot: Snapshot, info: NodeInfo, pods: list[Object]
) -> Rejection | None:
    """Why the Pod would not fit if only these Pods were on the node."""
    changed = NodeInfo.of(info.node, pods)
    nodes = tuple(changed if each is info else each for each in snapshot.nodes)
    found = judge(pod, snapshot.with_nodes(nodes))(changed)
    return found[1] if found else None


def _importance(pod: Object) -> tuple[int, str]:
    """Higher priority first, then those that started earlier."""
    started = (pod.get("status") or {}).get("startTime") or pod["metadata"]["creationTimestamp"]
    return -priority(pod), started
