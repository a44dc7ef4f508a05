"""YAML as the API server reads it: as another spelling of JSON.

The rules are those of sigs.k8s.io/yaml and the go-yaml below it: keys are strings, moments are
strings, `80:80` is no number in base 60, and a document whose aliases multiply is refused.
"""

import math
import re
from typing import Any

import yaml

LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MOST_VALUES = 400_000  # of a document with aliases, each counted as often as it is referred to
DEEPEST = 100
SHALLOW_BYTES = 5_000  # a shorter text cannot be nested dangerously deep
TOO_DEEP = "yaml: exceeded max depth of 100"
FLOAT = re.compile(
    r"([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"
)
INTEGER = re.compile(r"[-+]?(0b[0-1_]+|0x[0-9a-fA-F_]+|0o?[0-7_]*|[1-9][0-9_]*)$")
NUMBER_STARTS = list("-+.0123456789")
EXCESSIVE = "document contains excessive aliasing"


class YAMLError(ValueError):
    """The text is not YAML, or not JSON in YAML's clothes; says what Go would say."""


class _Loader(LOADER):  # type: ignore[misc,valid-type]
    """Reads what JSON has, too."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag.rpartition(":")[2] not in ("timestamp", "int", "float")
    ]
    for first, resolvers in LOADER.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", INTEGER, NUMBER_STARTS)
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, NUMBER_STARTS)


def _float(_: _Loader, node: yaml.ScalarNode) -> float:
    text = node.value.lower()
    if text.endswith(("inf", "nan")):
        raise YAMLError(f"json: unsupported value: {text.strip('.')}")
    return float(text)


def _integer(_: _Loader, node: yaml.ScalarNode) -> int | float:
    text = node.value.replace("_", "")
    digits = text.lstrip("+-")
    if len(digits) > 1 and digits[0] == "0" and digits[1] in "01234567":
        text = text.replace("0", "0o", 1)
    return int(text, 0) if len(text) < 40 else float(text)


_Loader.add_constructor("tag:yaml.org,2002:float", _float)
_Loader.add_constructor("tag:yaml.org,2002:int", _integer)


def loads(body: bytes) -> Any:
    """Return the value of a YAML text. Raises YAMLError."""
    try:
        if len(body) > SHALLOW_BYTES:
            _check_depth(body)
        value = yaml.load(body, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        raise YAMLError(_told(error)) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise YAMLError("yaml: control characters are not allowed") from None
    except YAMLError:
        raise
    except (ValueError, RecursionError) as error:
        raise YAMLError(f"yaml: {error}") from None
    return _Plain(aliases=b"*" in body).of(value)


def _check_depth(body: bytes) -> None:
    """Refuse what is nested so deep that the parser, which recurses, would run out of stack."""
    depth = 0
    for event in yaml.parse(body, _Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            raise YAMLError(TOO_DEEP)


def _told(error: yaml.MarkedYAMLError) -> str:
    problem, mark = error.problem or "", error.problem_mark
    line = mark.line if mark else 0
    if isinstance(error, yaml.scanner.ScannerError):
        line += 1  # Go's scanner has not counted its own line yet
    where = f"line {line}: " if line else ""
    return f"yaml: {where}{problem}"


class _Plain:
    """Turns what YAML can say into what JSON can."""

    def __init__(self, *, aliases: bool) -> None:
        self._left = MOST_VALUES if aliases else math.inf
        self._open: list[int] = []

    def of(self, value: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise YAMLError(f"yaml: {EXCESSIVE}")
        if not isinstance(value, dict | list):
            return value if isinstance(value, str | int | float | None) else str(value)
        if id(value) in self._open:
            raise YAMLError("yaml: anchor value contains itself")
        if len(self._open) > DEEPEST:
            raise YAMLError(TOO_DEEP)
        self._open.append(id(value))
        plain: Any
        if isinstance(value, dict):
            plain = {_key(key): self.of(item) for key, item in value.items()}
        else:
            plain = [self.of(item) for item in value]
        self._open.pop()
        return plain


def _key(key: Any) -> str:
    if isinstance(key, bool):
        return str(key).lower()
    if isinstance(key, str | int | float):
        return str(key)
    raise YAMLError(f"unsupported map key of type: {type(key).__name__}, key: {key}")
