"""Which defaults each resource has."""

from typing import Any

from kubesim.api.resources import Resource
from kubesim.apiserver.apiextensions import definition
from kubesim.apiserver.registry import (
    admissionpolicies,
    defaulting,
    networking,
    policies,
    workload_defaults,
)

_PARTS = (defaulting, workload_defaults, networking, policies, definition, admissionpolicies)
DEFAULTS = {name: default for part in _PARTS for name, default in part.DEFAULTS.items()}


def apply_defaults(resource: Resource, obj: dict[str, Any]) -> None:
    """Fill in an object's defaults, in place."""
    default = DEFAULTS.get(resource.full_name)
    if default:
        default(obj)
