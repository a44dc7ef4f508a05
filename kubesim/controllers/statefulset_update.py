"""One step of a StatefulSet: the Pods that come, go or are replaced now.

The defaultStatefulSetControl of `pkg/controller/statefulset/stateful_set_control.go`. In order,
each Pod waits for its predecessor; in parallel, all are seen to at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypeVar

from kubesim.apimachinery.objects import Object, is_being_deleted, pod_is_finished
from kubesim.controllers import statefulset_util as util
from kubesim.controllers.statefulset_pods import StatefulPodControl

T = TypeVar("T")


class Update:
    """What one sync of a StatefulSet looks at."""

    def __init__(
        self,
        control: StatefulPodControl,
        stateful_set: Object,
        current: Object,
        update: Object,
        now: datetime,
    ) -> None:
        self._control = control
        self._set = stateful_set
        self._current, self._update = current, update
        self._now = now
        self._monotonic = util.is_monotonic(stateful_set)

    async def run(self, pods: Sequence[Object]) -> None:
        """Do as much as may be done now; the Pods' own changes bring the next step."""
        by_ordinal = {util.ordinal(pod): pod for pod in pods}
        wanted = util.ordinals(self._set)
        replicas = [by_ordinal.pop(number, None) for number in wanted]
        condemned = [by_ordinal[number] for number in sorted(by_ordinal, reverse=True)]
        if await self._for_all(
            wanted, lambda number: self._keep(number, replicas[number - wanted.start])
        ):
            return
        for pod in condemned:
            await self._control.retain(self._set, pod, condemned=True)
        broken = util.first_unhealthy(replicas, condemned)
        if await self._for_all(condemned, lambda pod: self._remove(pod, broken)):
            return
        if self._set["spec"]["updateStrategy"]["type"] == "RollingUpdate":
            await self._roll(replicas)

    async def _for_all(self, items: Sequence[T], step: Callable[[T], Awaitable[bool]]) -> bool:
        """Take a step for every item, one by one or all at once; whether to stop after that."""
        if not self._monotonic:
            return any(await asyncio.gather(*map(step, items)))
        for item in items:
            if await step(item):
                return True
        return False

    async def _keep(self, number: int, pod: Object | None) -> bool:
        """See to one Pod that should be there; whether the others have to wait for it."""
        if pod is None:
            await self._control.create(self._set, self._new_pod(number))
            return self._monotonic
        if pod_is_finished(pod):
            if not is_being_deleted(pod):
                await self._control.delete(self._set, pod)
            return True
        if pod["status"].get("phase") == "Pending":
            await self._control.create_claims(self._set, pod)
        if self._monotonic and (is_being_deleted(pod) or not self._available(pod)):
            return True
        await self._control.retain(self._set, pod, condemned=False)
        if not util.keeps_identity(self._set, pod):
            await self._control.mend(self._set, pod)
        return False

    def _available(self, pod: Object) -> bool:
        return util.is_running_and_available(self._set, pod, self._now)

    def _new_pod(self, number: int) -> Object:
        """A Pod of the new revision, or of the current one below the partition."""
        start = util.ordinals(self._set).start
        strategy = self._set["spec"]["updateStrategy"]["type"]
        held_back = strategy == "RollingUpdate" and number < start + util.partition(self._set)
        revision = self._current if held_back else self._update
        template = revision["data"]["spec"]["template"]
        template = {name: value for name, value in template.items() if name != "$patch"}
        return util.new_pod(self._set, template, number, revision["metadata"]["name"])

    async def _remove(self, pod: Object, broken: str) -> bool:
        """Take away a Pod that is too many; whether the next has to wait."""
        if is_being_deleted(pod):
            return self._monotonic
        waits = not self._available(pod) and pod["metadata"]["name"] != broken
        if not (self._monotonic and waits):
            await self._control.delete(self._set, pod)
        return True

    async def _roll(self, replicas: Sequence[Object | None]) -> None:
        """Delete outdated Pods from the highest ordinal down, as long as enough others are well."""
        limit, partition = util.max_unavailable(self._set), util.partition(self._set)
        missing = 0
        for pod in reversed(replicas[partition:]):
            if pod is not None and self._is_outdated(pod):
                await self._control.delete(self._set, pod)
                missing += 1
            elif pod is None or not util.is_healthy(pod):
                missing += 1
            if missing >= limit:
                return

    def _is_outdated(self, pod: Object) -> bool:
        outdated = util.revision_of(pod) != self._update["metadata"]["name"]
        return outdated and not is_being_deleted(pod)
