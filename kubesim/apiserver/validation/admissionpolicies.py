"""Validation of ValidatingAdmissionPolicies (pkg/apis/admissionregistration/validation)."""

from collections.abc import Collection, Iterator
from typing import Any

from kubesim.apiserver.cel import CompileError, compiled
from kubesim.apiserver.patch.fields import (
    Cause,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from kubesim.apiserver.validation import names

Object = dict[str, Any]
VARIABLES = ("object", "oldObject", "request", "params", "namespaceObject", "variables")
CONDITION_VARIABLES = VARIABLES[:-1]
REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized")
ACTIONS = ("Audit", "Deny", "Warn")
OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")


def policy(obj: Object) -> Iterator[Cause]:
    """Check a policy."""
    spec = obj.get("spec") or {}
    if spec.get("failurePolicy") not in ("Fail", "Ignore"):
        choice = spec.get("failurePolicy", "")
        yield not_supported("spec.failurePolicy", choice, ("Fail", "Ignore"))
    yield from _param_kind(spec.get("paramKind"))
    constraints = spec.get("matchConstraints")
    if constraints is None:
        yield required("spec.matchConstraints")
    else:
        if not constraints.get("resourceRules"):
            yield required("spec.matchConstraints.resourceRules")
        yield from _match(constraints, "spec.matchConstraints")
    for index, condition in enumerate(spec.get("matchConditions") or ()):
        path = f"spec.matchConditions[{index}]"
        if not condition.get("name"):
            yield required(f"{path}.name")
        yield from _expression(condition, path, CONDITION_VARIABLES)
    yield from _variables(spec.get("variables") or ())
    if not spec.get("validations") and not spec.get("auditAnnotations"):
        why = "validations or auditAnnotations must be non-empty"
        yield required("spec.validations", why)
    for index, annotation in enumerate(spec.get("auditAnnotations") or ()):
        yield from _annotation(annotation, f"spec.auditAnnotations[{index}]")
    for index, validation in enumerate(spec.get("validations") or ()):
        yield from _validation(validation, f"spec.validations[{index}]")


def _param_kind(kind: Object | None) -> Iterator[Cause]:
    if kind is None:
        return
    for field in ("apiVersion", "kind"):
        if not kind.get(field):
            yield required(f"spec.paramKind.{field}")


def _variables(declared: Collection[Object]) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, variable in enumerate(declared):
        path, name = f"spec.variables[{index}]", variable.get("name", "")
        if not name:
            yield required(f"{path}.name", "name is not specified")
        elif not name.isidentifier():
            yield invalid(f"{path}.name", name, "name is not a valid CEL identifier")
        elif name in seen:
            yield duplicate(f"{path}.name", name)
        seen.add(name)
        yield from _expression(variable, path, VARIABLES)


def _annotation(annotation: Object, path: str) -> Iterator[Cause]:
    if not annotation.get("key"):
        yield required(f"{path}.key")
    else:
        for problem in names.qualified_name(annotation["key"]):
            yield invalid(f"{path}.key", annotation["key"], problem)
    text = annotation.get("valueExpression", "")
    if not text.strip():
        yield required(f"{path}.valueExpression", "valueExpression is not specified")
    else:
        yield from _compiles(text, f"{path}.valueExpression", VARIABLES)


def _validation(validation: Object, path: str) -> Iterator[Cause]:
    yield from _expression(validation, path, VARIABLES)
    message = validation.get("message", "")
    if message and not message.strip():
        yield invalid(f"{path}.message", message, "message must be non-empty if specified")
    elif "\n" in message.strip():
        yield invalid(f"{path}.message", message, "message must not contain line breaks")
    if validation.get("messageExpression"):
        text = validation["messageExpression"]
        yield from _compiles(text, f"{path}.messageExpression", VARIABLES)
    if validation.get("reason") and validation["reason"] not in REASONS:
        yield not_supported(f"{path}.reason", validation["reason"], REASONS)


def _expression(holder: Object, path: str, declared: Collection[str]) -> Iterator[Cause]:
    text = holder.get("expression", "")
    if not text.strip():
        yield required(f"{path}.expression", "expression is not specified")
    else:
        yield from _compiles(text, f"{path}.expression", declared)


def _compiles(text: str, path: str, declared: Collection[str]) -> Iterator[Cause]:
    try:
        compiled(text.strip(), declared)
    except CompileError as error:
        yield invalid(path, text, f"compilation failed: {error}")


def _match(constraints: Object, path: str) -> Iterator[Cause]:
    for field in ("resourceRules", "excludeResourceRules"):
        for index, rule in enumerate(constraints.get(field) or ()):
            at = f"{path}.{field}[{index}]"
            for part in ("apiGroups", "apiVersions", "resources"):
                if not rule.get(part):
                    yield required(f"{at}.{part}")
            if not rule.get("operations"):
                yield required(f"{at}.operations")
            for number, operation in enumerate(rule.get("operations") or ()):
                if operation not in OPERATIONS:
                    yield not_supported(f"{at}.operations[{number}]", operation, OPERATIONS)


def binding(obj: Object) -> Iterator[Cause]:
    """Check a binding."""
    spec = obj.get("spec") or {}
    if not spec.get("policyName"):
        yield required("spec.policyName")
    else:
        for problem in names.dns_subdomain(spec["policyName"]):
            yield invalid("spec.policyName", spec["policyName"], problem)
    yield from _param_ref(spec.get("paramRef"))
    if spec.get("matchResources"):
        yield from _match(spec["matchResources"], "spec.matchResources")
    yield from _actions(spec.get("validationActions") or [])


def _param_ref(reference: Object | None) -> Iterator[Cause]:
    if reference is None:
        return
    path = "spec.paramRef"
    given = [field for field in ("name", "selector") if reference.get(field) is not None]
    if not given:
        yield required(path, "one of name or selector must be specified")
    elif len(given) == 2:
        yield forbidden(f"{path}.name", "name and selector are mutually exclusive")
    action = reference.get("parameterNotFoundAction")
    if action is None:
        yield required(f"{path}.parameterNotFoundAction")
    elif action not in ("Allow", "Deny"):
        yield not_supported(f"{path}.parameterNotFoundAction", action, ("Deny", "Allow"))


def _actions(actions: list[str]) -> Iterator[Cause]:
    path = "spec.validationActions"
    if not actions:
        yield required(path, "at least one validation action is required")
    for index, action in enumerate(actions):
        if action not in ACTIONS:
            yield not_supported(f"{path}[{index}]", action, ACTIONS)
        if action in actions[:index]:
            yield duplicate(f"{path}[{index}]", action)
    if {"Deny", "Warn"} <= set(actions):
        why = (
            "must not contain both Deny and Warn (repeating the same validation failure "
            "information in the API response and headers serves no purpose)"
        )
        yield invalid(path, actions, why)
