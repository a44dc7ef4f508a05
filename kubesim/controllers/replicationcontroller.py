"""The ReplicationController controller, which is the ReplicaSet controller in disguise.

Kubernetes' `pkg/controller/replication/conversion.go`: a ReplicationController is shown to that
controller as a ReplicaSet, whose selector is a LabelSelector instead of a map.
"""

from kubesim.apimachinery.objects import Object, key
from kubesim.clientgo.informer import Cache, Change, Handler, InformerFactory, Source
from kubesim.controllers.replicaset import ReplicaSetController


class ReplicationManager(ReplicaSetController):
    """Sees ReplicaSets where ReplicationControllers are."""

    name = "replication-controller"
    kind = "ReplicationController"
    resource = "replicationcontrollers"

    def _source(self, informers: InformerFactory) -> Source:
        return ConvertedSource(informers.informer(self.resource))

    async def _write_status(self, replica_set: Object, status: Object) -> None:
        await super()._write_status(_from_replica_set(replica_set), _without_terminating(status))


class ConvertedSource:
    """An informer of ReplicationControllers as ReplicaSets."""

    def __init__(self, source: Source) -> None:
        self.cache = Cache()
        self._handlers: list[Handler] = []
        source.add_handler(self._changed)

    def add_handler(self, handler: Handler) -> None:
        """Call `handler` for every change; what is cached already is told as new at once."""
        self._handlers.append(handler)
        for obj in self.cache.list():
            handler(Change(None, obj))

    def _changed(self, change: Change) -> None:
        old = self.cache.get(*_name(change.object))
        new = _as_replica_set(change.new) if change.new is not None else None
        if new is not None:
            self.cache.put(new)
        else:
            self.cache.remove(key(change.object))
        for handler in self._handlers:
            handler(Change(old, new))


def _name(obj: Object) -> tuple[str, str]:
    return obj["metadata"]["name"], obj["metadata"]["namespace"]


def _as_replica_set(controller: Object) -> Object:
    """A ReplicationController with a LabelSelector, and the counter that only ReplicaSets have."""
    spec = controller["spec"] | {"selector": {"matchLabels": controller["spec"]["selector"]}}
    status = (controller.get("status") or {}) | {"terminatingReplicas": 0}
    return controller | {"spec": spec, "status": status}


def _from_replica_set(replica_set: Object) -> Object:
    selector = replica_set["spec"]["selector"]["matchLabels"]
    return replica_set | {"spec": replica_set["spec"] | {"selector": selector}}


def _without_terminating(status: Object) -> Object:
    return {name: value for name, value in status.items() if name != "terminatingReplicas"}
