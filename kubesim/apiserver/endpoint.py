"""The address that clients know the control plane by, and the API servers behind it.

Each control plane node runs an API server of its own; they share the store, so they are one state
with several doors. A door is open while its node's kube-apiserver process runs. Clients elsewhere
come through any open one, as through the load balancer that kind puts before several control plane
nodes; the components of a control plane node use their own.
"""

from collections.abc import Callable, Iterable, Mapping

from kubesim.api.served import Resources
from kubesim.apiserver import errors
from kubesim.apiserver.request import Request, Response
from kubesim.apiserver.server import APIServer, status_response

SECURE_PORT = 6443


class Door:
    """The API servers of some nodes, for who connects to any of them."""

    def __init__(self, server: APIServer, addresses: Mapping[str, str], running: set[str]) -> None:
        self._server = server
        self._addresses = addresses
        self._running = running

    @property
    def is_open(self) -> bool:
        """Whether an API server answers here."""
        return not self._running.isdisjoint(self._addresses)

    @property
    def resources(self) -> Resources:
        """What the API servers serve."""
        return self._server.resources

    async def handle(self, request: Request) -> Response:
        """Answer a request, or refuse the connection."""
        if self.is_open:
            return await self._server.handle(request)
        where = f"{next(iter(self._addresses.values()))}:{SECURE_PORT}"
        message = (
            f'{request.method.capitalize()} "https://{where}{request.path}": '
            f"dial tcp {where}: connect: connection refused"
        )
        refused = errors.StatusError(503, message, reason="ServiceUnavailable")
        return status_response(refused, request)


class ControlPlaneEndpoint(Door):
    """The door to the whole control plane, and those of its nodes.

    All are open to begin with: the cluster answers before its first kubelet has run anything.
    """

    def __init__(self, server: APIServer, addresses: Mapping[str, str]) -> None:
        super().__init__(server, addresses, set(addresses))
        self._listeners: list[Callable[[], None]] = []
        self.closing = False

    def at(self, node: str) -> Door:
        """Return the door to the API server of one node."""
        return Door(self._server, {node: self._addresses[node]}, self._running)

    def on_change(self, call: Callable[[], None]) -> None:
        """Call `call` whenever an API server has started or ended."""
        self._listeners.append(call)

    def set_running(self, node: str, running: bool) -> None:
        """Hear that a node's API server has started or ended."""
        if self.closing:
            return
        (self._running.add if running else self._running.discard)(node)
        for call in self._listeners:
            call()

    def close(self) -> None:
        """Begin to end everything at once: nobody is to complain that the doors went first."""
        self.closing = True

    def running(self) -> Iterable[str]:
        """Return the nodes whose API servers run."""
        return [node for node in self._addresses if node in self._running]
