"""What is particular to the writing of custom resources.

As apiextensions-apiserver's pkg/registry/customresource.
"""

from collections.abc import Iterator
from typing import Any

from kubesim.apiserver import errors, validation
from kubesim.apiserver.apiextensions import jsonpath, rules, values
from kubesim.apiserver.apiextensions.resource import CustomResource
from kubesim.apiserver.patch.fields import Cause, invalid
from kubesim.apiserver.registry import subresources
from kubesim.apiserver.registry.strategy import Strategy, keep
from kubesim.apiserver.serialization import gotext

Object = dict[str, Any]


class CustomResourceStrategy(Strategy):
    """Objects of a kind that somebody has defined."""

    unconditional_update = False
    counts_generation = True
    status_metadata = ()
    resource: CustomResource

    def prepare_create(self, obj: Object) -> None:
        """A status is its controller's, if it is a subresource. Raises 405."""
        if self.resource.terminating:
            error = errors.method_not_supported(self.resource.full_name)
            told = "create not allowed while custom resource definition is terminating"
            raise errors.StatusError(405, told, details=error.details)
        if self.has_status:
            obj.pop("status", None)
        obj["metadata"]["generation"] = 1

    def prepare_update(self, new: Object, old: Object) -> None:
        """Every change but that of metadata is a new generation, and of status if it is apart."""
        if self.has_status:
            keep(new, old, "status")
        generation: int = old["metadata"].get("generation", 1)
        new["metadata"]["generation"] = generation + self.is_new_generation(new, old)

    def is_new_generation(self, new: Object, old: Object) -> bool:
        """Whether anything but the metadata differs; the status only if it is no subresource."""
        apart = ("metadata", "status") if self.has_status else ("metadata",)
        return {k: v for k, v in new.items() if k not in apart} != {
            k: v for k, v in old.items() if k not in apart
        }

    def prepare_status_update(self, new: Object, old: Object) -> Object:
        """Keep everything but the status, which must be valid as well."""
        kept = super().prepare_status_update(new, old)
        self.validate_update(kept, old)
        return kept

    def validate(self, obj: Object) -> None:
        """Check an object against its schema. Raises 422."""
        validation.validate(self.resource, obj, self._causes(obj, None))

    def validate_update(self, new: Object, old: Object) -> None:
        """Check a changed object against its schema. Raises 422."""
        validation.validate_update(self.resource, new, old, self._causes(new, old))

    def _causes(self, obj: Object, old: Object | None) -> Iterator[Cause]:
        found = list(values.check(obj, self.resource.schema))
        yield from found
        if self.resource.has_rules:
            if any(cause["reason"] in rules.BLOCKING for cause in found):
                yield invalid(values.NOWHERE, None, rules.UNCHECKED)
            else:
                yield from rules.check(obj, old, self.resource.schema)
        for name in ("specReplicasPath", "statusReplicasPath"):
            path = (self.resource.scale or {}).get(name, "")
            for found in jsonpath.find(path, obj) if path else ():
                yield from _replicas(found, path)

    def scale_of(self, obj: Object) -> Object:
        """Return the Scale that the definition's paths make of an object."""
        paths = self.resource.scale or {}
        metadata = obj["metadata"]
        kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
        scale: Object = {
            "kind": "Scale",
            "apiVersion": "autoscaling/v1",
            "metadata": {field: metadata[field] for field in kept if field in metadata},
            "spec": {},
            "status": {"replicas": _first(paths["statusReplicasPath"], obj) or 0},
        }
        replicas = _first(paths["specReplicasPath"], obj)
        if replicas is None:
            why = f'the spec replicas field "{paths["specReplicasPath"]}" does not exist'
            raise errors.internal(why)
        if replicas:
            scale["spec"] = {"replicas": replicas}
        if selector := _first(paths.get("labelSelectorPath") or "", obj):
            scale["status"]["selector"] = selector
        return scale

    def rescale(self, obj: Object, scale: Object) -> Object:
        """Return an object with the replicas that a Scale asks for. Raises 422."""
        replicas = subresources.wanted_replicas(obj, scale)
        path = (self.resource.scale or {})["specReplicasPath"]
        changed = jsonpath.put(obj, path, replicas)
        return subresources.at_version_of(changed, scale)


def _replicas(found: Any, path: str) -> Iterator[Cause]:
    """Whether a value can be the number of replicas that a Scale shows."""
    if type(found) is not int:
        told = f"{path} accessor error: {gotext.shown(found)} is of the type {_go_type(found)}"
        yield invalid(path, 0, f"{told}, expected int64")
    elif found < 0:
        yield invalid(path, found, "should be a non-negative integer")


def _go_type(value: Any) -> str:
    """The Go type that a JSON value is decoded into."""
    return {
        bool: "bool",
        int: "int64",
        float: "float64",
        str: "string",
        list: "[]interface {}",
        dict: "map[string]interface {}",
    }.get(type(value), "<nil>")


def _first(path: str, obj: Object) -> Any:
    found = jsonpath.find(path, obj) if path else []
    return found[0] if found and isinstance(found[0], int | str) else None
