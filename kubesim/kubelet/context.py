"""What all Pods of a node share."""

from collections.abc import Callable
from dataclasses import dataclass

from kubesim.client import Client
from kubesim.clock import Clock
from kubesim.events import EventRecorder
from kubesim.kubelet.node import NodeConfig
from kubesim.network import Network, NetworkNamespace
from kubesim.objects import Object
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
