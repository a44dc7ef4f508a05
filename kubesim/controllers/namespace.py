"""The namespace controller: empties a namespace that is being deleted, then lets it go.

Kubernetes' `pkg/controller/namespace/deletion/namespaced_resources_deleter.go`. Pods go first and
everything else after them (so that nothing they use is taken from under them, since 1.33); what is
left is told in conditions; when nothing is left, the finalizer `kubernetes` is taken off and the
API server removes the namespace. The real controller waits 5 s before it begins, for the sake of
several API servers, and looks again after half the Pods' grace period; here there is one API
server, and every deletion that the caches see is a reason to look again.
"""

from collections import Counter
from collections.abc import Iterable

from kubesim.api.resources import RESOURCES
from kubesim.apimachinery.objects import Object, is_being_deleted, timestamp
from kubesim.clientgo.absence import NOT_FOUND, find, tolerating
from kubesim.clientgo.informer import Change, InformerFactory
from kubesim.controllers.controller import Controller

FINALIZER = "kubernetes"
PODS_FIRST = "pods"
LOOK_AGAIN_SECONDS = 8.0  # half of what the real one grants a finalizer, and one
CONTENT = tuple(
    each.full_name for each in RESOURCES if each.namespaced and "deletecollection" in each.verbs
)


class NamespaceController(Controller):
    """Deletes the contents of terminating namespaces."""

    name = "namespace-controller"

    def watch(self, informers: InformerFactory) -> None:
        """Terminating namespaces fill the queue, again whenever an object of theirs is gone."""
        namespaces = informers.informer("namespaces")
        self.namespaces = namespaces.cache
        namespaces.add_handler(self._namespace_changed)
        for resource in CONTENT:
            informers.informer(resource).add_handler(self._content_changed)

    async def sync(self, key: str) -> None:
        """Delete what is there; when nothing is left, finalize."""
        namespace = await find(self.client, "namespaces", key)
        if namespace is None or not is_being_deleted(namespace):
            return
        if not namespace["spec"].get("finalizers"):
            return
        remaining = await self._delete_content(key)
        namespace = await self._write_conditions(namespace, remaining)
        if not any(remaining.values()):
            await self._finalize(namespace)
        else:
            self.queue.add_after(key, LOOK_AGAIN_SECONDS)

    async def _delete_content(self, namespace: str) -> dict[str, list[Object]]:
        """Delete the Pods, or when none are left the rest; returns what is there after that."""
        remaining = {PODS_FIRST: await self._delete_all(PODS_FIRST, namespace)}
        if not remaining[PODS_FIRST]:
            for resource in await self.client.discover():
                if resource.namespaced and "deletecollection" in resource.verbs:
                    name = resource.full_name
                    remaining[name] = await self._delete_all(name, namespace)
        return remaining

    async def _delete_all(self, resource: str, namespace: str) -> list[Object]:
        for obj in await self._list(resource, namespace):
            if is_being_deleted(obj):
                continue
            with tolerating(NOT_FOUND):
                name = obj["metadata"]["name"]
                await self.client.delete(resource, name, namespace, propagation="Background")
        return await self._list(resource, namespace)

    async def _list(self, resource: str, namespace: str) -> list[Object]:
        items: list[Object] = (await self.client.list(resource, namespace))["items"]
        return items

    async def _write_conditions(
        self, namespace: Object, remaining: dict[str, list[Object]]
    ) -> Object:
        before = namespace["status"].get("conditions") or []
        after = merge_conditions(before, conditions(remaining), timestamp(self.clock.now()))
        if after == before:
            return namespace
        status = namespace["status"] | {"conditions": after}
        changed = namespace | {"status": status}
        return await self.client.update("namespaces", changed, subresource="status")

    async def _finalize(self, namespace: Object) -> None:
        kept = [each for each in namespace["spec"]["finalizers"] if each != FINALIZER]
        changed = namespace | {"spec": namespace["spec"] | {"finalizers": kept}}
        await self.client.update("namespaces", changed, subresource="finalize")

    def _namespace_changed(self, change: Change) -> None:
        if change.new is not None and is_being_deleted(change.new):
            self.enqueue(change)

    def _content_changed(self, change: Change) -> None:
        if change.new is None:
            name = change.object["metadata"]["namespace"]
            namespace = self.namespaces.get(name)
            if namespace is not None and is_being_deleted(namespace):
                self.queue.add(name)


def conditions(remaining: dict[str, list[Object]]) -> list[Object]:
    """What a terminating namespace says of itself."""
    counts = {resource: len(objects) for resource, objects in remaining.items() if objects}
    finalizers = Counter(
        each
        for objects in remaining.values()
        for obj in objects
        for each in obj["metadata"].get("finalizers") or ()
    )
    return [
        _condition(
            "NamespaceDeletionDiscoveryFailure",
            "ResourcesDiscovered",
            "All resources successfully discovered",
        ),
        _condition(
            "NamespaceDeletionGroupVersionParsingFailure",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        _condition(
            "NamespaceDeletionContentFailure",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        _remaining(counts),
        _finalizers(finalizers),
    ]


def _remaining(counts: dict[str, int]) -> Object:
    kind = "NamespaceContentRemaining"
    if not counts:
        return _condition(kind, "ContentRemoved", "All content successfully removed")
    told = _join(f"{_with_group(name)} has {n} resource instances" for name, n in counts.items())
    message = f"Some resources are remaining: {told}"
    return _condition(kind, "SomeResourcesRemain", message, status="True")


def _finalizers(counts: Counter[str]) -> Object:
    kind = "NamespaceFinalizersRemaining"
    if not counts:
        message = "All content-preserving finalizers finished"
        return _condition(kind, "ContentHasNoFinalizers", message)
    told = _join(f"{name} in {n} resource instances" for name, n in counts.items())
    message = f"Some content in the namespace has finalizers remaining: {told}"
    return _condition(kind, "SomeFinalizersRemain", message, status="True")


def _join(parts: Iterable[str]) -> str:
    return ", ".join(sorted(parts))


def _with_group(resource: str) -> str:
    """`pods.` and `deployments.apps`: the real controller writes the dot of an empty group."""
    return resource if "." in resource else f"{resource}."


def _condition(kind: str, reason: str, message: str, *, status: str = "False") -> Object:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def merge_conditions(before: list[Object], after: list[Object], now: str) -> list[Object]:
    """The new conditions, each with the time since when it says what it says."""
    times = {each["type"]: each for each in before}
    merged = []
    for new in after:
        old = times.get(new["type"], {})
        same = {name: old.get(name) for name in new} == new
        merged.append(new | {"lastTransitionTime": old["lastTransitionTime"] if same else now})
    return merged
