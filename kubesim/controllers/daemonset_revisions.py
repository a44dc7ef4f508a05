"""The revisions of a DaemonSet, of which one is that of its present template (`update.go`)."""

from collections.abc import Sequence

from kubesim.apimachinery.objects import Object, labels_of
from kubesim.clientgo.client import Client
from kubesim.controllers.deployment_util import template_hash
from kubesim.controllers.history import (
    HASH_LABEL,
    History,
    new_revision,
    next_number,
    template_patch,
)
from kubesim.controllers.status import write_status


class DaemonSetRevisions:
    """Keeps a DaemonSet's ControllerRevisions; `owners` is its resource."""

    def __init__(self, client: Client, owners: str, history: History) -> None:
        self._client = client
        self._owners = owners
        self._history = history

    async def current_and_old(
        self, daemon_set: Object, pods: Sequence[Object]
    ) -> tuple[Object, list[Object]]:
        """The revision of the present template, which has the highest number, and the others."""
        found = await self._history.claim(daemon_set)
        patch = template_patch(daemon_set)
        equal = [each for each in found if each["data"] == patch]
        old = [each for each in found if each["data"] != patch]
        if not equal:
            return await self._create(daemon_set, next_number(old)), old
        *superseded, current = equal
        for each in superseded:
            await self._relabel(pods, hash_of(each), hash_of(current))
            await self._history.delete(each)
        number = max(current["revision"], next_number(old))
        return await self._history.renumber(current, number), old

    async def clean_up(self, limit: int, old: Sequence[Object], pods: Sequence[Object]) -> None:
        """Forget the oldest revisions beyond the limit, but none that a Pod was made from."""
        excess = len(old) - limit
        if excess <= 0:
            return
        alive = {hash_of(pod) for pod in pods}
        unused = [each for each in old if hash_of(each) not in alive]
        for each in unused[:excess]:
            await self._history.delete(each)

    async def _create(self, daemon_set: Object, number: int) -> Object:
        status = daemon_set.get("status") or {}
        collisions = status.get("collisionCount", 0)
        value = template_hash(daemon_set["spec"]["template"], collisions)
        made = new_revision(daemon_set, number, value, {HASH_LABEL: value})
        created = await self._history.create(daemon_set, made)
        if created is not None:
            return created
        counted = status | {"collisionCount": collisions + 1}
        await write_status(self._client, self._owners, daemon_set, counted)
        return await self._create(daemon_set | {"status": counted}, number)

    async def _relabel(self, pods: Sequence[Object], before: str, after: str) -> None:
        """Two revisions of one template become one, and so do the labels of their Pods."""
        for pod in pods:
            if hash_of(pod) == before:
                meta = pod["metadata"]
                patch = {"metadata": {"labels": {HASH_LABEL: after}}}
                await self._client.patch("pods", meta["name"], patch, meta["namespace"])


def hash_of(obj: Object) -> str:
    """The hash in the label of a revision, or of a Pod that was made from it."""
    return labels_of(obj).get(HASH_LABEL, "")
