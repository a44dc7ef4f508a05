"""What a scheduling decision looks at: the nodes with their Pods, as they were when it began."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from kubesim.apimachinery.objects import Object
from kubesim.clientgo.informer import Cache
from kubesim.scheduler.nodeinfo import NodeInfo


@dataclass(frozen=True)
class Storage:
    """Claims, volumes and classes as the caches know them.

    `assumed` are the volumes that were promised to a claim a moment ago.
    """

    claims: Cache = field(default_factory=Cache)
    volumes: Cache = field(default_factory=Cache)
    classes: Cache = field(default_factory=Cache)
    assumed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Snapshot:
    """The cluster as it was when a scheduling cycle began."""

    nodes: tuple[NodeInfo, ...]
    labels_of_namespace: Callable[[str], Mapping[str, str]]
    selectors_in: Callable[[str], Iterable[Object]]  # a namespace's Services and ReplicaSets
    storage: Storage = field(default_factory=Storage)

    def with_nodes(self, nodes: tuple[NodeInfo, ...]) -> "Snapshot":
        """The same cluster with other nodes, or other Pods on them."""
        return replace(self, nodes=nodes)

    def pods(self) -> Iterable[tuple[NodeInfo, Object]]:
        """Every Pod with its node."""
        return ((info, pod) for info in self.nodes for pod in info.pods)

    def choosy_pods(self) -> Iterable[tuple[NodeInfo, Object]]:
        """Every Pod that has wishes about which Pods are near, with its node."""
        return ((info, pod) for info in self.nodes for pod in info.choosy)
