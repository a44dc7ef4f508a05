"""What rules see of a value: formatted strings are times and durations, as the schema says."""

from collections.abc import Callable
from typing import Any

from kubesim.apiserver.cel import CELError
from kubesim.apiserver.cel.functions import FUNCTIONS
from kubesim.apiserver.cel.values import Optional

Object = dict[str, Any]
FORMATS: dict[str, Callable[[Any], Any]] = {
    "date": lambda text: FUNCTIONS["timestamp"](f"{text}T00:00:00Z"),
    "date-time": FUNCTIONS["timestamp"],
    "duration": FUNCTIONS["duration"],
}


def typed(value: Any, schema: Object) -> Any:
    """Return a value with its formatted strings read; what cannot be read stays text."""
    if isinstance(value, str):
        return _read(value, schema.get("format", ""))
    if isinstance(value, list):
        return [typed(item, schema.get("items") or {}) for item in value]
    if isinstance(value, dict):
        properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
        others = additional if isinstance(additional, dict) else {}
        return {name: typed(item, properties.get(name, others)) for name, item in value.items()}
    return value


def _read(value: str, name: str) -> Any:
    try:
        return FORMATS[name](value) if name in FORMATS else value
    except CELError:
        return value


def variables(rule: Object, value: Any, old: Any, schema: Object) -> Object:
    """Return self, and oldSelf if there was something before or the rule copes with nothing."""
    found = {"self": typed(value, schema)}
    before = None if old is None else typed(old, schema)
    if rule.get("optionalOldSelf"):
        found["oldSelf"] = Optional(before, old is not None)
    elif old is not None:
        found["oldSelf"] = before
    return found
