"""VolumeBinding: a Pod goes where its volumes are, or can be made.

`pkg/scheduler/framework/plugins/volumebinding`. A claim that is bound says by its volume's node
affinity where the Pod can go. One whose class waits for the first consumer is bound here: to a
volume that is there, or by naming the chosen node to the class's provisioner. Then the Pod waits
until its claims are bound; the next Pod does not.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import NoReturn

from kubesim.apimachinery.objects import (
    Object,
    annotations_of,
    is_being_deleted,
    key,
    object_reference,
)
from kubesim.apimachinery.volumes import (
    BOUND_BY_CONTROLLER,
    CLAIMS,
    CLASSES,
    SELECTED_NODE,
    VOLUMES,
    annotate,
    claim_keys,
    claim_names,
    class_of,
    find_match,
    is_bound_completely,
    usable_on,
)
from kubesim.clientgo.client import Client
from kubesim.clientgo.informer import Change, InformerFactory
from kubesim.clock import Clock
from kubesim.scheduler.framework import NodeTest, PreFilterRejectedError, Rejection
from kubesim.scheduler.nodeinfo import NodeInfo
from kubesim.scheduler.snapshot import Snapshot, Storage

BIND_TIMEOUT = 600.0
NO_PROVISIONER = "kubernetes.io/no-provisioner"
UNBOUND = "pod has unbound immediate PersistentVolumeClaims"
CONFLICT = "node(s) didn't match PersistentVolume's node affinity"  # 1.20: had volume node …
NOTHING_TO_BIND = "node(s) didn't find available persistent volumes to bind"
NO_VOLUME = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
IN_USE = Rejection(
    (
        "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod "
        "access mode",
    )
)

Promised = list[tuple[Object, Object | None]]  # claims, and the volume each is to have


class VolumeBindingError(Exception):
    """A Pod's claims were not bound; the message is the scheduler's."""


def restrictions(pod: Object, snapshot: Snapshot) -> NodeTest | None:
    """VolumeRestrictions: what ReadWriteOncePod says of a claim, only one Pod may use."""
    namespace = pod["metadata"]["namespace"]
    exclusive = set()
    for name, _ in claim_names(pod):
        claim = snapshot.storage.claims.get(name, namespace)
        if claim is not None and "ReadWriteOncePod" in claim["spec"].get("accessModes", ()):
            exclusive.add(key(claim))
    taken = bool(exclusive) and any(
        exclusive.intersection(claim_keys(other)) for _, other in snapshot.pods()
    )
    return (lambda _: IN_USE) if taken else None


def prepare(pod: Object, snapshot: Snapshot) -> NodeTest | None:
    """Filter: bound volumes must be usable on the node, the others must be found or made there.

    Raises PreFilterRejectedError when no node could do.
    """
    storage = snapshot.storage
    bound, delayed = _claims(pod, storage)
    if not bound and not delayed:
        return None

    def test(info: NodeInfo) -> Rejection | None:
        reasons = {_why_not(claim, info, storage) for claim in bound} - {""}
        if _choose(delayed, info.node, storage) is None:
            reasons.add(NOTHING_TO_BIND)
        return Rejection(tuple(sorted(reasons)), final=True) if reasons else None

    return test


def _claims(pod: Object, storage: Storage) -> tuple[list[Object], list[Object]]:
    """A Pod's claims: those that are bound, and those that wait for it."""
    bound, delayed = [], []
    for name, owner in claim_names(pod):
        claim = storage.claims.get(name, pod["metadata"]["namespace"])
        if claim is None:
            if owner:
                _reject(
                    "waiting for ephemeral volume controller to create the "
                    f'persistentvolumeclaim "{name}"'
                )
            _reject(f'persistentvolumeclaim "{name}" not found')
        volume = claim["spec"].get("volumeName")
        if claim["status"].get("phase") == "Lost":
            _reject(
                f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{volume}"'
            )
        if is_being_deleted(claim):
            _reject(f'persistentvolumeclaim "{name}" is being deleted')
        if is_bound_completely(claim):
            bound.append(claim)
        elif not volume and _waits(claim, storage):
            delayed.append(claim)
        else:
            _reject(UNBOUND)
    return bound, delayed


def _reject(reason: str) -> NoReturn:
    raise PreFilterRejectedError("VolumeBinding", reason)


