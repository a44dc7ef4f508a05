"""The watch cache: one look at each change, however many watch.

As in k8s.io/apiserver/pkg/storage/cacher there is one cacher a resource between the store and the
watches. It decodes each event once and hands it to those that it concerns. A watch for one value
of an indexed field, such as a kubelet's `spec.nodeName`, is filed under that value and hears of
nothing else: a Pod's change costs its own node something and the thousand others nothing.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial

from kubesim.api.resources import Resource
from kubesim.apiserver.handlers.selectors import Predicate, field_value
from kubesim.apiserver.registry.storage import Storage, Stored
from kubesim.etcd.store import SLOW_WATCHER, Event, Watch

Notice = tuple[str, Stored]  # ADDED, MODIFIED, DELETED or BOOKMARK, and what it is about
Place = tuple[str, str]  # an indexed field, and the value of it that a watch is for

NAMESPACE, NAME = "metadata.namespace", "metadata.name"
EVERYTHING: Place = ("", "")
# The fields that change over an object's life by which watches are filed, as the trigger functions
# of pkg/registry/core/pod; namespace and name are fields of every object.
INDEXED = {"pods": ("spec.nodeName",)}


@dataclass(frozen=True)
class Scope:
    """What a watch is about: a prefix of keys, an indexed field, and the rest of its selectors."""

    prefix: str
    place: Place = EVERYTHING
    selects: Predicate | None = None


class Change:
    """A store's event with its objects, decoded once for all watches."""

    def __init__(self, storage: Storage, resource: Resource, event: Event) -> None:
        self._load = partial(storage.load, resource)
        self._event = event
        self.key = event.record.key
        self.revision = event.record.revision

    @cached_property
    def now(self) -> Stored | None:
        """The object as it is after the change, if it is still there."""
        return None if self._event.record.deleted else self._load(self._event.record)

    @cached_property
    def before(self) -> Stored | None:
        """The object as it was before the change, if it was there."""
        return self._load(self._event.previous) if self._event.previous else None

    @cached_property
    def gone(self) -> Stored:
        """The last state of what this change took from a watch's sight, at this revision."""
        assert self.before
        return self.before.at(self.revision)

    def meaning(self, selects: Predicate | None) -> Notice | None:
        """What the change is to a watch with a selector: beginning to match is being ADDED."""
        now, was_seen = self.now, self._event.previous is not None
        if selects:
            now = now if now and selects(now.object) else None
            was_seen = bool(self.before and selects(self.before.object))
        if now:
            return ("MODIFIED" if was_seen else "ADDED"), now
        return ("DELETED", self.gone) if was_seen else None


class CacheWatch:
    """One client's watch: an iterator of lists of notices that ends when it is cut off."""

    def __init__(self, scope: Scope, revision: int) -> None:
        self.scope = scope
        self.closed = False
        self._revision = revision  # what happened until then it has been told
        self._pending: list[Notice] = []
        self._changed = asyncio.Event()

    def hear(self, change: Change) -> None:
        """Take a change, if it is new and in scope."""
        if change.revision <= self._revision or not change.key.startswith(self.scope.prefix):
            return
        self._revision = change.revision
        notice = change.meaning(self.scope.selects)
        if notice:
            self.tell(notice)

    def tell(self, notice: Notice) -> None:
        """Queue a notice; a client that reads too slowly is cut off and has to start again."""
        self._pending.append(notice)
        self._changed.set()
        if len(self._pending) > SLOW_WATCHER:
            self.close()

    async def next(self) -> list[Notice]:
        """Wait for notices and return all that are there; an empty list when cut off."""
        while not self._pending and not self.closed:
            self._changed.clear()
            await self._changed.wait()
        notices, self._pending = self._pending, []
        return notices

    def close(self) -> None:
        """End the watch."""
        self.closed = True
        self._changed.set()


@dataclass
class Cacher:
    """The watches of one resource."""

    storage: Storage
    resource: Resource
    _watches: defaultdict[Place, dict[CacheWatch, None]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    _source: Watch | None = None
    _due: bool = False

    def watch(self, scope: Scope, revision: int) -> CacheWatch:
        """Watch what happens after a revision. Raises CompactedError."""
        store = self.storage.store
        watch = CacheWatch(scope, revision)
        for event in store.since(scope.prefix, revision):
            watch.hear(Change(self.storage, self.resource, event))
        if not self._source or self._source.closed:
            self._source = store.watch(self.resource.prefix)
            self._source.on_change = self._wake
        self._watches[scope.place][watch] = None
        return watch

    def stop(self, watch: CacheWatch) -> None:
        """End a watch; with the last one the store is followed no more."""
        watch.close()
        place = self._watches[watch.scope.place]
        place.pop(watch, None)
        if not place:
            del self._watches[watch.scope.place]
        if not self._watches and self._source:
            self._source.close()

    def _wake(self) -> None:
        """Dispatch as soon as whoever is writing has finished; once for many writes."""
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._due = False
        assert self._source
        for event in self._source.take():
            change = Change(self.storage, self.resource, event)
            for place in self._places(change):
                for watch in self._watches.get(place, ()):
                    watch.hear(change)
        if self._source.closed:
            for watches in self._watches.values():
                for watch in watches:
                    watch.close()

    def _places(self, change: Change) -> Iterator[Place]:
        """Where the watches are filed that a change concerns."""
        namespace, _, name = change.key.removeprefix(self.resource.prefix).rpartition("/")
        yield from (EVERYTHING, (NAMESPACE, namespace), (NAME, name))
        for path in INDEXED.get(self.resource.full_name, ()):
            states = [stored.object for stored in (change.now, change.before) if stored]
            yield from {(path, field_value(state, path)): None for state in states}


class Cachers:
    """Every resource's cacher, made when somebody first watches it."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._cachers: dict[tuple[str, str], Cacher] = {}

    def of(self, resource: Resource) -> Cacher:
        """Return a resource's cacher."""
        key = (resource.prefix, resource.api_version)
        known = self._cachers.get(key)
        if not known or known.resource is not resource:
            known = self._cachers[key] = Cacher(self._storage, resource)
        return known
