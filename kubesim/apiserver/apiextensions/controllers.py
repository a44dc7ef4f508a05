"""What the API server does about CustomResourceDefinitions: accept names, serve, clean up.

Three small loops, as in apiextensions-apiserver's pkg/controller/status, establish and finalizer.
They belong to the API server and work through its own front door.
"""

import asyncio
from collections.abc import Iterable

from kubesim.api.served import Resources
from kubesim.apimachinery.objects import Object, is_being_deleted
from kubesim.apiserver.apiextensions.conditions import condition, with_condition
from kubesim.apiserver.apiextensions.definitions import CLEANUP
from kubesim.apiserver.apiextensions.resource import is_true, served_versions
from kubesim.clientgo.absence import NOT_FOUND, tolerating
from kubesim.clientgo.client import Client
from kubesim.clientgo.informer import Change, InformerFactory
from kubesim.clock import Clock
from kubesim.controllers.controller import Controller

DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
LOOK_AGAIN_SECONDS = 5.0
INSTALLED = "the initial names have been accepted"
SINGLE_NAMES = (
    ("plural", "PluralConflict"),
    ("singular", "SingularConflict"),
    ("kind", "KindConflict"),
    ("listKind", "ListKindConflict"),
)
KINDS = ("kind", "listKind")


async def run(client: Client, resources: Resources, clock: Clock) -> None:
    """Look after the definitions until cancelled."""
    informers = InformerFactory(client, clock)
    loops = (
        NamingController(client, informers, clock),
        EstablishingController(client, informers, clock),
        FinalizerController(client, informers, clock),
    )
    server = Serving(resources)
    informers.informer(DEFINITIONS).add_handler(server.changed)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(informers.run())
        for loop in loops:
            tasks.create_task(loop.run(), name=loop.name)


