"""The host's time for clients outside: what lies in the cluster's past lies in theirs.

Clients work out ages with their own clock: kubectl prints `<invalid>` for what was created after
it. A cluster whose clock was advanced by six minutes is ahead of them, so to them everything has
happened six minutes earlier: each timestamp of an object goes out that much earlier and comes in
that much later. What is stored does not change, nor does any resourceVersion; it is the same
moment told in another time zone. Advancing time thus makes the past older, and a creation is
always "now".

Only fields that Kubernetes types as times, and one annotation, are translated, and only in JSON.
Programs in containers live in the cluster's time: `date`, the stamps of logs and the audit log
tell it as it is.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from kubesim.apiserver.request import Request, Response
from kubesim.clock import Clock

TIMES = (  # every field that the published schema types as a time
    "acquireTime|completionTime|creationTimestamp|deletionTimestamp|deprecatedFirstTimestamp|"
    "deprecatedLastTimestamp|eventTime|expirationTimestamp|finishedAt|firstTimestamp|"
    "lastHeartbeatTime|lastObservedTime|lastPhaseTransitionTime|lastProbeTime|lastScaleTime|"
    "lastScheduleTime|lastSuccessfulTime|lastTimestamp|lastTransitionTime|lastUpdateTime|renewTime|"
    "startTime|startedAt|time|timeAdded|timestamp|"
    r"endpoints\.kubernetes\.io/last-change-trigger-time"  # an annotation, as old as its times
)
# In a string that holds JSON, such as the last applied configuration, the quotes are escaped.
STAMP = re.compile(
    rf'(?P<field>"(?:{TIMES})": ?")(?P<moment>\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d)'.encode()
)
JSON = "application/json"


class HostTime:
    """A handler of requests that tells their clients of the host's time."""

    def __init__(self, handle: Callable[[Request], Awaitable[Response]], clock: Clock) -> None:
        self._handle = handle
        self._clock = clock

    async def __call__(self, request: Request) -> Response:
        """Answer a request."""
        ahead = self._clock.ahead()
        if ahead and "json" in request.headers.get("content-type", JSON):
            request = replace(request, body=moved(request.body, ahead))
        response = await self._handle(request)
        if response.headers.get("content-type", "").startswith(JSON):
            response.body = self._told(response.body)
        return response

    def _told(self, body: Any) -> Any:
        if isinstance(body, bytes):
            return moved(body, -self._clock.ahead())
        return self._stream(body) if isinstance(body, AsyncIterator) else body

    async def _stream(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        try:
            async for chunk in body:
                yield moved(chunk, -self._clock.ahead())
        finally:
            await body.aclose()  # type: ignore[attr-defined]


def moved(body: bytes, by: timedelta) -> bytes:
    """Return JSON with the timestamps of its objects moved."""
    if not by:
        return body

    def move(stamp: re.Match[bytes]) -> bytes:
        moment = datetime.fromisoformat(stamp["moment"].decode()) + by
        return stamp["field"] + moment.isoformat().encode()

    return STAMP.sub(move, body)
