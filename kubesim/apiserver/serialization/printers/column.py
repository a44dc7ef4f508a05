"""A column of a table, and the cells that many resources share."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubesim.apimachinery.labels import selector_text
from kubesim.apimachinery.objects import timestamp
from kubesim.apiserver.serialization.printers.pods import human_duration, parse_time

Object = dict[str, Any]
Cell = str | int | bool
Printer = Callable[[Object, datetime], Cell | None]

NONE = "<none>"
UNKNOWN = "<unknown>"


@dataclass(frozen=True)
class Column:
    """One column: its heading, how a cell is made, its OpenAPI type and format."""

    name: str
    cell: Printer
    type: str = "string"
    format: str = ""
    wide: bool = False
    description: str = ""

    def definition(self) -> Object:
        """The column in the wire form of meta.k8s.io/v1 TableColumnDefinition."""
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": self.description,
            "priority": int(self.wide),
        }


def name(obj: Object, _now: datetime) -> str:
    """The object's name."""
    return str(obj["metadata"].get("name", ""))


def age(obj: Object, now: datetime) -> str:
    """How long ago the object was created."""
    return since(obj["metadata"].get("creationTimestamp"), now)


def created_at(obj: Object, _now: datetime) -> str:
    """When the object was created."""
    created = parse_time(obj["metadata"].get("creationTimestamp"))
    return timestamp(created) if created else ""


def since(then: str | None, now: datetime) -> str:
    """How long ago a moment was, as kubectl prints ages."""
    moment = parse_time(then)
    return human_duration(now - moment) if moment else UNKNOWN


def field(*path: str, default: Cell = "") -> Printer:
    """A printer of one field, or of the default when it is missing or empty."""

    def cell(obj: Object, _now: datetime) -> Cell:
        value: Any = obj
        for key in path:
            value = (value or {}).get(key)
        return default if value in (None, "") else value

    return cell


def count(*fields: str) -> Printer:
    """A printer of how many entries some top-level fields have together."""
    return lambda obj, _now: sum(len(obj.get(field) or ()) for field in fields)


def containers(field: str) -> Printer:
    """A printer of one field of all containers of a workload's or a PodTemplate's template."""

    def cell(obj: Object, _now: datetime) -> str:
        template = (obj.get("spec") or obj).get("template") or {}
        containers = template.get("spec", {}).get("containers") or ()
        return ",".join(container.get(field, "") for container in containers)

    return cell


def label_selector(obj: Object, _now: datetime) -> str:
    """A selector as kubectl prints it."""
    selector = obj.get("spec", {}).get("selector") or {}
    return selector_text(selector) or NONE


NAME = Column("Name", name, format="name")
AGE = Column("Age", age)
CREATED = Column("Created At", created_at, type="date")
TEMPLATE = (
    Column("Containers", containers("name"), wide=True),
    Column("Images", containers("image"), wide=True),
    Column("Selector", label_selector, wide=True),
)
