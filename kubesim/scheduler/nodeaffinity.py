"""NodeAffinity: nodes chosen by their labels (`pkg/scheduler/framework/plugins/nodeaffinity`)."""

from kubesim.apimachinery.labels import has_all, node_selector_matches, term_matches
from kubesim.apimachinery.objects import Object
from kubesim.scheduler.framework import NodeTest, Rejection, Scores, normalize
from kubesim.scheduler.nodeinfo import NodeInfo
from kubesim.scheduler.snapshot import Snapshot

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def prepare(pod: Object, _: Snapshot) -> NodeTest | None:
    """Filter: the nodeSelector and the required node affinity must match."""
    if not is_particular(pod):
        return None
    rejection = Rejection(("node(s) didn't match Pod's node affinity/selector",), final=True)
    return lambda info: None if allows(pod, info) else rejection


def is_particular(pod: Object) -> bool:
    """Whether a Pod does not take any node."""
    return bool(pod["spec"].get("nodeSelector")) or _affinity(pod).get(REQUIRED) is not None


def allows(pod: Object, info: NodeInfo) -> bool:
    """Whether a node is one that the Pod's nodeSelector and required affinity allow."""
    if not has_all(pod["spec"].get("nodeSelector") or {}, info.labels):
        return False
    required = _affinity(pod).get(REQUIRED)
    return required is None or node_selector_matches(required, info.node)


def named_nodes(pod: Object) -> set[str]:
    """The only nodes that a Pod can want, if its affinity names them, as a DaemonSet's does."""
    named: set[str] = set()
    for term in (_affinity(pod).get(REQUIRED) or {}).get("nodeSelectorTerms") or ():
        fields = [each for each in term.get("matchFields") or () if each["operator"] == "In"]
        if not fields:
            return set()
        named.update(fields[0]["values"])
    return named


def score(pod: Object, _: Snapshot, feasible: list[NodeInfo]) -> Scores:
    """Score: the weights of the preferred terms that a node satisfies."""
    preferred = _affinity(pod).get(PREFERRED)
    if not preferred:
        return {}
    points = {
        info.name: sum(
            each["weight"] for each in preferred if term_matches(each["preference"], info.node)
        )
        for info in feasible
    }
    return normalize(points)


def _affinity(pod: Object) -> Object:
    return (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
