"""The handlers of get, list and watch."""

import base64
import binascii
import json
from dataclasses import dataclass

from kubesim.apiserver import errors
from kubesim.apiserver.call import Call
from kubesim.apiserver.handlers import selectors
from kubesim.apiserver.handlers.watch import (
    as_lines,
    as_objects,
    bookmark,
    encoder,
    error_event,
    expired,
    stream,
)
from kubesim.apiserver.patch import fields
from kubesim.apiserver.registry.cacher import (
    EVERYTHING,
    INDEXED,
    NAME,
    NAMESPACE,
    Cachers,
    Notice,
    Place,
    Scope,
)
from kubesim.apiserver.registry.registry import Registry
from kubesim.apiserver.registry.storage import Object, Stored, dump, storage_key
from kubesim.apiserver.request import Response
from kubesim.etcd.store import CompactedError, Range

TOKEN_VERSION = "meta.k8s.io/v1"  # noqa: S105
LATEST = -1
LIST_TOO_OLD = "The resourceVersion for the provided list is too old."
CHUNK_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. "
    "You can start a new list without the continue parameter, or use the continue token in "
    "this response to retrieve the remainder of the results. Continuing with the provided "
    "token results in an inconsistent list - objects that were created, modified, or deleted "
    "between the time the first chunk was returned and now may show up in the list."
)


