"""The arithmetic of DaemonSets: pure functions, no API (`pkg/controller/daemon/util`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubesim.apimachinery.intstr import scaled
from kubesim.apimachinery.labels import has_all, node_selector_matches
from kubesim.apimachinery.objects import (
    Object,
    annotations_of,
    is_being_deleted,
    labels_of,
    pod_is_ready,
)
from kubesim.apimachinery.taints import covers
from kubesim.controllers.daemonset_update import Pair
from kubesim.controllers.history import HASH_LABEL
from kubesim.controllers.pods import from_template, is_available

GENERATION = "deprecated.daemonset.template.generation"
GENERATION_LABEL = "pod-template-generation"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
TOLERATED = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)
TOLERATED_ON_HOST_NETWORK = ("node.kubernetes.io/network-unavailable", "NoSchedule")


@dataclass(frozen=True)
class Fit:
    """What a node means to a DaemonSet: it should get a Pod, and one that is there may stay."""

    run: bool
    stay: bool


NOWHERE = Fit(run=False, stay=False)


def fit(daemon_set: Object, node: Object) -> Fit:
    """Whether a node should run a DaemonSet's Pod, by name, selector, affinity and taints.

    The scheduler would refuse the node for the same reasons, so a Pod is not even made for it. A
    taint NoSchedule that came later does not drive away the Pod that is there.
    """
    spec = daemon_set["spec"]["template"]["spec"]
    if spec.get("nodeName", node["metadata"]["name"]) != node["metadata"]["name"]:
        return NOWHERE
    if not has_all(spec.get("nodeSelector") or {}, labels_of(node)):
        return NOWHERE
    required = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(REQUIRED)
    if required is not None and not node_selector_matches(required, node):
        return NOWHERE
    accepted = tolerations(spec)
    effects = {
        taint["effect"]
        for taint in node["spec"].get("taints") or ()
        if not any(covers(each, taint) for each in accepted)
    }
    return Fit(run=effects <= {"PreferNoSchedule"}, stay="NoExecute" not in effects)


def tolerations(spec: Object) -> list[Object]:
    """The tolerations of a DaemonSet's Pod: its template's, and what every daemon tolerates."""
    tolerated = [*TOLERATED, *([TOLERATED_ON_HOST_NETWORK] if spec.get("hostNetwork") else [])]
    daemons = [{"key": name, "operator": "Exists", "effect": effect} for name, effect in tolerated]
    given = [_for_ever(each, daemons) for each in spec.get("tolerations") or ()]
    return [*given, *(each for each in daemons if each not in given)]


def _for_ever(toleration: Object, daemons: Sequence[Object]) -> Object:
    """A toleration without its time limit, if it is one that every daemon has."""
    unlimited = {name: value for name, value in toleration.items() if name != "tolerationSeconds"}
    return unlimited if unlimited in daemons else toleration


def new_pod(daemon_set: Object, node: str, revision_hash: str) -> Object:
    """A Pod for one node: the scheduler places it, but its affinity leaves no other choice."""
    made = from_template(daemon_set["spec"]["template"], daemon_set)
    spec = made["spec"]
    labels = {HASH_LABEL: revision_hash}
    if generation := template_generation(daemon_set):
        labels[GENERATION_LABEL] = generation
    return made | {
        "metadata": made["metadata"] | {"labels": labels_of(made) | labels},
        "spec": spec
        | {
            "affinity": _pinned(spec.get("affinity") or {}, node),
            "tolerations": tolerations(spec),
        },
    }


def _pinned(affinity: Object, node: str) -> Object:
    """The affinity with its required node terms replaced by the name of one node."""
    named = {"key": "metadata.name", "operator": "In", "values": [node]}
    required = {REQUIRED: {"nodeSelectorTerms": [{"matchFields": [named]}]}}
    return affinity | {"nodeAffinity": (affinity.get("nodeAffinity") or {}) | required}


def target_node(pod: Object) -> str:
    """The node of a daemon's Pod: where it is, or where its affinity sends it."""
    if pod["spec"].get("nodeName"):
        return str(pod["spec"]["nodeName"])
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    for term in (affinity.get(REQUIRED) or {}).get("nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            if field["key"] == "metadata.name" and field["operator"] == "In":
                return str(field["values"][0])
    return ""


def template_generation(daemon_set: Object) -> str:
    """The number that counts template changes, from before there were ControllerRevisions."""
    return str(annotations_of(daemon_set).get(GENERATION, ""))


def is_updated(pod: Object, daemon_set: Object, revision_hash: str) -> bool:
    """Whether a Pod was made from the present template."""
    labels, generation = labels_of(pod), template_generation(daemon_set)
    same_generation = bool(generation) and labels.get(GENERATION_LABEL) == generation
    return same_generation or labels.get(HASH_LABEL) == revision_hash


def by_age(pods: Sequence[Object]) -> list[Object]:
    """Pods on nodes first, then the oldest first."""
    return sorted(
        pods,
        key=lambda pod: (
            not pod["spec"].get("nodeName"),
            pod["metadata"]["creationTimestamp"],
            pod["metadata"]["name"],
        ),
    )


def new_and_old(pods: Sequence[Object], daemon_set: Object, revision_hash: str) -> Pair:
    """The one updated and the one outdated Pod of a node; None when there are several of a kind."""
    alive = [pod for pod in pods if not is_being_deleted(pod)]
    new = [pod for pod in alive if is_updated(pod, daemon_set, revision_hash)]
    old = [pod for pod in alive if pod not in new]
    if len(new) > 1 or len(old) > 1:
        return None
    return (new[0] if new else None), (old[0] if old else None)


def limits(daemon_set: Object, desired: int) -> tuple[int, int]:
    """MaxSurge and maxUnavailable in Pods, percentages rounded up."""
    rolling = daemon_set["spec"]["updateStrategy"].get("rollingUpdate") or {}
    surge = scaled(rolling.get("maxSurge", 0), desired)
    unavailable = scaled(rolling.get("maxUnavailable", 0), desired)
    if desired and not surge and not unavailable:
        unavailable = 1
    return surge, unavailable


def allows_surge(daemon_set: Object) -> bool:
    """Whether a rolling update may run a new Pod beside the old one."""
    strategy = daemon_set["spec"]["updateStrategy"]
    rolling = strategy.get("rollingUpdate") or {}
    return strategy["type"] == "RollingUpdate" and rolling.get("maxSurge", 0) not in (0, "0%")


def calculate_status(
    daemon_set: Object,
    fits: Mapping[str, Fit],
    on_node: Mapping[str, Sequence[Object]],
    revision_hash: str,
    now: datetime,
) -> Object:
    """What a DaemonSet's Pods look like, the oldest of each node counting for it."""
    min_ready = daemon_set["spec"].get("minReadySeconds", 0)
    desired = [node for node, each in fits.items() if each.run]
    first = [by_age(on_node[node])[0] for node in desired if on_node.get(node)]
    available = sum(is_available(pod, min_ready, now) for pod in first)
    optional: dict[str, Any] = {
        "observedGeneration": daemon_set["metadata"].get("generation", 0),
        "updatedNumberScheduled": sum(is_updated(p, daemon_set, revision_hash) for p in first),
        "numberAvailable": available,
        "numberUnavailable": len(desired) - available,
        "collisionCount": (daemon_set.get("status") or {}).get("collisionCount", 0),
        "conditions": (daemon_set.get("status") or {}).get("conditions"),
    }
    return {
        "currentNumberScheduled": len(first),
        "numberMisscheduled": sum(
            bool(on_node.get(node)) for node, each in fits.items() if not each.run
        ),
        "desiredNumberScheduled": len(desired),
        "numberReady": sum(map(pod_is_ready, first)),
        **{name: value for name, value in optional.items() if value},
    }
