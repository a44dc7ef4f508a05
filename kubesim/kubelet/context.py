"""What all Pods of a node share."""

from collections.abc import Callable
from dataclasses import dataclass

from kubesim.apimachinery.objects import Object
from kubesim.clientgo.client import Client
from kubesim.clientgo.events import EventRecorder
from kubesim.clock import Clock
from kubesim.kubelet.node import NodeConfig
from kubesim.network.fabric import Network, NetworkNamespace
from kubesim.runtime.images import ImageStore


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

    @property
    def namespace(self) -> NetworkNamespace:
        """The node's own network namespace."""
        return self.network.nodes[self.config.name].namespace
