"""Patches: how a change that a client describes becomes a new object.

A patch arrives as one of four media types. This module reads it and applies JSON patch
(RFC 6902) and JSON merge patch (RFC 7386); strategic merge and server-side apply, which need the
schema, have modules of their own.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from kubesim.api.resources import Resource
from kubesim.apiserver import errors
from kubesim.apiserver.apiextensions.resource import CustomResource
from kubesim.apiserver.call import Call, Refuse
from kubesim.apiserver.patch import fields, strategic, typed
from kubesim.apiserver.patch.apply import Declaration, apply
from kubesim.apiserver.patch.managedfields import APPLY, Manager
from kubesim.apiserver.serialization import gotext
from kubesim.apiserver.serialization.decoding import (
    GO_NAMES,
    DecodeError,
    parse_json,
    parse_yaml,
)
from kubesim.apiserver.serialization.gojson import JSONError, Twice
from kubesim.apiserver.serialization.goyaml import YAMLError

Change = Callable[[Any], Any]
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
MEDIA_TYPES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)
MAX_OPERATIONS = 10_000


class JSONPatchError(Exception):
    """An operation of a JSON patch cannot be carried out."""


@dataclass(frozen=True)
class Patch:
    """A patch as a function of the current object, and how its result is refused."""

    change: Change
    shown: Callable[[Any], str]  # of the result, in the error that refuses it
    restored: bool = False  # the result is not read as JSON, and refused in other words

    def refuse(self, result: Any) -> Refuse:
        """Return what makes the 422 of a result that is no object of its kind."""

        def error(why: object) -> errors.StatusError:
            told = why.restoring if self.restored and isinstance(why, DecodeError) else str(why)
            return errors.invalid("", "", [fields.invalid("patch", self.shown(result), told)])

        return error


def media_type(call: Call) -> str:
    """Return which kind of patch a call carries. Raises 415."""
    content_type = call.request.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in MEDIA_TYPES:
        raise errors.StatusError(415, "415: Unsupported Media Type", details={})
    if kind not in media_types(call.resource):
        raise errors.unsupported_media_type(media_types(call.resource))
    return kind


def media_types(resource: Resource) -> list[str]:
    """Return the kinds of patch for a resource; a strategic one needs a Go type's merge keys."""
    custom = isinstance(resource, CustomResource)
    return [each for each in MEDIA_TYPES if each != STRATEGIC_PATCH or not custom]


def parse_patch(call: Call, reset: tuple[str, ...], now: str) -> Patch:
    """Return a call's patch. Raises 400, 413, 415 and 422.

    `reset` are the fields that this write cannot set, and so nobody comes to own by it. The words
    are those of k8s.io/apiserver/pkg/endpoints/handlers/patch.go.
    """
    kind = media_type(call)
    if kind == APPLY_PATCH:
        return Patch(_apply_patch(call, reset, now), _as_json)
    if kind == JSON_PATCH:
        operations = _body(call, list, "[]handlers.jsonPatchOp", "error decoding patch: ")
        if len(operations) > MAX_OPERATIONS:
            raise errors.too_large(
                f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, "
                f"got {len(operations)}"
            )
        return Patch(lambda current: _json_patched(current, operations), _as_json)
    of = "map[string]interface {}"
    if kind == MERGE_PATCH:
        body = _body(call, dict, of, "error decoding patch: ")
        return Patch(lambda current: merge(current, body), _as_json)
    body = _body(call, dict, of, "")
    return Patch(
        lambda current: strategic.merge(current, body, call.type),
        lambda _: gotext.shown(body),
        restored=True,
    )


def _as_json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _body(call: Call, of: type, go_type: str, prefix: str) -> Any:
    """Return a patch of the given type. Raises 400."""
    if call.request.native:
        return call.request.content
    try:
        body = parse_json(call.request.body)
    except JSONError as problem:
        raise errors.bad_request(f"{prefix}{problem}") from None
    if body is None:
        return of()
    if not isinstance(body, of):
        found = GO_NAMES.get(type(body), "number")
        why = f"json: cannot unmarshal {found} into Go value of type {go_type}"
        raise errors.bad_request(f"{prefix}{why}")
    repeated = list(_repeated(body))
    call.report_strict(repeated, lambda why: errors.bad_request(f"{prefix}{why}"))
    return body


def _repeated(value: Any, path: str = "") -> Iterator[str]:
    """Yield what is said of every key that an object of a patch has twice."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _repeated(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        dotted = f"{path}." if path else ""
        if isinstance(value, Twice):
            yield from (f'duplicate field "{dotted}{name}"' for name in value.repeated)
        for key, item in value.items():
            yield from _repeated(item, f"{dotted}{key}")


def _apply_patch(call: Call, reset: tuple[str, ...], now: str) -> Change:
    """Return a server-side apply as a function of the current object."""
    name = call.parameter("fieldManager")
    if not name:
        cause = fields.required("fieldManager", "is required for apply patch")
        raise errors.invalid("PatchOptions.meta.k8s.io", "", [cause])
    data = call.request.content if call.request.native else _declared(call)
    if isinstance(data.get("metadata"), dict) and data["metadata"].get("managedFields"):
        raise errors.bad_request("metadata.managedFields must be nil")
    expected = f"{call.kind[0]}/{call.kind[1]}".lstrip("/")
    given = data.get("apiVersion", "")
    if given != expected and not call.request.native:
        raise errors.bad_request(
            f"Incorrect version specified in apply patch. "
            f"Specified patch version: {given}, expected: {expected}"
        )
    typed.check(data, call.type)
    declared = call.read(data)
    declaration = Declaration(
        declared,
        call.type,
        Manager(name, APPLY, declared["apiVersion"], call.info.subresource),
        now,
        call.request.flag("force"),
        reset,
    )
    return lambda live: apply(live, declaration)


def _declared(call: Call) -> dict[str, Any]:
    """Return the body of an apply. Raises 400."""
    prefix = "error decoding YAML: "
    try:
        data = parse_yaml(call.request.body)
    except (JSONError, YAMLError) as problem:
        why = f"{prefix}error converting YAML to JSON: {problem}"
        raise errors.bad_request(why) from None
    if data is not None and not isinstance(data, dict):
        found = GO_NAMES.get(type(data), "number")
        of = "map[string]interface {}"
        raise errors.bad_request(
            f"{prefix}error unmarshaling JSON: while decoding JSON: "
            f"json: cannot unmarshal {found} into Go value of type {of}"
        )
    return data or {}


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
    except JSONPatchError:
        message = "the server rejected our request due to an error in our request"
        raise errors.StatusError(422, message, details={}) from None


def apply_json_patch(target: Any, operations: Any) -> Any:
    """Apply a JSON patch to a copy. Raises JSONPatchError for the first operation that fails."""
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