class Serving:
    """Keeps what the server serves in step with the definitions."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def changed(self, change: Change) -> None:
        """Serve what a definition defines from when it is established until it is gone."""
        definition = change.new
        if definition is not None and is_true(definition, "Established"):
            name = definition["metadata"]["name"]
            self._resources.define(name, list(served_versions(definition)))
        elif definition is None:
            self._resources.withdraw(change.object["metadata"]["name"])


class _DefinitionController(Controller):
    """A loop over the definitions."""

    def watch(self, informers: InformerFactory) -> None:
        """Definitions fill the queue."""
        definitions = informers.informer(DEFINITIONS)
        self.definitions = definitions.cache
        definitions.add_handler(self._changed)

    def _changed(self, change: Change) -> None:
        self.enqueue(change)

    async def _write_status(self, definition: Object, status: Object) -> None:
        if status != definition["status"]:
            changed = definition | {"status": status}
            with tolerating(NOT_FOUND):
                await self.client.update(DEFINITIONS, changed, subresource="status")


class NamingController(_DefinitionController):
    """Accepts the names that no other definition of the group has."""

    name = "crd-naming-condition-controller"

    def _changed(self, change: Change) -> None:
        """A definition that goes, or changes, may free names that others of its group want."""
        group = change.object["spec"]["group"]
        for definition in self.definitions.list():
            if definition["spec"]["group"] == group:
                self.queue.add(definition["metadata"]["name"])

    async def sync(self, key: str) -> None:
        """Say which names are accepted, and whether all are."""
        definition = self.definitions.get(key)
        if definition is None:
            return
        names, conflict = self._accept(definition)
        now = self.clock.now()
        accepted = condition("NamesAccepted", "True", "NoConflicts", "no conflicts found")
        if conflict:
            accepted = condition("NamesAccepted", "False", *conflict)
        status = with_condition(definition["status"] | {"acceptedNames": names}, accepted, now)
        if not is_true(definition, "Established"):
            waiting = condition("Established", "False", "Installing", INSTALLED)
            if conflict:
                told = "not all names are accepted"
                waiting = condition("Established", "False", "NotAccepted", told)
            status = with_condition(status, waiting, now)
        await self._write_status(definition, status)

    def _accept(self, definition: Object) -> tuple[Object, tuple[str, str] | None]:
        """The names that a definition gets, and the last conflict: its reason and message."""
        wanted, held = definition["spec"]["names"], definition["status"]["acceptedNames"]
        others = [
            other["status"]["acceptedNames"]
            for other in self.definitions.list()
            if other["spec"]["group"] == definition["spec"]["group"]
            and other["metadata"]["name"] != definition["metadata"]["name"]
        ]
        kinds = {other.get(field) for other in others for field in KINDS}
        taken = {other.get(field) for other in others for field in ("plural", "singular")}
        taken |= {short for other in others for short in other.get("shortNames") or ()}
        accepted, conflict = dict(held), None
        for field, reason in SINGLE_NAMES:
            name = wanted[field]
            if name in (kinds if field in KINDS else taken) and name != held.get(field):
                conflict = (reason, f'"{name}" is already in use')
            else:
                accepted[field] = name
        short = wanted.get("shortNames") or []
        refused = [name for name in short if name in taken]
        if refused:
            told = [f'"{name}" is already in use' for name in refused]
            conflict = ("ShortNamesConflict", _joined(told))
        elif short:
            accepted["shortNames"] = short
        else:
            accepted.pop("shortNames", None)
        if wanted.get("categories"):
            accepted["categories"] = wanted["categories"]
        return accepted, conflict


def _joined(errors: list[str]) -> str:
    return errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]"


class EstablishingController(_DefinitionController):
    """Establishes a definition whose names are accepted; from then on it is served."""

    name = "crd-establishing-controller"

    async def sync(self, key: str) -> None:
        """Set the condition Established."""
        definition = self.definitions.get(key)
        if definition is None or is_true(definition, "Established"):
            return
        if is_true(definition, "NamesAccepted"):
            established = condition("Established", "True", "InitialNamesAccepted", INSTALLED)
            status = with_condition(definition["status"], established, self.clock.now())
            await self._write_status(definition, status)


class FinalizerController(_DefinitionController):
    """Deletes the objects of a definition that is being deleted, then lets it go."""

    name = "crd-finalizer-controller"

    async def sync(self, key: str) -> None:
        """Delete what is left of the objects; when nothing is, take the finalizer off."""
        definition = self.definitions.get(key)
        if definition is None or not is_being_deleted(definition):
            return
        if CLEANUP not in (definition["metadata"].get("finalizers") or ()):
            return
        if is_true(definition, "Established") and not await self._emptied(definition):
            told = "CustomResource deletion is in progress"
            going = condition("Terminating", "True", "InstanceDeletionInProgress", told)
            status = with_condition(definition["status"], going, self.clock.now())
            await self._write_status(definition, status)
            self.queue.add_after(key, LOOK_AGAIN_SECONDS)
            return
        told = "removed all instances"
        done = condition("Terminating", "False", "InstanceDeletionCompleted", told)
        status = with_condition(definition["status"], done, self.clock.now())
        await self._finish(definition | {"status": status})

    async def _emptied(self, definition: Object) -> bool:
        """Delete every object; return whether none waits for a finalizer."""
        resource = definition["metadata"]["name"]
        for obj in await self._objects(resource):
            metadata = obj["metadata"]
            with tolerating(NOT_FOUND):
                await self.client.delete(resource, metadata["name"], metadata.get("namespace"))
        return not await self._objects(resource)

    async def _objects(self, resource: str) -> Iterable[Object]:
        found: list[Object] = (await self.client.list(resource))["items"]
        return found

    async def _finish(self, definition: Object) -> None:
        with tolerating(NOT_FOUND):
            written = await self.client.update(DEFINITIONS, definition, subresource="status")
            metadata = dict(written["metadata"])
            metadata["finalizers"] = [name for name in metadata["finalizers"] if name != CLEANUP]
            await self.client.update(DEFINITIONS, written | {"metadata": metadata})
