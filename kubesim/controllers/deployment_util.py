"""The arithmetic of Deployments: pure functions, no API (`deployment/util/deployment_util.go`)."""

import json
import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from kubesim.apimachinery.intstr import scaled
from kubesim.apimachinery.objects import (
    Object,
    annotations_of,
    is_being_deleted,
    parse_time,
    timestamp,
)
from kubesim.controllers import conditions

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
NOT_COPIED = {REVISION, REVISION_HISTORY, DESIRED, MAXIMUM, LAST_APPLIED}
NO_DEADLINE = 2**31 - 1
_SAFE_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


def wanted(obj: Object) -> int:
    """`spec.replicas` of a Deployment or a ReplicaSet."""
    return int(obj["spec"]["replicas"])


def reported(obj: Object, counter: str) -> int:
    """A counter of an object's status, 0 when it is left out."""
    return int((obj.get("status") or {}).get(counter, 0))


def unhealthy(replica_set: Object) -> int:
    """How many of the Pods that a ReplicaSet wants are not available."""
    return wanted(replica_set) - reported(replica_set, "availableReplicas")


def total(replica_sets: Iterable[Object]) -> int:
    """The Pods that these ReplicaSets want together."""
    return sum(map(wanted, replica_sets))


def active(replica_sets: Iterable[Object]) -> list[Object]:
    """The ReplicaSets that want any Pods."""
    return [each for each in replica_sets if wanted(each) > 0]


def template_hash(template: Object, collisions: int) -> str:
    """The value of the pod-template-hash label.

    The real one hashes a Go dump of the template with FNV-1a and spells the number without
    vowels; here it is the same hash of the template's JSON, so values differ from a real
    cluster's but behave the same.
    """
    number = 0x811C9DC5
    suffix = collisions.to_bytes(8, "little") if collisions else b""
    for byte in json.dumps(template, sort_keys=True).encode() + suffix:
        number = (number ^ byte) * 0x01000193 & 0xFFFFFFFF
    return "".join(_SAFE_LETTERS[ord(digit) % len(_SAFE_LETTERS)] for digit in str(number))


def same_template(one: Object, other: Object) -> bool:
    """Whether two Pod templates are equal but for the pod-template-hash label."""
    return _without_hash(one) == _without_hash(other)


def _without_hash(template: Object) -> Object:
    meta = dict(template.get("metadata") or {})
    labels = dict(meta.pop("labels", None) or {})
    labels.pop(HASH_LABEL, None)
    meta.pop("creationTimestamp", None)
    return {"metadata": meta, "labels": labels, "spec": template["spec"]}


def with_hash(template: Object, value: str) -> Object:
    """The template with its pod-template-hash label."""
    meta = template.get("metadata") or {}
    labels = (meta.get("labels") or {}) | {HASH_LABEL: value}
    return template | {"metadata": meta | {"labels": labels}}


def by_age(replica_sets: Iterable[Object]) -> list[Object]:
    """Oldest first; names decide between equals."""
    return sorted(replica_sets, key=_age)


def _age(obj: Object) -> tuple[str, str]:
    return obj["metadata"]["creationTimestamp"], obj["metadata"]["name"]


def new_and_old(
    deployment: Object, replica_sets: Sequence[Object]
) -> tuple[Object | None, list[Object]]:
    """The ReplicaSet (the oldest, if several) with the Deployment's template, and the others."""
    template = deployment["spec"]["template"]
    new = next(
        (
            each
            for each in by_age(replica_sets)
            if same_template(each["spec"]["template"], template)
        ),
        None,
    )
    return new, [each for each in replica_sets if each is not new]


def is_rolling(deployment: Object) -> bool:
    """Whether the strategy is RollingUpdate."""
    return bool(deployment["spec"]["strategy"]["type"] == "RollingUpdate")


