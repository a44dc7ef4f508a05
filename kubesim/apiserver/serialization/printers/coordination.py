"""Columns of the group coordination.k8s.io."""

from collections.abc import Sequence

from kubesim.apiserver.serialization.printers.column import (
    AGE,
    NAME,
    Column,
    field,
)

COLUMNS: dict[str, Sequence[Column]] = {
    "leases.coordination.k8s.io": (
        NAME,
        Column("Holder", field("spec", "holderIdentity")),
        AGE,
    ),
}
