"""The simulation's own knobs, below /kubesim/v1/: power switches of nodes, the clock, images.

Not Kubernetes: a real cluster has none of this, and every answer says so. Only who may do
everything (`nonResourceURLs: ["*"]`) gets past authorization here.

    GET  /kubesim/v1/clock
    POST /kubesim/v1/clock/advance        {"seconds": 300}
    POST /kubesim/v1/clock/speed          {"speed": 60}, 0 stops the clock
    POST /kubesim/v1/nodes/NAME/stop      and /start
    POST /kubesim/v1/nodes/NAME/upgrade   {"version": "v1.38.0"}
    POST /kubesim/v1/images               {"image": "registry/name:tag"}
    GET  /kubesim/v1/history              JSON lines, see kubesim.history
    GET  /kubesim/v1/faults
    POST /kubesim/v1/faults               {"kind": "node-slow", "target": NODE, "seconds": 2}
    DELETE /kubesim/v1/faults/NAME
"""

import json
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Protocol

from kubesim import history
from kubesim.apiserver import errors
from kubesim.apiserver.audit import Audit
from kubesim.apiserver.request import Request, Response, UserInfo
from kubesim.apiserver.responses import json_response, text_response
from kubesim.clock import MAX_SPEED, Clock
from kubesim.etcd.store import Etcd
from kubesim.faults import FaultError, Faults

PREFIX = ["kubesim", "v1"]
NOTE = "kubesim's own interface, not part of Kubernetes"
MAX_SECONDS = 7 * 86400

Handler = Callable[[Request], Awaitable[Response]]


class Machines(Protocol):
    """What the knobs turn."""

    store: Etcd
    audit: Audit

    @property
    def clock(self) -> Clock:
        """The simulated time."""

    @property
    def nodes(self) -> Collection[str]:
        """The names of the nodes."""

    async def stop_node(self, name: str) -> None:
        """Cut a node's power."""

    async def start_node(self, name: str) -> None:
        """Give it back."""

    async def upgrade_node(self, name: str, version: str) -> None:
        """Bring a node to another release. Raises ValueError with why not."""

    def add_image(self, reference: str) -> None:
        """Make an image known to every node."""


