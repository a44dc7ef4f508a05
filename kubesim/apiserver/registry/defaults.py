"""Which defaults each resource has."""

from typing import Any

from kubesim.api.resources import Resource
from kubesim.apiserver.apiextensions import definition
from kubesim.apiserver.registry import defaulting, networking, workload_defaults

DEFAULTS = (
    defaulting.DEFAULTS | workload_defaults.DEFAULTS | networking.DEFAULTS | definition.DEFAULTS
)


def apply_defaults(resource: Resource, obj: dict[str, Any]) -> None:
    """Fill in an object's defaults, in place."""
    default = DEFAULTS.get(resource.full_name)
    if default:
        default(obj)
