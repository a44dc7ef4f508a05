"""x-kubernetes-validations: rules in CEL about a custom resource's values.

As apiextensions-apiserver's pkg/apiserver/schema/cel; see
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules.
"""

from collections.abc import Callable, Iterator
from typing import Any

from kubesim.apiserver.apiextensions import jsonpath
from kubesim.apiserver.apiextensions.values import NOWHERE, below
from kubesim.apiserver.cel import CELError, CompileError, compiled
from kubesim.apiserver.patch.fields import Cause, forbidden, invalid, required

Object = dict[str, Any]
RULES = "x-kubernetes-validations"
VARIABLES = ("self", "oldSelf")
REASONS: dict[str, Callable[[str, Any, str], Cause]] = {
    "FieldValueForbidden": lambda path, _value, told: forbidden(path, told),
    "FieldValueRequired": lambda path, _value, told: required(path, told),
}
BLOCKING = frozenset(
    ("FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid")
)
MISSING: Object = {}
UNCHECKED = (
    "some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation"
)


def has_rules(schema: Object) -> bool:
    """Whether a schema has a rule anywhere."""
    inner = [*(schema.get("properties") or {}).values(), schema.get("items")]
    inner.append(schema.get("additionalProperties"))
    return bool(schema.get(RULES)) or any(has_rules(s) for s in inner if isinstance(s, dict))


def check(value: Any, old: Any, schema: Object, path: str = "") -> Iterator[Cause]:
    """Yield the rules that a value, or anything in it, breaks; `old` is what was there before."""
    if value is None:
        return
    for rule in schema.get(RULES) or ():
        yield from _rule(rule, value, old, schema, path)
    if isinstance(value, dict):
        properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
        before = old if isinstance(old, dict) else {}
        for name, item in value.items():
            inner = properties.get(name, additional)
            if isinstance(inner, dict):
                yield from check(item, before.get(name), inner, below(path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            before = _correlated(item, old, schema)
            yield from check(item, before, schema.get("items") or {}, f"{path}[{index}]")


def _correlated(item: Any, old: Any, schema: Object) -> Any:
    """The item that was there before under the same keys, in a list that has keys."""
    keys = schema.get("x-kubernetes-list-map-keys") or ()
    if not keys or not isinstance(item, dict) or not isinstance(old, list):
        return None
    identity = [item.get(key) for key in keys]
    return next((each for each in old if [each.get(key) for key in keys] == identity), None)


def _rule(rule: Object, value: Any, old: Any, schema: Object, path: str) -> Iterator[Cause]:
    from kubesim.apiserver.apiextensions import rule_values

    program = compiled(rule["rule"], VARIABLES)
    variables = rule_values.variables(rule, value, old, schema)
    if "oldSelf" in program.names and "oldSelf" not in variables:
        return  # a rule about a transition has nothing to say about a beginning
    try:
        if program.evaluate(variables) is True:
            return
        told = _message(rule, variables)
    except CELError as error:
        told = f"{error} evaluating rule: {_default_message(rule)}"
    where = path + rule.get("fieldPath", "") if path else rule.get("fieldPath", "")[1:]
    make = REASONS.get(rule.get("reason", ""), invalid)
    yield make(where or NOWHERE, schema.get("type", "object"), told)


def _message(rule: Object, variables: Object) -> str:
    """The sentence that a rule gives, or makes from the values."""
    if rule.get("messageExpression"):
        try:
            made = compiled(rule["messageExpression"], VARIABLES).evaluate(variables)
        except CELError:
            made = ""
        if isinstance(made, str) and made.strip() and "\n" not in made:
            return made
    return _default_message(rule)


def _default_message(rule: Object) -> str:
    return str(rule.get("message") or f"failed rule: {rule['rule'].strip()}")


def check_rules(schema: Object, path: str, *, root: bool = False) -> Iterator[Cause]:
    """Yield what is wrong with the rules of a schema themselves."""
    for index, rule in enumerate(schema.get(RULES) or ()):
        at = f"{path}.{RULES}[{index}]"
        if not rule.get("rule", "").strip():
            yield required(f"{at}.rule", "rule is not specified")
            continue
        for field in ("rule", "messageExpression"):
            if rule.get(field):
                yield from _compiles(rule[field], schema, f"{at}.{field}", root=root)
        if "message" in rule and not rule["message"].strip():
            why = "message must be non-empty if specified"
            yield invalid(f"{at}.message", rule["message"], why)
        yield from _field_path(rule.get("fieldPath"), schema, f"{at}.fieldPath")


def _compiles(text: str, schema: Object, path: str, *, root: bool) -> Iterator[Cause]:
    from kubesim.apiserver.apiextensions.rule_fields import check_fields

    try:
        check_fields(compiled(text, VARIABLES), schema, root=root)
    except CompileError as error:
        yield invalid(path, text, f"compilation failed: {error}")


def _field_path(field_path: str | None, schema: Object, path: str) -> Iterator[Cause]:
    if field_path is None:
        return
    for name in jsonpath.simple_path(field_path):
        schema = (schema.get("properties") or {}).get(name, MISSING)
        if schema is MISSING:
            why = f"fieldPath must be a valid path: does not refer to a valid field: {name}"
            yield invalid(path, field_path, why)
            return