def fenceposts(deployment: Object) -> tuple[int, int]:
    """MaxSurge and maxUnavailable in Pods.

    Percentages are of `spec.replicas`; surge rounds up, unavailable down, and when both come to 0
    one Pod may be unavailable, or nothing could ever move.
    """
    if not is_rolling(deployment):
        return 0, 0
    replicas = wanted(deployment)
    limits = deployment["spec"]["strategy"].get("rollingUpdate") or {}
    surge = scaled(limits.get("maxSurge", 0), replicas, math.ceil)
    unavailable = scaled(limits.get("maxUnavailable", 0), replicas, math.floor)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return surge, min(unavailable, replicas)


def new_replicas(deployment: Object, everything: Sequence[Object], new: Object) -> int:
    """How far the new ReplicaSet may grow now without exceeding maxSurge."""
    if not is_rolling(deployment):
        return wanted(deployment)
    surge, _ = fenceposts(deployment)
    room = wanted(deployment) + surge - total(everything)
    if room <= 0:
        return wanted(new)
    return wanted(new) + min(room, wanted(deployment) - wanted(new))


def proportions(deployment: Object, replica_sets: Sequence[Object]) -> dict[str, int]:
    """The new size of each active ReplicaSet, by name, when scaling in the midst of a rollout.

    Each gets its share of the change, larger ones first, so that the risk that the rollout had
    reached stays what it was; what rounding leaves over goes to the first.
    """
    surge, _ = fenceposts(deployment)
    allowed = wanted(deployment) + surge if wanted(deployment) > 0 else 0
    change = allowed - total(replica_sets)
    ordered = _by_size(replica_sets, newest_first=change > 0)
    sizes, given = {}, 0
    for each in ordered:
        share = _share(deployment, each, allowed, change - given) if change != given else 0
        sizes[each["metadata"]["name"]] = wanted(each) + share
        given += share
    if ordered:
        first = ordered[0]["metadata"]["name"]
        sizes[first] = max(0, sizes[first] + change - given)
    return sizes


def _by_size(replica_sets: Sequence[Object], *, newest_first: bool) -> list[Object]:
    aged = sorted(replica_sets, key=_age, reverse=newest_first)
    return sorted(aged, key=wanted, reverse=True)


def _share(deployment: Object, replica_set: Object, allowed: int, left: int) -> int:
    """One ReplicaSet's part of the `left` Pods to add, or to remove when negative."""
    if wanted(deployment) == 0:
        fraction = -wanted(replica_set)
    else:
        before = int(annotations_of(replica_set).get(MAXIMUM) or reported(deployment, "replicas"))
        fraction = _rounded(wanted(replica_set) * allowed / before) - wanted(replica_set)
    return min(fraction, left) if left > 0 else max(fraction, left)


def _rounded(value: float) -> int:
    """Half away from zero, as Go rounds."""
    return math.floor(value + 0.5)


def revision(obj: Object) -> int:
    """The number in the revision annotation, 0 without one."""
    text = annotations_of(obj).get(REVISION, "")
    return int(text) if text.isdigit() else 0


def replicas_annotations(deployment: Object) -> dict[str, str]:
    """What a ReplicaSet remembers of its Deployment's size, for proportional scaling."""
    surge, _ = fenceposts(deployment)
    return {DESIRED: str(wanted(deployment)), MAXIMUM: str(wanted(deployment) + surge)}


def new_annotations(deployment: Object, new: Object, number: int) -> dict[str, str]:
    """The annotations of the new ReplicaSet: its Deployment's, and revision `number`.

    A ReplicaSet that becomes current again, by a rollback, gets a new number and keeps the old
    ones in its revision history.
    """
    copied = {
        name: value for name, value in annotations_of(deployment).items() if name not in NOT_COPIED
    }
    result = annotations_of(new) | copied
    before = revision(new)
    if before >= number:
        return result
    if before:
        history = annotations_of(new).get(REVISION_HISTORY)
        result[REVISION_HISTORY] = f"{history},{before}" if history else str(before)
    return result | {REVISION: str(number)}


