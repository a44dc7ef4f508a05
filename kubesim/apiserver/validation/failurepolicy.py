"""Validation of what a Job says of failures and of early success (pkg/apis/batch/validation)."""

from collections.abc import Iterator
from typing import Any

from kubesim.apiserver.patch.fields import (
    Cause,
    duplicate,
    invalid,
    not_supported,
    required,
    too_many,
)
from kubesim.apiserver.validation.containers import not_negative

Object = dict[str, Any]
ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
OPERATORS = ("In", "NotIn")
STATUSES = ("False", "True", "Unknown")
MOST_RULES = 20
MOST_CODES = 255
MOST_CONDITIONS = 20


def failure_policy(spec: Object, path: str) -> Iterator[Cause]:
    """Check a podFailurePolicy."""
    rules = spec["podFailurePolicy"].get("rules", [])
    if len(rules) > MOST_RULES:
        yield too_many(f"{path}.rules", len(rules), MOST_RULES)
    for index, rule in enumerate(rules):
        yield from _rule(spec, rule, f"{path}.rules[{index}]")


def _rule(spec: Object, rule: Object, path: str) -> Iterator[Cause]:
    action = rule.get("action", "")
    if not action:
        yield required(f"{path}.action", f"valid values: {_listed(ACTIONS)}")
    elif action == "FailIndex" and "backoffLimitPerIndex" not in spec:
        yield invalid(f"{path}.action", action, "requires the backoffLimitPerIndex to be set")
    elif action not in ACTIONS:
        yield not_supported(f"{path}.action", action, ACTIONS)
    codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions", [])
    if codes is not None:
        yield from _exit_codes(spec, codes, f"{path}.onExitCodes")
    yield from _conditions(conditions, f"{path}.onPodConditions")
    if codes is not None and conditions:
        yield _no_value(path, "specifying both OnExitCodes and OnPodConditions is not supported")
    elif codes is None and not conditions:
        yield _no_value(path, "specifying one of OnExitCodes and OnPodConditions is required")


def _exit_codes(spec: Object, codes: Object, path: str) -> Iterator[Cause]:
    operator, values = codes.get("operator", ""), codes.get("values", [])
    if not operator:
        yield required(f"{path}.operator", f"valid values: {_listed(OPERATORS)}")
    elif operator not in OPERATORS:
        yield not_supported(f"{path}.operator", operator, OPERATORS)
    pod = spec["template"]["spec"]
    known = [each["name"] for f in ("initContainers", "containers") for each in pod.get(f, ())]
    if codes.get("containerName", known[0] if known else "") not in known:
        why = "must be one of the container or initContainer names in the pod template"
        yield invalid(f"{path}.containerName", codes.get("containerName", ""), why)
    if not values:
        yield invalid(f"{path}.values", values, "at least one value is required")
    elif len(values) > MOST_CODES:
        yield too_many(f"{path}.values", len(values), MOST_CODES)
    for index, value in enumerate(values):
        if value in values[:index]:
            yield duplicate(f"{path}.values[{index}]", value)
        elif operator == "In" and value == 0:
            yield invalid(f"{path}.values[{index}]", 0, "must not be 0 for the In operator")
    if values != sorted(values):
        yield invalid(f"{path}.values", values, "must be ordered")


def _conditions(conditions: list[Object], path: str) -> Iterator[Cause]:
    if len(conditions) > MOST_CONDITIONS:
        yield too_many(path, len(conditions), MOST_CONDITIONS)
    for index, pattern in enumerate(conditions):
        if pattern.get("status") not in STATUSES:
            yield not_supported(f"{path}[{index}].status", pattern.get("status"), STATUSES)


def success_policy(spec: Object, path: str) -> Iterator[Cause]:
    """Check a successPolicy of an Indexed Job."""
    if spec.get("completionMode") != "Indexed":
        return
    rules, completions = spec["successPolicy"].get("rules", []), spec.get("completions", 0)
    if not rules:
        why = "at least one rules must be specified when the successPolicy is specified"
        yield required(f"{path}.rules", why)
    if len(rules) > MOST_RULES:
        yield too_many(f"{path}.rules", len(rules), MOST_RULES)
    for index, rule in enumerate(rules):
        yield from _success_rule(rule, completions, f"{path}.rules[{index}]")


def _success_rule(rule: Object, completions: int, path: str) -> Iterator[Cause]:
    named, count = rule.get("succeededIndexes"), rule.get("succeededCount")
    if named is None and count is None:
        why = "at least one of succeededCount or succeededIndexes must be specified"
        yield required(path, why)
    total, what = completions, "the number of specified completions"
    if named is not None:
        total, problem = count_indexes(named, completions)
        what = "the number of indexes in the specified succeededIndexes field"
        if problem:
            why = f"error parsing succeededIndexes: {problem}"
            yield invalid(f"{path}.succeededIndexes", named, why)
    if count is not None:
        yield from not_negative(count, f"{path}.succeededCount")
        if count > total:
            why = f"must be less than or equal to {total} ({what})"
            yield invalid(f"{path}.succeededCount", count, why)


def count_indexes(text: str, completions: int) -> tuple[int, str]:
    """How many indexes a text such as `0-3,5` names, or what is wrong with it."""
    total, previous = 0, -1
    for interval in text.split(",") if text else ():
        limits = interval.split("-")
        problem = _limits_problem(limits, completions)
        if problem:
            return 0, problem
        first, last = int(limits[0]), int(limits[-1])
        if first <= previous:
            return 0, f"non-increasing order, previous: {previous}, current: {first}"
        if len(limits) > 1 and last <= first:
            return 0, f"non-increasing order, previous: {first}, current: {last}"
        total, previous = total + last - first + 1, last
    return total, ""


def _limits_problem(limits: list[str], completions: int) -> str:
    if len(limits) > 2:
        return (
            f'the fragment "{"-".join(limits)}" violates the requirement that an index interval '
            "can have at most two parts separated by '-'"
        )
    for limit in limits:
        if not limit.isdecimal():
            return f'cannot convert string to integer for index: "{limit}"'
        if int(limit) >= completions:
            return f'too large index: "{limit}"'
    return ""


def _no_value(path: str, why: str) -> Cause:
    return {"reason": "FieldValueInvalid", "message": f"Invalid value: {why}", "field": path}


def _listed(values: tuple[str, ...]) -> str:
    return "[" + " ".join(f'"{value}"' for value in values) + "]"
