"""Validation of ObjectMeta (k8s.io/apimachinery/pkg/api/validation/objectmeta.go)."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from kubesim.apiserver.patch.fields import (
    Cause,
    duplicate,
    forbidden,
    immutable,
    invalid,
    required,
    too_long,
)
from kubesim.apiserver.validation import names

Object = dict[str, Any]
NameCheck = Callable[[str], Iterator[str]]
STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")
ANNOTATIONS_LIMIT = 256 * 1024


def each(path: str, value: Any, problems: Iterable[str]) -> Iterator[Cause]:
    """Yield a cause for every problem of a value."""
    for problem in problems:
        yield invalid(path, value, problem)


def metadata(meta: Object, check_name: NameCheck) -> Iterator[Cause]:
    """Check the metadata of a new or changed object."""
    prefix = meta.get("generateName")
    if prefix:
        yield from each("metadata.generateName", prefix, check_name(prefix.rstrip("-.") + "x"))
    if not meta.get("name"):
        yield required("metadata.name", "name or generateName is required")
    elif not prefix or not meta["name"].startswith(prefix):
        yield from each("metadata.name", meta["name"], check_name(meta["name"]))
    yield from labels(meta.get("labels", {}), "metadata.labels")
    yield from annotations(meta.get("annotations", {}), "metadata.annotations")
    yield from _owners(meta.get("ownerReferences", ()))
    for index, finalizer in enumerate(meta.get("finalizers", ())):
        path = f"metadata.finalizers[{index}]"
        yield from each("metadata.finalizers", finalizer, names.qualified_name(finalizer))
        if "/" not in finalizer and finalizer not in STANDARD_FINALIZERS:
            why = "name is neither a standard finalizer name nor is it fully qualified"
            yield invalid(path, finalizer, why)


def labels(given: Object, path: str) -> Iterator[Cause]:
    """Check labels or a map of labels to select by."""
    for key, value in given.items():
        yield from each(path, key, names.qualified_name(key))
        yield from each(path, value, names.label_value(value))


def annotations(given: Object, path: str) -> Iterator[Cause]:
    """Check annotations: any values, but not too much of them."""
    for key in given:
        yield from each(path, key, names.qualified_name(key.lower()))
    if sum(len(key) + len(value) for key, value in given.items()) > ANNOTATIONS_LIMIT:
        yield too_long(path, ANNOTATIONS_LIMIT)


def _owners(references: Iterable[Object]) -> Iterator[Cause]:
    path = "metadata.ownerReferences"
    controllers = []
    for reference in references:
        for field, told in (
            ("apiVersion", "version"),
            ("kind", "kind"),
            ("name", "name"),
            ("uid", "uid"),
        ):
            value = reference.get(field, "")
            if not value or (field == "apiVersion" and value.count("/") > 1):
                yield invalid(f"{path}.{field}", value, f"{told} must not be empty")
        if (reference.get("apiVersion"), reference.get("kind")) == ("v1", "Event"):
            why = "/v1, Kind=Event is disallowed from being an owner"
            yield invalid(path, reference, why)
        if reference.get("controller"):
            controllers.append(reference.get("name"))
    if len(controllers) > 1:
        why = (
            "Only one reference can have Controller set to true. Found "
            f'"true" in references for {controllers[0]} and {controllers[1]}'
        )
        yield invalid(path, list(references), why)


def metadata_update(new: Object, old: Object) -> Iterator[Cause]:
    """Check a change of metadata; what the server owns is kept before this is asked."""
    yield from immutable("metadata.uid", new["uid"], old["uid"])
    if old.get("deletionTimestamp"):
        before = set(old.get("finalizers", ()))
        added = [name for name in new.get("finalizers", ()) if name not in before]
        if added:
            shown = ", ".join(f'"{name}"' for name in added)
            why = (
                "no new finalizers can be added if the object is being deleted, "
                f"found new finalizers []string{{{shown}}}"
            )
            yield forbidden("metadata.finalizers", why)


def unique(values: Iterable[Any], path: Callable[[int], str]) -> Iterator[Cause]:
    """Yield a cause for every value that stood in the list before; absent ones do not count."""
    seen = set()
    for index, value in enumerate(values):
        if value and value in seen:
            yield duplicate(path(index), value)
        seen.add(value)


def set_operator(requirement: Object, path: str) -> Iterator[Cause]:
    """Check the operator of a selector's requirement, and whether it has the values it needs."""
    operator, values = requirement.get("operator", ""), requirement.get("values", [])
    if operator in ("In", "NotIn"):
        if not values:
            why = "must be specified when `operator` is 'In' or 'NotIn'"
            yield required(f"{path}.values", why)
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            yield forbidden(f"{path}.values", why)
    else:
        yield invalid(f"{path}.operator", operator, "not a valid selector operator")


def selector(given: Object, path: str) -> Iterator[Cause]:
    """Check a metav1.LabelSelector."""
    yield from labels(given.get("matchLabels", {}), f"{path}.matchLabels")
    for index, expression in enumerate(given.get("matchExpressions", ())):
        at = f"{path}.matchExpressions[{index}]"
        yield from set_operator(expression, at)
        yield from each(f"{at}.key", expression["key"], names.qualified_name(expression["key"]))
