"""The published schema, one OpenAPI v3 document a group and version, for `kubectl explain`.

kubectl also learns here, from the parameters of a kind's patch operation, that the server checks
fields and knows dry runs. See https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-v3.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from kubesim.api import schema
from kubesim.api.resources import Resource
from kubesim.api.served import Resources
from kubesim.apiserver import errors
from kubesim.apiserver.apiextensions import openapi as custom
from kubesim.apiserver.apiextensions.resource import CustomResource
from kubesim.apiserver.handlers.discovery import VERSION
from kubesim.apiserver.handlers.openapi_v3 import definition
from kubesim.apiserver.patch.patch import media_types
from kubesim.apiserver.request import Request, Response, UserInfo
from kubesim.apiserver.responses import json_response

Object = dict[str, Any]

OLD_PREFIX = '"#/definitions/'
NEW_PREFIX = '"#/components/schemas/'
JSON = "application/json"
V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
WRITE_PARAMETERS = ("dryRun", "fieldManager", "fieldValidation")
NAMED = ("get", "update", "patch", "delete")
METHODS = {"create": "post", "update": "put", "patch": "patch", "delete": "delete", "get": "get"}


class OpenAPI:
    """Answers /openapi/v3 and the documents below it."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._documents: dict[tuple[str, str], bytes] = {}
        self._paths: Object = {}
        self._generation = 0

    async def __call__(self, request: Request, user: UserInfo) -> Response | None:
        """The answer, or None when the path is another."""
        path = request.path.strip("/")
        if path == "openapi/v2":
            return _empty_v2(request)
        if path == "openapi/v3":
            return json_response({"paths": self._index()})
        name = path.removeprefix("openapi/v3/")
        for group, version in self._resources.group_versions():
            if path != name and name == _path(group, version):
                return Response(200, {"content-type": JSON}, self._document(group, version))
        return None

    def _index(self) -> Object:
        """Every document's path with a hash: clients keep a copy for as long as it is the same."""
        self._forget_what_is_old()
        if not self._paths:
            for group, version in self._resources.group_versions():
                name = _path(group, version)
                fingerprint = _fingerprint(self._resources.by_group()[group][version])
                url = f"/openapi/v3/{name}?hash={fingerprint}"
                self._paths[name] = {"serverRelativeURL": url}
        return self._paths

    def _document(self, group: str, version: str) -> bytes:
        self._forget_what_is_old()
        key = group, version
        if key not in self._documents:
            self._documents[key] = _document(self._resources.by_group()[group][version])
        return self._documents[key]

    def _forget_what_is_old(self) -> None:
        """What was made of resources that have changed since is made again."""
        if self._generation != self._resources.generation:
            self._documents.clear()
            self._paths.clear()
            self._generation = self._resources.generation


def _empty_v2(request: Request) -> Response:
    """The old form of the schema, with nothing in it.

    kubectl reads it, as protobuf only, to look for kinds that it has not found in the new form; it
    gives up with an obscure message when it cannot. No bytes are a message without fields.
    """
    if "protobuf" not in request.headers.get("accept", ""):
        raise errors.not_acceptable(f"only the following media types are accepted: {V2_PROTOBUF}")
    return Response(200, {"content-type": V2_PROTOBUF})


def _path(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"


def _document(resources: list[Resource]) -> bytes:
    roots = [_schema_of(resource, resource.kind) for resource in resources]
    roots += [_schema_of(resource, resource.list_kind) for resource in resources]
    known = dict(schema.definitions())
    for resource in resources:
        if isinstance(resource, CustomResource):
            known |= custom.definitions(resource, schema.PREFIX)
    document = {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": VERSION["gitVersion"]},
        "paths": {path: item for r in resources for path, item in _path_items(r)},
        "components": {"schemas": _closure([root for root in roots if root], known)},
    }
    text = json.dumps(document, separators=(",", ":"))
    return text.replace(OLD_PREFIX, NEW_PREFIX).encode()


def _fingerprint(resources: list[Resource]) -> str:
    """Return what tells one document from another, without making either."""
    parts = [VERSION["gitVersion"], schema.digest(), *map(repr, resources)]
    digest = hashlib.sha256(json.dumps(parts).encode())
    return digest.hexdigest().upper()


def _schema_of(resource: Resource, kind: str) -> str | None:
    if isinstance(resource, CustomResource):
        return custom.component_name(resource, kind)
    return schema.definition_names().get((resource.group, resource.version, kind))


def _closure(roots: list[str], known: Object) -> Object:
    """The definitions of these names and of all that they refer to."""
    found: Object = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in found:
            custom_kind = name not in schema.definitions()
            found[name] = known[name] if custom_kind else definition(name, known[name])
            waiting += _references(found[name])
    return dict(sorted(found.items()))


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _references(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref" and isinstance(item, str):
                yield item.removeprefix(schema.PREFIX)
            else:
                yield from _references(item)


def _path_items(resource: Resource) -> Iterator[tuple[str, Object]]:
    collection = f"/{_path(resource.group, resource.version)}/"
    collection += "namespaces/{namespace}/" * resource.namespaced + resource.plural
    verbs = resource.verbs
    yield collection, _operations(resource, [v for v in ("list", "create") if v in verbs])
    if "get" in verbs:
        named = [verb for verb in verbs if verb in NAMED]
        yield collection + "/{name}", _operations(resource, named)


def _operations(resource: Resource, verbs: list[str]) -> Object:
    return {METHODS.get(verb, "get"): _operation(resource, verb) for verb in verbs}


def _operation(resource: Resource, verb: str) -> Object:
    kind = resource.list_kind if verb == "list" else resource.kind
    name = _schema_of(resource, kind)
    content = {JSON: {"schema": {"$ref": f"{schema.PREFIX}{name}"}} if name else {}}
    operation: Object = {
        "responses": {"200": {"description": "OK", "content": content}},
        "x-kubernetes-action": verb,
        "x-kubernetes-group-version-kind": {
            "group": resource.group,
            "version": resource.version,
            "kind": resource.kind,
        },
    }
    if verb in ("create", "update"):
        operation["requestBody"] = {"content": content}
    if verb == "patch":
        spoken = media_types(resource)
        operation["requestBody"] = {"content": {media_type: {} for media_type in spoken}}
    if verb in ("create", "update", "patch"):
        operation["parameters"] = [_query(name) for name in WRITE_PARAMETERS]
    return operation


def _query(name: str) -> Object:
    return {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
