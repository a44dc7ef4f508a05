"""What a deletion does first: nothing, wait for a grace period, or wait for finalizers.

The rules are those of k8s.io/apiserver/pkg/registry/rest/delete.go and of the generic registry.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from kubesim.api.resources import Resource
from kubesim.apimachinery.objects import timestamp
from kubesim.apiserver import errors
from kubesim.apiserver.patch import fields
from kubesim.apiserver.registry.strategy import Strategy, begin_deletion

Object = dict[str, Any]
ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
PROPAGATION = ("Foreground", "Background", "Orphan", "nil")


@dataclass(frozen=True)
class DeleteOptions:
    """The metav1.DeleteOptions of a request."""

    grace_period: int | None = None
    propagation: str = ""
    uid: str = ""
    resource_version: str = ""
    dry_run: bool = False

    @classmethod
    def read(cls, options: Object) -> "DeleteOptions":
        """Read the options of a request's body. Raises 422."""
        propagation = options.get("propagationPolicy", "")
        if propagation and propagation not in PROPAGATION:
            values = ", ".join(f'"{value}"' for value in PROPAGATION)
            message = f'Unsupported value: "{propagation}": supported values: {values}'
            cause = {"reason": "FieldValueNotSupported", "message": message}
            raise errors.invalid(
                "DeleteOptions.meta.k8s.io", "", [cause | {"field": "propagationPolicy"}]
            )
        if "orphanDependents" in options and propagation:
            why = "orphanDependents and deletionPropagation cannot be both set"
            cause = fields.invalid("propagationPolicy", propagation, why)
            raise errors.invalid("DeleteOptions.meta.k8s.io", "", [cause])
        if "orphanDependents" in options:
            propagation = "Orphan" if options["orphanDependents"] else "Background"
        preconditions = options.get("preconditions", {})
        return cls(
            options.get("gracePeriodSeconds"),
            propagation,
            preconditions.get("uid", ""),
            preconditions.get("resourceVersion", ""),
            "All" in options.get("dryRun", ()),
        )


def check_preconditions(resource: Resource, obj: Object, options: DeleteOptions) -> None:
    """Raise 409 unless the object is the very one that the client means."""
    metadata = obj["metadata"]
    if options.uid and options.uid != metadata["uid"]:
        raise errors.conflict(
            resource.full_kind,
            metadata["name"],
            f"the UID in the precondition ({options.uid}) does not match the UID in record "
            f"({metadata['uid']}). The object might have been deleted and then recreated",
        )
    version = options.resource_version
    if version and version != metadata["resourceVersion"]:
        raise errors.conflict(
            resource.full_kind,
            metadata["name"],
            f"the ResourceVersion in the precondition ({version}) does not match the "
            f"ResourceVersion in record ({metadata['resourceVersion']}). "
            "The object might have been modified",
        )


def deleting(
    strategy: Strategy, current: Object, options: DeleteOptions, now: datetime
) -> Object | None:
    """Return what the object becomes while its deletion waits, or None to delete it now.

    The object itself, unchanged, means that its deletion is waiting already.
    """
    current = strategy.before_deletion(current, now)
    metadata = dict(current["metadata"])
    if metadata.get("deletionTimestamp"):
        if not _shorten(metadata, options.grace_period):
            return current
    elif strategy.graceful:
        grace = strategy.grace_period(current, options.grace_period)
        begin_deletion(metadata, now + timedelta(seconds=grace), grace)
    _set_finalizers(metadata, options.propagation or _default_propagation(strategy, metadata))
    if not metadata.get("deletionTimestamp") and metadata.get("finalizers"):
        begin_deletion(metadata, now, 0)
    marked = current | {"metadata": metadata}
    if metadata.get("deletionTimestamp") and not strategy.may_go(marked):
        return marked
    return None


def _shorten(metadata: Object, asked: int | None) -> bool:
    """Shorten a grace period that is running; return whether anything changed."""
    running = metadata.get("deletionGracePeriodSeconds") or 0
    if asked is None or asked >= running:
        return not running and not metadata.get("finalizers")
    deadline = datetime.fromisoformat(metadata["deletionTimestamp"])
    sooner = deadline - timedelta(seconds=running - asked)
    metadata["deletionTimestamp"] = timestamp(sooner)
    metadata["deletionGracePeriodSeconds"] = asked
    return True


def _default_propagation(strategy: Strategy, metadata: Object) -> str:
    """What happens to the dependents when nobody says: some old kinds leave them alone."""
    told = {ORPHAN, FOREGROUND} & set(metadata.get("finalizers", ()))
    return "Orphan" if strategy.orphans_by_default and not told else ""


def _set_finalizers(metadata: Object, propagation: str) -> None:
    """Tell the garbage collector by a finalizer what to do with the dependents."""
    if not propagation:
        return
    others = [f for f in metadata.get("finalizers", ()) if f not in (ORPHAN, FOREGROUND)]
    added = {"Orphan": [ORPHAN], "Foreground": [FOREGROUND]}.get(propagation, [])
    metadata["finalizers"] = others + added
    if not metadata["finalizers"]:
        del metadata["finalizers"]
