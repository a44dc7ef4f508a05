"""Counting a Job's finished Pods, each exactly once, whoever deletes them (`tracking_utils.go`).

Every Pod of a Job carries a finalizer, so it cannot vanish uncounted. A finished Pod's UID is
first written into `status.uncountedTerminatedPods`, then its finalizer is taken off, and only then
the UID becomes one more in `succeeded` or `failed`. Whatever fails in between is done again.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Sequence

from kubesim.apimachinery.objects import Object, uid
from kubesim.clientgo.absence import NOT_FOUND, tolerating
from kubesim.clientgo.client import Client

FINALIZER = "batch.kubernetes.io/job-tracking"


def has_finalizer(pod: Object) -> bool:
    """Whether a Pod waits to be counted."""
    return FINALIZER in (pod["metadata"].get("finalizers") or ())


class Finalizers:
    """Takes finalizers off, and remembers those whose going the cache has not seen yet."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._removed: defaultdict[str, set[str]] = defaultdict(set)

    def waits(self, job: str, pod: Object) -> bool:
        """Whether a Pod is still to be counted for the Job of that key."""
        return has_finalizer(pod) and uid(pod) not in self._removed.get(job, ())

    def observed(self, job: str, pod: Object) -> None:
        """The cache has seen a Pod without its finalizer, or gone."""
        self._removed.get(job, set()).discard(uid(pod))

    def forget(self, job: str) -> None:
        """The Job is gone."""
        self._removed.pop(job, None)

    async def remove_all(self, job: str, pods: Sequence[Object]) -> None:
        """Let finished Pods go. Raises StatusError after all were tried."""
        self._removed[job].update(map(uid, pods))
        results = await asyncio.gather(*map(self.remove, pods), return_exceptions=True)
        failed = [result for result in results if isinstance(result, BaseException)]
        for pod, result in zip(pods, results, strict=True):
            if isinstance(result, BaseException):
                self.observed(job, pod)
        if failed:
            raise failed[0]

    async def remove(self, pod: Object) -> None:
        """Take the finalizer off one Pod."""
        meta = pod["metadata"]
        patch = {"metadata": {"uid": uid(pod), "$deleteFromPrimitiveList/finalizers": [FINALIZER]}}
        with tolerating(NOT_FOUND):
            await self._client.patch("pods", meta["name"], patch, meta["namespace"])


def uncounted(status: Object, outcome: str) -> list[str]:
    """The UIDs of Pods that have ended so and are not in the numbers yet."""
    return (status.get("uncountedTerminatedPods") or {}).get(outcome) or []


def count(status: Object, waiting: Collection[str]) -> Object:
    """The status with those UIDs counted whose Pods do not wait for it any more."""
    counted = dict(status)
    left: dict[str, list[str]] = {}
    for outcome in ("succeeded", "failed"):
        uids = uncounted(status, outcome)
        left[outcome] = [each for each in uids if each in waiting]
        done = len(uids) - len(left[outcome])
        if done:
            counted[outcome] = counted.get(outcome, 0) + done
    counted["uncountedTerminatedPods"] = {name: uids for name, uids in left.items() if uids}
    return counted
