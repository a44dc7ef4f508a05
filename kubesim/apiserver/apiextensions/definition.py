"""CustomResourceDefinitions themselves: their defaults and what they may say.

The rules and sentences are those of apiextensions-apiserver's
pkg/apis/apiextensions/validation/validation.go for v1.
"""

from collections.abc import Callable, Iterator
from typing import Any

from kubesim.apiserver.apiextensions import jsonpath
from kubesim.apiserver.apiextensions.resource import is_true
from kubesim.apiserver.apiextensions.structural import structural
from kubesim.apiserver.patch.fields import (
    Cause,
    forbidden,
    immutable,
    invalid,
    not_supported,
    required,
)
from kubesim.apiserver.validation import names

Object = dict[str, Any]
PROTECTED = ("k8s.io", "kubernetes.io")
APPROVAL = "api-approved.kubernetes.io"
PROPOSAL = "https://github.com/kubernetes/enhancements/pull/1111"
COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
MAX_SELECTABLE = 8
HOISTED = {
    "schema": "validation",
    "subresources": "subresources",
    "additionalPrinterColumns": "additionalPrinterColumns",
    "selectableFields": "selectableFields",
}  # what the real server checks, and names, at the top when all versions agree


def apply_defaults(definition: Object) -> None:
    """Fill in the names that follow from the kind, and how versions are converted."""
    spec = definition.setdefault("spec", {})
    given = spec.setdefault("names", {})
    kind = given.get("kind", "")
    given.setdefault("singular", kind.lower())
    given.setdefault("listKind", f"{kind}List")
    spec.setdefault("conversion", {"strategy": "None"})


DEFAULTS = {"customresourcedefinitions.apiextensions.k8s.io": apply_defaults}


def check(definition: Object) -> Iterator[Cause]:
    """Yield what is wrong with a definition."""
    spec, metadata = definition["spec"], definition["metadata"]
    given = spec.get("names", {})
    if metadata.get("name") != f"{given.get('plural', '')}.{spec.get('group', '')}":
        why = 'must be spec.names.plural+"."+spec.group'
        yield invalid("metadata.name", metadata.get("name", ""), why)
    yield from _group(spec.get("group", ""), metadata.get("annotations") or {})
    scope = spec.get("scope", "")
    if not scope:
        yield required("spec.scope")
    elif scope not in ("Cluster", "Namespaced"):
        yield not_supported("spec.scope", scope, ("Cluster", "Namespaced"))
    yield from _versions(spec.get("versions") or [])
    if spec.get("preserveUnknownFields"):
        why = (
            "cannot set to true, set x-preserve-unknown-fields to true in "
            "spec.versions[*].schema instead"
        )
        yield invalid("spec.preserveUnknownFields", value=True, detail=why)
    yield from _names(given)
    yield from _conversion(spec["conversion"])


def _group(group: str, annotations: Object) -> Iterator[Cause]:
    if not group:
        yield required("spec.group")
        return
    problems = ",".join(names.dns_subdomain(group))
    if problems:
        yield invalid("spec.group", group, problems)
    elif "." not in group:
        yield invalid("spec.group", group, "should be a domain with at least one dot")
    protected = any(group == each or group.endswith(f".{each}") for each in PROTECTED)
    if protected and APPROVAL not in annotations:
        why = f'protected groups must have approval annotation "{APPROVAL}", see {PROPOSAL}'
        yield required(f"metadata.annotations[{APPROVAL}]", why)


def _names(given: Object) -> Iterator[Cause]:
    mixed = "may have mixed case, but should otherwise match: "
    for name in ("plural", "singular", "kind", "listKind"):
        value = given.get(name, "")
        kind = name in ("kind", "listKind")
        if not value:
            yield required(f"spec.names.{name}")
        elif problems := ",".join(names.dns_1035_label(value.lower() if kind else value)):
            yield invalid(f"spec.names.{name}", value, (mixed if kind else "") + problems)
    for name in ("shortNames", "categories"):
        for index, value in enumerate(given.get(name) or ()):
            if problems := ",".join(names.dns_1035_label(value)):
                yield invalid(f"spec.names.{name}[{index}]", value, problems)
    if given.get("kind") and given["kind"] == given.get("listKind"):
        why = "kind and listKind may not be the same"
        yield invalid("spec.names.listKind", given["listKind"], why)


def _conversion(conversion: Object) -> Iterator[Cause]:
    strategy = conversion.get("strategy", "")
    if not strategy:
        yield required("spec.conversion.strategy")
    elif strategy == "Webhook":
        why = "kubesim calls no webhooks; versions without conversion (None) are served"
        yield forbidden("spec.conversion.strategy", why)
    elif strategy != "None":
        yield not_supported("spec.conversion.strategy", strategy, ("None", "Webhook"))


