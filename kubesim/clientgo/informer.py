"""Informers: a local copy of one resource, kept current by list and watch (client-go's reflector).

An informer lists once, then follows the watch from the list's resourceVersion. When the server has
compacted that revision away (410 Gone) it lists again and tells its handlers the difference.
There is no resync: handlers hear of changes only, so an idle cluster costs nothing.
"""

import asyncio
import functools
import logging
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypedDict

from kubesim.apimachinery.objects import Object, key, uid
from kubesim.apiserver.errors import StatusError
from kubesim.clientgo.client import Client
from kubesim.clock import Clock

FIRST_BACKOFF = 0.8
MAX_BACKOFF = 30.0


@dataclass(frozen=True)
class Change:
    """What happened to one object: `old` is None when it is new, `new` when it is gone."""

    old: Object | None
    new: Object | None

    @property
    def object(self) -> Object:
        """The latest known state, the last one before deletion included."""
        latest = self.new if self.new is not None else self.old
        assert latest is not None
        return latest


Objects = list[Object]
Handler = Callable[[Change], None]
Indexer = Callable[[Object], Iterable[str]]


class Cache:
    """Objects by key and by indexes. What it hands out is shared: copy before changing it."""

    def __init__(self) -> None:
        self._objects: dict[str, Object] = {}
        self._indexers: dict[str, Indexer] = {"namespace": _namespace}
        self._indexes: dict[str, defaultdict[str, dict[str, Object]]] = {
            "namespace": defaultdict(dict)
        }

    def add_index(self, name: str, indexer: Indexer) -> None:
        """Make `by_index(name, value)` answer with the objects for which `indexer` gives value."""
        if name in self._indexers:  # added by somebody who shares the cache
            return
        self._indexers[name] = indexer
        index = self._indexes[name] = defaultdict(dict)
        for each, obj in self._objects.items():
            for value in indexer(obj):
                index[value][each] = obj

    def get(self, name: str, namespace: str = "") -> Object | None:
        """The object of that name, or None."""
        return self._objects.get(f"{namespace}/{name}" if namespace else name)

    def list(self, namespace: str | None = None) -> Objects:
        """All objects, or those of one namespace, in the order in which they came."""
        if namespace is None:
            return [*self._objects.values()]
        return self.by_index("namespace", namespace)

    def by_index(self, name: str, value: str) -> Objects:
        """The objects that the index files under that value."""
        return [*self._indexes[name].get(value, {}).values()]

    def keys(self) -> set[str]:
        """The keys of everything here."""
        return set(self._objects)

    def put(self, obj: Object) -> Object | None:
        """Store the newest state of an object; returns the one before."""
        old = self.remove(key(obj), keep_place=True)
        self._objects[key(obj)] = obj
        for bucket in self._buckets(obj):
            bucket[key(obj)] = obj
        return old

    def remove(self, name: str, *, keep_place: bool = False) -> Object | None:
        """Forget an object by its key; returns its last state."""
        old = self._objects.get(name)
        if old is None:
            return None
        if not keep_place:
            del self._objects[name]
        for bucket in self._buckets(old):
            bucket.pop(name, None)
        return old

    def _buckets(self, obj: Object) -> Iterator[dict[str, Object]]:
        for name, indexer in self._indexers.items():
            for value in indexer(obj):
                yield self._indexes[name][value]


class _Selectors(TypedDict):
    label_selector: str
    field_selector: str


class Source(Protocol):
    """What controllers need of an informer."""

    cache: Cache

    def add_handler(self, handler: Handler) -> None:
        """Call `handler` for every change; what is cached already is told as new at once."""


