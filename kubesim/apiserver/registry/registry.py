"""What the API server does with objects: create, update and delete, each as one transaction.

The order of things in a write is that of k8s.io/apiserver/pkg/registry/generic/registry/store.go:
prepare, admit, validate, then store; an update starts again when somebody else was faster.
"""

from collections.abc import Callable
from dataclasses import replace

from kubesim.api.resources import Resource
from kubesim.apimachinery import rand
from kubesim.apimachinery.objects import timestamp
from kubesim.apiserver import errors
from kubesim.apiserver.admission.storage import VolumeAdmission
from kubesim.apiserver.patch import fields, managedfields
from kubesim.apiserver.patch.managedfields import UPDATE, Manager
from kubesim.apiserver.registry import warnings
from kubesim.apiserver.registry.admission import Admission
from kubesim.apiserver.registry.context import Context, Validator
from kubesim.apiserver.registry.deletion import DeleteOptions, check_preconditions, deleting
from kubesim.apiserver.registry.ephemeralcontainers import with_ephemeral_containers
from kubesim.apiserver.registry.networking import check_class
from kubesim.apiserver.registry.storage import Object, Storage, Stored
from kubesim.apiserver.registry.strategies import strategy_for
from kubesim.apiserver.registry.strategy import Strategy, begin_deletion, keep
from kubesim.clock import Clock

SUFFIX_LENGTH = 5
GENERATED_LENGTH = 63 - SUFFIX_LENGTH
EVENT_SECONDS = 3600.0
LEASE_REUSE_SECONDS = 60.0
SERVER_OWNED = (
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)
SET_ON_CREATE = "resourceVersion should not be set on objects to be created"
Transform = Callable[[Object], Object]


