"""The words that plugins and the scheduler share."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from kubesim.apimachinery.objects import Object
from kubesim.scheduler.nodeinfo import NodeInfo
from kubesim.scheduler.snapshot import Snapshot

MAX_SCORE = 100


class ClusterEvent(Enum):
    """What may happen in the cluster to make an unschedulable Pod schedulable."""

    NODE_ADDED = auto()
    NODE_ALLOCATABLE = auto()
    NODE_LABELS = auto()
    NODE_TAINTS = auto()
    POD_PLACED = auto()
    POD_CHANGED = auto()
    POD_GONE = auto()
    STORAGE = auto()


@dataclass(frozen=True)
class Rejection:
    """Why a node does not do. `final` means that no preemption could help."""

    reasons: tuple[str, ...]
    final: bool = False


class PreFilterRejectedError(Exception):
    """A Pod has no place on any node, whatever the node; says why."""


NodeTest = Callable[[NodeInfo], Rejection | None]
Scores = Mapping[str, float]


@dataclass(frozen=True)
class FilterPlugin:
    """A reason to reject nodes, and the events after which it may judge differently."""

    name: str
    prepare: Callable[[Object, Snapshot], NodeTest | None]
    events: frozenset[ClusterEvent]


@dataclass(frozen=True)
class ScorePlugin:
    """A preference among nodes: points from 0 to 100 by node name, times a weight; or none."""

    name: str
    score: Callable[[Object, Snapshot, list[NodeInfo]], Scores]
    weight: int = 1


def normalize(points: Scores, *, reverse: bool = False) -> dict[str, float]:
    """Scale points so that the highest is 100; reversed, so that the lowest is best."""
    highest = max(points.values(), default=0)
    if highest == 0:
        return dict.fromkeys(points, MAX_SCORE if reverse else 0)
    scaled = {name: value * MAX_SCORE // highest for name, value in points.items()}
    return {name: MAX_SCORE - value for name, value in scaled.items()} if reverse else scaled


def explain(reasons: Mapping[str, Rejection]) -> str:
    """The scheduler's sentence: how many nodes are no good for which reason."""
    counts = Counter(reason for why in reasons.values() for reason in why.reasons)
    told = ", ".join(sorted(f"{count} {reason}" for reason, count in counts.items()))
    return f"0/{len(reasons)} nodes are available: {told}."
