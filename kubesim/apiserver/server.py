"""The API server: one request from its bytes to its answer, in the order it happens.

Who asks (authentication), may they (authorization), what do they ask for (routing), and then the
handler of the verb. No transport: the HTTPS adapter and in-process clients call `handle` alike.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from kubesim.api import resources
from kubesim.api.served import Resources
from kubesim.apiserver import errors
from kubesim.apiserver.admission.validatingadmissionpolicies import (
    ValidatingAdmissionPolicies,
)
from kubesim.apiserver.auth.authentication import ANONYMOUS, Authenticator
from kubesim.apiserver.auth.authorization import Authorizer, forbidden
from kubesim.apiserver.call import Call
from kubesim.apiserver.handlers.discovery import DEFAULT_VERSION, Discovery
from kubesim.apiserver.handlers.openapi import OpenAPI
from kubesim.apiserver.handlers.proxy_target import target_of
from kubesim.apiserver.handlers.reads import Reads
from kubesim.apiserver.handlers.writes import Writes
from kubesim.apiserver.registry.admission import Admission
from kubesim.apiserver.registry.context import Context
from kubesim.apiserver.registry.defaults import apply_defaults
from kubesim.apiserver.registry.registry import Registry
from kubesim.apiserver.registry.storage import Object, Storage, Stored
from kubesim.apiserver.request import Request, RequestInfo, Response, UserInfo, parse
from kubesim.apiserver.routing import UNSIMULATED, find, knows_group, nowhere
from kubesim.apiserver.serialization import forms
from kubesim.apiserver.serialization.negotiation import Form, form_of, indents
from kubesim.clock import Clock
from kubesim.etcd.backends import UnavailableError
from kubesim.etcd.store import Etcd

log = logging.getLogger(__name__)
APISERVER = UserInfo("system:apiserver", groups=("system:masters",))
SYSTEM_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")


class Audit(Protocol):
    """Keeps record of who did what."""

    def record(self, request: Request, user: UserInfo, info: RequestInfo, code: int) -> None:
        """Take note of an answered request; of a stream when it starts."""


READS = ("get", "list", "watch")
Endpoint = Callable[[Request, UserInfo], Awaitable[Response | None]]
VirtualHandler = Callable[[RequestInfo, UserInfo, Object], Awaitable[Object]]
Connect = Callable[[RequestInfo, Request, Object], Awaitable[Response]]


class APIServer:
    """A Kubernetes API server without a transport.

    `endpoints` answer the paths that are no resources and not discovery's. `virtual`
    answers creations of what is not stored, by "plural[.group]" or "plural/subresource", and
    `computed` makes the objects of what is read and not stored.
    `validators` are asked before every write and refuse it by raising.
    `aggregated` answers for groups that another server behind this one serves.
    `connect` answers a Pod's log, exec and attach, and what is proxied. `disable_admission` names
    plugins to leave out, as --disable-admission-plugins does. A part that is not given lets
    everything pass.
    """

    def __init__(  # noqa: PLR0913 - the one place where all parts meet
        self,
        store: Etcd,
        clock: Clock,
        *,
        authenticator: Authenticator | None = None,
        authorizer: Authorizer | None = None,
        audit: Audit | None = None,
        endpoints: Sequence[Endpoint] = (),
        virtual: Mapping[str, VirtualHandler] | None = None,
        connect: Connect | None = None,
        disable_admission: Sequence[str] = (),
    ) -> None:
        self.clock = clock
        self.address = "127.0.0.1:6443"  # as discovery tells it to clients
        self.resources = Resources()
        self.storage = Storage(store, clock.random)
        admission = Admission(self.storage, frozenset(disable_admission))
        self.registry = Registry(self.storage, clock, admission)
        self.validators = self.registry.validators
        self.validators.append(ValidatingAdmissionPolicies(self.storage, self.resources))
        self.authenticator = authenticator
        self.authorizer = authorizer
        self.audit = audit
        self.version = DEFAULT_VERSION
        discovery = Discovery(self.resources, lambda: self.address, lambda: self.version)
        self.endpoints: list[Endpoint] = [discovery, OpenAPI(self.resources), *endpoints]
        self.virtual = dict(virtual or {})
        self.computed: dict[str, Callable[[], Sequence[Object]]] = {}
        self.connect = connect
        self.aggregated: dict[str, Callable[[Call], Awaitable[Response]]] = {}
        reads = Reads(self.registry)
        writes = Writes(self.registry, reads)
        self._verbs: dict[str, Callable[[Call], Response]] = {
            "get": reads.get,
            "list": reads.list_objects,
            "watch": reads.watch,
            "create": writes.create,
            "update": writes.update,
            "patch": writes.patch,
            "delete": writes.delete,
            "deletecollection": writes.delete_collection,
        }
        self._create_system_namespaces()

    def _create_system_namespaces(self) -> None:
        """Make sure that the namespaces exist which the cluster itself lives in."""
        resource = resources.named("namespaces")
        for name in SYSTEM_NAMESPACES:
            if not self.storage.get(resource, "", name):
                obj: Object = {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name}}
                apply_defaults(resource, obj)
                self.registry.create(Context(resource, APISERVER, manager="kubesim"), obj)

    async def handle(self, request: Request) -> Response:
        """Answer a request; an error becomes its Status, nothing is ever raised."""
        user = request.user or ANONYMOUS
        info = RequestInfo(request.method.lower(), request.path)
        try:
            info = parse(request)
            user = await self._authenticate(request)
            await self._authorize(user, info)
            response = await self._answer(request, user, info)
        except errors.StatusError as error:
            response = status_response(error, request)
        except UnavailableError as error:
            failure = errors.StatusError(500, str(error), reason="")
            response = status_response(failure, request)
        except Exception as error:  # a defect here must not end the server
            log.exception("%s %s", request.method, request.path)
            response = status_response(errors.internal(f"{type(error).__name__}: {error}"), request)
        if self.audit:
            self.audit.record(request, user, info, response.status)
        return response

    async def _authenticate(self, request: Request) -> UserInfo:
        if request.user:
            return request.user
        return await self.authenticator.authenticate(request) if self.authenticator else ANONYMOUS

    async def _authorize(self, user: UserInfo, info: RequestInfo) -> None:
        if not self.authorizer:
            return
        allowed, reason = await self.authorizer.authorize(user, info)
        if not allowed:
            raise forbidden(user, info, reason)

    async def _answer(self, request: Request, user: UserInfo, info: RequestInfo) -> Response:
        if not info.is_resource or not knows_group(self.resources, info):
            return await self._answer_endpoint(request, user)
        resource = find(self.resources, info)
        call = Call(request, info, user, resource, self.clock)
        if resource.group in self.aggregated:
            return await self.aggregated[resource.group](call)
        special = (
            f"{resource.plural}/{info.subresource}" if info.subresource else info.full_resource
        )
        if special in self.computed:
            return self._answer_computed(call, self.computed[special]())
        if special in self.virtual:
            return await self._answer_virtual(call, self.virtual[special])
        if info.subresource in CONNECTED:
            return await self._answer_connect(call)
        _ = call.form  # who accepts no answer changes nothing
        return await self._answer_verb(call)

    async def _answer_verb(self, call: Call) -> Response:
        """Let the verb's handler do its work on the store, in one piece.

        The store may do it again when another write came first: each time with a call of its own.
        """
        handler, store = self._verbs[call.info.verb], self.storage.store
        if call.info.verb in READS:
            return await store.read(lambda: handler(call), stale=_may_be_stale(call))
        return await store.write(lambda: handler(replace(call, warnings=[])))

    async def _answer_endpoint(self, request: Request, user: UserInfo) -> Response:
        for endpoint in self.endpoints:
            response = await endpoint(request, user)
            if response:
                return response
        return nowhere(self.resources, request)

    async def _answer_virtual(self, call: Call, handler: VirtualHandler) -> Response:
        answer = await handler(call.info, call.user, call.body_object())
        return call.answer_object(201, answer)

    def _answer_computed(self, call: Call, objects: Sequence[Object]) -> Response:
        if call.info.verb == "list":
            return call.answer_list([Stored(obj, 0, call.resource) for obj in objects], {})
        for obj in objects:
            if obj["metadata"]["name"] == call.info.name:
                return call.answer_object(200, obj)
        raise errors.StatusError(500, f"Component not found: {call.info.name}", reason="")

    async def _answer_connect(self, call: Call) -> Response:
        info = call.info
        name = target_of(info).name if info.subresource == "proxy" else info.name
        found = self.registry.get(call.resource, info.namespace, name)
        if not self.connect:
            what = f"{info.full_resource}/{info.subresource}"
            raise errors.no_such_resource(f"{what}: {UNSIMULATED}")
        return await self.connect(info, call.request, found.object)


CONNECTED = ("log", "exec", "attach", "portforward", "proxy")


def _may_be_stale(call: Call) -> bool:
    """Whether what the API server remembers is enough, as the real one's watch cache is."""
    version = call.parameter("resourceVersion")
    return version == "0" or (bool(version) and call.info.verb == "watch")


def status_response(error: errors.StatusError, request: Request) -> Response:
    """Return an error's Status as an answer, in JSON unless the client asked for YAML."""
    try:
        form = form_of(request)
    except errors.StatusError:
        form = Form(indented=indents(request))
    return Response(
        error.code, {"content-type": form.content_type}, forms.encode(error.status, form)
    )
