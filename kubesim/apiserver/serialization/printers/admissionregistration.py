"""The columns of admissionregistration.k8s.io."""

from datetime import datetime
from typing import Any

from kubesim.apiserver.serialization.printers.column import AGE, NAME, Column, field

Object = dict[str, Any]
GROUP = "admissionregistration.k8s.io"
UNSET = "<unset>"


def _validations(obj: Object, _now: datetime) -> int:
    return len(obj["spec"].get("validations") or ())


def _param_kind(obj: Object, _now: datetime) -> str:
    kind = obj["spec"].get("paramKind")
    return f"{kind['apiVersion']}/{kind['kind']}" if kind else UNSET


def _param_ref(obj: Object, _now: datetime) -> str:
    reference = obj["spec"].get("paramRef")
    if not reference:
        return UNSET
    name = reference.get("name") or "*"
    return f"{reference['namespace']}/{name}" if reference.get("namespace") else str(name)


COLUMNS = {
    f"validatingadmissionpolicies.{GROUP}": (
        NAME,
        Column("Validations", _validations, type="integer"),
        Column("ParamKind", _param_kind),
        AGE,
    ),
    f"validatingadmissionpolicybindings.{GROUP}": (
        NAME,
        Column("PolicyName", field("spec", "policyName")),
        Column("ParamRef", _param_ref),
        AGE,
    ),
}