class Control:
    """Answers the paths below /kubesim/v1/."""

    def __init__(self, machines: Machines, faults: Faults) -> None:
        self._machines = machines
        self._faults = faults

    async def __call__(self, request: Request, user: UserInfo) -> Response | None:
        """The answer, or None when the path is another. Raises StatusError 400, 404 and 405."""
        parts = request.path.strip("/").split("/")
        if parts[:2] != PREFIX:
            return None
        match request.method, parts[2:]:
            case "GET", ["clock"]:
                answer = self._clock()
            case "POST", ["clock", "advance" | "speed" as hand]:
                turn = self._advance if hand == "advance" else self._set_speed
                answer = await turn(_body(request))
            case "POST", ["nodes", name, "stop" | "start" as action]:
                answer = await self._switch(name, action)
            case "POST", ["nodes", name, "upgrade"]:
                answer = await self._upgrade(name, _body(request))
            case "POST", ["images"]:
                answer = self._add_image(_body(request))
            case "GET", ["history"]:
                answer = self._history()
            case method, ["faults", *names]:
                answer = await self._answer_faults(method, names, request)
            case _:
                raise _no_such_path()
        return answer

    async def _answer_faults(self, method: str, name: list[str], request: Request) -> Response:
        match method, name:
            case "GET", []:
                return self._list_faults()
            case "POST", []:
                return await self._inject(_body(request))
            case "DELETE", [one]:
                return await self._undo(one)
        raise _no_such_path()

    def _clock(self) -> Response:
        clock = self._machines.clock
        ahead = clock.ahead().total_seconds()
        return _answer(now=clock.now().isoformat(), speed=clock.speed, ahead=ahead)

    async def _advance(self, body: dict[str, Any]) -> Response:
        seconds = _number(body, "seconds")
        if not 0 < seconds <= MAX_SECONDS:
            raise errors.bad_request(f"seconds must be more than 0 and at most {MAX_SECONDS}")
        await self._machines.clock.advance(seconds)
        return self._clock()

    async def _set_speed(self, body: dict[str, Any]) -> Response:
        speed = _number(body, "speed")
        if not 0 <= speed <= MAX_SPEED:
            raise errors.bad_request(f"speed must be from 0 (time stands still) to {MAX_SPEED}")
        self._machines.clock.set_speed(speed)
        return self._clock()

    async def _switch(self, name: str, action: str) -> Response:
        machines = self._machines
        self._check_node(name)
        await (machines.stop_node(name) if action == "stop" else machines.start_node(name))
        return _answer(node=name, running=action == "start")

    def _check_node(self, name: str) -> None:
        if name not in self._machines.nodes:
            known = ", ".join(self._machines.nodes)
            raise errors.StatusError(
                404,
                f'there is no machine for a node "{name}"; there are {known}',
                details={"kind": "nodes", "name": name},
            )

    async def _upgrade(self, name: str, body: dict[str, Any]) -> Response:
        self._check_node(name)
        version = body.get("version")
        if not isinstance(version, str) or not version:
            raise errors.bad_request('the body must be {"version": "v1.38.0"}')
        try:
            await self._machines.upgrade_node(name, version)
        except ValueError as error:
            raise errors.bad_request(str(error)) from None
        return _answer(node=name, version=version)

    def _add_image(self, body: dict[str, Any]) -> Response:
        reference = body.get("image")
        if not isinstance(reference, str) or not reference:
            raise errors.bad_request('the body must be {"image": "name:tag"}')
        try:
            self._machines.add_image(reference)
        except ValueError as error:
            raise errors.bad_request(str(error)) from None
        return _answer(image=reference)

    def _history(self) -> Response:
        told = history.lines(self._machines.store, self._machines.audit.events)
        text = "".join(f"{line}\n" for line in told)
        return Response(200, {"content-type": "application/x-ndjson"}, text.encode())

    def _list_faults(self) -> Response:
        kinds = {
            name: {"target": kind.target, "effect": kind.effect, "seconds": kind.seconds}
            for name, kind in self._faults.kinds.items()
        }
        return _answer(faults=[fault.told() for fault in self._faults.active()], kinds=kinds)

    async def _inject(self, body: dict[str, Any]) -> Response:
        kind, target = body.get("kind"), body.get("target")
        if not isinstance(kind, str) or not isinstance(target, str) or not target:
            raise errors.bad_request('the body must be {"kind": a kind, "target": what to strike}')
        seconds = _number(body, "seconds") if body.get("seconds") is not None else None
        try:
            fault = await self._faults.inject(kind, target, seconds)
        except FaultError as error:
            raise errors.bad_request(str(error)) from None
        return _answer(fault=fault.told())

    async def _undo(self, name: str) -> Response:
        try:
            fault = await self._faults.undo(name)
        except FaultError as error:
            raise errors.StatusError(404, str(error)) from None
        return _answer(fault=fault.told())


def only_control(handle: Handler) -> Handler:
    """Return a handler for these knobs alone, at a door that is open whatever happens."""

    async def answer(request: Request) -> Response:
        if request.path.strip("/").split("/")[:2] == PREFIX:
            return await handle(request)
        return text_response("404 page not found\n", 404)

    return answer


def _no_such_path() -> errors.StatusError:
    return errors.no_such_resource(
        f"{NOTE}: GET clock, POST clock/advance, POST clock/speed, POST nodes/NAME/stop, "
        "POST nodes/NAME/start, POST nodes/NAME/upgrade, POST images, GET history, GET faults, "
        "POST faults and DELETE faults/NAME are all there is"
    )


def _answer(**fields: Any) -> Response:
    return json_response({"note": NOTE, **fields})


def _number(body: dict[str, Any], name: str) -> float:
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise errors.bad_request(f'the body must be {{"{name}": a number}}')
    return value


def _body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(request.body or b"{}")
    except (ValueError, RecursionError) as error:
        raise errors.bad_request(f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise errors.bad_request("the body must be a JSON object")
    return body
