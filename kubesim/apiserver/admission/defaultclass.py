"""Who names no class gets the default one.

As plugin/pkg/admission/network/defaultingressclass; how the default is chosen, DefaultStorageClass
has in common with it (`storage.py`).
"""

from kubesim.api import resources
from kubesim.api.resources import Resource
from kubesim.apimachinery.objects import Object
from kubesim.apiserver.registry.context import Context
from kubesim.apiserver.registry.networking import CLASS_ANNOTATION
from kubesim.apiserver.registry.storage import Storage

CLASSES = resources.named("ingressclasses.networking.k8s.io")
DEFAULT_CLASS = "ingressclass.kubernetes.io/is-default-class"


class DefaultIngressClass:
    """An Ingress that names no class gets the default one, if there is."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def admit(self, context: Context, obj: Object) -> None:
        """Set the class of a new Ingress; of several default classes, the newest."""
        if context.resource.full_name != "ingresses.networking.k8s.io" or context.subresource:
            return
        annotations = obj["metadata"].get("annotations", {})
        if "ingressClassName" in obj["spec"] or CLASS_ANNOTATION in annotations:
            return
        newest = newest_default(self._storage, CLASSES, DEFAULT_CLASS)
        if newest is not None:
            obj["spec"]["ingressClassName"] = newest["metadata"]["name"]


def newest_default(storage: Storage, classes: Resource, annotation: str) -> Object | None:
    """Return the newest class that the annotation marks as the default; of equals, by name."""
    found = (each.object for each in storage.list(classes))  # in the order of their names
    marked = (
        each for each in found if each["metadata"].get("annotations", {}).get(annotation) == "true"
    )
    return max(marked, key=lambda each: str(each["metadata"]["creationTimestamp"]), default=None)
