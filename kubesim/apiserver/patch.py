"""Patches: how a change that a client describes becomes a new object."""

from typing import Any


def merge(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch (RFC 7386): null deletes, maps merge, all else replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result
