"""The revisions of a workload's Pod template, kept as ControllerRevisions.

Kubernetes' `pkg/controller/history/controller_history.go`. DaemonSets and StatefulSets own their
Pods directly, so what a Deployment remembers in old ReplicaSets, they remember here: each revision
is a patch that puts a template back, which is what `kubectl rollout undo` does.
"""

from collections.abc import Iterable, Mapping, Sequence

from kubesim.apimachinery.objects import Object, controller_reference, is_controlled_by
from kubesim.apiserver.errors import StatusError
from kubesim.clientgo.client import Client
from kubesim.clientgo.informer import Cache
from kubesim.controllers.ownership import Ownership

REVISIONS = "controllerrevisions.apps"
HASH_LABEL = "controller-revision-hash"
LONGEST_PREFIX = 223


class History:
    """The ControllerRevisions that the workloads of one resource own."""

    def __init__(self, client: Client, owners: str, cache: Cache) -> None:
        self._client = client
        self._ownership = Ownership(client, owners, REVISIONS)
        self._cache = cache

    async def claim(self, owner: Object) -> list[Object]:
        """The revisions of a workload, oldest first; orphans that match are adopted."""
        found = self._cache.list(owner["metadata"]["namespace"])
        return by_revision(await self._ownership.claim(owner, found))

    async def create(self, owner: Object, revision: Object) -> Object | None:
        """Store a revision, or find the equal one; None if another revision has its name."""
        try:
            return await self._client.create(REVISIONS, revision)
        except StatusError as error:
            if error.reason != "AlreadyExists":
                raise
        meta = revision["metadata"]
        existing = await self._client.get(REVISIONS, meta["name"], meta["namespace"])
        if is_controlled_by(existing, owner) and existing["data"] == revision["data"]:
            return existing
        return None

    async def renumber(self, revision: Object, number: int) -> Object:
        """Make a revision the newest: its template is current again."""
        if revision["revision"] == number:
            return revision
        return await self._client.update(REVISIONS, revision | {"revision": number})

    async def delete(self, revision: Object) -> None:
        """Forget a revision."""
        meta = revision["metadata"]
        await self._client.delete(REVISIONS, meta["name"], meta["namespace"])


def by_revision(revisions: Iterable[Object]) -> list[Object]:
    """Lowest number first, then by age and name."""
    return sorted(
        revisions,
        key=lambda each: (
            each["revision"],
            each["metadata"]["creationTimestamp"],
            each["metadata"]["name"],
        ),
    )


def next_number(revisions: Sequence[Object]) -> int:
    """The number after the highest."""
    return max((each["revision"] for each in revisions), default=0) + 1


def template_patch(owner: Object) -> Object:
    """The patch that gives a workload its present Pod template again."""
    return {"spec": {"template": {"$patch": "replace", **owner["spec"]["template"]}}}


def new_revision(owner: Object, number: int, suffix: str, labels: Mapping[str, str]) -> Object:
    """A ControllerRevision of a workload's present template."""
    meta, template = owner["metadata"], owner["spec"]["template"]
    annotations = meta.get("annotations")
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": f"{meta['name'][:LONGEST_PREFIX]}-{suffix}",
            "namespace": meta["namespace"],
            "labels": {**((template.get("metadata") or {}).get("labels") or {}), **labels},
            **({"annotations": annotations} if annotations else {}),
            "ownerReferences": [controller_reference(owner)],
        },
        "data": template_patch(owner),
        "revision": number,
    }
