"""One version of a custom resource, as the API server serves it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from kubesim.api.resources import STATUS, Resource, Subresource
from kubesim.api.schema import Type
from kubesim.api.served import version_priority
from kubesim.apimachinery.objects import condition_status
from kubesim.apiserver.apiextensions import objects, rules, types

Object = dict[str, Any]
PRESERVES_ALL: Object = {"type": "object", objects.PRESERVE: True}


@dataclass(frozen=True, eq=False)
class CustomResource(Resource):
    """A resource whose names, schema and columns a CustomResourceDefinition gives."""

    names: Object = field(default_factory=dict)
    schema: Object = field(default_factory=lambda: PRESERVES_ALL)
    storage_version: str = ""
    scale: Object | None = None
    columns: tuple[Object, ...] = ()
    terminating: bool = False  # the definition waits for the last of its objects to go

    def __post_init__(self) -> None:
        object.__setattr__(self, "singular", self.names["singular"])

    @property
    def list_kind(self) -> str:
        """The kind of a list, which a definition may choose."""
        return str(self.names["listKind"])

    @cached_property
    def type(self) -> Type:
        """The type that fields are owned by."""
        return types.type_of(self.schema)

    @cached_property
    def has_rules(self) -> bool:
        """Whether the schema has rules in CEL."""
        return rules.has_rules(self.schema)

    def to_storage(self, obj: Object) -> Object:
        """Objects of all versions are stored in one."""
        return obj | {"apiVersion": f"{self.group}/{self.storage_version}"}

    def from_storage(self, obj: Object) -> Object:
        """An object is read in the version that is asked for, as its schema is today."""
        return objects.read_stored(obj | {"apiVersion": self.api_version}, self.schema)


def is_true(definition: Object, kind: str) -> bool:
    """Whether a condition of a definition holds."""
    return condition_status(definition, kind) == "True"


def served_versions(definition: Object) -> Iterator[CustomResource]:
    """Every version that a definition serves, under the names that were accepted."""
    spec = definition["spec"]
    names = definition["status"]["acceptedNames"]
    storage = next(v["name"] for v in spec["versions"] if v["storage"])
    for version in spec["versions"]:
        if version["served"]:
            yield _version(definition, spec, names, version, storage)


def _version(
    definition: Object, spec: Object, names: Object, version: Object, storage: str
) -> CustomResource:
    subresources = version.get("subresources") or {}
    return CustomResource(
        names["plural"],
        names["kind"],
        spec["group"],
        version["name"],
        namespaced=spec["scope"] == "Namespaced",
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        subresources=tuple(_subresources(names["kind"], subresources)),
        stored_as=f"{spec['group']}/{names['plural']}",
        field_labels=tuple(
            selectable["jsonPath"].removeprefix(".")
            for selectable in version.get("selectableFields") or ()
        ),
        names={"singular": names["kind"].lower(), "listKind": f"{names['kind']}List"} | names,
        schema=(version.get("schema") or {}).get("openAPIV3Schema") or PRESERVES_ALL,
        storage_version=storage,
        scale=subresources.get("scale"),
        columns=tuple(version.get("additionalPrinterColumns") or ()),
        terminating=is_true(definition, "Terminating"),
        deprecation=_warning(spec, version),
    )


def _subresources(kind: str, declared: Object) -> Iterator[Subresource]:
    if "status" in declared:
        yield Subresource("status", kind, STATUS)
    if "scale" in declared:
        yield Subresource("scale", "Scale", STATUS, "autoscaling", "v1")


def _warning(spec: Object, version: Object) -> str:
    """What users of a deprecated version are told (apiextensions-apiserver's crdHandler)."""
    if not version.get("deprecated"):
        return ""
    if version.get("deprecationWarning"):
        return str(version["deprecationWarning"])
    kind = spec["names"]["kind"]
    text = f"{spec['group']}/{version['name']} {kind} is deprecated"
    better = [
        other["name"]
        for other in spec["versions"]
        if other["served"]
        and not other.get("deprecated")
        and version_priority(other["name"])[0] <= version_priority(version["name"])[0]
    ]
    if better:
        text += f"; use {spec['group']}/{min(better, key=version_priority)} {kind}"
    return text
