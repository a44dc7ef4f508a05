"""InterPodAffinity: Pods that want to be, or must not be, near other Pods.

`pkg/scheduler/framework/plugins/interpodaffinity`. "Near" means in the same domain of a topology
key. Anti-affinity works both ways: a Pod that is there may refuse the one that comes.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from kubesim.apimachinery.labels import matches
from kubesim.apimachinery.objects import Object, labels_of
from kubesim.scheduler.framework import MAX_SCORE, NodeTest, Rejection, Scores
from kubesim.scheduler.nodeinfo import NodeInfo
from kubesim.scheduler.snapshot import Snapshot

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
HARD_AFFINITY_WEIGHT = 1

Domain = tuple[str, str]

NO_FRIENDS = Rejection(("node(s) didn't match pod affinity rules",), final=True)
AVOIDS = Rejection(("node(s) didn't match pod anti-affinity rules",))
AVOIDED = Rejection(("node(s) didn't satisfy existing pods anti-affinity rules",))


@dataclass(frozen=True)
class _Term:
    """One affinity term, and the Pod whose wish it is."""

    owner: Object
    term: Object
    weight: int = 0

    @property
    def key(self) -> str:
        return str(self.term["topologyKey"])

    def wants(self, pod: Object, snapshot: Snapshot) -> bool:
        """Whether the term speaks of that Pod."""
        return self._in_scope(pod["metadata"]["namespace"], snapshot) and matches(
            self.term.get("labelSelector"), labels_of(pod)
        )

    def _in_scope(self, namespace: str, snapshot: Snapshot) -> bool:
        names = self.term.get("namespaces") or []
        selector = self.term.get("namespaceSelector")
        if not names and selector is None:
            return bool(namespace == self.owner["metadata"]["namespace"])
        return namespace in names or matches(selector, snapshot.labels_of_namespace(namespace))


def prepare(pod: Object, snapshot: Snapshot) -> NodeTest | None:
    """Filter: required affinity and anti-affinity, the incoming Pod's and that of those there."""
    friends, foes = _required(pod, "podAffinity"), _required(pod, "podAntiAffinity")
    near_friends = _domains(friends, snapshot)
    near_foes = {domain for term in foes for domain in _domains([term], snapshot)}
    refusing = {
        (term.key, info.labels[term.key])
        for info, other in snapshot.choosy_pods()
        for term in _required(other, "podAntiAffinity")
        if term.key in info.labels and term.wants(pod, snapshot)
    }
    if not (friends or foes or refusing):
        return None
    # The first of a group that wants to be together may start anywhere.
    first_of_group = (
        bool(friends) and not near_friends and all(term.wants(pod, snapshot) for term in friends)
    )

    def test(info: NodeInfo) -> Rejection | None:
        if not all(term.key in info.labels for term in friends):
            return NO_FRIENDS
        homes = ((term.key, info.labels[term.key]) for term in friends)
        if not first_of_group and not all(home in near_friends for home in homes):
            return NO_FRIENDS
        here = set(info.labels.items())
        if near_foes & here:
            return AVOIDS
        return AVOIDED if refusing & here else None

    return test


def _domains(terms: list[_Term], snapshot: Snapshot) -> set[Domain]:
    """The domains that hold a Pod of which all the terms speak."""
    if not terms:
        return set()
    return {
        (term.key, info.labels[term.key])
        for info, other in snapshot.pods()
        if all(each.wants(other, snapshot) for each in terms)
        for term in terms
        if term.key in info.labels
    }


def score(pod: Object, snapshot: Snapshot, feasible: list[NodeInfo]) -> Scores:
    """Score: preferred terms of the incoming Pod, and those of the Pods there that speak of it."""
    weights: Counter[Domain] = Counter()
    own = [*_preferred(pod)]
    for info, other in snapshot.pods() if own else ():
        for term in own:
            if term.wants(other, snapshot):
                _add(weights, info, term)
    for info, other in snapshot.choosy_pods():
        for term in [*_preferred(other), *_hard(other)]:
            if term.wants(pod, snapshot):
                _add(weights, info, term)
    if not weights:
        return {}
    points = {
        info.name: sum(weights[domain] for domain in info.labels.items()) for info in feasible
    }
    return _between_lowest_and_highest(points)


def _add(weights: Counter[Domain], info: NodeInfo, term: _Term) -> None:
    if term.key in info.labels:
        weights[term.key, info.labels[term.key]] += term.weight


def _between_lowest_and_highest(points: dict[str, int]) -> Scores:
    lowest, highest = min(points.values(), default=0), max(points.values(), default=0)
    if lowest == highest:
        return dict.fromkeys(points, 0)
    return {
        name: MAX_SCORE * (value - lowest) / (highest - lowest) for name, value in points.items()
    }


def _rules(pod: Object, kind: str) -> Object:
    return (pod["spec"].get("affinity") or {}).get(kind) or {}


def _required(pod: Object, kind: str) -> list[_Term]:
    return [_Term(pod, term) for term in _rules(pod, kind).get(REQUIRED) or ()]


def _hard(pod: Object) -> Iterable[_Term]:
    """Required affinity of a Pod that is there attracts the one that comes, a little."""
    return (
        _Term(pod, term, HARD_AFFINITY_WEIGHT)
        for term in _rules(pod, "podAffinity").get(REQUIRED) or ()
    )


def _preferred(pod: Object) -> Iterable[_Term]:
    for kind, sign in (("podAffinity", 1), ("podAntiAffinity", -1)):
        for each in _rules(pod, kind).get(PREFERRED) or ():
            yield _Term(pod, each["podAffinityTerm"], sign * each["weight"])
