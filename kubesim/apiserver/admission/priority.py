"""Priority: a Pod's class becomes the number that the scheduler compares.

As plugin/pkg/admission/priority/admission.go; the two system classes are objects, too.
"""

from kubesim.api import resources
from kubesim.apimachinery.objects import Object
from kubesim.apiserver import errors
from kubesim.apiserver.registry.context import Context
from kubesim.apiserver.registry.storage import Storage
from kubesim.apiserver.validation.policy import SYSTEM_CLASSES

CLASSES = resources.named("priorityclasses.scheduling.k8s.io")
DEFAULT_POLICY = "PreemptLowerPriority"


class Priority:
    """The plugin."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def resolve(self, context: Context, pod: Object) -> None:
        """Set a new Pod's priority and preemption policy. Raises 403."""
        if context.resource.full_name != "pods" or context.subresource:
            return
        spec = pod["spec"]
        found = self._class_of(pod)
        if "priority" in spec and spec["priority"] != found["value"]:
            why = (
                f"the integer value of priority ({spec['priority']}) must not be provided in pod "
                "spec; priority admission controller computed "
                f"{found['value']} from the given PriorityClass name"
            )
            raise errors.forbidden("pods", pod["metadata"].get("name", ""), why)
        spec["priority"] = found["value"]
        policy = found.get("preemptionPolicy", DEFAULT_POLICY)
        if spec.setdefault("preemptionPolicy", policy) != policy:
            why = (
                f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) must not be "
                "provided in pod spec; priority admission controller computed "
                f"{policy} from the given PriorityClass name"
            )
            raise errors.forbidden("pods", pod["metadata"].get("name", ""), why)

    def _class_of(self, pod: Object) -> Object:
        name = pod["spec"].get("priorityClassName", "")
        if not name:
            default = self._default()
            if default:
                pod["spec"]["priorityClassName"] = default["metadata"]["name"]
            return default or {"value": 0}
        stored = self._storage.get(CLASSES, "", name)
        if stored:
            return stored.object
        if name in SYSTEM_CLASSES:  # before the bootstrap has made them
            return {"value": SYSTEM_CLASSES[name]}
        why = f"no PriorityClass with name {name} was found"
        raise errors.forbidden("pods", pod["metadata"].get("name", ""), why)

    def _default(self) -> Object | None:
        """The class for Pods that name none: of several the one that asks least."""
        defaults = [
            each.object
            for each in self._storage.list(CLASSES, "")
            if each.object.get("globalDefault")
        ]
        return min(defaults, key=lambda each: int(each["value"]), default=None)

    def check(self, context: Context, new: Object | None, _old: Object | None) -> None:
        """Refuse a second class that is the default for all. Raises 403."""
        if context.resource is not CLASSES or new is None or not new.get("globalDefault"):
            return
        default = self._default()
        name = new["metadata"]["name"]
        if default and default["metadata"]["name"] != name:
            why = (
                f"PriorityClass {default['metadata']['name']} is already marked as default. "
                "Only one PriorityClass can be marked as default"
            )
            raise errors.forbidden(CLASSES.full_name, name, why)
