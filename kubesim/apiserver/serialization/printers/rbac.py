"""Columns of roles and their bindings."""

from collections.abc import Sequence
from datetime import datetime

from kubesim.apiserver.serialization.printers.column import (
    AGE,
    NAME,
    Column,
    Object,
    Printer,
)


def _role_reference(binding: Object, _now: datetime) -> str:
    return f"{binding['roleRef']['kind']}/{binding['roleRef']['name']}"


def _subjects(kind: str) -> Printer:
    def cell(binding: Object, _now: datetime) -> str:
        subjects = [s for s in binding.get("subjects") or () if s["kind"] == kind]
        if kind == "ServiceAccount":
            return ", ".join(f"{s.get('namespace', '')}/{s['name']}" for s in subjects)
        return ", ".join(s["name"] for s in subjects)

    return cell


_BINDING = (
    NAME,
    Column("Role", _role_reference),
    AGE,
    Column("Users", _subjects("User"), wide=True),
    Column("Groups", _subjects("Group"), wide=True),
    Column("ServiceAccounts", _subjects("ServiceAccount"), wide=True),
)

COLUMNS: dict[str, Sequence[Column]] = {
    "rolebindings.rbac.authorization.k8s.io": _BINDING,
    "clusterrolebindings.rbac.authorization.k8s.io": _BINDING,
}
