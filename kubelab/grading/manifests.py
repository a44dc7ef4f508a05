"""YAML answers: read safely, with line numbers, as kubectl reads manifests."""

import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from kubelab.grading.errors import AnswerError

LARGEST = 100_000  # values, counting what an alias repeats: a small file can stand for gigabytes


@dataclass(frozen=True)
class Document:
    """One document of a YAML file, and where its parts stand in the file."""

    content: dict[str, Any]
    node: yaml.Node

    @property
    def line(self) -> int:
        """The line on which the document begins, from 1."""
        return self.node.start_mark.line + 1

    def line_of(self, field: str) -> int:
        """Return the line of a field as the API names it: `spec.containers[0].image`.

        Where the document has no such field, the line of the nearest one around it.
        """
        node, line = self.node, self.line
        for key, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", field):
            if index and isinstance(node, yaml.SequenceNode) and int(index) < len(node.value):
                node = node.value[int(index)]
                line = node.start_mark.line + 1
                continue
            found = [pair for pair in _pairs(node) if pair[0].value == key]
            if not found:
                break
            line, node = found[0][0].start_mark.line + 1, found[0][1]
        return line

    def __str__(self) -> str:
        metadata = self.content.get("metadata") or {}
        return f"{self.content.get('kind', 'object')} {metadata.get('name', '')}".strip()


class _Loader(yaml.SafeLoader):
    """Refuses a key that occurs twice, as the Kubernetes API does; PyYAML would keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                line = key.start_mark.line + 1
                raise AnswerError(f"the key {key.value!r} stands twice in one mapping", line=line)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _pairs(node: yaml.Node) -> list[tuple[yaml.Node, yaml.Node]]:
    return node.value if isinstance(node, yaml.MappingNode) else []


def parse(text: str) -> list[Document]:
    """Return the documents of a YAML file. AnswerError says on which line it is not valid."""
    try:
        documents = list(_documents(text))
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(error, text) from None
    except yaml.YAMLError as error:
        raise AnswerError(f"this is not valid YAML: {error}") from None
    except RecursionError:
        raise AnswerError("the YAML is nested without end: an alias refers to itself") from None
    if not documents:
        raise AnswerError("the file holds no object, only comments or blank lines")
    return documents


def _documents(text: str) -> Iterator[Document]:
    loader = _Loader(text)
    while loader.check_node():
        node: Any = loader.get_node()
        line = node.start_mark.line + 1
        content = loader.construct_document(node)
        if content is None:
            continue
        if not isinstance(content, dict):
            kind = type(content).__name__
            raise AnswerError(f"expected an object with fields, not a {kind}", line=line)
        if _size(content) > LARGEST:
            raise AnswerError("the document is far too large, once its aliases are expanded")
        yield Document(content, node)


def _size(value: Any, room: int = LARGEST) -> int:
    """Count the values below `value`, giving up when there are more than `room`."""
    if not isinstance(value, dict | list):
        return 1
    total = 1
    for child in value.values() if isinstance(value, dict) else value:
        total += _size(child, room - total)
        if total > room:
            break
    return total


def _not_yaml(error: yaml.MarkedYAMLError, text: str) -> AnswerError:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return AnswerError(f"this is not valid YAML: {error.problem}")
    lines = text.splitlines()
    source = lines[mark.line] if mark.line < len(lines) else ""
    look = "the line itself and the one above it: indentation, a missing colon, a tab"
    problem = f"this is not valid YAML: {error.problem}"
    return AnswerError(problem, line=mark.line + 1, source=source, look=look)
