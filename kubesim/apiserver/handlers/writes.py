"""The handlers of create, update, patch and delete, on objects and their subresources."""

from dataclasses import replace

from kubesim.api import resources, schema
from kubesim.apimachinery.objects import timestamp
from kubesim.apiserver import errors
from kubesim.apiserver.call import Call
from kubesim.apiserver.handlers.reads import Reads
from kubesim.apiserver.patch.patch import APPLY_PATCH, Change, media_type, parse_patch
from kubesim.apiserver.registry import subresources
from kubesim.apiserver.registry.context import Context
from kubesim.apiserver.registry.defaults import apply_defaults
from kubesim.apiserver.registry.deletion import DeleteOptions
from kubesim.apiserver.registry.eviction import allow, marked
from kubesim.apiserver.registry.registry import Registry
from kubesim.apiserver.registry.storage import Object, storage_key
from kubesim.apiserver.request import Response
from kubesim.apiserver.serialization.decoding import DecodeError, Decoder

PODS = resources.named("pods")


class Writes:
    """Answers what changes something."""

    def __init__(self, registry: Registry, reads: Reads) -> None:
        self._registry = registry
        self._reads = reads

    def create(self, call: Call) -> Response:
        """Create an object, bind or evict a Pod."""
        obj = call.body_object()
        if call.info.subresource == "binding":
            _check_subject(call, obj, "Binding")
            return self._bind(call, call.info.name, obj)
        if call.resource.plural == "bindings":
            if not obj["metadata"].get("name"):
                raise errors.bad_request("Name parameter required.")
            return self._bind(call, obj["metadata"]["name"], obj)
        if call.info.subresource == "eviction":
            return self._evict(call, obj)
        self._place(call, obj)
        apply_defaults(call.resource, obj)
        return call.answer(201, self._registry.create(call.context(), obj))

    def _bind(self, call: Call, name: str, binding: Object) -> Response:
        now = self._registry.clock.now()
        context = call.context()
        context.resource, context.subresource = PODS, "binding"
        context.manager = ""  # nobody owns a Pod's node
        subresources.check_binding(binding)
        self._registry.update(context, name, lambda pod: subresources.bind(pod, binding, now))
        return call.answer_object(201, subresources.succeeded(201))

    def _evict(self, call: Call, eviction: Object) -> Response:
        _check_subject(call, eviction, "Eviction")
        options = DeleteOptions.read(eviction.get("deleteOptions", {}))
        context, now, name = call.context(), self._registry.clock.now(), call.info.name
        context.dry_run = context.dry_run or options.dry_run
        pod = self._registry.get(call.resource, context.namespace, name).object
        allow(self._registry.storage, pod, now, context.dry_run)
        marking = replace(context, subresource="status", manager="")
        self._registry.update(marking, name, lambda current: marked(current, now))
        self._registry.delete(context, name, options)
        return call.answer_object(201, subresources.succeeded(201))

    def update(self, call: Call) -> Response:
        """Replace an object, its status, its scale or a namespace's finalizers."""
        obj = call.body_object()
        if call.info.subresource == "scale":
            return self._rescale(call, lambda _: obj)
        self._check_name(call, obj)
        self._place(call, obj)
        apply_defaults(call.resource, obj)
        may_create = self._registry.strategy(call.resource).create_on_update

        def transform(current: Object) -> Object:
            if current:
                self._check_uid(call, obj, current)
            return obj

        exists = self._registry.storage.get(call.resource, call.info.namespace, call.info.name)
        name = call.info.name
        stored = self._registry.update(call.context(), name, transform, create=may_create)
        return call.answer(200 if exists else 201, stored)

    def patch(self, call: Call) -> Response:
        """Change an object by one of the four kinds of patch; an apply may create it."""
        context, applies = call.context(), media_type(call) == APPLY_PATCH
        if applies:
            context.manager = ""  # an apply says itself who owns what
        reset = self._registry.strategy(call.resource).reset_fields(call.info.subresource)
        patch = parse_patch(call, reset, timestamp(self._registry.clock.now()))
        if call.info.subresource == "scale":
            return self._rescale(call, patch.change)

        def transform(current: Object) -> Object:
            changed = patch.change(current)
            obj = call.read(changed, current, patch.refuse(changed))
            self._check_name(call, obj)
            self._place(call, obj)
            apply_defaults(call.resource, obj)
            return obj

        exists = self._registry.storage.get(call.resource, call.info.namespace, call.info.name)
        stored = self._registry.update(context, call.info.name, transform, create=applies)
        return call.answer(200 if exists else 201, stored)

    def _rescale(self, call: Call, change: Change) -> Response:
        strategy = self._registry.strategy(call.resource)

        def transform(current: Object) -> Object:
            scale = call.read(change(strategy.scale_of(current)))
            return strategy.rescale(current, scale)

        stored = self._registry.update(call.context(), call.info.name, transform)
        return call.answer_object(200, strategy.scale_of(stored.object))

    def delete(self, call: Call) -> Response:
        """Delete an object, or begin to."""
        strategy = self._registry.strategy(call.resource)
        context, options = self._deletion(call)
        name = call.info.name
        stored, gone = self._registry.delete(context, name, options)
        if not gone or strategy.returns_deleted:
            return call.answer(200, stored)
        uid = stored.object["metadata"]["uid"]
        status = errors.success(call.resource.plural, call.resource.group, name, uid)
        return call.answer_object(200, status)

    def delete_collection(self, call: Call) -> Response:
        """Delete everything that a list selects; answer with that list."""
        context, options = self._deletion(call)
        items, metadata = self._reads.find(call)
        for item in items:
            context.namespace = item.object["metadata"].get("namespace", "")
            self._registry.delete(context, item.object["metadata"]["name"], options)
        return call.answer_list(items, metadata)

    def _deletion(self, call: Call) -> tuple[Context, DeleteOptions]:
        """Read the options of a deletion, which may be in the body or in the query."""
        body: Object = {}
        if call.request.native or call.request.body.strip():
            try:
                body = Decoder().decode(call.data(), schema.type_of("", "v1", "DeleteOptions"))
            except DecodeError as error:
                raise errors.bad_request(str(error)) from None
        if call.parameter("gracePeriodSeconds"):
            body["gracePeriodSeconds"] = call.number("gracePeriodSeconds")
        if call.parameter("propagationPolicy"):
            body["propagationPolicy"] = call.parameter("propagationPolicy")
        if call.parameter("orphanDependents"):
            body["orphanDependents"] = call.request.flag("orphanDependents")
        context, options = call.context(), DeleteOptions.read(body)
        context.dry_run = context.dry_run or options.dry_run
        return context, options

    @staticmethod
    def _check_name(call: Call, obj: Object) -> None:
        given = obj["metadata"].get("name")
        if not given:
            raise errors.bad_request(
                f"the name of the object ({call.info.name} based on URL) was undeterminable: "
                "name must be provided"
            )
        if given != call.info.name:
            raise errors.bad_request(
                f"the name of the object ({given}) does not match "
                f"the name on the URL ({call.info.name})"
            )

    @staticmethod
    def _check_uid(call: Call, obj: Object, current: Object) -> None:
        """Refuse to replace an object by a namesake's. Raises 409."""
        meant, uid = obj["metadata"].get("uid"), current["metadata"]["uid"]
        if meant and meant != uid:
            raise errors.conflict(
                call.resource.full_name,
                call.info.name,
                "StorageError: invalid object, Code: 4, "
                f"Key: {storage_key(call.resource, call.info.namespace, call.info.name)}, "
                "ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: "
                f"UID in precondition: {meant}, UID in object meta: {uid}",
            )

    @staticmethod
    def _place(call: Call, obj: Object) -> None:
        """Put a namespaced object into the namespace of the path. Raises 400."""
        if not call.resource.namespaced:
            obj["metadata"].pop("namespace", None)
            return
        given = obj["metadata"].setdefault("namespace", call.info.namespace)
        if given != call.info.namespace:
            raise errors.bad_request(
                "the namespace of the provided object does not match "
                "the namespace sent on the request"
            )


def _check_subject(call: Call, obj: Object, kind: str) -> None:
    """Refuse to bind or evict another Pod than the path's. Raises 400."""
    if obj["metadata"].get("name") != call.info.name:
        raise errors.bad_request(f"name in URL does not match name in {kind} object")