class Informer:
    """One resource's cache and the handlers that hear of its changes."""

    def __init__(
        self,
        client: Client,
        resource: str,
        clock: Clock,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
    ) -> None:
        self.resource = resource
        self.cache = Cache()
        self.synced = asyncio.Event()
        self._clock = clock
        chosen = _Selectors(label_selector=label_selector, field_selector=field_selector)
        self._list_all = functools.partial(client.list, resource, namespace, **chosen)
        self._watch_from = functools.partial(client.watch, resource, namespace, **chosen)
        self._revision = ""
        self._handlers: list[Handler] = []
        self._log = logging.getLogger(f"kubesim.clientgo.informer.{resource}")

    def add_handler(self, handler: Handler) -> None:
        """Call `handler` for every change; what is cached already is told as new at once."""
        self._handlers.append(handler)
        for obj in self.cache.list():
            handler(Change(None, obj))

    async def run(self) -> None:
        """List and watch until cancelled."""
        delay = FIRST_BACKOFF
        while True:
            try:
                await self._list()
                delay = FIRST_BACKOFF
                await self._watch()
            except StatusError as error:
                if error.code == 410:
                    continue
                self._log.warning("%s; trying again in %s s", error, delay)
                await self._clock.sleep(delay)
                delay = min(delay * 2, MAX_BACKOFF)

    async def _list(self) -> None:
        answer = await self._list_all()
        listed = {key(obj): obj for obj in answer["items"]}
        for gone in self.cache.keys() - listed.keys():
            self._deleted(gone)
        for obj in listed.values():
            self._seen(obj)
        self._revision = answer["metadata"]["resourceVersion"]
        self.synced.set()

    async def _watch(self) -> None:
        while True:
            async for kind, obj in self._watch_from(resource_version=self._revision):
                self._revision = obj["metadata"]["resourceVersion"]
                if kind == "DELETED":
                    self._deleted(key(obj), obj)
                elif kind != "BOOKMARK":
                    self._seen(obj)
            await self._clock.sleep(FIRST_BACKOFF)

    def _seen(self, obj: Object) -> None:
        old = self.cache.put(obj)
        if old is None:
            self._tell(Change(None, obj))
        elif uid(old) != uid(obj):
            self._tell(Change(old, None))
            self._tell(Change(None, obj))
        elif old["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"]:
            self._tell(Change(old, obj))

    def _deleted(self, name: str, last: Object | None = None) -> None:
        old = self.cache.remove(name)
        if old is not None:
            self._tell(Change(last or old, None))

    def _tell(self, change: Change) -> None:
        for handler in self._handlers:
            try:
                handler(change)
            except Exception:  # the other handlers, and the cache, must go on
                self._log.exception("a handler failed at %s", key(change.object))


class InformerFactory:
    """One shared informer a resource, however many parts ask for it."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._informers: dict[str, Informer] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._running: dict[str, asyncio.Task[None]] = {}

    def informer(self, resource: str) -> Informer:
        """The informer of a resource; one that is asked for during `run` starts at once."""
        if resource not in self._informers:
            self._informers[resource] = Informer(self._client, resource, self._clock)
            if self._tasks:
                self._start(self._tasks, self._informers[resource])
        return self._informers[resource]

    def forget(self, resource: str) -> None:
        """Stop the informer of a resource that is no longer served."""
        self._informers.pop(resource, None)
        if task := self._running.pop(resource, None):
            task.cancel()

    async def run(self) -> None:
        """Run every informer that was asked for, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            for informer in self._informers.values():
                self._start(tasks, informer)

    async def run_with(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run every informer, and `work` from when each has listed once, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.run())
            await self.wait_synced()
            tasks.create_task(work())

    def _start(self, tasks: asyncio.TaskGroup, informer: Informer) -> None:
        resource = informer.resource
        self._running[resource] = tasks.create_task(informer.run(), name=f"informer {resource}")

    async def wait_synced(self) -> None:
        """Wait until every informer has listed once."""
        for informer in self._informers.values():
            await informer.synced.wait()


def _namespace(obj: Object) -> Iterable[str]:
    return (obj["metadata"].get("namespace", ""),)
