"""Label and field selectors: parsing what a client asks for, and matching objects."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kubesim.apiserver import errors

Labels = Mapping[str, str]
TOKEN = re.compile(r"\s*(==|!=|=|!|\(|\)|,|<|>|[^\s=!(),<>]+)")


@dataclass(frozen=True)
class Requirement:
    """One condition on a label: key, operator and the values that it names."""

    key: str
    operator: str  # in, notin, exists, !, gt, lt
    values: frozenset[str] = frozenset()

    def matches(self, labels: Labels) -> bool:
        """Whether labels satisfy this condition."""
        if self.operator == "in":
            return labels.get(self.key) in self.values
        if self.operator == "notin":
            return labels.get(self.key) not in self.values
        if self.operator == "exists":
            return self.key in labels
        if self.operator == "!":
            return self.key not in labels
        return self._compare(labels.get(self.key))

    def _compare(self, value: str | None) -> bool:
        if value is None or not value.lstrip("-").isdigit():
            return False
        bound = int(next(iter(self.values)))
        return int(value) > bound if self.operator == "gt" else int(value) < bound


def parse_labels(selector: str) -> list[Requirement]:
    """Parse a label selector such as "app=web,tier in (a, b),!canary". Raises 400."""
    tokens = TOKEN.findall(selector)
    requirements = []
    position = 0
    while position < len(tokens):
        requirement, position = _requirement(tokens, position, selector)
        requirements.append(requirement)
        if position < len(tokens):
            if tokens[position] != "," or position + 1 == len(tokens):
                raise _unparsable(selector, tokens[position], "',' or 'end of string'")
            position += 1
    return requirements


def _requirement(tokens: list[str], position: int, selector: str) -> tuple[Requirement, int]:
    if tokens[position] == "!":
        if position + 1 == len(tokens):
            raise _unparsable(selector, "", "identifier after '!'")
        return Requirement(tokens[position + 1], "!"), position + 2
    key = tokens[position]
    operator = tokens[position + 1] if position + 1 < len(tokens) else ","
    if operator == ",":
        return Requirement(key, "exists"), position + 1
    if operator in ("in", "notin"):
        return _set_requirement(tokens, position, selector)
    if operator not in ("=", "==", "!=", "<", ">"):
        expected = "in, notin, =, ==, !=, gt, lt"
        raise _unparsable(selector, operator, expected)
    value = tokens[position + 2] if position + 2 < len(tokens) else ","
    end = position + 3
    if value == ",":
        value, end = "", position + 2
    name = {"!=": "notin", "<": "lt", ">": "gt"}.get(operator, "in")
    return Requirement(key, name, frozenset({value})), end


def _set_requirement(tokens: list[str], position: int, selector: str) -> tuple[Requirement, int]:
    opening = position + 2
    if opening >= len(tokens) or tokens[opening] != "(" or ")" not in tokens[opening:]:
        found = tokens[opening] if opening < len(tokens) else ""
        raise _unparsable(selector, found, "'('")
    end = tokens.index(")", opening)
    values = frozenset(word for word in tokens[opening + 1 : end] if word != ",")
    return Requirement(tokens[position], tokens[position + 1], values), end + 1


def _unparsable(selector: str, found: str, expected: str) -> errors.StatusError:
    why = f"found '{found}', expected: {expected}"
    return errors.bad_request(f"unable to parse requirement: {why} (in {selector!r})")


def labels_match(requirements: list[Requirement], labels: Labels) -> bool:
    """Whether labels satisfy every condition."""
    return all(requirement.matches(labels) for requirement in requirements)


@dataclass(frozen=True)
class FieldTerm:
    """One condition on a field."""

    path: str
    value: str
    equal: bool


def parse_fields(selector: str, supported: tuple[str, ...]) -> list[FieldTerm]:
    """Parse a field selector such as "status.phase!=Running,metadata.name=x". Raises 400."""
    terms = []
    for text in filter(None, selector.split(",")):
        match = re.fullmatch(r"([^=!]*)(==|!=|=)(.*)", text)
        if not match:
            raise errors.bad_request(f"invalid selector: '{selector}'; can't understand '{text}'")
        path, operator, value = match.groups()
        if path not in ("metadata.name", "metadata.namespace", *supported):
            raise errors.bad_request(_unknown_field(path, supported))
        terms.append(FieldTerm(path, value, operator != "!="))
    return terms


def _unknown_field(path: str, supported: tuple[str, ...]) -> str:
    if supported:
        return f"field label not supported: {path}"
    return f'"{path}" is not a known field selector: only "metadata.name", "metadata.namespace"'


def field_value(obj: Mapping[str, Any], path: str) -> str:
    """Return a field as selectors compare it: absent is the empty string, booleans in words."""
    if path == "source":
        return str(obj.get("source", {}).get("component") or obj.get("reportingComponent", ""))
    value: Any = obj
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if path in ("spec.unschedulable", "spec.hostNetwork"):
        return str(bool(value)).lower()
    if path == "status.podIPs":
        return ",".join(item["ip"] for item in value or ())
    return "" if value is None else str(value)


def fields_match(terms: list[FieldTerm], obj: Mapping[str, Any]) -> bool:
    """Whether an object satisfies every condition on its fields."""
    return all((field_value(obj, term.path) == term.value) == term.equal for term in terms)


Predicate = Callable[[Mapping[str, Any]], bool]


def predicate(labels: list[Requirement], fields: list[FieldTerm]) -> Predicate | None:
    """Return the test that selects objects, or None when everything is selected."""
    if not labels and not fields:
        return None
    return lambda obj: (
        fields_match(fields, obj) and labels_match(labels, obj["metadata"].get("labels", {}))
    )
