"""What can go wrong on command: faults, each with a name by which it is listed and undone.

A kind of fault says what it strikes and how; striking returns what makes it good again. Faults act
where the real ones would: on a node's power, on its connection, on a process, on the links between
etcd's members. Nobody is told of them; the cluster has to find out.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from kubesim.apimachinery.objects import timestamp
from kubesim.clock import Clock, NodeClock
from kubesim.etcd.group import Group
from kubesim.etcd.replicated import ReplicatedEtcd
from kubesim.etcd.store import Etcd
from kubesim.kubeadm.manifests import COMPONENTS
from kubesim.kubelet.eviction import SIGNALS
from kubesim.kubelet.kubelet import Kubelet
from kubesim.kubelet.link import Link
from kubesim.kubelet.static_pods import Manifests
from kubesim.runtime.images import ImageNotFound, ImageStore, InvalidImageName

ETCD_DELAY, NODE_DELAY = 0.2, 2.0
MAX_SECONDS = 10 * 365 * 86400.0

Undo = Callable[[], Awaitable[None]]


class Machines(Protocol):
    """What can be struck."""

    links: dict[str, Link]
    clocks: dict[str, NodeClock]
    store: Etcd
    images: ImageStore

    @property
    def clock(self) -> Clock:
        """The simulated time."""

    @property
    def nodes(self) -> Collection[str]:
        """The names of the nodes."""

    def kubelet(self, node: str) -> Kubelet:
        """Return a node's kubelet."""

    def manifests(self, node: str) -> Manifests:
        """Return a node's directory of static Pods."""

    async def stop_node(self, name: str) -> None:
        """Cut a node's power."""

    async def start_node(self, name: str) -> None:
        """Give it back."""


class FaultError(ValueError):
    """No such kind, target or fault; the message names those there are."""


@dataclass(frozen=True)
class Fault:
    """A fault that is at work."""

    name: str
    kind: str
    target: str
    seconds: float
    since: str
    undo: Undo = field(repr=False)

    def told(self) -> dict[str, Any]:
        """Return what is told of it."""
        return {
            "name": self.name,
            "kind": self.kind,
            "target": self.target,
            "seconds": self.seconds,
            "since": self.since,
        }


@dataclass(frozen=True)
class Kind:
    """A kind of fault: what it does, to what, and for kinds that take a number of seconds, it."""

    strike: Callable[[str, float], Awaitable[Undo | None]]
    target: str
    effect: str
    seconds: float = 0.0


