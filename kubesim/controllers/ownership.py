"""Which objects belong to a controller: it adopts orphans that match and releases what does not.

Kubernetes' `controller_ref_manager.go`: an owner reference with `controller: true` decides, labels
only say whom to adopt and whom to let go, and two controllers never fight over one object.
"""

from collections.abc import Iterable
from typing import Any

from kubesim.apimachinery.labels import matches
from kubesim.apimachinery.objects import (
    Object,
    controller_of,
    controller_reference,
    is_being_deleted,
    labels_of,
    uid,
)
from kubesim.clientgo.absence import tolerating
from kubesim.clientgo.client import Client
from kubesim.clientgo.informer import Cache, Change


def owner_in(owners: Cache, kind: str, obj: Object) -> Object | None:
    """The controller of `obj`, if it is of that kind and is the very one that the cache knows."""
    reference = controller_of(obj)
    if reference is None or reference["kind"] != kind:
        return None
    owner = owners.get(reference["name"], obj["metadata"]["namespace"])
    return owner if owner is not None and uid(owner) == reference["uid"] else None


def concerned(owners: Cache, kind: str, change: Change) -> list[Object]:
    """Whom a change of an object concerns: its owner, its former owner, or possible adopters."""
    obj = change.object
    if controller_of(obj) is None and change.new is not None:
        found: list[Object | None] = [
            owner
            for owner in owners.list(obj["metadata"]["namespace"])
            if matches(owner["spec"]["selector"], labels_of(obj))
        ]
    else:
        found = [owner_in(owners, kind, obj)]
    if change.old is not None and controller_of(change.old) != controller_of(obj):
        found.append(owner_in(owners, kind, change.old))
    return [owner for owner in found if owner is not None]


class Ownership:
    """Claims objects of one resource for one owner; a `finalizer` comes and goes with it."""

    def __init__(
        self, client: Client, owner_resource: str, resource: str, finalizer: str = ""
    ) -> None:
        self._client = client
        self._owner_resource = owner_resource
        self._resource = resource
        self._finalizer = finalizer

    async def claim(self, owner: Object, candidates: Iterable[Object]) -> list[Object]:
        """The candidates that `owner` controls now, adopting and releasing on the way.

        Raises StatusError when the API server refused; the caller's queue will try again.
        """
        return [obj for obj in candidates if await self._claim_one(owner, obj)]

    async def _claim_one(self, owner: Object, obj: Object) -> bool:
        reference = controller_of(obj)
        matching = matches(owner["spec"]["selector"], labels_of(obj))
        if reference is not None:
            if reference["uid"] != uid(owner):
                return False
            if not matching and not is_being_deleted(owner):
                await self._release(owner, obj)
            return matching
        if not matching or is_being_deleted(owner) or is_being_deleted(obj):
            return False
        return await self._adopt(owner, obj)

    async def _adopt(self, owner: Object, obj: Object) -> bool:
        """Ask the API server itself first: a cached owner may be gone by now."""
        meta = owner["metadata"]
        fresh = await self._client.get(self._owner_resource, meta["name"], meta["namespace"])
        if uid(fresh) != uid(owner) or is_being_deleted(fresh):
            return False
        return await self._patch_owners(obj, controller_reference(owner), "finalizers")

    async def _release(self, owner: Object, obj: Object) -> bool:
        reference = {"$patch": "delete", "uid": uid(owner)}
        return await self._patch_owners(obj, reference, "$deleteFromPrimitiveList/finalizers")

    async def _patch_owners(self, obj: Object, reference: dict[str, Any], finalizers: str) -> bool:
        """Change one owner reference of exactly this object; False when it is gone."""
        meta = obj["metadata"]
        changed = {"uid": meta["uid"], "ownerReferences": [reference]}
        if self._finalizer:
            changed[finalizers] = [self._finalizer]
        patch = {"metadata": changed}
        with tolerating(404, 422):
            await self._client.patch(self._resource, meta["name"], patch, meta["namespace"])
            return True
        return False