def _versions(versions: list[Object]) -> Iterator[Cause]:
    shared = {name for name in HOISTED if all(_same(name, v, versions[0]) for v in versions)}
    for index, version in enumerate(versions):
        path = f"spec.versions[{index}]"
        if problems := ",".join(names.dns_1035_label(version["name"])):
            yield invalid(f"{path}.name", version["name"], problems)
        if "deprecationWarning" in version and not version.get("deprecated"):
            why = "can only be set for deprecated versions"
            yield invalid(f"{path}.deprecationWarning", version["deprecationWarning"], why)
        if not (version.get("schema") or {}).get("openAPIV3Schema"):
            yield required(f"{path}.schema.openAPIV3Schema", "schemas are required")
        for name, hoisted in HOISTED.items():
            if name in version and not (name in shared and index):
                at = f"spec.{hoisted}" if name in shared else f"{path}.{name}"
                yield from _PARTS[name](version[name], at)
    if len({version["name"] for version in versions}) < len(versions):
        yield invalid("spec.versions", versions, "must contain unique version names")
    if sum(version["storage"] for version in versions) != 1:
        why = "must have exactly one version marked as storage version"
        yield invalid("spec.versions", versions, why)


def _same(name: str, version: Object, first: Object) -> bool:
    return bool(version.get(name) == first.get(name))


def _schema(given: Object, path: str) -> Iterator[Cause]:
    yield from structural(given.get("openAPIV3Schema") or {}, f"{path}.openAPIV3Schema")


def _subresources(given: Object, path: str) -> Iterator[Cause]:
    scale = given.get("scale")
    if scale is None:
        return
    under = {
        "specReplicasPath": ".spec",
        "statusReplicasPath": ".status",
        "labelSelectorPath": ".status or .spec",
    }
    for name, place in under.items():
        at, value = f"{path}.scale.{name}", scale.get(name, "")
        if not value:
            if name != "labelSelectorPath":
                yield required(at)
        elif not value.startswith("."):
            yield invalid(at, value, "must be a simple json path starting with .")
        elif not any(value.startswith(f"{root}.") for root in place.split(" or ")):
            yield invalid(at, value, f"should be a json path under {place}")


def _columns(given: list[Object], path: str) -> Iterator[Cause]:
    for index, column in enumerate(given):
        at = f"{path}[{index}]"
        if not column.get("name"):
            yield required(f"{at}.name")
        kind = column.get("type", "")
        if not kind:
            yield required(f"{at}.type", f"must be one of {','.join(COLUMN_TYPES)}")
        elif kind not in COLUMN_TYPES:
            yield invalid(f"{at}.type", kind, f"must be one of {','.join(COLUMN_TYPES)}")
        yield from _column_path(column.get("jsonPath", ""), f"{at}.JSONPath")


def _column_path(path: str, at: str) -> Iterator[Cause]:
    if not path:
        yield required(at)
    elif not path.startswith("."):
        yield invalid(at, path, "must be a simple json path starting with .")
    else:
        try:
            jsonpath.compiled(path)
        except jsonpath.JSONPathError as error:
            yield invalid(at, path, f"invalid JSONPath: {error}")


def _selectable(given: list[Object], path: str) -> Iterator[Cause]:
    if len(given) > MAX_SELECTABLE:
        why = f"may not exceed {MAX_SELECTABLE} selectable fields"
        yield invalid(path, len(given), why)
    for index, selectable in enumerate(given):
        value, at = selectable.get("jsonPath", ""), f"{path}[{index}].jsonPath"
        if not value.startswith("."):
            yield invalid(at, value, "must be a simple json path starting with .")
        elif value.startswith(".metadata"):
            yield invalid(at, value, "must not point to fields in metadata")


_PARTS: dict[str, Callable[[Any, str], Iterator[Cause]]] = {
    "schema": _schema,
    "subresources": _subresources,
    "additionalPrinterColumns": _columns,
    "selectableFields": _selectable,
}


def check_update(new: Object, old: Object) -> Iterator[Cause]:
    """Yield what may not change: what is stored depends on it."""
    after, before = new["spec"], old["spec"]
    if is_true(old, "Established"):
        yield from immutable("spec.scope", after["scope"], before["scope"])
        path = "spec.names.kind"
        yield from immutable(path, after["names"]["kind"], before["names"]["kind"])
    yield from immutable("spec.group", after["group"], before["group"])
    path = "spec.names.plural"
    yield from immutable(path, after["names"]["plural"], before["names"]["plural"])
    known = {version["name"] for version in after["versions"]}
    for index, stored in enumerate(new.get("status", {}).get("storedVersions") or ()):
        if stored not in known:
            why = "must appear in spec.versions"
            yield invalid(f"status.storedVersions[{index}]", stored, why)
