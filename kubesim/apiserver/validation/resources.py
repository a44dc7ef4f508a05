"""Validation of what a container requests and may have (pkg/apis/core/validation)."""

from collections.abc import Iterator
from typing import Any

from kubesim.apimachinery.quantity import parse
from kubesim.apiserver.patch.fields import Cause, forbidden, invalid, required
from kubesim.apiserver.validation import names
from kubesim.apiserver.validation.metadata import each

Object = dict[str, Any]
STANDARD = ("cpu", "memory", "ephemeral-storage")
HUGE_PAGES = "hugepages-"
NATIVE_DOMAIN = "kubernetes.io/"


def overcommits(name: str) -> bool:
    """Whether more of a resource may be promised than there is."""
    native = "/" not in name or NATIVE_DOMAIN in name
    return native and not name.startswith(HUGE_PAGES)


def is_extended(name: str) -> bool:
    """Whether a resource is somebody's own, such as a GPU."""
    native = "/" not in name or NATIVE_DOMAIN in name
    return not native and not name.startswith("requests.")


def requirements(given: Object, path: str) -> Iterator[Cause]:
    """Check requests and limits, and that no request is above its limit."""
    limits, requests = given.get("limits", {}), given.get("requests", {})
    for name, amount in limits.items():
        yield from _amount(name, amount, f"{path}.limits[{name}]")
    for name, amount in requests.items():
        yield from _amount(name, amount, f"{path}.requests[{name}]")
        yield from _within(name, amount, limits.get(name), path)
    named = {*limits, *requests}
    if any(name.startswith(HUGE_PAGES) for name in named) and not named & {"cpu", "memory"}:
        yield forbidden(path, "HugePages require cpu or memory")


def _within(name: str, amount: str, limit: str | None, path: str) -> Iterator[Cause]:
    if limit is None:
        if not overcommits(name):
            yield required(f"{path}.limits", "Limit must be set for non overcommitable resources")
        return
    if not overcommits(name) and parse(amount) != parse(limit):
        why = f"must be equal to {name} limit of {limit}"
        yield invalid(f"{path}.requests", amount, why)
    elif parse(amount) > parse(limit):
        why = f"must be less than or equal to {name} limit of {limit}"
        yield invalid(f"{path}.requests", amount, why)


def _amount(name: str, amount: str, path: str) -> Iterator[Cause]:
    problems = [*names.qualified_name(name)]
    yield from each(path, name, problems)
    unknown = "/" not in name and name not in STANDARD and not name.startswith(HUGE_PAGES)
    if unknown and not problems:
        yield invalid(path, name, "must be a standard resource type or fully qualified")
    if unknown:
        yield invalid(path, name, "must be a standard resource for containers")
    value = parse(amount)
    if value < 0:
        yield invalid(path, amount, "must be greater than or equal to 0")
    if is_extended(name) and value != value.to_integral_value():
        yield invalid(path, amount, "must be an integer")
