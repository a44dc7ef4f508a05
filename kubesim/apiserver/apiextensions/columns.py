"""The columns of custom resources, as their definition names them by JSONPath."""

import json
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

from kubesim.apiserver.apiextensions import jsonpath
from kubesim.apiserver.serialization.printers.column import AGE, NAME, Cell, Column
from kubesim.apiserver.serialization.printers.pods import human_duration, parse_time

Object = dict[str, Any]
KINDS: dict[str, tuple[type, ...]] = {
    "integer": (int, float),
    "number": (int, float),
    "boolean": (bool,),
}


def columns_of(declared: Sequence[Object]) -> list[Column]:
    """Return the columns of `kubectl get`: the name, and those declared or else the age."""
    if not declared:
        return [NAME, AGE]
    return [NAME, *map(_column, declared)]


def _column(declared: Object) -> Column:
    return Column(
        declared["name"],
        partial(_cell, declared["jsonPath"], declared["type"]),
        declared["type"],
        declared.get("format", ""),
        wide=bool(declared.get("priority", 0)),
        description=declared.get("description", ""),
    )


def _cell(path: str, kind: str, obj: Object, now: datetime) -> Cell | None:
    """The first value at a path; nothing when there is none, or one of another type."""
    found = jsonpath.find(path, obj)
    if not found or found[0] is None:
        return None
    value = found[0]
    if kind == "date":
        return _age(value, now) if isinstance(value, str) else None
    if kind == "string":
        return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    if type(value) not in KINDS[kind]:
        return None
    return int(value) if kind == "integer" else value


def _age(value: str, now: datetime) -> str:
    try:
        moment = parse_time(value)
    except ValueError:
        return "<invalid>"
    return human_duration(now - moment) if moment else "<unknown>"
