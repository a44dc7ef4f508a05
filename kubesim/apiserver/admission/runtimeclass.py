"""RuntimeClass: a Pod's class must exist, and gives it its overhead and its place.

As plugin/pkg/admission/runtimeclass/admission.go.
"""

from kubesim.api import resources
from kubesim.apimachinery.objects import Object
from kubesim.apiserver import errors
from kubesim.apiserver.registry.context import Context
from kubesim.apiserver.registry.storage import Storage

CLASSES = resources.named("runtimeclasses.node.k8s.io")
WITHOUT = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"


class RuntimeClass:
    """The plugin."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def resolve(self, context: Context, pod: Object) -> None:
        """Add to a new Pod what its class has. Raises 403."""
        if context.resource.full_name != "pods" or context.subresource:
            return
        spec, pod_name = pod["spec"], pod["metadata"].get("name", "")
        name, found = spec.get("runtimeClassName"), {}
        if name:
            stored = self._storage.get(CLASSES, "", name)
            if not stored:
                why = f'pod rejected: RuntimeClass "{name}" not found'
                raise errors.forbidden("pods", pod_name, why)
            found = stored.object
        overhead = found.get("overhead", {}).get("podFixed")
        if "overhead" in spec and spec["overhead"] != overhead:
            raise errors.forbidden("pods", pod_name, WITHOUT)
        if overhead:
            spec["overhead"] = dict(overhead)
        scheduling = found.get("scheduling", {})
        if scheduling.get("nodeSelector"):
            spec["nodeSelector"] = {**spec.get("nodeSelector", {}), **scheduling["nodeSelector"]}
        for toleration in scheduling.get("tolerations", ()):
            if toleration not in spec.setdefault("tolerations", []):
                spec["tolerations"].append(dict(toleration))
