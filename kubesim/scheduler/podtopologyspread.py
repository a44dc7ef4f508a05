"""PodTopologySpread: Pods of one kind spread evenly over hosts, zones or other domains.

`pkg/scheduler/framework/plugins/podtopologyspread`. Constraints that say DoNotSchedule filter;
ScheduleAnyway ones score. A Pod without constraints that belongs to a Service or ReplicaSet is
spread over hosts (skew 3) and zones (skew 5), the cluster's default.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kubesim.apimachinery.labels import has_all, matches
from kubesim.apimachinery.objects import Object, controller_of, labels_of, uid
from kubesim.apimachinery.taints import tolerates
from kubesim.scheduler.framework import MAX_SCORE, NodeTest, Rejection, Scores
from kubesim.scheduler.nodeaffinity import allows
from kubesim.scheduler.nodeinfo import Kind, NodeInfo
from kubesim.scheduler.snapshot import Snapshot

HOSTNAME = "kubernetes.io/hostname"
DEFAULTS = (
    {"topologyKey": HOSTNAME, "maxSkew": 3, "whenUnsatisfiable": "ScheduleAnyway"},
    {
        "topologyKey": "topology.kubernetes.io/zone",
        "maxSkew": 5,
        "whenUnsatisfiable": "ScheduleAnyway",
    },
)
UNEVEN = "node(s) didn't match pod topology spread constraints"
NO_LABEL = f"{UNEVEN} (missing required label)"


def prepare(pod: Object, snapshot: Snapshot) -> NodeTest | None:
    """Filter: placing the Pod must not make a domain exceed the emptiest by more than maxSkew."""
    constraints = _constraints(pod, "DoNotSchedule")
    if not constraints:
        return None
    spreads = [_Spread.of(each, constraints, pod, snapshot) for each in constraints]

    def test(info: NodeInfo) -> Rejection | None:
        for spread in spreads:
            if spread.key not in info.labels:
                return Rejection((NO_LABEL,), final=True)
            if spread.skew_at(info) > spread.max_skew:
                return Rejection((UNEVEN,))
        return None

    return test


@dataclass(frozen=True)
class _Spread:
    """How the matching Pods lie over the domains of one constraint."""

    key: str
    max_skew: int
    counts: Counter[str]
    least: int
    itself: int

    @classmethod
    def of(
        cls, constraint: Object, all_of: list[Object], pod: Object, snapshot: Snapshot
    ) -> "_Spread":
        key = constraint["topologyKey"]
        keys = [each["topologyKey"] for each in all_of]
        counts: Counter[str] = Counter()
        matching = _Matching(constraint, pod)
        for info in snapshot.nodes:
            if all(each in info.labels for each in keys) and _counts(constraint, pod, info):
                counts[info.labels[key]] += matching.on(info)
        enough = len(counts) >= constraint.get("minDomains", 1)
        return cls(
            key,
            constraint["maxSkew"],
            counts,
            min(counts.values(), default=0) if enough else 0,
            int(matches(constraint.get("labelSelector"), labels_of(pod))),
        )

    def skew_at(self, info: NodeInfo) -> int:
        return self.counts[info.labels[self.key]] + self.itself - self.least


def score(pod: Object, snapshot: Snapshot, feasible: list[NodeInfo]) -> Scores:
    """Score: fewer matching Pods in the node's domains are better."""
    own = _constraints(pod, "ScheduleAnyway")
    constraints = own or _default_constraints(pod, snapshot)
    if not constraints:
        return {}
    keys = {each["topologyKey"] for each in own}
    eligible = [info for info in feasible if keys <= info.labels.keys()]
    points = dict.fromkeys((info.name for info in eligible), 0.0)
    for constraint in constraints:
        for name, value in _points(constraint, pod, snapshot, eligible).items():
            points[name] += value
    return _fewer_is_better(points) | {info.name: 0 for info in feasible if info.name not in points}


def _points(
    constraint: Object, pod: Object, snapshot: Snapshot, eligible: list[NodeInfo]
) -> Scores:
    """Matching Pods per node's domain; the more domains there are, the more each Pod counts."""
    key = constraint["topologyKey"]
    domains = {info.labels[key] for info in eligible if key in info.labels}
    if not domains:
        return {}
    matching, weight = _Matching(constraint, pod), math.log(len(domains) + 2)
    offset = constraint["maxSkew"] - 1
    if key == HOSTNAME:  # a host is a domain of its own
        return {
            info.name: matching.on(info) * weight + offset
            for info in eligible
            if key in info.labels
        }
    counts: Counter[str] = Counter()
    for info in snapshot.nodes:
        if info.labels.get(key) in domains and _counts(constraint, pod, info):
            counts[info.labels[key]] += matching.on(info)
    return {
        info.name: counts[info.labels[key]] * weight + offset
        for info in eligible
        if key in info.labels
    }


def _fewer_is_better(points: Scores) -> dict[str, float]:
    whole = {name: round(value) for name, value in points.items()}
    highest, lowest = max(whole.values(), default=0), min(whole.values(), default=0)
    if highest == 0:
        return dict.fromkeys(whole, MAX_SCORE)
    return {
        name: MAX_SCORE * (highest + lowest - value) // highest for name, value in whole.items()
    }


def _constraints(pod: Object, action: str) -> list[Object]:
    listed = pod["spec"].get("topologySpreadConstraints") or ()
    return [each for each in listed if each["whenUnsatisfiable"] == action]


def _default_constraints(pod: Object, snapshot: Snapshot) -> list[dict[str, Any]]:
    if pod["spec"].get("topologySpreadConstraints"):
        return []
    selector = _default_selector(pod, snapshot.selectors_in(pod["metadata"]["namespace"]))
    return [each | {"labelSelector": selector} for each in DEFAULTS] if selector else []


def _default_selector(pod: Object, owners: Iterable[Object]) -> Object:
    """The labels by which the Pod's Services and its ReplicaSet know it."""
    owner = (controller_of(pod) or {}).get("uid")
    selector: Object = {}
    for each in owners:
        chosen = each["spec"].get("selector") or {}
        if uid(each) == owner:
            selector.setdefault("matchLabels", {}).update(chosen.get("matchLabels") or {})
            selector["matchExpressions"] = chosen.get("matchExpressions") or []
        elif each["kind"] == "Service" and chosen and has_all(chosen, labels_of(pod)):
            selector.setdefault("matchLabels", {}).update(chosen)
    return selector


def _counts(constraint: Object, pod: Object, info: NodeInfo) -> bool:
    """Whether a node's Pods count: by default only those of nodes that the Pod could choose."""
    if constraint.get("nodeAffinityPolicy", "Honor") == "Honor" and not allows(pod, info):
        return False
    if constraint.get("nodeTaintsPolicy", "Ignore") == "Ignore":
        return True
    blocking = (taint for taint in info.taints if taint["effect"] != "PreferNoSchedule")
    return all(tolerates(pod, taint) for taint in blocking)


class _Matching(dict[Kind, bool]):
    """Which kinds of Pods a constraint counts, each looked at once: many Pods are of one kind."""

    def __init__(self, constraint: Object, pod: Object) -> None:
        super().__init__()
        self._namespace = pod["metadata"]["namespace"]
        self._selector = constraint.get("labelSelector")

    def __missing__(self, kind: Kind) -> bool:
        namespace, labels = kind
        self[kind] = namespace == self._namespace and matches(self._selector, dict(labels))
        return self[kind]

    def on(self, info: NodeInfo) -> int:
        """How many Pods of a node the constraint counts."""
        found = 0
        for kind in info.kinds:
            if self[kind]:
                found += info.kinds[kind]
        return found
