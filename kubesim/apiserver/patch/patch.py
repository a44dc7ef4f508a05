"""Patches: how a change that a client describes becomes a new object.

A patch arrives as one of four media types. This module reads it and applies JSON patch
(RFC 6902) and JSON merge patch (RFC 7386); strategic merge and server-side apply, which need the
schema, have modules of their own.
"""

import json
from collections.abc import Callable
from typing import Any

from kubesim.api.resources import Resource
from kubesim.apiserver import errors
from kubesim.apiserver.apiextensions.resource import CustomResource
from kubesim.apiserver.call import Call
from kubesim.apiserver.patch import fields, strategic
from kubesim.apiserver.patch.apply import Declaration, apply
from kubesim.apiserver.patch.managedfields import APPLY, Manager
from kubesim.apiserver.serialization.decoding import YAML, parse_body

Change = Callable[[Any], Any]
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
MEDIA_TYPES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)


class JSONPatchError(Exception):
    """An operation of a JSON patch cannot be carried out."""


def media_type(call: Call) -> str:
    """Return which kind of patch a call carries. Raises 415."""
    content_type = call.request.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in media_types(call.resource):
        raise errors.unsupported_media_type(media_types(call.resource))
    return kind


def media_types(resource: Resource) -> list[str]:
    """Return the kinds of patch for a resource; a strategic one needs a Go type's merge keys."""
    custom = isinstance(resource, CustomResource)
    return [each for each in MEDIA_TYPES if each != STRATEGIC_PATCH or not custom]


def parse_patch(call: Call, reset: tuple[str, ...], now: str) -> Change:
    """Return a call's patch as a function of the current object. Raises 400, 415 and 422.

    `reset` are the fields that this write cannot set, and so nobody comes to own by it.
    """
    kind = media_type(call)
    if kind == APPLY_PATCH:
        return _apply_patch(call, reset, now)
    body = _body(call)
    if kind == JSON_PATCH:
        return lambda current: _json_patched(current, body)
    if not isinstance(body, dict):
        raise errors.bad_request("error decoding patch: the patch must be an object")
    if kind == MERGE_PATCH:
        return lambda current: merge(current, body)
    return lambda current: strategic.merge(current, body, call.type)


def _body(call: Call) -> Any:
    if call.request.native:
        return call.request.content
    try:
        return json.loads(call.request.body)
    except (ValueError, RecursionError) as error:
        raise errors.bad_request(f"error decoding patch: {error}") from None


def _apply_patch(call: Call, reset: tuple[str, ...], now: str) -> Change:
    """Return a server-side apply as a function of the current object."""
    request = call.request
    declared = call.read(request.content if request.native else parse_body(request.body, YAML))
    name = call.parameter("fieldManager")
    if not name:
        cause = fields.required("fieldManager", "is required for apply patch")
        raise errors.invalid("PatchOptions.meta.k8s.io", "", [cause])
    if declared["metadata"].get("managedFields"):
        raise errors.bad_request("metadata.managedFields must be nil")
    declaration = Declaration(
        declared,
        call.type,
        Manager(name, APPLY, declared["apiVersion"], call.info.subresource),
        now,
        call.request.flag("force"),
        reset,
    )
    return lambda live: apply(live, declaration)


def merge(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch: null deletes, objects merge, all else replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def _json_patched(current: Any, operations: Any) -> Any:
    try:
        return apply_json_patch(current, operations)
    except JSONPatchError as error:
        raise errors.StatusError(
            422,
            f"the server rejected our request due to an error in our request: {error}",
            details={},
        ) from None


def apply_json_patch(target: Any, operations: Any) -> Any:
    """Apply a JSON patch to a copy. Raises JSONPatchError for the first operation that fails."""
    if not isinstance(operations, list):
        raise JSONPatchError("a JSON patch is a list of operations")
    document = {"": json.loads(json.dumps(target))}
    for operation in operations:
        if not isinstance(operation, dict) or operation.get("op") not in _OPERATIONS:
            raise JSONPatchError(f"unexpected operation: {json.dumps(operation)}")
        if not isinstance(operation.get("path"), str):
            raise JSONPatchError(f"operation without path: {json.dumps(operation)}")
        _OPERATIONS[operation["op"]](document, operation)
    return document[""]


def _add(document: Any, operation: Any) -> None:
    parent, key = _locate(document, operation["path"])
    value = _value(operation)
    if isinstance(parent, list):
        parent.insert(_index(parent, key, len(parent)), value)
    else:
        parent[key] = value


def _remove(document: Any, operation: Any) -> Any:
    parent, key = _locate(document, operation["path"])
    if isinstance(parent, list):
        return parent.pop(_index(parent, key, len(parent) - 1))
    if key not in parent:
        raise JSONPatchError(f"remove operation does not apply: no {operation['path']}")
    return parent.pop(key)


def _replace(document: Any, operation: Any) -> None:
    _get(document, operation["path"])
    parent, key = _locate(document, operation["path"])
    parent[int(key) if isinstance(parent, list) else key] = _value(operation)


def _test(document: Any, operation: Any) -> None:
    if _get(document, operation["path"]) != _value(operation):
        raise JSONPatchError(f"testing path {operation['path']} value failed")


def _move(document: Any, operation: Any) -> None:
    value = _remove(document, {"path": _source(operation)})
    _add(document, {"path": operation["path"], "value": value})


def _copy(document: Any, operation: Any) -> None:
    value = json.loads(json.dumps(_get(document, _source(operation))))
    _add(document, {"path": operation["path"], "value": value})


_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "test": _test,
    "move": _move,
    "copy": _copy,
}


def _value(operation: Any) -> Any:
    if "value" not in operation:
        raise JSONPatchError(f"operation without value: {json.dumps(operation)}")
    return operation["value"]


def _source(operation: Any) -> str:
    if not isinstance(operation.get("from"), str):
        raise JSONPatchError(f"operation without from: {json.dumps(operation)}")
    source: str = operation["from"]
    return source


def _get(document: Any, path: str) -> Any:
    parent, key = _locate(document, path)
    if isinstance(parent, list):
        return parent[_index(parent, key, len(parent) - 1)]
    if key not in parent:
        raise JSONPatchError(f"missing value: {path}")
    return parent[key]


def _locate(document: Any, path: str) -> tuple[Any, str]:
    """Return the container that a JSON pointer ends in, and the last step."""
    if path and not path.startswith("/"):
        raise JSONPatchError(f"not a JSON pointer: {path}")
    steps = [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")]
    node = document
    for step in steps[:-1]:
        if isinstance(node, list):
            node = node[_index(node, step, len(node) - 1)]
        elif isinstance(node, dict) and step in node:
            node = node[step]
        else:
            raise JSONPatchError(f"doc is missing path: {path}")
    if not isinstance(node, dict | list):
        raise JSONPatchError(f"doc is missing path: {path}")
    return node, steps[-1]


def _index(items: list[Any], step: str, last: int) -> int:
    if step == "-" and last == len(items):
        return last
    if not step.isdecimal() or int(step) > last:
        raise JSONPatchError(f"unable to access invalid index: {step}")
    return int(step)
