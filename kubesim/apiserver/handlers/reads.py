"""The handlers of get, list and watch."""

from kubesim.apiserver import errors
from kubesim.apiserver.call import Call
from kubesim.apiserver.handlers import selectors
from kubesim.apiserver.handlers.continuation import LATEST, Token
from kubesim.apiserver.handlers.watch import (
    as_lines,
    as_objects,
    bookmark,
    encoder,
    error_event,
    expired,
    stream,
)
from kubesim.apiserver.options import EXACT, check_list, check_watch
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
from kubesim.apiserver.registry.storage import Object, Stored, storage_key
from kubesim.apiserver.request import Response
from kubesim.etcd.store import CompactedError, FutureRevisionError, Range

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
        check_list(call.request)
        limit = call.number("limit")
        call.number("timeoutSeconds")  # nothing takes that long, but it must be a number
        if call.parameter("resourceVersion") == "0" and not call.parameter("continue"):
            limit = 0  # such a list comes from the watch cache, which does not chunk
        found = self._range(call, limit)
        items = [self._storage.load(call.resource, record) for record in found.records]
        selects = _predicate(call)
        if selects:
            items = [item for item in items if selects(item.object)]
        metadata: Object = {"resourceVersion": str(found.revision)}
        if 0 < limit < len(items):
            following = _key(items[limit]).removeprefix(_prefix(call))
            metadata["continue"] = Token(found.revision, following).text()
            if not selects:
                metadata["remainingItemCount"] = len(items) - limit
            items = items[:limit]
        return items, metadata

    def _range(self, call: Call, limit: int) -> Range:
        store, prefix = self._storage.store, _prefix(call)
        if call.parameter("continue"):
            return self._next_chunk(call, Token.read(call.parameter("continue")))
        asked = self._revision(call)
        match = call.parameter("resourceVersionMatch")
        if asked and (match == EXACT or (limit > 0 and not match)):
            try:
                return store.range(prefix, revision=asked)
            except CompactedError:
                raise errors.expired(LIST_TOO_OLD) from None
        return store.range(prefix)

    def _next_chunk(self, call: Call, token: Token) -> Range:
        """Return what follows a list's last chunk, as of its first one. Raises 400 and 410."""
        if call.parameter("resourceVersion") not in ("", "0"):
            raise errors.bad_request(
                "specifying resource version is not allowed when using continue"
            )
        prefix, revision = _prefix(call), 0 if token.revision == LATEST else token.revision
        try:
            return self._storage.store.range(prefix, start=prefix + token.start, revision=revision)
        except FutureRevisionError:
            raise errors.bad_request(
                "invalid continue token: the revision in it has not happened yet"
            ) from None
        except CompactedError:
            error = errors.expired(CHUNK_TOO_OLD)
            error.list_metadata = {"continue": Token(LATEST, token.start).text()}
            raise error from None

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
        check_watch(call.request)
        resource, store = call.resource, self._storage.store
        labels, terms = _selectors(call)
        selects = selectors.predicate(labels, terms)
        asked = self._revision(call)
        wants_initial = call.request.flag("sendInitialEvents")
        bookmarks = call.request.flag("allowWatchBookmarks")
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