def _waits(claim: Object, storage: Storage) -> bool:
    mode = (storage.classes.get(class_of(claim)) or {}).get("volumeBindingMode")
    return bool(mode == "WaitForFirstConsumer")


def _why_not(claim: Object, info: NodeInfo, storage: Storage) -> str:
    volume = storage.volumes.get(claim["spec"]["volumeName"])
    if volume is None:
        return NO_VOLUME
    return "" if usable_on(volume, info.node) else CONFLICT


def _choose(claims: Collection[Object], node: Object, storage: Storage) -> Promised | None:
    """What each claim would get on a node: a volume, or None to have one made; None if neither."""
    promised: Promised = []
    for claim in sorted(claims, key=key):
        selected = annotations_of(claim).get(SELECTED_NODE)
        if selected and selected != node["metadata"]["name"]:
            return None
        given = {volume["metadata"]["name"] for _, volume in promised if volume}
        excluded = storage.assumed | given
        match = find_match(storage.volumes.list(), claim, node=node, excluded=excluded)
        storage_class = storage.classes.get(class_of(claim)) or {}
        if match is None and storage_class.get("provisioner") in (None, NO_PROVISIONER):
            return None
        promised.append((claim, match))
    return promised


class VolumeBinder:
    """Binds the claims of Pods that have got a node."""

    def __init__(
        self,
        client: Client,
        informers: InformerFactory,
        clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        self._client = client
        self._clock = clock
        self._changed = changed
        self._waiting: set[asyncio.Event] = set()
        self._assumed: set[str] = set()
        found = [informers.informer(name) for name in (CLAIMS, VOLUMES, CLASSES)]
        self._claims, self._volumes, self._classes = (each.cache for each in found)
        for each in found:
            each.add_handler(self._happened)

    def storage(self) -> Storage:
        """Claims and volumes as they are now."""
        assumed = frozenset(self._assumed)
        return Storage(self._claims, self._volumes, self._classes, assumed)

    def promise(self, pod: Object, name: str, snapshot: Snapshot) -> Promised:
        """What is to be bound before a Pod can be bound to a node; nobody else gets it."""
        if not any(claim_names(pod)):
            return []
        node = next(info.node for info in snapshot.nodes if info.name == name)
        _, delayed = _claims(pod, snapshot.storage)
        promised = _choose(delayed, node, snapshot.storage) or []
        self._assumed.update(volume["metadata"]["name"] for _, volume in promised if volume)
        return promised

    async def bind(self, promised: Promised, node: str) -> None:
        """Ask for the bindings and wait for them. Raises StatusError and VolumeBindingError."""
        woken = asyncio.Event()
        self._waiting.add(woken)
        try:
            for claim, volume in promised:
                await self._ask(claim, volume, node)
            async with self._clock.timeout(BIND_TIMEOUT):
                while not all(self._is_bound(claim) for claim, _ in promised):
                    await woken.wait()
                    woken.clear()
        except TimeoutError:
            raise VolumeBindingError("binding volumes: context deadline exceeded") from None
        finally:
            self._waiting.discard(woken)
            self._assumed -= {volume["metadata"]["name"] for _, volume in promised if volume}

    async def _ask(self, claim: Object, volume: Object | None, node: str) -> None:
        """Write a binding's first step; the volume controller does the rest."""
        if volume is None:
            await self._client.update(CLAIMS, annotate(claim, {SELECTED_NODE: node}))
        elif (volume["spec"].get("claimRef") or {}).get("uid") is None:
            spec = volume["spec"] | {"claimRef": object_reference(claim)}
            if "claimRef" not in volume["spec"]:
                volume = annotate(volume, {BOUND_BY_CONTROLLER: "yes"})
            await self._client.update(VOLUMES, volume | {"spec": spec})

    def _is_bound(self, claim: Object) -> bool:
        """Whether a claim is bound by now. Raises VolumeBindingError if that is hopeless."""
        meta = claim["metadata"]
        present = self._claims.get(meta["name"], meta["namespace"])
        if present is None or present["metadata"]["uid"] != meta["uid"]:
            raise VolumeBindingError(
                f'binding volumes: error getting PVC "{key(claim)}": could not find '
                f'v1.PersistentVolumeClaim "{key(claim)}"'
            )
        return is_bound_completely(present)

    def _happened(self, _: Change) -> None:
        self._changed()
        for woken in self._waiting:
            woken.set()