class Registry:
    """Reads and writes of every resource."""

    def __init__(self, storage: Storage, clock: Clock, admission: Admission) -> None:
        self.storage = storage
        self.clock = clock
        self.admission = admission
        self.validators: list[Validator] = [VolumeAdmission(storage).check_resize, check_class]
        self._strategies: dict[str, Strategy] = {}
        self._event_lease = 0
        self._event_lease_until = 0.0

    def strategy(self, resource: Resource) -> Strategy:
        """Return a resource's strategy."""
        known = self._strategies.get(resource.full_name)
        if not known or known.resource is not resource:
            known = self._strategies[resource.full_name] = strategy_for(resource)
        return known

    def get(self, resource: Resource, namespace: str, name: str) -> Stored:
        """Return an object. Raises 404."""
        stored = self.storage.get(resource, namespace, name)
        if not stored:
            raise errors.not_found(resource.full_name, name)
        return stored

    def create(self, context: Context, obj: Object) -> Stored:
        """Store a new object. Raises 409 when the name is taken, 422 when it is invalid."""
        resource = context.resource
        metadata = obj["metadata"]
        if metadata.get("resourceVersion", "0") != "0":
            raise errors.StatusError(500, SET_ON_CREATE, reason="")
        self._record(context, obj, {"metadata": {}})
        self._fill_metadata(metadata)
        self.admission.create(context, obj)
        strategy = self.strategy(resource)
        strategy.prepare_create(obj)
        strategy.validate(obj)
        self._ask_validators(context, obj, None)
        there = self.storage.get(resource, context.namespace, metadata["name"])
        if there:
            deleting = "deletionTimestamp" in there.object["metadata"]
            raise errors.already_exists(
                resource.full_name, metadata["name"], being_deleted=deleting
            )
        self._warn(context, obj, None)
        strategy.complete(self.storage, obj)
        if context.dry_run:
            return self._unstored(resource, obj)
        stored = self.storage.create(resource, obj, self._lease(resource))
        assert stored, "nothing else ran since the name was found free"
        return stored

    def update(
        self, context: Context, name: str, transform: Transform, *, create: bool = False
    ) -> Stored:
        """Replace an object by what `transform` makes of the current one.

        With `create`, a missing object is made from nothing. Raises 404, 409 and 422.
        """
        resource = context.resource
        current = self.storage.get(resource, context.namespace, name)
        if not current:
            if not create:
                raise errors.not_found(resource.full_name, name)
            return self.create(context, transform({}))
        new = transform(current.object)
        self._check_version(context, current, new)
        for owned in SERVER_OWNED:
            keep(new["metadata"], current.object["metadata"], owned)
        new["metadata"].setdefault("uid", current.object["metadata"]["uid"])
        self._record(context, new, current.object)
        new = self._prepare_update(context, new, current.object)
        self._ask_validators(context, new, current.object)
        if not context.subresource:
            self._warn(context, new, current.object)
        return self._store_update(context, current, new)

    def delete(self, context: Context, name: str, options: DeleteOptions) -> tuple[Stored, bool]:
        """Delete an object, or begin to; return it and whether it is gone."""
        resource = context.resource
        self.admission.delete(context, name)
        current = self.get(resource, context.namespace, name)
        check_preconditions(resource, current.object, options)
        self._ask_validators(context, None, current.object)
        if resource.plural == "namespaces" and current.object["spec"].get("finalizers"):
            return self._terminate(context, current), False
        strategy = self.strategy(resource)
        warning = strategy.orphaning_warning
        if warning and not options.propagation and warning not in context.warnings:
            context.warnings.append(warning)
        waiting = deleting(strategy, current.object, options, self.clock.now())
        if waiting is current.object:
            return current, False
        if waiting:
            return self._replace(context, current, waiting), False
        return self._remove(context, current), True

    def _warn(self, context: Context, new: Object, old: Object | None) -> None:
        told = warnings.of(context.resource, new, old)
        context.warnings += [each for each in told if each not in context.warnings]

    def _ask_validators(self, context: Context, new: Object | None, old: Object | None) -> None:
        for validator in (*self.validators, *self.admission.validators):
            validator(context, new, old)

    def _record(self, context: Context, new: Object, old: Object) -> None:
        """Note in managedFields which fields this write's manager has changed."""
        if not context.manager:
            return
        resource = context.resource
        managedfields.record_update(
            new,
            old,
            resource.type,
            Manager(context.manager, UPDATE, resource.api_version, context.subresource),
            timestamp(self.clock.now()),
            self.strategy(resource).reset_fields(context.subresource),
        )

    def _fill_metadata(self, metadata: Object) -> None:
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = self._generate_name(metadata["generateName"])
        for absent in ("resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds"):
            metadata.pop(absent, None)
        metadata["uid"] = rand.uid(self.storage.random)
        metadata["creationTimestamp"] = timestamp(self.clock.now())

    def _generate_name(self, base: str) -> str:
        return base[:GENERATED_LENGTH] + rand.string(self.storage.random, SUFFIX_LENGTH)

    def _check_version(self, context: Context, current: Stored, new: Object) -> None:
        resource, metadata = context.resource, new["metadata"]
        version = metadata.get("resourceVersion")
        name = current.object["metadata"]["name"]
        if not version and not self.strategy(resource).unconditional_update:
            why = "must be specified for an update"
            cause = fields.invalid("metadata.resourceVersion", 0, why)
            raise errors.invalid(resource.full_name, name, [cause])
        if version and version != "0" and version != str(current.revision):
            raise errors.conflict(resource.full_name, name, errors.MODIFIED)

    def _prepare_update(self, context: Context, new: Object, old: Object) -> Object:
        strategy = self.strategy(context.resource)
        if context.subresource == "status":
            return strategy.prepare_status_update(new, old)
        if context.subresource == "approval":
            return strategy.prepare_approval(new, old, self.clock.now())
        if context.subresource in ("", "scale"):
            strategy.prepare_update(new, old)
            strategy.validate_update(new, old)
            strategy.complete(self.storage, new)
        elif context.subresource == "ephemeralcontainers":
            return with_ephemeral_containers(new, old)
        elif context.subresource == "finalize":
            keep(new, old, "status")
        return new

    def _store_update(self, context: Context, current: Stored, new: Object) -> Stored:
        strategy = self.strategy(context.resource)
        if new["metadata"].get("deletionTimestamp") and strategy.may_go(new):
            return self._remove(context, replace(current, object=new))
        if _same(new, current.object):
            return current
        return self._replace(context, current, new)

    def _terminate(self, context: Context, current: Stored) -> Stored:
        """Begin the deletion of a namespace; its controller does the rest."""
        if current.object["metadata"].get("deletionTimestamp"):
            return current
        metadata = dict(current.object["metadata"])
        begin_deletion(metadata, self.clock.now(), 0)
        del metadata["deletionGracePeriodSeconds"]
        status = current.object["status"] | {"phase": "Terminating"}
        changed = current.object | {"metadata": metadata, "status": status}
        return self._replace(context, current, changed)

    def _replace(self, context: Context, current: Stored, new: Object) -> Stored:
        if context.dry_run:
            return self._unstored(context.resource, new)
        stored = self.storage.update(current, new)
        assert stored, "nothing else ran since the current object was read"
        return stored

    def _remove(self, context: Context, current: Stored) -> Stored:
        if context.dry_run:
            return current
        deleted = self.storage.delete(current)
        assert deleted, "nothing else ran since the current object was read"
        return deleted

    def _unstored(self, resource: Resource, obj: Object) -> Stored:
        """Return what a dry run would have stored."""
        return Stored(obj, 0, resource)

    def _lease(self, resource: Resource) -> int:
        """Return the lease of a new object: Events are forgotten after an hour.

        Events of the same minute share one, as in k8s.io/apiserver's etcd3 lease manager.
        """
        if resource.plural != "events":
            return 0
        now = self.clock.monotonic()
        if not self._event_lease or now > self._event_lease_until:
            self._event_lease = self.storage.store.grant(EVENT_SECONDS + LEASE_REUSE_SECONDS)
            self._event_lease_until = now + LEASE_REUSE_SECONDS
        return self._event_lease


def _same(new: Object, old: Object) -> bool:
    """Whether an update changes nothing; then nothing is written and no revision passes."""
    metadata = new["metadata"] | {"resourceVersion": old["metadata"]["resourceVersion"]}
    return new | {"metadata": metadata} == old
