"""LimitRanger: a namespace's LimitRanges give containers defaults, and refuse what is out of range.

As plugin/pkg/admission/limitranger/admission.go: defaults before validation, limits after.
"""

from collections.abc import Iterator
from decimal import Decimal

from kubesim.api import resources
from kubesim.api.quantities import canonical
from kubesim.apimachinery.objects import Object
from kubesim.apimachinery.quantity import parse
from kubesim.apimachinery.resourcelist import Amounts, amounts, pod_amounts
from kubesim.apiserver import errors
from kubesim.apiserver.registry.context import Context
from kubesim.apiserver.registry.storage import Storage

LIMIT_RANGES = resources.named("limitranges")
ANNOTATION = "kubernetes.io/limit-ranger"


class LimitRanger:
    """Both halves of the plugin."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def set_defaults(self, context: Context, pod: Object) -> None:
        """Give the containers of a new Pod what its namespace's LimitRanges default."""
        if context.resource.full_name != "pods" or context.subresource:
            return
        notes: list[str] = []
        for limit_range in self._ranges(context.namespace):
            items = [each for each in _items(limit_range) if each["type"] == "Container"]
            default = _merged(items, "default")
            request = _merged(items, "defaultRequest")
            for kind in ("containers", "initContainers"):
                for container in pod["spec"].get(kind) or ():
                    word = "container" if kind == "containers" else "init container"
                    notes += _default(container, word, request, default)
        if notes:
            annotations = pod["metadata"].setdefault("annotations", {})
            annotations[ANNOTATION] = "LimitRanger plugin set: " + "; ".join(notes)

    def check(self, context: Context, new: Object | None, _old: Object | None) -> None:
        """Refuse a new Pod or claim, or a resized one, that is out of range. Raises 403."""
        resource = context.resource.full_name
        if new is None or context.subresource not in ("", "resize"):
            return
        if resource not in ("pods", "persistentvolumeclaims"):
            return
        faults: list[str] = []
        for limit_range in self._ranges(context.namespace):
            for item in _items(limit_range):
                faults += _claim_faults(item, new) if resource != "pods" else _pod_faults(item, new)
        if faults:
            told = faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]"
            raise errors.forbidden(resource, new["metadata"].get("name", ""), told)

    def _ranges(self, namespace: str) -> list[Object]:
        return [each.object for each in self._storage.list(LIMIT_RANGES, namespace)]


def _items(limit_range: Object) -> list[Object]:
    items: list[Object] = limit_range["spec"].get("limits") or []
    return items


def _merged(items: list[Object], field: str) -> dict[str, str]:
    return {name: value for item in items for name, value in (item.get(field) or {}).items()}


def _default(
    container: Object, word: str, request: dict[str, str], limit: dict[str, str]
) -> Iterator[str]:
    """Fill in what a container leaves open; tell what was set."""
    own = container.setdefault("resources", {})
    for kind, defaults in (("requests", request), ("limits", limit)):
        missing = sorted(set(defaults) - set(own.get(kind) or {}))
        if missing:
            own[kind] = (own.get(kind) or {}) | {name: defaults[name] for name in missing}
            yield f"{', '.join(missing)} {kind[:-1]} for {word} {container['name']}"


def _pod_faults(item: Object, pod: Object) -> Iterator[str]:
    spec = pod["spec"]
    if item["type"] == "Pod":
        requests, limits = pod_amounts(spec, "requests"), pod_amounts(spec, "limits")
        yield from _faults(item, requests, limits)
    if item["type"] == "Container":
        for container in (*spec["containers"], *(spec.get("initContainers") or ())):
            own = container.get("resources") or {}
            yield from _faults(item, amounts(own.get("requests")), amounts(own.get("limits")))


def _claim_faults(item: Object, claim: Object) -> Iterator[str]:
    if item["type"] == "PersistentVolumeClaim":
        requests = amounts(claim["spec"].get("resources", {}).get("requests"))
        yield from _bounds(item, "min", requests, {})
        yield from _bounds(item, "max", requests, requests)


def _faults(item: Object, requests: Amounts, limits: Amounts) -> Iterator[str]:
    yield from _bounds(item, "min", requests, limits)
    yield from _bounds(item, "max", requests, limits)
    for name, ratio in sorted((item.get("maxLimitRequestRatio") or {}).items()):
        fault = _ratio_fault(name, item["type"], ratio, requests, limits)
        if fault:
            yield fault


def _bounds(item: Object, bound: str, requests: Amounts, limits: Amounts) -> Iterator[str]:
    word = {"min": "minimum", "max": "maximum"}[bound]
    for name, text in sorted((item.get(bound) or {}).items()):
        edge = parse(text)
        said = f"{word} {name} usage per {item['type']} is {text}"
        needed, needed_word = (requests, "request") if bound == "min" else (limits, "limit")
        if name not in needed:
            yield f"{said}.  No {needed_word} is specified"
            continue
        for given, what in ((limits, "limit"), (requests, "request")):
            if name in given and (given[name] < edge if bound == "min" else given[name] > edge):
                yield f"{said}, but {what} is {_spelled(given[name])}"
                break


def _ratio_fault(name: str, kind: str, ratio: str, requests: Amounts, limits: Amounts) -> str:
    said = f"{name} max limit to request ratio per {kind} is {ratio}, but "
    for given, what in ((requests, "request"), (limits, "limit")):
        if not given.get(name):
            return f"{said}no {what} is specified or {what} is 0"
    found = limits[name] / requests[name]
    return f"{said}provided ratio is {float(found):f}" if found > parse(ratio) else ""


def _spelled(amount: Decimal) -> str:
    whole = amount == amount.to_integral_value()
    if whole and amount >= 1024 and amount % 1024 == 0:
        return canonical(f"{int(amount) // 1024}Ki")
    return canonical(str(amount))
