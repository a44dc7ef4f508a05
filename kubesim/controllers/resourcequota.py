"""The resource quota controller: counts again what a namespace's quotas limit.

Kubernetes' `pkg/controller/resourcequota/resource_quota_controller.go`. Admission counts what is
created, this controller what is there: after a quota has changed, and when something was deleted or
a Pod has ended. What has no informer is counted every five minutes.
"""

from collections.abc import Iterable

from kubesim.api.quantities import canonical
from kubesim.apimachinery.objects import Object, key, pod_is_finished, split_key
from kubesim.apimachinery.resourcelist import Amounts, added
from kubesim.apimachinery.usage import COUNTED, counts, usage
from kubesim.apiserver.errors import StatusError
from kubesim.clientgo.absence import NOT_FOUND, tolerating
from kubesim.clientgo.informer import Change, InformerFactory
from kubesim.controllers.controller import Controller

WATCHED = COUNTED
RESYNC = 300.0
QUOTAS = "resourcequotas"
BINARY = ("memory", "storage", "ephemeral-storage", "hugepages")


class ResourceQuotaController(Controller):
    """Keys are namespace/name of ResourceQuotas."""

    name = "resourcequota-controller"

    def watch(self, informers: InformerFactory) -> None:
        """Quotas, and what frees something, fill the queue."""
        self.caches = {resource: informers.informer(resource).cache for resource in WATCHED}
        informers.informer(QUOTAS).add_handler(self._quota_changed)
        for resource in WATCHED:
            informers.informer(resource).add_handler(self._replenished)

    def _quota_changed(self, change: Change) -> None:
        new, old = change.new, change.old
        if new and (old is None or old["spec"] != new["spec"] or not new.get("status")):
            self.queue.add(key(new))

    def _replenished(self, change: Change) -> None:
        if change.new is not None and not _freed(change):
            return
        for quota in self.caches[QUOTAS].list(change.object["metadata"]["namespace"]):
            self.queue.add(key(quota))

    async def sync(self, key: str) -> None:
        """Count and write the status."""
        namespace, name = split_key(key)
        quota = self.caches[QUOTAS].get(name, namespace)
        if quota is None:
            return
        hard = quota["spec"].get("hard") or {}
        total = await self._count(quota, namespace, hard)
        used = {each: _spelled(total, each) for each in hard}
        status = {"hard": hard, "used": used}
        if any(each.startswith("count/") for each in hard):
            self.queue.add_after(key, RESYNC)
        if status != quota.get("status"):
            with tolerating(NOT_FOUND):
                changed = quota | {"status": status}
                await self.client.update(QUOTAS, changed, subresource="status")

    async def _count(self, quota: Object, namespace: str, hard: Iterable[str]) -> Amounts:
        total: Amounts = {}
        for resource in {*WATCHED, *(name[6:] for name in hard if name.startswith("count/"))}:
            for obj in await self._objects(resource, namespace):
                if counts(quota, resource, obj):
                    total = added(total, usage(resource, obj))
        return total

    async def _objects(self, resource: str, namespace: str) -> list[Object]:
        if resource in self.caches:
            return self.caches[resource].list(namespace)
        try:
            listed: list[Object] = (await self.client.list(resource, namespace))["items"]
        except (StatusError, KeyError):  # no such resource is served
            return []
        return listed


def _freed(change: Change) -> bool:
    """Whether a change gives something back: a Pod has ended, a Service exposes less."""
    assert change.new is not None
    if change.old is None:
        return False
    ended = pod_is_finished(change.new) and not pod_is_finished(change.old)
    retyped = change.new.get("spec", {}).get("type") != change.old.get("spec", {}).get("type")
    return ended or retyped


def _spelled(total: Amounts, name: str) -> str:
    amount = total.get(name)
    if not amount:
        return "0"
    if any(word in name for word in BINARY) and amount % 1024 == 0:
        return canonical(f"{int(amount) // 1024}Ki")
    return canonical(str(amount))
