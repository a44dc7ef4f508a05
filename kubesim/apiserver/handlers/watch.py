"""Watching: from the store's events to the events that one client asked for."""

from collections.abc import AsyncIterator, Callable
from typing import Any

from kubesim.api.resources import Resource
from kubesim.apiserver import errors
from kubesim.apiserver.handlers.selectors import Predicate
from kubesim.apiserver.registry.storage import Storage, Stored, dump
from kubesim.clock import Clock
from kubesim.etcd.store import Event, Watch

BOOKMARK_SECONDS = 60.0
Encode = Callable[[str, Stored], bytes]


def encode_event(kind: str, stored: Stored) -> bytes:
    """Return one line of a watch stream."""
    return b'{"type":"' + kind.encode() + b'","object":' + stored.json + b"}\n"


def error_event(error: errors.StatusError) -> bytes:
    """Return the last line of a watch that failed."""
    return dump({"type": "ERROR", "object": error.status}) + b"\n"


def expired(asked: int, oldest: int) -> errors.StatusError:
    """Return the 410 of a watch from a revision that is compacted away."""
    return errors.expired(f"too old resource version: {asked} ({oldest})")


def changes(
    storage: Storage, resource: Resource, event: Event, selects: Predicate | None
) -> tuple[str, Stored] | None:
    """Return what an event means to a watch with a selector, or None.

    An object that starts to match is ADDED and one that no longer does is DELETED, as in
    k8s.io/apiserver/pkg/storage/cacher.
    """
    if event.record.deleted:
        gone = storage.load_deleted(resource, event)
        return ("DELETED", gone) if not selects or selects(gone.object) else None
    now = storage.load(resource, event.record)
    if not selects:
        return ("MODIFIED" if event.previous else "ADDED"), now
    before = event.previous and selects(storage.load(resource, event.previous).object)
    if selects(now.object):
        return ("MODIFIED" if before else "ADDED"), now
    if before:
        assert event.previous
        return "DELETED", storage.load(resource, event.previous).at(now.revision)
    return None


def bookmark(resource: Resource, revision: int, *, initial_end: bool = False) -> Stored:
    """Return the object of a BOOKMARK event: nothing but a resourceVersion."""
    metadata: dict[str, Any] = {"resourceVersion": str(revision), "creationTimestamp": None}
    if initial_end:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    obj = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
    return Stored(obj, revision, resource)


async def stream(
    watch: Watch,
    initial: list[bytes],
    translate: Callable[[Event], bytes | None],
    progress: Callable[[], bytes] | None,
    clock: Clock,
    seconds: float | None,
) -> AsyncIterator[bytes]:
    """Yield a watch's lines until the time is up or the store ends the watch.

    `initial` comes first; `progress` makes a bookmark line when the client allows bookmarks.
    """
    end = None if seconds is None else clock.monotonic() + seconds
    try:
        for line in initial:
            yield line
        while not watch.closed:
            remaining = None if end is None else end - clock.monotonic()
            if remaining is not None and remaining <= 0:
                return
            limits = [t for t in (remaining, BOOKMARK_SECONDS if progress else None) if t]
            try:
                async with clock.timeout(min(limits, default=None)):
                    events = await watch.next()
            except TimeoutError:
                if progress:
                    yield progress()
                continue
            lines = b"".join(translate(event) or b"" for event in events)
            if lines:
                yield lines
    finally:
        watch.close()
