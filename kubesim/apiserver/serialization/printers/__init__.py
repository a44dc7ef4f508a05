"""The columns of `kubectl get`, by resource: what pkg/printers/internalversion/printers.go prints.

Tables are made by the server, so every client shows the same. A cell is a function of the object
and of the time; `wide` columns are those that only `-o wide` shows.
"""

from collections.abc import Sequence

from kubesim.apiserver.serialization.printers import (
    admissionregistration,
    apiregistration,
    apps,
    autoscaling,
    batch,
    certificates,
    componentstatus,
    coordination,
    core,
    discovery,
    events,
    networking,
    policy,
    rbac,
    storage,
)
from kubesim.apiserver.serialization.printers.column import CREATED, NAME, Column

_DEFAULT = (NAME, CREATED)
_GROUPS = (
    core,
    admissionregistration,
    apiregistration,
    apps,
    autoscaling,
    batch,
    certificates,
    componentstatus,
    coordination,
    discovery,
    events,
    networking,
    policy,
    rbac,
    storage,
)
_COLUMNS: dict[str, Sequence[Column]] = {
    name: columns for group in _GROUPS for name, columns in group.COLUMNS.items()
}


def columns_of(resource: str) -> Sequence[Column]:
    """The columns of a resource (`pods`, `deployments.apps`); name and creation if unknown."""
    return _COLUMNS.get(resource, _DEFAULT)
