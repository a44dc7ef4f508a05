"""What is wrong with a field: the causes of a 422, worded as Go's field.Error words them.

See k8s.io/apimachinery/pkg/util/validation/field/errors.go.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

Cause = dict[str, str]


def required(path: str, detail: str = "") -> Cause:
    """A value is missing."""
    return _cause("FieldValueRequired", path, "Required value", detail)


def invalid(path: str, value: Any, detail: str) -> Cause:
    """A value is malformed or out of bounds."""
    return _cause("FieldValueInvalid", path, f"Invalid value: {_show(value)}", detail)


def duplicate(path: str, value: Any) -> Cause:
    """A value that must be unique is there twice."""
    return _cause("FieldValueDuplicate", path, f"Duplicate value: {_show(value)}")


def not_found(path: str, value: Any) -> Cause:
    """A value refers to something that does not exist."""
    return _cause("FieldValueNotFound", path, f"Not found: {_show(value)}")


def not_supported(path: str, value: Any, supported: Iterable[str]) -> Cause:
    """A value is not one of the known ones, which are told in the given order."""
    known = ", ".join(json.dumps(choice) for choice in supported)
    message = f"Unsupported value: {_show(value)}"
    return _cause("FieldValueNotSupported", path, message, f"supported values: {known}")


def forbidden(path: str, detail: str) -> Cause:
    """A value must not be there."""
    return _cause("FieldValueForbidden", path, "Forbidden", detail)


def too_long(path: str, limit: int) -> Cause:
    """A value has too many bytes."""
    return _cause("FieldValueTooLong", path, "Too long", f"may not be more than {limit} bytes")


def too_many(path: str, count: int, limit: int) -> Cause:
    """A list has too many items."""
    return _cause(
        "FieldValueTooMany", path, f"Too many: {count}", f"must have at most {limit} items"
    )


def wrong_type(path: str, value: Any, detail: str) -> Cause:
    """A value is of another type than its place."""
    return _cause("FieldValueTypeInvalid", path, f"Invalid value: {_show(value)}", detail)


def immutable(path: str, new: Any, old: Any) -> Sequence[Cause]:
    """A value changed that may not."""
    return [] if new == old else [invalid(path, new, "field is immutable")]


def _cause(reason: str, path: str, message: str, detail: str = "") -> Cause:
    full = f"{message}: {detail}" if detail else message
    return {"reason": reason, "message": full, "field": path}


def _show(value: Any) -> str:
    if value is None:
        return "null"
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
