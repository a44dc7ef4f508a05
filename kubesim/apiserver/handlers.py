"""The handlers of the verbs: a request's parameters and body in, a JSON answer out."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kubesim.api import schema
from kubesim.api.resources import Resource
from kubesim.apiserver import errors, patch, selectors, table, watch
from kubesim.apiserver.decoding import DecodeError, Decoder, parse_body
from kubesim.apiserver.registry import Context, DeleteOptions, Registry
from kubesim.apiserver.request import Request, RequestInfo, Response, UserInfo
from kubesim.apiserver.storage import Object, Stored, dump, list_json
from kubesim.etcd import CompactedError, Range

JSON_HEADERS = {"Content-Type": "application/json"}


@dataclass
class Call:
    """One authorized request for a resource."""

    request: Request
    info: RequestInfo
    user: UserInfo
    resource: Resource
    warnings: list[str] = field(default_factory=list)

    def context(self) -> Context:
        """Return the registry's view of this call."""
        return Context(
            resource=self.resource,
            user=self.user,
            subresource=self.info.subresource,
            namespace=self.info.namespace,
            manager=self.request.parameter("fieldManager")
            or self.request.headers.get("user-agent", "unknown").partition("/")[0],
            dry_run=self.request.parameter("dryRun") == "All",
            warnings=self.warnings,
        )