class Faults:
    """The faults of one cluster."""

    def __init__(self, machines: Machines) -> None:
        self._machines = machines
        self._active: dict[str, Fault] = {}
        self.kinds: Mapping[str, Kind] = {
            "node-stopped": Kind(self._stop_node, "NODE", "its power is cut"),
            "node-partitioned": Kind(
                self._cut, "NODE", "it does not reach the API servers, its containers go on"
            ),
            "node-slow": Kind(
                self._slow, "NODE", "each request to the API servers takes longer", NODE_DELAY
            ),
            "node-out-of-memory": Kind(
                self._fill_memory, "NODE", "something that is no Pod uses up its memory"
            ),
            "node-out-of-disk": Kind(
                self._fill_disk, "NODE", "something that is no Pod uses up its disk"
            ),
            "certificate-expired": Kind(
                self._expire, "NODE", "the API servers do not accept its kubelet's certificate"
            ),
            "clock-skew": Kind(
                self._skew, "NODE", "its clock is ahead, or behind if less than 0", 300.0
            ),
            "container-killed": Kind(
                self._kill, "NAMESPACE/POD[/CONTAINER]", "its processes get SIGKILL, once"
            ),
            "image-removed": Kind(self._remove_image, "IMAGE", "no node and no registry has it"),
            "kubelet-stopped": Kind(
                self._stop_kubelet, "NODE", "its kubelet ends, its containers go on unattended"
            ),
            "component-down": Kind(
                self._take_manifest,
                "PART[@NODE]",
                f"the manifest of {', '.join(COMPONENTS)} is moved away",
            ),
            "etcd-member-stopped": Kind(self._stop_member, "NODE", "its member of etcd is off"),
            "etcd-member-partitioned": Kind(
                self._isolate_member, "NODE", "its member of etcd is cut off from the others"
            ),
            "etcd-member-slow": Kind(
                self._slow_member, "NODE", "messages to and from it take longer", ETCD_DELAY
            ),
        }

    def active(self) -> list[Fault]:
        """Return the faults at work, oldest first."""
        return list(self._active.values())

    async def inject(self, kind: str, target: str, seconds: float | None = None) -> Fault:
        """Strike. Raises FaultError."""
        known = self.kinds.get(kind)
        if not known:
            raise FaultError(f"there is no fault {kind!r}; there are {', '.join(self.kinds)}")
        if seconds is not None and not known.seconds:
            raise FaultError(f"a {kind} takes no seconds")
        if seconds is not None and not 0 < abs(seconds) <= MAX_SECONDS:
            raise FaultError(f"{seconds} seconds are none or too many")
        name = f"{kind}-{target}".replace("/", "-").replace(":", "-").replace("@", "-").lower()
        if name in self._active:
            raise FaultError(f"{name} is at work already")
        seconds = known.seconds if seconds is None else seconds
        undo = await known.strike(target, seconds)
        since = timestamp(self._machines.clock.now())
        fault = Fault(name, kind, target, seconds, since, undo or _nothing)
        if undo:
            self._active[name] = fault
        return fault

    async def undo(self, name: str) -> Fault:
        """Make a fault good. Raises FaultError."""
        fault = self._active.pop(name, None)
        if not fault:
            known = ", ".join(self._active) or "none"
            raise FaultError(f"there is no fault {name!r} at work; at work: {known}")
        await fault.undo()
        return fault

    # Nodes

    async def _stop_node(self, node: str, _: float) -> Undo:
        await self._machines.stop_node(self._node(node))
        return lambda: self._machines.start_node(node)

    async def _stop_kubelet(self, node: str, _: float) -> Undo:
        kubelet = self._machines.kubelet(self._node(node))
        await kubelet.pause()
        return _later(kubelet.resume)

    async def _cut(self, node: str, _: float) -> Undo:
        return _switch(self._machines.links[self._node(node)], "cut", True)

    async def _slow(self, node: str, seconds: float) -> Undo:
        return _switch(self._machines.links[self._node(node)], "delay", abs(seconds))

    async def _fill_memory(self, node: str, _: float) -> Undo:
        return self._fill(node, "memory")

    async def _fill_disk(self, node: str, _: float) -> Undo:
        return self._fill(node, "disk")

    def _fill(self, node: str, resource: str) -> Undo:
        eviction, signal = self._machines.kubelet(self._node(node)).eviction, SIGNALS[resource]
        eviction.take(resource, signal.capacity - signal.threshold // 2)
        return _later(lambda: eviction.take(resource, 0))

    async def _expire(self, node: str, _: float) -> Undo:
        return _switch(self._machines.links[self._node(node)], "expired", True)

    async def _skew(self, node: str, seconds: float) -> Undo:
        clock = self._machines.clocks[self._node(node)]
        return _switch(clock, "skew", timedelta(seconds=seconds))

    def _node(self, name: str) -> str:
        if name not in self._machines.nodes:
            known = ", ".join(self._machines.nodes)
            raise FaultError(f"there is no node {name!r}; there are {known}")
        return name

    # Containers and images

    async def _kill(self, target: str, _: float) -> None:
        namespace, pod, container = _container(target)
        for node in self._machines.nodes:
            worker = self._machines.kubelet(node).worker(namespace, pod)
            runner = worker.runner(container) if worker and container else None
            if worker and not container:
                runner = worker.main[0]
            if runner and runner.current and runner.current.running:
                runner.current.kill()
                return
        raise FaultError(f"no container of {target!r} runs")

    async def _remove_image(self, reference: str, _: float) -> Undo:
        images = self._machines.images
        try:
            image = images.remove(reference)
        except (ImageNotFound, InvalidImageName):
            raise FaultError(f"no node has an image {reference!r}") from None
        return _later(lambda: images.put_back(image))

    # The control plane

    async def _take_manifest(self, target: str, _: float) -> Undo:
        part, _at, node = target.partition("@")
        if part not in COMPONENTS:
            raise FaultError(f"{part!r} is no part of a control plane: {', '.join(COMPONENTS)}")
        file = f"{part}.yaml"
        hosts = [self._node(node)] if node else list(self._machines.nodes)
        directories = [d for host in hosts if file in (d := self._machines.manifests(host)).files]
        if not directories:
            raise FaultError(f"no {part} is set up on {node or 'any node'}")
        taken = [(directory, directory.take(file)) for directory in directories]

        async def undo() -> None:
            for directory, manifest in taken:
                directory.write(file, manifest)

        return undo

    def _group(self, member: str) -> Group:
        store = self._machines.store
        if not isinstance(store, ReplicatedEtcd):
            raise FaultError(
                "etcd has one member here, on the only control plane node; "
                "component-down etcd stops it"
            )
        if member not in store.group.members:
            known = ", ".join(store.group.members)
            raise FaultError(f"etcd has no member {member!r}; there are {known}")
        return store.group

    async def _stop_member(self, member: str, _: float) -> Undo:
        group = self._group(member)
        group.stop(member)
        return _later(lambda: group.start(member))

    async def _isolate_member(self, member: str, _: float) -> Undo:
        group = self._group(member)
        links = {frozenset((member, other)) for other in group.members if other != member}
        group.cut_links(links)
        return _later(lambda: group.mend_links(links))

    async def _slow_member(self, member: str, seconds: float) -> Undo:
        group = self._group(member)
        group.slow(member, abs(seconds))
        return _later(lambda: group.slow(member, 0))


async def _nothing() -> None:
    """What has been done cannot be undone."""


def _switch(thing: Any, attribute: str, value: Any) -> Undo:
    """Set an attribute; return what sets it back."""
    before = getattr(thing, attribute)
    setattr(thing, attribute, value)

    return _later(lambda: setattr(thing, attribute, before))


def _later(work: Callable[[], object]) -> Undo:
    """Return what does some work when it is awaited."""

    async def undo() -> None:
        work()

    return undo


def _container(target: str) -> tuple[str, str, str]:
    """Read NAMESPACE/POD[/CONTAINER]; the namespace may be left out alone."""
    parts = target.split("/")
    if len(parts) > 3 or not all(parts):
        raise FaultError(f"{target!r} is not NAMESPACE/POD[/CONTAINER]")
    if len(parts) == 1:
        parts = ["default", *parts]
    return parts[0], parts[1], parts[2] if len(parts) == 3 else ""
