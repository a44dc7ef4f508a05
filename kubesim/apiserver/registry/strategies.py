"""Which strategy each resource has."""

from kubesim.api.resources import Resource
from kubesim.apiserver.apiextensions import definitions
from kubesim.apiserver.apiextensions.resource import CustomResource
from kubesim.apiserver.apiextensions.strategy import CustomResourceStrategy
from kubesim.apiserver.registry import certificates, networking, strategy, workloads
from kubesim.apiserver.registry.strategy import Strategy

STRATEGIES = (
    strategy.STRATEGIES
    | workloads.STRATEGIES
    | networking.STRATEGIES
    | certificates.STRATEGIES
    | definitions.STRATEGIES
)


def strategy_for(resource: Resource) -> Strategy:
    """Return a resource's strategy."""
    if isinstance(resource, CustomResource):
        return CustomResourceStrategy(resource)
    return STRATEGIES.get(resource.full_name, Strategy)(resource)