class Handlers:
    """Answers every verb of every stored resource."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._verbs: dict[str, Callable[[Call], Response]] = {
            "get": self._get,
            "list": self._list,
            "watch": self._watch,
            "create": self._create,
            "update": self._update,
            "patch": self._patch,
            "delete": self._delete,
            "deletecollection": self._delete_collection,
        }

    async def answer(self, call: Call) -> Response:
        """Answer a call."""
        return self._verbs[call.info.verb](call)

    def decode(self, call: Call) -> Object:
        """Return the body as an object of the call's kind. Raises 400 and 415."""
        data = parse_body(call.request.body, call.request.headers.get("content-type", ""))
        return self._read(call, data)

    def _read(self, call: Call, data: Any) -> Object:
        resource = call.resource
        subresource = resource.subresource(call.info.subresource)
        kind, group, version = resource.kind, resource.group, resource.version
        if subresource and subresource.kind != kind:
            kind = subresource.kind
            group, version = subresource.group or group, subresource.version or version
        api_version = f"{group}/{version}" if group else version
        if not isinstance(data, dict):
            raise errors.bad_request("the object provided is unrecognized (must be of type JSON)")
        _check_kind(data, kind, api_version)
        decoder = Decoder()
        try:
            obj: Object = decoder.decode(data, schema.type_of(group, version, kind))
        except DecodeError as error:
            text = f'{kind} in version "{version}" cannot be handled as a {kind}: {error}'
            raise errors.bad_request(text) from None
        self._report_unknown(call, kind, version, decoder.unknown)
        obj.pop("kind", None)
        obj.pop("apiVersion", None)
        head = {"kind": kind, "apiVersion": api_version, "metadata": obj.pop("metadata", {})}
        return head | obj

    def _report_unknown(self, call: Call, kind: str, version: str, unknown: list[str]) -> None:
        validation = call.request.parameter("fieldValidation", "Warn")
        if not unknown or validation == "Ignore":
            return
        told = [f'unknown field "{path}"' for path in unknown]
        if validation == "Strict":
            raise errors.bad_request(
                f'{kind} in version "{version}" cannot be handled as a {kind}: '
                f"strict decoding error: {', '.join(told)}"
            )
        call.warnings += told

    def _get(self, call: Call) -> Response:
        stored = self._registry.get(call.resource, call.info.namespace, call.info.name)
        if table.wanted(call.request.headers.get("accept", "")):
            return self._table(call, [stored], {"resourceVersion": str(stored.revision)})
        return _answer(call, 200, stored)

    def _list(self, call: Call) -> Response:
        found = self._range(call)
        items = [self._registry.storage.load(call.resource, r) for r in found.records]
        selects = self._predicate(call)
        if selects:
            items = [item for item in items if selects(item.object)]
        metadata = {"resourceVersion": str(found.revision)}
        if table.wanted(call.request.headers.get("accept", "")):
            return self._table(call, items, metadata)
        return Response(200, JSON_HEADERS, list_json(call.resource, items, metadata) + b"\n")

    def _range(self, call: Call) -> Range:
        return self._registry.storage.store.range(_prefix(call))

    def _table(self, call: Call, items: list[Stored], metadata: dict[str, Any]) -> Response:
        rendered = table.render(
            call.resource.full_name,
            [item.object for item in items],
            self._registry.clock.now(),
            list_metadata=metadata,
            include=call.request.parameter("includeObject", "Metadata"),
        )
        return Response(200, JSON_HEADERS, dump(rendered) + b"\n")

    def _predicate(self, call: Call) -> selectors.Predicate | None:
        resource = call.resource
        fields = call.request.parameter("fieldSelector")
        if call.info.name:
            fields = f"metadata.name={call.info.name}" + (f",{fields}" if fields else "")
        return selectors.predicate(
            selectors.parse_labels(call.request.parameter("labelSelector")),
            selectors.parse_fields(fields, resource.kind, resource.field_labels),
        )

    def _watch(self, call: Call) -> Response:
        storage, resource = self._registry.storage, call.resource
        selects = self._predicate(call)
        asked = int(call.request.parameter("resourceVersion", "0") or "0")
        initial: list[bytes] = []
        encode = self._encoder(call)
        if not asked:
            found = storage.store.range(_prefix(call))
            asked = found.revision
            items = [storage.load(resource, record) for record in found.records]
            initial = [encode("ADDED", i) for i in items if not selects or selects(i.object)]
        try:
            events = storage.store.watch(_prefix(call), asked)
        except CompactedError as error:
            gone = watch.error_event(watch.expired(asked, error.args[1]))
            return Response(200, JSON_HEADERS, gone)

        def translate(event: Any) -> bytes | None:
            change = watch.changes(storage, resource, event, selects)
            return encode(*change) if change else None

        def progress() -> bytes:
            return watch.encode_event("BOOKMARK", watch.bookmark(resource, storage.store.revision))

        seconds = call.request.parameter("timeoutSeconds")
        body = watch.stream(
            events,
            initial,
            translate,
            progress if call.request.flag("allowWatchBookmarks") else None,
            self._registry.clock,
            float(seconds) if seconds else None,
        )
        return Response(200, JSON_HEADERS, body)

    def _encoder(self, call: Call) -> watch.Encode:
        if not table.wanted(call.request.headers.get("accept", "")):
            return watch.encode_event
        include = call.request.parameter("includeObject", "Metadata")
        headings = True

        def encode(kind: str, stored: Stored) -> bytes:
            nonlocal headings
            rendered = table.render(
                call.resource.full_name,
                [stored.object],
                self._registry.clock.now(),
                list_metadata={"resourceVersion": str(stored.revision)},
                include=include,
                headings=headings,
            )
            headings = False
            return dump({"type": kind, "object": rendered}) + b"\n"

        return encode

    def _create(self, call: Call) -> Response:
        obj = self.decode(call)
        if call.resource.namespaced:
            obj["metadata"].setdefault("namespace", call.info.namespace)
        return _answer(call, 201, self._registry.create(call.context(), obj))

    def _update(self, call: Call) -> Response:
        obj = self.decode(call)
        stored = self._registry.update(call.context(), call.info.name, lambda _: obj)
        return _answer(call, 200, stored)

    def _patch(self, call: Call) -> Response:
        change = json.loads(call.request.body)

        def transform(current: Object) -> Object:
            return self._read(call, patch.merge(current, change))

        stored = self._registry.update(call.context(), call.info.name, transform)
        return _answer(call, 200, stored)

    def _delete(self, call: Call) -> Response:
        stored, gone = self._registry.delete(call.context(), call.info.name, DeleteOptions())
        return _answer(call, 200 if gone else 202, stored)

    def _delete_collection(self, call: Call) -> Response:
        found = self._range(call)
        selects = self._predicate(call)
        deleted = []
        for record in found.records:
            stored = self._registry.storage.load(call.resource, record)
            if not selects or selects(stored.object):
                name = stored.object["metadata"]["name"]
                deleted.append(self._registry.delete(call.context(), name, DeleteOptions())[0])
        metadata = {"resourceVersion": str(found.revision)}
        return Response(200, JSON_HEADERS, list_json(call.resource, deleted, metadata) + b"\n")


def _check_kind(data: Object, kind: str, api_version: str) -> None:
    given = data.get("apiVersion") or api_version
    if given != api_version:
        raise errors.bad_request(
            f"the API version in the data ({given}) does not match "
            f"the expected API version ({api_version})"
        )
    if (data.get("kind") or kind) != kind:
        raise errors.bad_request(
            f"the kind in the data ({data['kind']}) does not match the expected kind ({kind})"
        )


def _prefix(call: Call) -> str:
    namespace = call.info.namespace
    if call.resource.namespaced and namespace:
        return f"{call.resource.prefix}{namespace}/"
    return call.resource.prefix


def _answer(call: Call, status: int, stored: Stored) -> Response:
    headers = dict(JSON_HEADERS)
    if call.warnings:
        headers["Warning"] = ", ".join(f'299 - "{text}"' for text in call.warnings)
    return Response(status, headers, stored.json + b"\n")
