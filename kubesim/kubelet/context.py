"""What all Pods of a node share, and what the containers of a Pod need of it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from kubesim.apimachinery.objects import Object
from kubesim.clientgo.client import Client
from kubesim.clientgo.events import EventRecorder
from kubesim.clock import Clock
from kubesim.kubelet.node import NodeConfig
from kubesim.network.fabric import Network, NetworkNamespace
from kubesim.runtime.container import MountPoint, Sandbox
from kubesim.runtime.images import ImageStore
from kubesim.runtime.process import ProcessTable
from kubesim.storage.disk import NodeDisk


@dataclass
class NodeContext:
    """The node that Pods run on, and the way to the API server."""

    config: NodeConfig
    client: Client
    clock: Clock
    images: ImageStore
    network: Network
    recorder: EventRecorder
    services: Callable[[str], list[Object]]
    disk: NodeDisk
    active: asyncio.Event  # set while the kubelet runs

    @property
    def namespace(self) -> NetworkNamespace:
        """The node's own network namespace."""
        return self.network.nodes[self.config.name].namespace


class PodContext(Protocol):
    """What a container runner needs of the Pod that its container belongs to."""

    @property
    def node(self) -> NodeContext:
        """The node that the Pod runs on."""

    @property
    def pod(self) -> Object:
        """The Pod as the API server knows it."""

    @property
    def sandbox(self) -> Sandbox:
        """What the Pod's containers share; there once the Pod has been prepared."""

    async def surroundings(self, container: Object) -> tuple[dict[str, str], list[MountPoint]]:
        """Return a container's environment and mounts. Raises MissingSourceError."""

    def processes_of(self, container: str) -> ProcessTable | None:
        """Return the processes of another container, which an ephemeral one shares."""

    async def publish(self) -> None:
        """Write the Pod's status to the API server."""


def grace_period(pod: Object) -> float:
    """Return how many seconds a Pod's containers get to end."""
    seconds = pod["metadata"].get("deletionGracePeriodSeconds")
    if seconds is None:
        seconds = pod["spec"].get("terminationGracePeriodSeconds", 30)
    return float(seconds)


def described(pod: Object) -> str:
    """Return a Pod as the kubelet's messages name it (format.Pod)."""
    metadata = pod["metadata"]
    return f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"
