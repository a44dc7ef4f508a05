"""Pods made and deleted in the name of a controller, each with the Event that tells of it.

The RealPodControl of kubernetes `pkg/controller/controller_utils.go`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

from kubesim.apimachinery.objects import Object, key
from kubesim.apiserver.errors import StatusError
from kubesim.clientgo.absence import NOT_FOUND
from kubesim.clientgo.client import Client
from kubesim.clientgo.events import EventRecorder
from kubesim.controllers.expectations import Expectations

SLOW_START_FIRST_BATCH = 1


class PodControl:
    """Creates and deletes Pods for their owners."""

    def __init__(self, client: Client, recorder: EventRecorder) -> None:
        self._client = client
        self._recorder = recorder

    async def create(self, owner: Object, pod: Object) -> Object:
        """Create a Pod. Raises StatusError, as the API server answered."""
        try:
            created = await self._client.create("pods", pod)
        except StatusError as error:
            if not namespace_is_terminating(error):
                message = f"Error creating: {error}"
                self._recorder.event(owner, "Warning", "FailedCreate", message)
            raise
        message = f"Created pod: {created['metadata']['name']}"
        self._recorder.event(owner, "Normal", "SuccessfulCreate", message)
        return created

    async def delete(self, owner: Object, pod: Object) -> None:
        """Delete a Pod. Raises StatusError; that it is gone already is told to nobody else."""
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        try:
            await self._client.delete("pods", name, namespace)
        except StatusError as error:
            if error.code != NOT_FOUND:
                message = f"Error deleting: {error}"
                self._recorder.event(owner, "Warning", "FailedDelete", message)
            raise
        self._recorder.event(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {name}")


async def slow_start(
    count: int, create: Callable[[int], Awaitable[object]]
) -> tuple[int, StatusError | None]:
    """Call `create` with 0, 1, 2 … in batches of 1, 2, 4 …; stop after a batch with a failure.

    So a quota that refuses every Pod costs one refused request, not five hundred.

    Returns:
        How many succeeded, and the first failure.

    """
    started, succeeded, batch = 0, 0, SLOW_START_FIRST_BATCH
    while started < count:
        numbers = range(started, min(started + batch, count))
        results = await asyncio.gather(*map(create, numbers), return_exceptions=True)
        failures = [result for result in results if isinstance(result, BaseException)]
        started = numbers.stop
        succeeded += len(numbers) - len(failures)
        for failure in failures:
            if not isinstance(failure, StatusError):
                raise failure
            return succeeded, None if namespace_is_terminating(failure) else failure
        batch *= 2
    return succeeded, None


async def delete_all(
    control: PodControl, expectations: Expectations, owner: Object, doomed: Sequence[Object]
) -> list[StatusError | None]:
    """Delete Pods whose going is expected, all at once; what came of each, in their order.

    Who could not be deleted is not waited for.
    """

    async def delete(pod: Object) -> StatusError | None:
        try:
            await control.delete(owner, pod)
        except StatusError as error:
            expectations.deletion_observed(key(owner), key(pod))
            return error
        return None

    return await asyncio.gather(*map(delete, doomed))


def first_failure(results: Iterable[StatusError | None]) -> StatusError | None:
    """The first of `delete_all`'s results that is one: a Pod that is gone already is not."""
    return next((each for each in results if each and each.code != NOT_FOUND), None)


def namespace_is_terminating(error: StatusError) -> bool:
    """Whether nothing can be created because the whole namespace is going away."""
    causes = (error.status.get("details") or {}).get("causes") or []
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)
