"""Watching: from the notices of the watch cache to what one client reads."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from kubesim.api.resources import Resource
from kubesim.apiserver import errors
from kubesim.apiserver.call import Call
from kubesim.apiserver.registry.cacher import Cacher, CacheWatch, Notice
from kubesim.apiserver.registry.storage import Stored, dump
from kubesim.apiserver.serialization.forms import refuse_list
from kubesim.apiserver.serialization.negotiation import PARTIAL_LIST, TABLE
from kubesim.clock import Clock

BOOKMARK_SECONDS = 60.0
Encode = Callable[[str, Stored], bytes]
Render = Callable[[Sequence[Notice]], Any]


def encoder(call: Call) -> Encode:
    """Return what turns an event into a line: with the object itself, or in another form.

    Raises 400 and 406 for a form that no event has.
    """
    if not call.form.kind:
        return encode_event
    if call.form.kind == PARTIAL_LIST:
        raise refuse_list(PARTIAL_LIST, call.resource.kind)
    if call.form.kind == TABLE:
        call.table([], {})  # what cannot be told is refused here, not in the midst of the stream
    headings = True

    def encode(kind: str, stored: Stored) -> bytes:
        nonlocal headings
        if kind == "BOOKMARK" and call.form.kind == TABLE:
            return encode_event(kind, stored)
        obj = call.transformed(stored.object, headings=headings)
        headings = False
        return dump({"type": kind, "object": obj}) + b"\n"

    return encode


def encode_event(kind: str, stored: Stored) -> bytes:
    """Return one line of a watch stream."""
    return b'{"type":"' + kind.encode() + b'","object":' + stored.json + b"}\n"


def error_event(error: errors.StatusError) -> bytes:
    """Return the last line of a watch that failed."""
    return dump({"type": "ERROR", "object": error.status}) + b"\n"


def expired(asked: int, oldest: int) -> errors.StatusError:
    """Return the 410 of a watch from a revision that is compacted away."""
    return errors.expired(f"too old resource version: {asked} ({oldest})")


def bookmark(resource: Resource, revision: int, *, initial_end: bool = False) -> Stored:
    """Return the object of a BOOKMARK event: nothing but a resourceVersion."""
    metadata: dict[str, Any] = {"resourceVersion": str(revision), "creationTimestamp": None}
    if initial_end:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    obj = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
    return Stored(obj, revision, resource)


def as_lines(encode: Encode) -> Render:
    """Return what makes one chunk of bytes of notices."""
    return lambda notices: b"".join(encode(kind, stored) for kind, stored in notices)


def as_objects(notices: Sequence[Notice]) -> list[tuple[str, dict[str, Any]]]:
    """Return notices as a caller in this process reads them."""
    return [(kind, stored.object) for kind, stored in notices]


async def stream(
    cacher: Cacher,
    watch: CacheWatch,
    initial: Sequence[Notice],
    render: Render,
    clock: Clock,
    *,
    bookmarks: bool,
    seconds: float | None,
) -> AsyncIterator[Any]:
    """Yield what a watch hears, rendered, until the time is up or it is cut off."""

    def tell_progress() -> None:
        watch.tell(("BOOKMARK", bookmark(cacher.resource, cacher.storage.store.revision)))

    progress = clock.call_every(BOOKMARK_SECONDS, tell_progress) if bookmarks else None
    expiry = clock.call_later(seconds, watch.close) if seconds else None
    try:
        if initial:
            yield render(initial)
        while notices := await watch.next():
            yield render(notices)
    finally:
        cacher.stop(watch)
        for timer in filter(None, (progress, expiry)):
            timer.cancel()
