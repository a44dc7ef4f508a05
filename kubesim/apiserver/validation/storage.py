"""Validation of PersistentVolumes, their claims and classes (pkg/apis/core, pkg/apis/storage)."""

from collections.abc import Iterator, Sequence
from typing import Any

from kubesim.apimachinery.quantity import parse
from kubesim.apiserver.patch.fields import (
    Cause,
    forbidden,
    immutable,
    invalid,
    not_supported,
    required,
)
from kubesim.apiserver.validation import names
from kubesim.apiserver.validation.metadata import each, selector

Object = dict[str, Any]
ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
RECLAIM_POLICIES = ("Delete", "Recycle", "Retain")
VOLUME_MODES = ("Block", "Filesystem")
TERMS = "nodeSelectorTerms"
BINDING_MODES = ("Immediate", "WaitForFirstConsumer")
VOLUME_FIELDS = (
    *("accessModes", "capacity", "claimRef", "mountOptions", "nodeAffinity"),
    *("persistentVolumeReclaimPolicy", "storageClassName", "volumeMode"),
    "volumeAttributesClassName",
)  # of a volume's spec; every other names where the data is
HOST_PATH_TYPES = (
    *("", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate"),
    *("File", "FileOrCreate", "Socket"),
)


def claim(obj: Object) -> Iterator[Cause]:
    """Check a PersistentVolumeClaim."""
    yield from claim_spec(obj["spec"], "spec")


def claim_spec(spec: Object, path: str) -> Iterator[Cause]:
    """Check what a claim, or a template of claims, asks for."""
    modes = spec.get("accessModes", ())
    if not modes:
        yield required(f"{path}.accessModes", "at least 1 access mode is required")
    yield from _access_modes(modes, f"{path}.accessModes")
    yield from selector(spec.get("selector", {}), f"{path}.selector")
    size = spec["resources"].get("requests", {}).get("storage")
    if size is None:
        yield required(f"{path}.resources[storage]")
    elif parse(size) <= 0:
        yield invalid(f"{path}.resources[storage]", size, "must be greater than zero")
    yield from _class_name(spec, path)
    if spec["volumeMode"] not in VOLUME_MODES:
        yield not_supported(f"{path}.volumeMode", spec["volumeMode"], VOLUME_MODES)


def _access_modes(modes: Sequence[str], path: str) -> Iterator[Cause]:
    for mode in modes:
        if mode not in ACCESS_MODES:
            yield not_supported(path, mode, ACCESS_MODES)
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        yield forbidden(path, "may not use ReadWriteOncePod with other access modes")


def _class_name(spec: Object, path: str) -> Iterator[Cause]:
    name = spec.get("storageClassName")
    if name:
        yield from each(f"{path}.storageClassName", name, names.dns_subdomain(name))


def claim_update(new: Object, old: Object) -> Iterator[Cause]:
    """Check that a claim asks for the same, or once bound for more."""
    before, after = dict(old["spec"]), dict(new["spec"])
    bound = old["status"].get("phase") == "Bound"
    if not before.get("volumeName"):
        after.pop("volumeName", None)
    if not before.get("storageClassName") and not before.get("volumeName"):
        after.pop("storageClassName", None)
        before.pop("storageClassName", None)
    sizes = [spec["resources"].get("requests", {}).get("storage", "0") for spec in (after, before)]
    if bound:
        for spec in (before, after):
            spec.pop("resources")
            spec.pop("volumeAttributesClassName", None)
    if before != after:
        why = (
            "spec is immutable after creation except resources.requests and "
            "volumeAttributesClassName for bound claims"
        )
        yield forbidden("spec", why)
    capacity = old["status"].get("capacity", {}).get("storage", "0")
    if parse(sizes[0]) < parse(sizes[1]) and parse(sizes[0]) <= parse(capacity):
        yield forbidden(
            "spec.resources.requests.storage", "field can not be less than status.capacity"
        )


def volume(obj: Object) -> Iterator[Cause]:
    """Check a PersistentVolume."""
    spec = obj["spec"]
    if not spec.get("accessModes"):
        yield required("spec.accessModes")
    yield from _access_modes(spec.get("accessModes", ()), "spec.accessModes")
    capacity = spec.get("capacity", {})
    if not capacity:
        yield required("spec.capacity")
    elif set(capacity) != {"storage"}:
        yield not_supported("spec.capacity", capacity, ("storage",))
    elif parse(capacity["storage"]) <= 0:
        yield invalid("spec.capacity[storage]", capacity["storage"], "must be greater than zero")
    policy = spec["persistentVolumeReclaimPolicy"]
    if policy not in RECLAIM_POLICIES:
        yield not_supported("spec.persistentVolumeReclaimPolicy", policy, RECLAIM_POLICIES)
    yield from _source(spec)
    yield from _class_name(spec, "spec")
    if spec["volumeMode"] not in VOLUME_MODES:
        yield not_supported("spec.volumeMode", spec["volumeMode"], VOLUME_MODES)


def _source(spec: Object) -> Iterator[Cause]:
    kinds = [field for field in spec if field not in VOLUME_FIELDS]
    if not kinds:
        yield required("spec", "must specify a volume type")
    for extra in kinds[1:]:
        yield forbidden(f"spec.{extra}", "may not specify more than 1 volume type")
    for kind in kinds[:1]:
        if kind in ("hostPath", "local"):
            yield from host_path(spec[kind], f"spec.{kind}")
        if kind == "local" and "required" not in spec.get("nodeAffinity", {}):
            yield required("spec.nodeAffinity", "Local volume requires node affinity")
    required_terms = spec.get("nodeAffinity", {}).get("required")
    if required_terms is not None and not required_terms.get(TERMS):
        why = "must have at least one node selector term"
        yield required(f"spec.nodeAffinity.required.{TERMS}", why)
    recycled = spec["persistentVolumeReclaimPolicy"] == "Recycle"
    if recycled and spec.get("hostPath", {}).get("path") == "/":
        why = "may not be 'recycle' for a hostPath mount of '/'"
        yield forbidden("spec.persistentVolumeReclaimPolicy", why)


def host_path(source: Object, path: str) -> Iterator[Cause]:
    """Check a path of a node."""
    if not source.get("path"):
        yield required(f"{path}.path")
    elif ".." in source["path"].split("/"):
        yield invalid(f"{path}.path", source["path"], "must not contain '..'")
    if source.get("type", "") not in HOST_PATH_TYPES:
        yield not_supported(f"{path}.type", source["type"], HOST_PATH_TYPES)


def volume_update(new: Object, old: Object) -> Iterator[Cause]:
    """Check that a volume stays where its data is."""
    sources = [
        {field: value for field, value in obj["spec"].items() if field not in VOLUME_FIELDS}
        for obj in (new, old)
    ]
    if sources[0] != sources[1]:
        why = "spec.persistentvolumesource is immutable after creation"
        yield forbidden("spec.persistentvolumesource", why)
    yield from immutable("volumeMode", new["spec"]["volumeMode"], old["spec"]["volumeMode"])
    if old["spec"].get("nodeAffinity"):
        after, before = new["spec"].get("nodeAffinity"), old["spec"]["nodeAffinity"]
        yield from immutable("spec.nodeAffinity", after, before)


def storage_class(obj: Object) -> Iterator[Cause]:
    """Check a StorageClass."""
    provisioner = obj["provisioner"]
    if provisioner:
        problems = names.qualified_name(provisioner.lower())
        yield from each("provisioner", provisioner, problems)
    else:
        yield required("provisioner")
    if "" in obj.get("parameters", {}):
        yield invalid("parameters", "", "field can not be empty.")
    for index, term in enumerate(obj.get("allowedTopologies", ())):
        for position, wanted in enumerate(term.get("matchLabelExpressions", ())):
            path = f"allowedTopologies[{index}].matchLabelExpressions[{position}]"
            if not wanted.get("values"):
                yield required(f"{path}.values")
            yield from each(f"{path}.key", wanted["key"], names.qualified_name(wanted["key"]))
    if obj["reclaimPolicy"] not in ("Delete", "Retain"):
        yield not_supported("reclaimPolicy", obj["reclaimPolicy"], ("Delete", "Retain"))
    if obj["volumeBindingMode"] not in BINDING_MODES:
        yield not_supported("volumeBindingMode", obj["volumeBindingMode"], BINDING_MODES)


def storage_class_update(new: Object, old: Object) -> Iterator[Cause]:
    """Check that a class goes on making the same kind of volumes."""
    for field in ("parameters", "provisioner"):
        if new.get(field) != old.get(field):
            yield forbidden(field, f"updates to {field} are forbidden.")
    for field in ("reclaimPolicy", "volumeBindingMode"):
        yield from immutable(field, new[field], old[field])
