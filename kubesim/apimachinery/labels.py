"""Label selectors as objects carry them, and whether labels match.

The selectors of URLs (`app=web,tier!=db`) are read by the API server; these are the two
structured forms, metav1.LabelSelector and core/v1 NodeSelectorTerm.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Labels = Mapping[str, str]
Requirement = Mapping[str, Any]


def matches(selector: Mapping[str, Any] | None, labels: Labels) -> bool:
    """Whether a metav1.LabelSelector selects these labels.

    None selects nothing and an empty selector everything, as in
    apimachinery's LabelSelectorAsSelector.
    """
    if selector is None:
        return False
    return has_all(selector.get("matchLabels") or {}, labels) and all(
        _satisfies(requirement, labels) for requirement in selector.get("matchExpressions") or ()
    )


def has_all(wanted: Labels, labels: Labels) -> bool:
    """Whether every wanted label is there with that value (Services, nodeSelector)."""
    return all(labels.get(name) == value for name, value in wanted.items())


def selector_text(selector: Mapping[str, Any]) -> str:
    """A metav1.LabelSelector as in a URL and as kubectl prints it; "" when it is empty."""
    return ",".join([*pairs(selector.get("matchLabels")), *_expressions(selector)])


def pairs(labels: Labels | None) -> list[str]:
    """Labels as key=value, by key."""
    return [f"{key}={value}" for key, value in sorted((labels or {}).items())]


def _expressions(selector: Mapping[str, Any]) -> Iterator[str]:
    for expression in selector.get("matchExpressions") or ():
        key, operator = expression["key"], expression["operator"]
        values = ",".join(sorted(expression.get("values") or ()))
        yield {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }.get(operator, key)


def node_selector_matches(selector: Mapping[str, Any], node: Mapping[str, Any]) -> bool:
    """Whether a node satisfies one of a NodeSelector's terms; the terms are alternatives."""
    return any(term_matches(term, node) for term in selector.get("nodeSelectorTerms") or ())


def term_matches(term: Mapping[str, Any], node: Mapping[str, Any]) -> bool:
    """Whether a node satisfies all of a term's requirements; an empty term matches no node."""
    expressions = term.get("matchExpressions") or ()
    fields = term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    labels = node["metadata"].get("labels") or {}
    named = {"metadata.name": node["metadata"]["name"]}
    return all(_satisfies(each, labels) for each in expressions) and all(
        _satisfies(each, named) for each in fields
    )


def _satisfies(requirement: Requirement, labels: Labels) -> bool:
    value = labels.get(requirement["key"])
    compare = _OPERATORS.get(requirement.get("operator", ""))
    return compare is not None and compare(value, requirement.get("values") or [])


def _compare(value: str | None, values: list[str]) -> int:
    """The sign of label minus bound; 0, so no match, where either is no integer."""
    try:
        return int(value or "") - int(values[0])
    except (ValueError, IndexError):
        return 0


_OPERATORS: dict[str, Callable[[str | None, list[str]], bool]] = {
    "In": lambda value, values: value in values,
    "NotIn": lambda value, values: value not in values,
    "Exists": lambda value, _: value is not None,
    "DoesNotExist": lambda value, _: value is None,
    "Gt": lambda value, values: _compare(value, values) > 0,
    "Lt": lambda value, values: _compare(value, values) < 0,
}
