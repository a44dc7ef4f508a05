"""Which strategy each resource has."""

from kubesim.api.resources import Resource
from kubesim.apiserver.registry import strategy, workloads
from kubesim.apiserver.registry.strategy import Strategy

STRATEGIES = strategy.STRATEGIES | workloads.STRATEGIES


def strategy_for(resource: Resource) -> Strategy:
    """Return a resource's strategy."""
    return STRATEGIES.get(resource.full_name, Strategy)(resource)
