"""Validation of where a Pod may run: affinity, spread (pkg/apis/core/validation)."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from kubesim.apiserver.patch.fields import (
    Cause,
    duplicate,
    invalid,
    not_supported,
    required,
)
from kubesim.apiserver.validation import names
from kubesim.apiserver.validation.metadata import each, selector, set_operator

Object = dict[str, Any]
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
NODE_FIELDS: dict[str, Callable[[str], Iterator[str]]] = {"metadata.name": names.dns_subdomain}
UNSATISFIABLE = ("DoNotSchedule", "ScheduleAnyway")
INCLUSION = ("Honor", "Ignore")


def affinity(given: Object, path: str) -> Iterator[Cause]:
    """Check a Pod's affinity to nodes and to other Pods."""
    nodes = given.get("nodeAffinity", {})
    if REQUIRED in nodes:
        yield from node_selector(nodes[REQUIRED], f"{path}.nodeAffinity.{REQUIRED}")
    for index, term in enumerate(nodes.get(PREFERRED, ())):
        at = f"{path}.nodeAffinity.{PREFERRED}[{index}]"
        yield from _weight(term, at)
        yield from node_selector_term(term.get("preference", {}), f"{at}.preference")
    for kind in ("podAffinity", "podAntiAffinity"):
        terms = given.get(kind, {})
        for index, term in enumerate(terms.get(REQUIRED, ())):
            yield from _pod_term(term, f"{path}.{kind}.{REQUIRED}[{index}]")
        for index, term in enumerate(terms.get(PREFERRED, ())):
            at = f"{path}.{kind}.{PREFERRED}[{index}]"
            yield from _weight(term, at)
            yield from _pod_term(term.get("podAffinityTerm", {}), f"{at}.podAffinityTerm")


def _weight(term: Object, path: str) -> Iterator[Cause]:
    if not 1 <= term.get("weight", 0) <= 100:
        yield invalid(f"{path}.weight", term.get("weight", 0), "must be in the range 1-100")


def node_selector(given: Object, path: str) -> Iterator[Cause]:
    """Check a core/v1 NodeSelector."""
    terms = given.get("nodeSelectorTerms", ())
    if not terms:
        yield required(f"{path}.nodeSelectorTerms", "must have at least one node selector term")
    for index, term in enumerate(terms):
        yield from node_selector_term(term, f"{path}.nodeSelectorTerms[{index}]")


def node_selector_term(term: Object, path: str) -> Iterator[Cause]:
    """Check one of a NodeSelector's terms."""
    for index, requirement in enumerate(term.get("matchExpressions", ())):
        yield from _expression(requirement, f"{path}.matchExpressions[{index}]")
    for index, requirement in enumerate(term.get("matchFields", ())):
        yield from _field(requirement, f"{path}.matchFields[{index}]")


def _expression(requirement: Object, path: str) -> Iterator[Cause]:
    values = requirement.get("values", [])
    if requirement.get("operator") not in ("Gt", "Lt"):
        yield from set_operator(requirement, path)
    elif len(values) != 1:
        why = "must be specified single value when `operator` is 'Lt' or 'Gt'"
        yield required(f"{path}.values", why)
    key = requirement.get("key", "")
    yield from each(f"{path}.key", key, names.qualified_name(key))
    for index, value in enumerate(values):
        yield from each(f"{path}.values[{index}]", value, names.label_value(value))


def _field(requirement: Object, path: str) -> Iterator[Cause]:
    operator, values = requirement.get("operator", ""), requirement.get("values", [])
    if operator not in ("In", "NotIn"):
        yield invalid(f"{path}.operator", operator, "not a valid selector operator")
    elif len(values) != 1:
        why = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        yield required(f"{path}.values", why)
    key = requirement.get("key", "")
    if key not in NODE_FIELDS:
        yield invalid(f"{path}.key", key, "not a valid field selector key")
        return
    for index, value in enumerate(values):
        yield from each(f"{path}.values[{index}]", value, NODE_FIELDS[key](value))


def _pod_term(term: Object, path: str) -> Iterator[Cause]:
    for field in ("labelSelector", "namespaceSelector"):
        yield from selector(term.get(field, {}), f"{path}.{field}")
    for index, name in enumerate(term.get("namespaces", ())):
        yield from each(f"{path}.namespaces[{index}]", name, names.dns_label(name))
    key = term.get("topologyKey", "")
    if not key:
        yield required(f"{path}.topologyKey", "can not be empty")
    yield from each(f"{path}.topologyKey", key, names.qualified_name(key))


def spread(constraints: Sequence[Object], path: str) -> Iterator[Cause]:
    """Check the constraints on how a Pod's like are spread."""
    pairs = [
        (each.get("topologyKey", ""), each.get("whenUnsatisfiable", "")) for each in constraints
    ]
    for index, constraint in enumerate(constraints):
        at = f"{path}[{index}]"
        yield from _constraint(constraint, at)
        key, action = pairs[index]
        if pairs[index] in pairs[index + 1 :]:
            yield duplicate(f"{at}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {action}}}")


def _constraint(constraint: Object, path: str) -> Iterator[Cause]:
    if constraint.get("maxSkew", 0) <= 0:
        yield invalid(f"{path}.maxSkew", constraint.get("maxSkew", 0), "must be greater than zero")
    key, action = constraint.get("topologyKey", ""), constraint.get("whenUnsatisfiable", "")
    if not key:
        yield required(f"{path}.topologyKey", "can not be empty")
    if action not in UNSATISFIABLE:
        yield not_supported(f"{path}.whenUnsatisfiable", action, UNSATISFIABLE)
    domains = constraint.get("minDomains")
    if domains is not None and domains <= 0:
        yield invalid(f"{path}.minDomains", domains, "must be greater than zero")
    if domains is not None and action == "ScheduleAnyway":
        why = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
        yield invalid(f"{path}.minDomains", domains, why)
    for field in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
        if constraint.get(field, "Honor") not in INCLUSION:
            yield not_supported(f"{path}.{field}", constraint[field], INCLUSION)
    yield from selector(constraint.get("labelSelector", {}), f"{path}.labelSelector")
