"""Claims and volumes: what belongs together (component-helpers' storage/volume).

The volume controller and the scheduler decide by the same rules.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from kubesim.apimachinery.labels import matches, node_selector_matches
from kubesim.apimachinery.objects import Object, annotations_of, is_being_deleted, labels_of, uid
from kubesim.apimachinery.quantity import parse

CLAIMS = "persistentvolumeclaims"
VOLUMES = "persistentvolumes"
CLASSES = "storageclasses.storage.k8s.io"
BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
STORAGE_PROVISIONER = "volume.kubernetes.io/storage-provisioner"
BETA_STORAGE_PROVISIONER = "volume.beta.kubernetes.io/storage-provisioner"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"


def annotate(obj: Object, changes: Mapping[str, str]) -> Object:
    """The object with more annotations."""
    metadata = obj["metadata"] | {"annotations": {**annotations_of(obj), **changes}}
    return obj | {"metadata": metadata}


def class_of(obj: Object) -> str:
    """The name of a claim's or volume's class, empty for none."""
    annotation = annotations_of(obj).get(CLASS_ANNOTATION)
    return annotation or str(obj["spec"].get("storageClassName") or "")


def is_bound_completely(claim: Object) -> bool:
    """Whether a claim has its volume, and both know it."""
    return bool(claim["spec"].get("volumeName")) and BIND_COMPLETED in annotations_of(claim)


def is_delayed(claim: Object, storage_class: Object | None) -> bool:
    """Whether a claim waits for the scheduler to choose a node for its first consumer."""
    mode = (storage_class or {}).get("volumeBindingMode")
    return mode == "WaitForFirstConsumer" and SELECTED_NODE not in annotations_of(claim)


def requested(claim: Object) -> Any:
    """The size that a claim asks for."""
    return parse(((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage", "0"))


def size_of(volume: Object) -> Any:
    """The size of a volume."""
    return parse((volume["spec"].get("capacity") or {}).get("storage", "0"))


def is_meant_for(volume: Object, claim: Object) -> bool:
    """Whether a volume is bound, or reserved by name, to this very claim."""
    reference = volume["spec"].get("claimRef")
    meta = claim["metadata"]
    if not reference or (reference.get("namespace"), reference.get("name")) != (
        meta["namespace"],
        meta["name"],
    ):
        return False
    return reference.get("uid") in (None, "", uid(claim))


def why_unfit(volume: Object, claim: Object) -> str:
    """Why a volume that a claim names cannot be its; empty when it can."""
    if size_of(volume) < requested(claim):
        return "requested PV is too small"
    if class_of(volume) != class_of(claim):
        return "storageClassName does not match"
    if volume["spec"].get("volumeMode") != claim["spec"].get("volumeMode"):
        return "incompatible volumeMode"
    if not set(claim["spec"].get("accessModes") or ()) <= set(volume["spec"]["accessModes"]):
        return "incompatible accessMode"
    return ""


def find_match(
    volumes: Iterable[Object],
    claim: Object,
    *,
    node: Object | None = None,
    excluded: Collection[str] = (),
    reserved_only: bool = False,
) -> Object | None:
    """The smallest volume that does for a claim; one that is meant for it comes first.

    node: the volume must be usable there; reserved_only: nothing but what is meant for the claim.
    """
    best: Object | None = None
    for volume in volumes:
        if node is not None and not usable_on(volume, node):
            continue
        if is_meant_for(volume, claim):
            if size_of(volume) >= requested(claim):
                return volume
            continue
        if reserved_only or volume["metadata"]["name"] in excluded or not _is_free(volume):
            continue
        selector = claim["spec"].get("selector")
        if why_unfit(volume, claim) or (selector and not matches(selector, labels_of(volume))):
            continue
        if best is None or size_of(volume) < size_of(best):
            best = volume
    return best


def _is_free(volume: Object) -> bool:
    available = (volume.get("status") or {}).get("phase") == "Available"
    return available and not volume["spec"].get("claimRef") and not is_being_deleted(volume)


def usable_on(volume: Object, node: Object) -> bool:
    """Whether a volume's node affinity allows a node."""
    required = (volume["spec"].get("nodeAffinity") or {}).get("required")
    return required is None or node_selector_matches(required, node)


def claim_names(pod: Object) -> Iterable[tuple[str, str]]:
    """The (claim, ephemeral owner or empty) that each of a Pod's volumes uses.

    A generic ephemeral volume has a claim named after Pod and volume.
    """
    for volume in pod["spec"].get("volumes") or ():
        if "persistentVolumeClaim" in volume:
            yield volume["persistentVolumeClaim"]["claimName"], ""
        elif "ephemeral" in volume:
            yield f"{pod['metadata']['name']}-{volume['name']}", uid(pod)


def claim_keys(pod: Object) -> Iterable[str]:
    """The keys of the claims that a Pod uses, as an index of Pods wants them."""
    return [f"{pod['metadata']['namespace']}/{name}" for name, _ in claim_names(pod)]
