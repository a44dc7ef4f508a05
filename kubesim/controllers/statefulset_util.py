"""Who a StatefulSet's Pods are: pure functions (`pkg/controller/statefulset`).

A Pod's name ends in its ordinal; its hostname, its labels and the claims of its volumes follow from
that, so that its successor on another node is the same one to everybody.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from kubesim.apimachinery.objects import (
    Object,
    is_being_deleted,
    labels_of,
    pod_is_ready,
)
from kubesim.controllers.history import HASH_LABEL
from kubesim.controllers.pods import from_template, is_available

POD_NAME = "statefulset.kubernetes.io/pod-name"
POD_INDEX = "apps.kubernetes.io/pod-index"
IDENTITY = re.compile(r"(.*)-([0-9]+)")


def ordinal(pod: Object) -> int:
    """The number at the end of a Pod's name, -1 without one."""
    found = IDENTITY.fullmatch(pod["metadata"]["name"])
    return int(found[2]) if found else -1


def is_member(stateful_set: Object, pod: Object) -> bool:
    """Whether a Pod is named after a StatefulSet."""
    found = IDENTITY.fullmatch(pod["metadata"]["name"])
    return found is not None and found[1] == stateful_set["metadata"]["name"]


def ordinals(stateful_set: Object) -> range:
    """The ordinals that the Pods of a StatefulSet should have."""
    start = (stateful_set["spec"].get("ordinals") or {}).get("start", 0)
    return range(start, start + stateful_set["spec"]["replicas"])


def new_pod(stateful_set: Object, template: Object, number: int, revision: str) -> Object:
    """The Pod of one ordinal, made from the template of a revision."""
    made = from_template(template, stateful_set)
    name = f"{stateful_set['metadata']['name']}-{number}"
    meta = made["metadata"] | {
        "name": name,
        "labels": labels_of(made) | identity_labels(name) | {HASH_LABEL: revision},
    }
    spec = made["spec"] | {"hostname": name, "volumes": volumes(stateful_set, made["spec"], number)}
    if stateful_set["spec"].get("serviceName"):
        spec["subdomain"] = stateful_set["spec"]["serviceName"]
    return made | {"metadata": meta, "spec": spec}


def identity_labels(name: str) -> dict[str, str]:
    """The labels by which one Pod of a StatefulSet can be selected."""
    return {POD_NAME: name, POD_INDEX: name.rpartition("-")[2]}


def volumes(stateful_set: Object, spec: Object, number: int) -> list[Object]:
    """A Pod's volumes: its own claims, which hide what the template calls the same."""
    claimed = {
        template["metadata"]["name"]: claim_name(stateful_set, template, number)
        for template in stateful_set["spec"].get("volumeClaimTemplates") or ()
    }
    others = [each for each in spec.get("volumes") or () if each["name"] not in claimed]
    mounted = [
        {"name": name, "persistentVolumeClaim": {"claimName": claim}}
        for name, claim in claimed.items()
    ]
    return [*mounted, *others]


def claim_name(stateful_set: Object, template: Object, number: int) -> str:
    """The name of the claim that an ordinal has for one template."""
    return f"{template['metadata']['name']}-{stateful_set['metadata']['name']}-{number}"


def claims(stateful_set: Object, number: int) -> Iterator[Object]:
    """The PersistentVolumeClaims of one ordinal."""
    chosen = stateful_set["spec"]["selector"].get("matchLabels") or {}
    for template in stateful_set["spec"].get("volumeClaimTemplates") or ():
        meta = template["metadata"]
        kept = {field: meta[field] for field in ("annotations",) if meta.get(field)}
        yield {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {
                **kept,
                "name": claim_name(stateful_set, template, number),
                "namespace": stateful_set["metadata"]["namespace"],
                "labels": (meta.get("labels") or {}) | chosen,
            },
            "spec": template["spec"],
        }


