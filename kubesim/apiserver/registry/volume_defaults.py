"""Defaults of what stores data (pkg/apis/core/v1/defaults.go, pkg/apis/storage/v1/defaults.go)."""

from typing import Any

Object = dict[str, Any]


def default_claim(claim: Object) -> None:
    """A claim is Pending, and asks for a file system."""
    default_claim_spec(claim.setdefault("spec", {}))
    claim.setdefault("status", {}).setdefault("phase", "Pending")


def default_claim_spec(spec: Object) -> None:
    """Defaults of a claim's spec, also where a template has it."""
    spec.setdefault("volumeMode", "Filesystem")
    spec.setdefault("resources", {})


def default_volume(volume: Object) -> None:
    """A volume is kept when its claim goes, unless it says otherwise."""
    spec = volume.setdefault("spec", {})
    spec.setdefault("persistentVolumeReclaimPolicy", "Retain")
    spec.setdefault("volumeMode", "Filesystem")
    if "hostPath" in spec:
        spec["hostPath"].setdefault("type", "")
    volume.setdefault("status", {}).setdefault("phase", "Pending")


def default_class(storage_class: Object) -> None:
    """A class deletes its volumes with their claims, and makes them at once."""
    storage_class.setdefault("reclaimPolicy", "Delete")
    storage_class.setdefault("volumeBindingMode", "Immediate")
