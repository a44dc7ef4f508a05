"""Label and field selectors: parsing what a client asks for, and matching objects."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kubesim.apiserver import errors
from kubesim.apiserver.validation import names

Labels = Mapping[str, str]
TOKEN = re.compile(r"\s*(==|!=|=|!|\(|\)|,|<|>|[^\s=!(),<>]+)")
PUNCTUATION = frozenset({"==", "!=", "=", "!", "(", ")", ",", "<", ">"})
EQUALITY = {"=": "in", "==": "in", "!=": "notin", ">": "gt", "<": "lt"}
OPERATORS = {"in": "in", "notin": "notin"} | EQUALITY
OPERATORS_TOLD = "in, notin, =, ==, !=, gt, lt"


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
    return _Parser(TOKEN.findall(selector)).parse() if selector.strip() else []


class _Parser:
    """Reads a label selector token by token, as k8s.io/apimachinery/pkg/labels does."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._position = 0

    def parse(self) -> list[Requirement]:
        requirements = [self._requirement()]
        while found := self._next():
            if found != ",":
                raise errors.bad_request(f"found '{found}', expected: ',' or 'end of string'")
            if not _is_word(self._peek()) and self._peek() != "!":
                why = f"found '{self._peek()}', expected: identifier after ','"
                raise errors.bad_request(why)
            requirements.append(self._requirement())
        return requirements

    def _peek(self) -> str:
        at_end = self._position == len(self._tokens)
        return "" if at_end else self._tokens[self._position]

    def _next(self) -> str:
        token = self._peek()
        self._position += 1 if token else 0
        return token

    def _requirement(self) -> Requirement:
        negated = self._peek() == "!"
        if negated:
            self._next()
        key = self._word()
        _check(key, names.qualified_name(key), "key")
        if negated or self._peek() in ("", ","):
            return Requirement(key, "!" if negated else "exists")
        operator = self._next()
        if operator not in OPERATORS:
            raise _unparsable(f"found '{operator}', expected: {OPERATORS_TOLD}")
        values = self._values() if operator in ("in", "notin") else [self._value()]
        for value in values:
            _check(value, names.label_value(value), f"values[0][{key}]")
        return Requirement(key, OPERATORS[operator], frozenset(values))

    def _word(self) -> str:
        token = self._next()
        if not _is_word(token):
            raise _unparsable(f"found '{token}', expected: identifier")
        return token

    def _value(self) -> str:
        return "" if self._peek() in ("", ",") else self._word()

    def _values(self) -> list[str]:
        opening = self._next()
        if opening != "(":
            raise _unparsable(f"found '{opening}' expected: '('")
        values: list[str] = []
        while (found := self._next()) != ")":
            if found != "," and not _is_word(found):
                raise _unparsable(f"found '{found}', expected: ',', ')' or identifier")
            if found != ",":
                values.append(found)
        return values


def _is_word(token: str) -> bool:
    return bool(token) and token not in PUNCTUATION


def _check(value: str, problems: Iterable[str], path: str) -> None:
    for problem in problems:
        raise _unparsable(f'{path}: Invalid value: "{value}": {problem}')


def _unparsable(why: str) -> errors.StatusError:
    return errors.bad_request(f"unable to parse requirement: {why}")


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
