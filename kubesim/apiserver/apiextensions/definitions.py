"""What is particular to the writing of CustomResourceDefinitions.

As apiextensions-apiserver's pkg/registry/customresourcedefinition.
"""

from datetime import datetime
from typing import Any

from kubesim.apiserver.apiextensions.conditions import condition, with_condition
from kubesim.apiserver.registry.strategy import Strategy, begin_deletion

Object = dict[str, Any]
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
PENDING = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"


class DefinitionStrategy(Strategy):
    """CustomResourceDefinitions: their objects go before they do."""

    counts_generation = True

    def initial_status(self, obj: Object) -> Object:
        """Nothing is accepted yet; the version that objects are stored in is noted."""
        stored = [v["name"] for v in obj["spec"].get("versions") or () if v["storage"]]
        names = {"kind": "", "plural": ""}
        return {"acceptedNames": names, "conditions": None, "storedVersions": stored[:1]}

    def prepare_update(self, new: Object, old: Object) -> None:
        """A new storage version joins those that objects may be stored in."""
        super().prepare_update(new, old)
        storage = [v["name"] for v in new["spec"].get("versions") or () if v["storage"]]
        known = new["status"].get("storedVersions") or []
        added = [name for name in storage[:1] if name not in known]
        new["status"] = new["status"] | {"storedVersions": [*known, *added]}

    def before_deletion(self, obj: Object, now: datetime) -> Object:
        """Wait until the objects of this kind are gone."""
        if obj["metadata"].get("deletionTimestamp"):
            return obj
        metadata = dict(obj["metadata"])
        finalizers = [name for name in metadata.get("finalizers") or () if name != CLEANUP]
        metadata["finalizers"] = [*finalizers, CLEANUP]
        begin_deletion(metadata, now, 0)
        pending = condition("Terminating", "True", "InstanceDeletionPending", PENDING)
        status = with_condition(obj["status"], pending, now)
        return obj | {"metadata": metadata, "status": status}


STRATEGIES = {"customresourcedefinitions.apiextensions.k8s.io": DefinitionStrategy}
