"""Amounts of resources by name: what a Pod asks for, and arithmetic on such lists.

The rules for Pods are those of k8s.io/component-helpers/resource: containers run side by side, init
containers one after the other, sidecars beside all that start after them.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from kubesim.apimachinery.objects import Object
from kubesim.apimachinery.quantity import parse

Amounts = dict[str, Decimal]


def amounts(quantities: Mapping[str, str] | None) -> Amounts:
    """Return quantities as numbers."""
    return {name: parse(text) for name, text in (quantities or {}).items()}


def added(one: Mapping[str, Decimal], other: Mapping[str, Decimal]) -> Amounts:
    """Return the sum of two lists."""
    total = dict(one)
    for name, amount in other.items():
        total[name] = total.get(name, Decimal(0)) + amount
    return total


def subtracted(one: Mapping[str, Decimal], other: Mapping[str, Decimal]) -> Amounts:
    """Return the difference of two lists."""
    return added(one, {name: -amount for name, amount in other.items()})


def largest(one: Mapping[str, Decimal], other: Mapping[str, Decimal]) -> Amounts:
    """Return for each name the larger amount."""
    result = dict(one)
    for name, amount in other.items():
        result[name] = max(result.get(name, amount), amount)
    return result


def pod_amounts(spec: Object, kind: str) -> Amounts:
    """Return what a Pod takes in all; `kind` is "requests" or "limits"."""
    total: Amounts = {}
    for container in spec.get("containers") or ():
        total = added(total, _of(container, kind))
    sidecars: Amounts = {}
    starting: Amounts = {}
    for container in spec.get("initContainers") or ():
        own = _of(container, kind)
        if container.get("restartPolicy") == "Always":
            sidecars = added(sidecars, own)
            own = sidecars
        else:
            own = added(sidecars, own)
        starting = largest(starting, own)
    return added(largest(added(total, sidecars), starting), amounts(spec.get("overhead")))


def _of(container: Object, kind: str) -> Amounts:
    return amounts((container.get("resources") or {}).get(kind))


def unset(containers: Iterable[Object], kind: str, name: str) -> list[str]:
    """Return the names of the containers that say nothing of a resource."""
    return [each["name"] for each in containers if name not in _of(each, kind)]
