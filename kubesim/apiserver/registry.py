"""What the API server does with objects: create, read, update, delete, each as one transaction.

The order of things in a write is that of k8s.io/apiserver/pkg/registry/generic/registry/store.go:
prepare, admit, validate, then store; an update starts again when somebody else was faster.
"""

import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from kubesim.api.resources import Resource
from kubesim.apiserver import errors
from kubesim.apiserver.request import UserInfo
from kubesim.apiserver.storage import Object, Storage, Stored
from kubesim.clock import Clock

NAME_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
GENERATED_LENGTH = 63 - 5


@dataclass
class Context:
    """One write: what it is about, who asks, and how."""

    resource: Resource
    user: UserInfo
    subresource: str = ""
    namespace: str = ""
    manager: str = ""
    dry_run: bool = False
    warnings: list[str] = field(default_factory=list)


@dataclass
class DeleteOptions:
    """The metav1.DeleteOptions of a request."""

    grace_period: int | None = None
    propagation: str = ""
    uid: str = ""
    resource_version: str = ""


def timestamp(moment: datetime) -> str:
    """Return a moment as metav1.Time spells it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class Registry:
    """Reads and writes of every resource."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self.storage = storage
        self.clock = clock

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
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = generate_name(metadata["generateName"])
        for fixed in ("resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds"):
            metadata.pop(fixed, None)
        metadata["uid"] = str(uuid.uuid4())
        metadata["creationTimestamp"] = timestamp(self.clock.now())
        stored = self.storage.create(resource, obj)
        if not stored:
            raise errors.already_exists(resource.full_name, metadata["name"])
        return stored

    def update(self, context: Context, name: str, transform: Callable[[Object], Object]) -> Stored:
        """Replace an object by what `transform` makes of it, again when another was faster."""
        resource = context.resource
        while True:
            current = self.get(resource, context.namespace, name)
            new = transform(current.object)
            version = new["metadata"].get("resourceVersion")
            if version and version != str(current.revision):
                raise errors.conflict(resource.full_name, name, errors.MODIFIED)
            for kept in ("uid", "creationTimestamp", "deletionTimestamp"):
                if kept in current.object["metadata"]:
                    new["metadata"][kept] = current.object["metadata"][kept]
            stored = self.storage.update(current, new)
            if stored:
                return stored

    def delete(self, context: Context, name: str, options: DeleteOptions) -> tuple[Stored, bool]:
        """Delete an object, or begin to; return it and whether it is gone."""
        while True:
            current = self.get(context.resource, context.namespace, name)
            deleted = self.storage.delete(current)
            if deleted:
                return deleted, True


def generate_name(base: str) -> str:
    """Return a name made from a generateName, as the server does: five random characters."""
    suffix = "".join(secrets.choice(NAME_ALPHABET) for _ in range(5))
    return base[:GENERATED_LENGTH] + suffix
