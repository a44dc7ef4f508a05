"""A DaemonSet's rolling update: whose Pod goes now, who gets a second one (`update.go`)."""

from collections.abc import Callable, Mapping

from kubesim.apimachinery.objects import Object

Pair = tuple[Object | None, Object | None] | None
"""The updated and the outdated Pod of a node; None when there are several of a kind."""
Available = Callable[[Object], bool]


def replace(pairs: Mapping[str, Pair], limit: int, available: Available) -> list[Object]:
    """The old Pods to delete: broken ones at once, others as long as `limit` may be missing."""
    missing = 0
    broken: list[Object] = []
    candidates: list[Object] = []
    for pair in pairs.values():
        if pair is None or (pair[0] is None) == (pair[1] is None):
            missing += 1
            continue
        new, old = pair
        if new is not None:
            missing += not available(new)
        elif old is not None and available(old):
            candidates.append(old)
        elif old is not None:
            broken.append(old)
            missing += 1
    return [*broken, *candidates[: max(0, limit - missing)]]


def surge(
    pairs: Mapping[str, Pair], limit: int, available: Available
) -> tuple[list[Object], list[str]]:
    """The old Pods whose successors are available, and the nodes that may get a successor."""
    surging = 0
    replaced: list[Object] = []
    broken: list[str] = []
    candidates: list[str] = []
    for node, pair in pairs.items():
        if pair is None:
            surging += 1
            continue
        new, old = pair
        if old is None:
            continue
        if new is None:
            (candidates if available(old) else broken).append(node)
        elif available(new):
            replaced.append(old)
        else:
            surging += 1
    return replaced, [*broken, *candidates[: max(0, limit - surging)]]