def has_deadline(deployment: Object) -> bool:
    """Whether progress is watched (progressDeadlineSeconds)."""
    return bool(deployment["spec"].get("progressDeadlineSeconds", NO_DEADLINE) != NO_DEADLINE)


def is_complete(deployment: Object, status: Object) -> bool:
    """Whether all wanted Pods are of the new template and available, and no others are left."""
    counters = ("updatedReplicas", "replicas", "availableReplicas")
    if status.get("observedGeneration", 0) < deployment["metadata"].get("generation", 0):
        return False
    return all(status.get(name, 0) == wanted(deployment) for name in counters)


def is_progressing(old: Object, new: Object) -> bool:
    """Whether a status says more updated, ready or available Pods, or fewer old ones."""

    def outdated(status: Object) -> int:
        return int(status.get("replicas", 0) - status.get("updatedReplicas", 0))

    growing = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return outdated(new) < outdated(old) or any(
        new.get(name, 0) > old.get(name, 0) for name in growing
    )


def deadline(deployment: Object) -> datetime | None:
    """When the rollout has failed unless it progresses before; None when nothing is awaited."""
    listed = (deployment.get("status") or {}).get("conditions") or []
    progress = conditions.find(listed, "Progressing")
    if progress is None or not has_deadline(deployment):
        return None
    if progress["reason"] == "NewReplicaSetAvailable":
        return None
    seconds = deployment["spec"]["progressDeadlineSeconds"]
    return parse_time(progress["lastUpdateTime"]) + timedelta(seconds=seconds)


def make_condition(kind: str, status: str, reason: str, message: str, now: datetime) -> Object:
    """A Deployment's condition, which also says when it was last looked at."""
    made = conditions.make(kind, status, reason, message, timestamp(now))
    return made | {"lastUpdateTime": timestamp(now)}


def calculate_status(
    deployment: Object, everything: Sequence[Object], new: Object | None, now: datetime
) -> Object:
    """The status that a Deployment's ReplicaSets give it; counters of 0 are left out."""
    old = deployment.get("status") or {}
    sums = {
        name: sum(reported(each, name) for each in everything)
        for name in ("replicas", "readyReplicas", "availableReplicas", "terminatingReplicas")
    }
    _, unavailable = fenceposts(deployment)
    enough = sums["availableReplicas"] >= wanted(deployment) - unavailable
    counters = {
        "observedGeneration": deployment["metadata"].get("generation", 0),
        "replicas": sums["replicas"],
        "updatedReplicas": reported(new, "replicas") if new else 0,
        "readyReplicas": sums["readyReplicas"],
        "availableReplicas": sums["availableReplicas"],
        "unavailableReplicas": max(0, total(everything) - sums["availableReplicas"]),
        "collisionCount": old.get("collisionCount", 0),
    }
    available = _availability(enough=enough, now=now)
    return {
        **{name: value for name, value in counters.items() if value},
        "terminatingReplicas": sums["terminatingReplicas"],
        "conditions": conditions.with_condition(old.get("conditions") or [], available),
    }


def _availability(*, enough: bool, now: datetime) -> Object:
    if enough:
        status, reason = "True", "MinimumReplicasAvailable"
        message = "Deployment has minimum availability."
    else:
        status, reason = "False", "MinimumReplicasUnavailable"
        message = "Deployment does not have minimum availability."
    return make_condition("Available", status, reason, message, now)


def removable(old: Sequence[Object], limit: int) -> list[Object]:
    """The old ReplicaSets beyond the history limit, lowest revisions first, if they are empty."""
    kept = [each for each in old if not is_being_deleted(each)]
    excess = sorted(kept, key=revision)[: max(0, len(kept) - limit)]
    return [each for each in excess if _is_settled_at_zero(each)]


def _is_settled_at_zero(replica_set: Object) -> bool:
    observed = reported(replica_set, "observedGeneration")
    current = observed >= replica_set["metadata"].get("generation", 0)
    return current and wanted(replica_set) == 0 and reported(replica_set, "replicas") == 0
