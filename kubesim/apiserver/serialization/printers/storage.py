"""Columns of PersistentVolumes, their claims and classes."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from kubesim.apimachinery.objects import annotations_of
from kubesim.apiserver.serialization.printers.column import (
    AGE,
    NAME,
    Column,
    Object,
    Printer,
    field,
)

MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


def _modes(modes: Iterable[str]) -> str:
    """Access modes in short, always in the same order."""
    given = set(modes)
    return ",".join(short for mode, short in MODES.items() if mode in given)


def _phase(obj: Object, _now: datetime) -> str:
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    return str(obj.get("status", {}).get("phase", ""))


def _volume_claim(volume: Object, _now: datetime) -> str:
    claim = volume["spec"].get("claimRef")
    return f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else ""


def _of_bound(value: Printer) -> Printer:
    """A cell that is empty until a claim has a volume."""
    return lambda claim, now: value(claim, now) if claim["spec"].get("volumeName") else ""


def _class_name(storage_class: Object, _now: datetime) -> str:
    annotations = annotations_of(storage_class)
    default = " (default)" if annotations.get(DEFAULT_CLASS) == "true" else ""
    return f"{storage_class['metadata']['name']}{default}"


_CLASS = Column("StorageClass", field("spec", "storageClassName"))
_ATTRIBUTES = Column(
    "VolumeAttributesClass", field("spec", "volumeAttributesClassName", default="<unset>")
)
_VOLUME_MODE = Column("VolumeMode", field("spec", "volumeMode", default="<unset>"), wide=True)

COLUMNS: dict[str, Sequence[Column]] = {
    "persistentvolumes": (
        NAME,
        Column("Capacity", field("spec", "capacity", "storage")),
        Column("Access Modes", lambda pv, _: _modes(pv["spec"].get("accessModes") or ())),
        Column("Reclaim Policy", field("spec", "persistentVolumeReclaimPolicy")),
        Column("Status", _phase),
        Column("Claim", _volume_claim),
        _CLASS,
        _ATTRIBUTES,
        Column("Reason", field("status", "reason")),
        AGE,
        _VOLUME_MODE,
    ),
    "persistentvolumeclaims": (
        NAME,
        Column("Status", _phase),
        Column("Volume", field("spec", "volumeName")),
        Column("Capacity", _of_bound(field("status", "capacity", "storage"))),
        Column(
            "Access Modes",
            _of_bound(lambda claim, _: _modes(claim["status"].get("accessModes") or ())),
        ),
        _CLASS,
        _ATTRIBUTES,
        AGE,
        _VOLUME_MODE,
    ),
    "storageclasses.storage.k8s.io": (
        Column("Name", _class_name, format="name"),
        Column("Provisioner", field("provisioner")),
        Column("ReclaimPolicy", field("reclaimPolicy", default="<unset>")),
        Column("VolumeBindingMode", field("volumeBindingMode", default="<unset>")),
        Column("AllowVolumeExpansion", field("allowVolumeExpansion", default=False)),
        AGE,
    ),
}
