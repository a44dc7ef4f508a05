"""The JSONPath of printer columns and of the scale subresource.

Of k8s.io/client-go/util/jsonpath that which definitions use: fields, indexes, wildcards and
filters that compare one field with a literal.
"""

import json
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

Step = Callable[[Any], Iterator[Any]]

FIELD = re.compile(r"\.((?:[^.\[\\]|\\.)+)|\['([^']*)'\]")
INDEX = re.compile(r"\[(-?\d+)\]")
WILDCARD = re.compile(r"\[\*\]|\.\*")
FILTER = re.compile(r"\[\?\(\s*@((?:\.[\w-]+)+)\s*(==|!=)\s*('[^']*'|\"[^\"]*\"|[\w.-]+)\s*\)\]")


class JSONPathError(ValueError):
    """The text is no path that is understood."""


def find(path: str, obj: Any) -> list[Any]:
    """Return every value that a path leads to. Raises JSONPathError."""
    found = [obj]
    for step in compiled(path):
        found = [value for each in found for value in step(each)]
    return found


@lru_cache(maxsize=1024)
def compiled(path: str) -> tuple[Step, ...]:
    """Return the steps of a path such as `.status.conditions[?(@.type=="Ready")].status`."""
    steps: list[Step] = []
    rest = path if path.startswith((".", "[")) else f".{path}"
    while rest and rest != ".":
        step, length = _step(rest, path)
        steps.append(step)
        rest = rest[length:]
    return tuple(steps)


def _step(rest: str, path: str) -> tuple[Step, int]:
    if match := WILDCARD.match(rest):
        return _all, match.end()
    if match := FILTER.match(rest):
        return _filter(*match.groups()), match.end()
    if match := INDEX.match(rest):
        return _item(int(match[1])), match.end()
    if match := FIELD.match(rest):
        name = match[2] if match[1] is None else re.sub(r"\\(.)", r"\1", match[1])
        return _field(name), match.end()
    raise JSONPathError(f"unrecognized character in {path!r} at {rest!r}")


def _field(name: str) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, dict) and name in value:
            yield value[name]

    return step


def _item(index: int) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list) and -len(value) <= index < len(value):
            yield value[index]

    return step


def _all(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _filter(path: str, operator: str, literal: str) -> Step:
    wanted = literal[1:-1] if literal[0] in "'\"" else _literal(literal)

    def step(value: Any) -> Iterator[Any]:
        for item in value if isinstance(value, list) else ():
            found = find(path, item)
            if found and (found[0] == wanted) is (operator == "=="):
                yield item

    return step


def _literal(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def simple_path(path: str) -> list[str]:
    """Return the fields of a path without brackets, such as `.spec.replicas`."""
    return [part for part in path.split(".") if part]


def put(obj: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy of an object with the value at a simple path replaced."""
    first, *rest = simple_path(path)
    if not rest:
        return obj | {first: value}
    inner = obj.get(first)
    return obj | {first: put(inner if isinstance(inner, dict) else {}, ".".join(rest), value)}
