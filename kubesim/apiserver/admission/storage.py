"""Admission of what stores data: the plugins of plugin/pkg/admission/storage."""

from typing import Any

from kubesim.api import resources
from kubesim.apimachinery.volumes import CLASS_ANNOTATION, requested
from kubesim.apiserver import errors
from kubesim.apiserver.admission.defaultclass import newest_default
from kubesim.apiserver.registry.context import Context
from kubesim.apiserver.registry.storage import Storage

Object = dict[str, Any]
CLASSES = resources.named("storageclasses.storage.k8s.io")
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
PROTECTION = {
    "persistentvolumeclaims": "kubernetes.io/pvc-protection",
    "persistentvolumes": "kubernetes.io/pv-protection",
}


class VolumeAdmission:
    """StorageObjectInUseProtection, DefaultStorageClass and PersistentVolumeClaimResize."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def protect(self, context: Context, obj: Object) -> None:
        """What is in use must not go; a controller takes the finalizer out when it is not."""
        finalizer = PROTECTION.get(context.resource.full_name)
        if finalizer and not context.subresource:
            finalizers = obj["metadata"].setdefault("finalizers", [])
            if finalizer not in finalizers:
                finalizers.append(finalizer)

    def default_class(self, context: Context, obj: Object) -> None:
        """A claim that names no class gets the default one, of several the newest."""
        if context.resource.full_name != "persistentvolumeclaims" or context.subresource:
            return
        annotations = obj["metadata"].get("annotations", {})
        if "storageClassName" in obj["spec"] or CLASS_ANNOTATION in annotations:
            return
        newest = newest_default(self._storage, CLASSES, DEFAULT_CLASS)
        if newest is not None:
            obj["spec"]["storageClassName"] = newest["metadata"]["name"]

    def check_resize(self, context: Context, new: Object | None, old: Object | None) -> None:
        """Only a bound claim of a class that can do so grows. Raises 403."""
        of_claim = context.resource.full_name == "persistentvolumeclaims"
        if not of_claim or context.subresource or new is None or old is None:
            return
        if requested(new) <= requested(old):
            return
        name = old["metadata"]["name"]
        if old["status"].get("phase") != "Bound":
            why = "Only bound persistent volume claims can be expanded"
            raise errors.forbidden("persistentvolumeclaims", name, why)
        used = self._storage.get(CLASSES, "", old["spec"].get("storageClassName", ""))
        if used is None or not used.object.get("allowVolumeExpansion"):
            why = (
                "only dynamically provisioned pvc can be resized and the storageclass that "
                "provisions the pvc must support resize"
            )
            raise errors.forbidden("persistentvolumeclaims", name, why)