def keeps_identity(stateful_set: Object, pod: Object) -> bool:
    """Whether a Pod still has the labels and the volumes that make it who it is."""
    name, labels = pod["metadata"]["name"], labels_of(pod)
    if any(labels.get(label) != value for label, value in identity_labels(name).items()):
        return False
    mounted = {
        volume["name"]: (volume.get("persistentVolumeClaim") or {}).get("claimName")
        for volume in pod["spec"].get("volumes") or ()
    }
    return all(
        mounted.get(template["metadata"]["name"])
        == claim_name(stateful_set, template, ordinal(pod))
        for template in stateful_set["spec"].get("volumeClaimTemplates") or ()
    )


def is_running_and_ready(pod: Object) -> bool:
    """Whether a Pod runs and may receive traffic."""
    return bool(pod["status"].get("phase") == "Running") and pod_is_ready(pod)


def is_running_and_available(stateful_set: Object, pod: Object, now: datetime) -> bool:
    """Whether a Pod has been ready for as long as the StatefulSet asks."""
    min_ready = stateful_set["spec"].get("minReadySeconds", 0)
    return is_running_and_ready(pod) and is_available(pod, min_ready, now)


def is_healthy(pod: Object) -> bool:
    """Whether a Pod does its work and stays."""
    return is_running_and_ready(pod) and not is_being_deleted(pod)


def revision_of(pod: Object) -> str:
    """The name of the revision that a Pod was made from."""
    return labels_of(pod).get(HASH_LABEL, "")


def is_monotonic(stateful_set: Object) -> bool:
    """Whether Pods come and go one after the other."""
    return bool(stateful_set["spec"]["podManagementPolicy"] == "OrderedReady")


def partition(stateful_set: Object) -> int:
    """The first ordinal that a rolling update is allowed to touch."""
    rolling = stateful_set["spec"]["updateStrategy"].get("rollingUpdate") or {}
    return int(rolling.get("partition", 0))


def max_unavailable(stateful_set: Object) -> int:
    """How many Pods a rolling update may take away at once."""
    rolling = stateful_set["spec"]["updateStrategy"].get("rollingUpdate") or {}
    value = rolling.get("maxUnavailable", 1)
    if isinstance(value, str):
        value = int(value.removesuffix("%")) * stateful_set["spec"]["replicas"] // 100
    return max(1, int(value))


def count(
    stateful_set: Object, pods: Iterable[Object], current: str, update: str, now: datetime
) -> Object:
    """The counters of a StatefulSet's status."""
    found = list(pods)
    stay = [revision_of(pod) for pod in found if not is_being_deleted(pod)]
    optional = {
        "readyReplicas": sum(map(is_running_and_ready, found)),
        "currentReplicas": stay.count(current),
        "updatedReplicas": stay.count(update),
    }
    return {
        "replicas": len(found),
        "availableReplicas": sum(is_running_and_available(stateful_set, pod, now) for pod in found),
        **{name: value for name, value in optional.items() if value},
    }


def complete(stateful_set: Object, status: Object) -> Object:
    """The status, in which the new revision is the current one if the rollout is complete."""
    strategy, replicas = stateful_set["spec"]["updateStrategy"]["type"], status["replicas"]
    done = status.get("updatedReplicas", 0) == replicas == status.get("readyReplicas", 0)
    if strategy != "RollingUpdate" or not done:
        return status
    counted = {"currentReplicas": replicas} if replicas else {}
    return status | {"currentRevision": status["updateRevision"]} | counted


def first_unhealthy(replicas: Sequence[Object | None], condemned: Sequence[Object]) -> str:
    """The name of the unhealthy Pod with the lowest ordinal, those to stay before those to go."""
    present = [pod for pod in replicas if pod is not None]
    unhealthy = (pod for pod in [*present, *reversed(condemned)] if not is_healthy(pod))
    return next((str(pod["metadata"]["name"]) for pod in unhealthy), "")
