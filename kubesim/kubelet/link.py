"""A node's connection to the API servers, and what can be wrong with it.

While it is cut, requests end as those of a kubelet whose packets are dropped, after a timeout, and
a watch ends with the next event, which nobody hears: containers go on, as on a real node.
"""

from collections.abc import AsyncIterator
from typing import Any

from kubesim.api.served import Resources
from kubesim.apiserver import errors
from kubesim.apiserver.request import Request, Response
from kubesim.apiserver.server import status_response
from kubesim.clientgo.client import Server
from kubesim.clock import Clock

DIAL_SECONDS = 10.0  # the kubelet's own limit for the requests that keep its Lease


class Link:
    """What a kubelet sends its requests through."""

    def __init__(self, server: Server, clock: Clock) -> None:
        self.cut = False
        self.expired = False  # the kubelet's client certificate
        self.delay = 0.0
        self._server = server
        self._clock = clock

    @property
    def resources(self) -> Resources:
        """What the API servers serve."""
        return self._server.resources

    async def handle(self, request: Request) -> Response:
        """Pass a request on, as far as the connection allows."""
        if self.delay:
            await self._clock.sleep(self.delay)
        if self.cut:
            await self._clock.sleep(DIAL_SECONDS)
            message = f'{request.method.capitalize()} "{request.path}": dial tcp: i/o timeout'
            failure = errors.StatusError(503, message, reason="ServiceUnavailable")
            return status_response(failure, request)
        if self.expired:
            return status_response(errors.unauthorized(), request)
        response = await self._server.handle(request)
        if isinstance(response.body, AsyncIterator):
            response.body = self._stream(response.body)
        return response

    async def _stream(self, body: AsyncIterator[Any]) -> AsyncIterator[Any]:
        try:
            async for chunk in body:
                if self.cut or self.expired:
                    return
                yield chunk
        finally:
            await body.aclose()  # type: ignore[attr-defined]
