"""Which strategy each resource has."""

from kubesim.api.resources import Resource
from kubesim.apiserver.apiextensions import definitions
from kubesim.apiserver.apiextensions.resource import CustomResource
from kubesim.apiserver.apiextensions.strategy import CustomResourceStrategy
from kubesim.apiserver.registry import (
    admissionpolicies,
    certificates,
    networking,
    policies,
    strategy,
    workloads,
)
from kubesim.apiserver.registry.strategy import Strategy

_PARTS = (strategy, workloads, networking, certificates, policies, definitions, admissionpolicies)
STRATEGIES: dict[str, type[Strategy]] = {
    name: each for part in _PARTS for name, each in part.STRATEGIES.items()
}


def strategy_for(resource: Resource) -> Strategy:
    """Return a resource's strategy."""
    if isinstance(resource, CustomResource):
        return CustomResourceStrategy(resource)
    return STRATEGIES.get(resource.full_name, Strategy)(resource)
