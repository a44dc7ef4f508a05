"""The garbage collector's picture of who owns what (`garbagecollector/graph_builder.go`)."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from kubesim.api.resources import Resource
from kubesim.apimachinery.objects import Object, is_being_deleted, uid

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


def kind_of(reference: Object) -> tuple[str, str]:
    """The group and kind that an owner reference names."""
    return reference["apiVersion"].rpartition("/")[0], reference["kind"]


def owners_of(obj: Object) -> list[Object]:
    """An object's owner references."""
    return obj["metadata"].get("ownerReferences") or []


def awaits(obj: Object, finalizer: str) -> bool:
    """Whether an object is being deleted and a finalizer of that name holds it back."""
    return is_being_deleted(obj) and finalizer in (obj["metadata"].get("finalizers") or ())


@dataclass
class Node:
    """An object as the graph knows it.

    A node is virtual while it is only known from a reference to it: the object may never have
    existed, or the reference may have its name or namespace wrong.
    """

    uid: str
    resource: Resource
    name: str
    namespace: str
    owners: list[Object] = field(default_factory=list)
    dependents: set[str] = field(default_factory=set)
    awaits_dependents: bool = False
    is_virtual: bool = False

    def is_blocked_by(self, dependent: "Node") -> bool:
        """Whether a dependent's reference says that this owner must not go before it."""
        return any(
            owner["uid"] == self.uid and owner.get("blockOwnerDeletion")
            for owner in dependent.owners
        )


class Graph:
    """Nodes by UID, linked both ways, and the kinds whose objects it knows."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self._kinds: dict[tuple[str, str], Resource] = {}

    def learn(self, resource: Resource) -> list[Node]:
        """From now on follow references to a kind; returns the nodes that have some already."""
        kind = resource.group, resource.kind
        self._kinds[kind] = resource
        waiting = [
            node for node in self.nodes.values() if any(kind_of(o) == kind for o in node.owners)
        ]
        for node in waiting:
            self._link(node, node.owners)
        return waiting

    def unlearn(self, resource: Resource) -> None:
        """Follow no references to a kind any more."""
        del self._kinds[resource.group, resource.kind]

    def resource_of(self, reference: Object) -> Resource | None:
        """The resource that an owner reference points to; None for kinds that nobody knows."""
        return self._kinds.get(kind_of(reference))

    def put(self, resource: Resource, obj: Object) -> Node:
        """Take over the present state of an object."""
        meta = obj["metadata"]
        node = self.nodes.get(uid(obj))
        if node is None:
            node = self.nodes[uid(obj)] = Node(uid(obj), resource, "", "")
        node.resource, node.name = resource, meta["name"]
        node.namespace, node.is_virtual = meta.get("namespace", ""), False
        node.awaits_dependents = awaits(obj, FOREGROUND)
        self._link(node, owners_of(obj))
        return node

    def remove(self, gone: str) -> Node | None:
        """Forget an object; its dependents keep their reference to it."""
        node = self.nodes.pop(gone, None)
        if node is not None:
            self._unlink(node, node.owners)
        return node

    def dependents(self, node: Node) -> list[Node]:
        """The nodes that have `node` as an owner."""
        return [self.nodes[each] for each in sorted(node.dependents) if each in self.nodes]

    def owners(self, node: Node) -> list[Node]:
        """The owners of a node."""
        return [self.nodes[each["uid"]] for each in node.owners if each["uid"] in self.nodes]

    def _link(self, node: Node, owners: list[Object]) -> None:
        self._unlink(node, (each for each in node.owners if each not in owners))
        node.owners = owners
        for reference in owners:
            resource = self.resource_of(reference)
            if resource is not None:
                self._owner(reference, resource, node).dependents.add(node.uid)

    def _unlink(self, node: Node, owners: Iterable[Object]) -> None:
        for reference in owners:
            if reference["uid"] in self.nodes:
                self.nodes[reference["uid"]].dependents.discard(node.uid)

    def _owner(self, reference: Object, resource: Resource, dependent: Node) -> Node:
        owner = self.nodes.get(reference["uid"])
        if owner is None:
            namespace = dependent.namespace if resource.namespaced else ""
            owner = Node(reference["uid"], resource, reference["name"], namespace, is_virtual=True)
            self.nodes[owner.uid] = owner
        return owner
