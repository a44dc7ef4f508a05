"""The garbage collector: objects whose owners are gone go too.

Kubernetes' `pkg/controller/garbagecollector`. It keeps a graph of owner references and, before it
deletes anything, asks the API server whether the owners are really gone: what the graph says is
only a reason to look. An owner deleted in the background leaves its dependents to this; one deleted
in the foreground waits, by its finalizer `foregroundDeletion`, until the dependents that block it
are gone; orphaning, by the finalizer `orphan`, takes the references to the owner off first.
"""

import asyncio
import functools
from collections.abc import Iterable

from kubesim.api.resources import Resource
from kubesim.apimachinery.objects import Object, is_being_deleted, uid
from kubesim.apiserver.errors import StatusError
from kubesim.clientgo.absence import NOT_FOUND, find, tolerating
from kubesim.clientgo.client import Client
from kubesim.clientgo.informer import Change, InformerFactory
from kubesim.clock import Clock
from kubesim.controllers.controller import Controller
from kubesim.controllers.graph import FOREGROUND, ORPHAN, Graph, Node, awaits, owners_of

DISCOVERY_SECONDS = 30.0
RETRY_SECONDS = 1.0
IGNORED = ("events", "events.events.k8s.io")  # they belong to nobody and are many


class GarbageCollector(Controller):
    """Keys are UIDs of nodes of the graph."""

    name = "generic-garbage-collector"

    def __init__(self, client: Client, informers: InformerFactory, clock: Clock) -> None:
        self.graph = Graph()
        self._monitored: dict[str, Resource] = {}
        super().__init__(client, informers, clock)

    def watch(self, informers: InformerFactory) -> None:
        """Every object of every resource is in the graph; discovery says which there are."""
        self._informers = informers

    async def run(self) -> None:
        """Work until cancelled, once the graph is complete."""
        await self._monitor()
        while not self._monitored:
            await self.clock.sleep(RETRY_SECONDS)
            await self._monitor()
        await self._informers.wait_synced()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_monitoring())
            tasks.create_task(super().run())

    async def _keep_monitoring(self) -> None:
        """Follow the resources that come and go with CustomResourceDefinitions."""
        while True:
            await self.clock.sleep(DISCOVERY_SECONDS)
            await self._monitor()

    async def _monitor(self) -> None:
        try:
            found = await self.client.discover()
        except StatusError:
            return  # look again next time
        served = {
            resource.full_name: resource
            for resource in found
            if {"delete", "list", "watch"} <= set(resource.verbs)
            and resource.full_name not in IGNORED
        }
        for name in [name for name in self._monitored if name not in served]:
            self.graph.unlearn(self._monitored.pop(name))
            self._informers.forget(name)
        for name in [name for name in served if name not in self._monitored]:
            resource = self._monitored[name] = served[name]
            for node in self.graph.learn(resource):
                self.queue.add(node.uid)
            handler = functools.partial(self._changed, resource)
            self._informers.informer(name).add_handler(handler)

    async def sync(self, key: str) -> None:
        """Look whether an object has to go, or may."""
        node = self.graph.nodes.get(key)
        if node is None:
            return
        obj = await self._read(node.resource, node.name, node.namespace)
        if obj is None or uid(obj) != node.uid:
            self._forget(node.uid)
        elif awaits(obj, ORPHAN):
            await self._orphan_dependents(node, obj)
        elif awaits(obj, FOREGROUND):
            await self._delete_dependents(node, obj)
        elif owners_of(obj) and not is_being_deleted(obj):
            await self._judge(node, obj)

    async def _judge(self, node: Node, obj: Object) -> None:
        """Delete the object if none of its owners is there, or the last is waiting for it."""
        solid, dangling, waiting = await self._classify(node, obj)
        if solid:
            await self._drop_references(node, obj, [*dangling, *waiting])
        elif waiting and node.dependents:
            await self._unblock_dependents_that_wait(node)
            await self._delete(node, "Foreground")
        elif waiting or dangling:
            await self._delete(node, _propagation(obj))

    async def _classify(
        self, node: Node, obj: Object
    ) -> tuple[list[Object], list[Object], list[Object]]:
        """An object's owner references: to owners that are there, gone, or waiting to go."""
        solid: list[Object] = []
        dangling: list[Object] = []
        waiting: list[Object] = []
        for reference in owners_of(obj):
            resource = self.graph.resource_of(reference)
            if resource is None or (resource.namespaced and not node.namespace):
                solid.append(reference)  # nobody can tell, so nothing is deleted on its account
                continue
            namespace = node.namespace if resource.namespaced else ""
            owner = await self._read(resource, reference["name"], namespace)
            if owner is None or uid(owner) != reference["uid"]:
                dangling.append(reference)
                self._warn_of_other_namespace(node, obj, reference)
            elif awaits(owner, FOREGROUND):
                waiting.append(reference)
            else:
                solid.append(reference)
        return solid, dangling, waiting

    def _warn_of_other_namespace(self, node: Node, obj: Object, reference: Object) -> None:
        """An owner must be in its dependent's namespace or in none."""
        known = self.graph.nodes.get(reference["uid"])
        if known is None or known.is_virtual or known.namespace in {"", node.namespace}:
            return
        message = (
            f"ownerRef [{reference['apiVersion']}/{reference['kind']}, namespace: "
            f"{node.namespace}, name: {reference['name']}, uid: {reference['uid']}] does not "
            f'exist in namespace "{node.namespace}"'
        )
        self.recorder.event(obj, "Warning", "OwnerRefInvalidNamespace", message)

    async def _delete_dependents(self, node: Node, obj: Object) -> None:
        """An owner that waits goes when no dependent blocks it any more."""
        blocking = [each for each in self.graph.dependents(node) if node.is_blocked_by(each)]
        if not blocking:
            await self._remove_finalizer(node, obj, FOREGROUND)
        for dependent in blocking:
            if not dependent.awaits_dependents:
                self.queue.add(dependent.uid)

    async def _orphan_dependents(self, node: Node, obj: Object) -> None:
        for dependent in self.graph.dependents(node):
            present = await self._read(dependent.resource, dependent.name, dependent.namespace)
            if present is not None and uid(present) == dependent.uid:
                gone = [each for each in owners_of(present) if each["uid"] == node.uid]
                await self._drop_references(dependent, present, gone)
        await self._remove_finalizer(node, obj, ORPHAN)

    async def _unblock_dependents_that_wait(self, node: Node) -> None:
        """Owners that wait for each other in a circle would wait for ever."""
        for dependent in self.graph.dependents(node):
            if dependent.awaits_dependents:
                free = [
                    each | {"blockOwnerDeletion": False} if each["uid"] == node.uid else each
                    for each in dependent.owners
                ]
                await self._patch(dependent, {"ownerReferences": free})

    async def _drop_references(self, node: Node, obj: Object, references: Iterable[Object]) -> None:
        gone = {each["uid"] for each in references}
        if gone:
            kept = [each for each in owners_of(obj) if each["uid"] not in gone]
            await self._patch(node, {"ownerReferences": kept}, obj)

    async def _remove_finalizer(self, node: Node, obj: Object, finalizer: str) -> None:
        kept = [each for each in obj["metadata"]["finalizers"] if each != finalizer]
        await self._patch(node, {"finalizers": kept}, obj)

    async def _patch(self, node: Node, changes: Object, obj: Object | None = None) -> None:
        """Change metadata of exactly this object, in the state in which it was read."""
        meta = {"uid": node.uid} | changes
        if obj is not None:
            meta["resourceVersion"] = obj["metadata"]["resourceVersion"]
        with tolerating(NOT_FOUND):
            await self.client.patch(
                node.resource.full_name, node.name, {"metadata": meta}, node.namespace, kind="merge"
            )

    async def _delete(self, node: Node, propagation: str) -> None:
        with tolerating(404, 409):
            await self.client.delete(
                node.resource.full_name,
                node.name,
                node.namespace,
                uid=node.uid,
                propagation=propagation,
            )

    async def _read(self, resource: Resource, name: str, namespace: str) -> Object | None:
        return await find(self.client, resource.full_name, name, namespace)

    # The graph

    def _changed(self, resource: Resource, change: Change) -> None:
        if change.new is None:
            self._forget(uid(change.object))
            return
        before = self.graph.nodes.get(uid(change.new))
        owners = self.graph.owners(before) if before else []
        node = self.graph.put(resource, change.new)
        for owner in [*owners, *self.graph.owners(node)]:
            if owner.is_virtual or owner.awaits_dependents:
                self.queue.add(owner.uid)
        if awaits(change.new, FOREGROUND) or awaits(change.new, ORPHAN):
            self.queue.add(node.uid)
            self._queue_dependents(node)
        elif change.old is None or owners_of(change.old) != owners_of(change.new):
            self._queue_if_owned(node)

    def _queue_if_owned(self, node: Node) -> None:
        """A new reference may point to an owner that is gone, or was never there."""
        if any(
            owner.is_virtual or owner.namespace not in {"", node.namespace}
            for owner in self.graph.owners(node)
        ):
            self.queue.add(node.uid)

    def _queue_dependents(self, node: Node) -> None:
        for dependent in self.graph.dependents(node):
            self.queue.add(dependent.uid)

    def _forget(self, gone: str) -> None:
        """The object does not exist: its dependents lose an owner, its owners a dependent."""
        node = self.graph.remove(gone)
        if node is None:
            return
        self._queue_dependents(node)
        for owner in self.graph.owners(node):
            if owner.awaits_dependents:
                self.queue.add(owner.uid)


def _propagation(obj: Object) -> str:
    """Finalizers that somebody put there beforehand decide how the dependents go."""
    finalizers = obj["metadata"].get("finalizers") or ()
    if ORPHAN in finalizers:
        return "Orphan"
    return "Foreground" if FOREGROUND in finalizers else "Background"