class Reads:
    """Answers what changes nothing."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._storage = registry.storage
        self._cachers = Cachers(registry.storage)

    def get(self, call: Call) -> Response:
        """Answer with one object, or its scale."""
        stored = self._registry.get(call.resource, call.info.namespace, call.info.name)
        if call.info.subresource == "scale":
            strategy = self._registry.strategy(call.resource)
            return call.answer_object(200, strategy.scale_of(stored.object))
        return call.answer(200, stored)

    def list_objects(self, call: Call) -> Response:
        """Answer with a list, whole or a chunk of it."""
        return call.answer_list(*self.find(call))

    def find(self, call: Call) -> tuple[list[Stored], Object]:
        """Return the objects that a call selects, and the metadata of their list."""
        _check_version_match(call)
        limit = call.number("limit")
        token = _read_token(call)
        found = self._range(call, token)
        items = [self._storage.load(call.resource, record) for record in found.records]
        selects = _predicate(call)
        if selects:
            items = [item for item in items if selects(item.object)]
        metadata: Object = {"resourceVersion": str(found.revision)}
        if 0 < limit < len(items):
            following = _key(items[limit]).removeprefix(_prefix(call))
            metadata["continue"] = _Token(found.revision, following).text()
            if not selects:
                metadata["remainingItemCount"] = len(items) - limit
            items = items[:limit]
        return items, metadata

    def _range(self, call: Call, token: "_Token | None") -> Range:
        store, prefix = self._storage.store, _prefix(call)
        if token:
            revision = 0 if token.revision == LATEST else token.revision
            try:
                return store.range(prefix, start=prefix + token.start, revision=revision)
            except CompactedError:
                error = errors.expired(CHUNK_TOO_OLD)
                error.list_metadata = {"continue": _Token(LATEST, token.start).text()}
                raise error from None
        asked = self._revision(call)
        if asked and call.parameter("resourceVersionMatch") == "Exact":
            try:
                return store.range(prefix, revision=asked)
            except CompactedError:
                raise errors.expired(LIST_TOO_OLD) from None
        return store.range(prefix)

    def _revision(self, call: Call) -> int:
        """Return the asked-for revision, 0 for the latest. Raises 400, and 504 for the future."""
        text = call.parameter("resourceVersion") or "0"
        if not text.isdecimal():
            raise errors.bad_request(
                f'invalid resource version: resourceVersion: Invalid value: "{text}": '
                f'strconv.ParseUint: parsing "{text}": invalid syntax'
            )
        asked, current = int(text), self._storage.store.revision
        if asked > current:
            error = errors.timeout(
                f"Timeout: Too large resource version: {asked}, current: {current}"
            )
            cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
            error.details = {"causes": [cause], "retryAfterSeconds": 1}
            raise error
        return asked

    def watch(self, call: Call) -> Response:
        """Answer with a stream of events."""
        resource, store = call.resource, self._storage.store
        labels, terms = _selectors(call)
        selects = selectors.predicate(labels, terms)
        asked = self._revision(call)
        wants_initial = call.request.flag("sendInitialEvents")
        bookmarks = call.request.flag("allowWatchBookmarks")
        _check_initial_events(call)
        initial: list[Notice] = []
        if wants_initial or (not asked and "sendInitialEvents" not in call.request.query):
            found = store.range(_prefix(call))
            items = [self._storage.load(resource, record) for record in found.records]
            initial = [("ADDED", i) for i in items if not selects or selects(i.object)]
            asked = found.revision
            if wants_initial and bookmarks:
                initial.append(("BOOKMARK", bookmark(resource, asked, initial_end=True)))
        cacher = self._cachers.of(resource)
        try:
            watch = cacher.watch(Scope(_prefix(call), _place(call, terms), selects), asked)
        except CompactedError as error:
            gone = expired(asked, error.args[1])
            return Response(200, call.headers(), error_event(gone))

        native = call.request.native
        notices = stream(
            cacher,
            watch,
            initial,
            as_objects if native else as_lines(encoder(call)),
            self._registry.clock,
            bookmarks=bookmarks,
            seconds=call.number("timeoutSeconds") or None,
        )
        return Response(200, call.headers(), notices)


def _key(stored: Stored) -> str:
    metadata = stored.object["metadata"]
    return storage_key(stored.resource, metadata.get("namespace", ""), metadata["name"])


@dataclass(frozen=True)
class _Token:
    """Where a chunked list goes on: a revision, and the first key of the next chunk."""

    revision: int
    start: str

    def text(self) -> str:
        token = {"v": TOKEN_VERSION, "rv": self.revision, "start": self.start}
        return base64.urlsafe_b64encode(dump(token)).decode().rstrip("=")


def _read_token(call: Call) -> _Token | None:
    text = call.parameter("continue")
    if not text:
        return None
    if call.parameter("resourceVersion") not in ("", "0"):
        raise errors.bad_request("specifying resource version is not allowed when using continue")
    try:
        token = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return _Token(int(token["rv"]), str(token["start"]))
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise errors.bad_request(
            f"invalid continue token: continue key is not valid: {error}"
        ) from None


def _check_version_match(call: Call) -> None:
    match = call.parameter("resourceVersionMatch")
    if not match:
        return
    path = "resourceVersionMatch"
    if not call.parameter("resourceVersion"):
        why = "resourceVersionMatch is forbidden unless resourceVersion is provided"
        cause = fields.forbidden(path, why)
    elif call.parameter("continue"):
        cause = fields.forbidden(path, "resourceVersionMatch is forbidden for continue")
    elif match not in ("Exact", "NotOlderThan"):
        cause = fields.not_supported(path, match, ("Exact", "NotOlderThan", ""))
    elif match == "Exact" and call.parameter("resourceVersion") == "0":
        why = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        cause = fields.forbidden(path, why)
    else:
        return
    raise errors.invalid("ListOptions.meta.k8s.io", "", [cause])


def _check_initial_events(call: Call) -> None:
    match = call.parameter("resourceVersionMatch")
    if "sendInitialEvents" not in call.request.query:
        if not match:
            return
        cause = fields.forbidden(
            "resourceVersionMatch",
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        )
    elif match == "NotOlderThan":
        return
    else:
        cause = fields.forbidden(
            "resourceVersionMatch",
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        )
    raise errors.invalid("ListOptions.meta.k8s.io", "", [cause])


def _prefix(call: Call) -> str:
    namespace = call.info.namespace
    if call.resource.namespaced and namespace:
        return f"{call.resource.prefix}{namespace}/"
    return call.resource.prefix


def _selectors(call: Call) -> tuple[list[selectors.Requirement], list[selectors.FieldTerm]]:
    terms = [call.parameter("fieldSelector")]
    if call.info.name:
        terms.append(f"metadata.name={call.info.name}")
    return (
        selectors.parse_labels(call.parameter("labelSelector")),
        selectors.parse_fields(",".join(filter(None, terms)), call.resource.field_labels),
    )


def _predicate(call: Call) -> selectors.Predicate | None:
    return selectors.predicate(*_selectors(call))


def _place(call: Call, terms: list[selectors.FieldTerm]) -> Place:
    """Where a watch is filed: under the most telling of the fields whose value it names."""
    wanted = {term.path: term.value for term in terms if term.equal}
    if call.resource.namespaced and call.info.namespace:
        wanted.setdefault(NAMESPACE, call.info.namespace)
    for path in (*INDEXED.get(call.resource.full_name, ()), NAME, NAMESPACE):
        if path in wanted:
            return path, wanted[path]
    return EVERYTHING
