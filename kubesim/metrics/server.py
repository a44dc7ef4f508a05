"""metrics-server: the API metrics.k8s.io/v1beta1, answered from what the kubelets measure.

The real one (github.com/kubernetes-sigs/metrics-server) scrapes every kubelet each 15 s and is
reached through the API server's aggregation layer. This one asks the kubelets when it is asked
itself, so that nobody's question costs nothing; the figures are averages over such a window anyway.
A node is shown once it has run for one window. A Pod is shown as soon as its youngest container has
run for FRESH, its window being that container's life until then (pkg/storage/pod.go).
"""

from collections.abc import Callable, Iterator
from datetime import timedelta

from kubesim.api.resources import Resource
from kubesim.apimachinery.objects import Object, parse_time, timestamp
from kubesim.apiserver import errors
from kubesim.apiserver.call import Call
from kubesim.apiserver.handlers.selectors import parse_labels
from kubesim.apiserver.registry.lookup import Lookup
from kubesim.apiserver.registry.storage import Stored
from kubesim.apiserver.request import Response
from kubesim.clock import Clock

GROUP, VERSION = "metrics.k8s.io", "v1beta1"
NODES = Resource("nodes", "NodeMetrics", GROUP, VERSION, namespaced=False, verbs=("get", "list"))
PODS = Resource("pods", "PodMetrics", GROUP, VERSION, verbs=("get", "list"))
WINDOW = timedelta(seconds=15)
FRESH = timedelta(seconds=10)
Summaries = Callable[[], list[Object]]


class MetricsServer:
    """Answers for the group metrics.k8s.io; `summaries` asks every kubelet that answers."""

    def __init__(self, objects: Lookup, clock: Clock, summaries: Summaries) -> None:
        self._objects = objects
        self._clock = clock
        self._summaries = summaries

    async def __call__(self, call: Call) -> Response:
        """Get or list metrics. Raises 404."""
        wanted = parse_labels(call.parameter("labelSelector"))
        found = [
            Stored(obj, 0, call.resource)
            for obj in (self._nodes() if call.resource is NODES else self._pods(call))
            if all(each.matches(obj["metadata"].get("labels") or {}) for each in wanted)
        ]
        if call.info.verb == "list":
            return call.answer_list(found, {})
        for stored in found:
            if stored.object["metadata"]["name"] == call.info.name:
                return call.answer(200, stored)
        raise errors.not_found(call.resource.full_name, self._told(call))

    def _told(self, call: Call) -> str:
        """The name as metrics-server puts it into a 404: with its namespace."""
        namespace = f"{call.info.namespace}/" if call.info.namespace else ""
        return f"{namespace}{call.info.name}"

    def _nodes(self) -> Iterator[Object]:
        for summary in self._summaries():
            node = summary["node"]
            stored = self._objects.get("nodes", node["nodeName"])
            if stored and self._age(node) >= WINDOW:
                metadata = {"name": node["nodeName"], "labels": stored["metadata"].get("labels")}
                yield self._measured("NodeMetrics", metadata, WINDOW) | {"usage": _usage(node)}

    def _pods(self, call: Call) -> Iterator[Object]:
        for summary in self._summaries():
            for pod in summary["pods"]:
                name, namespace = pod["podRef"]["name"], pod["podRef"]["namespace"]
                if call.info.namespace not in ("", namespace):
                    continue
                stored = self._objects.get("pods", name, namespace)
                containers = pod["containers"]
                youngest = min(map(self._age, containers), default=timedelta(0))
                if not stored or youngest < FRESH:
                    continue
                labels = stored["metadata"].get("labels")
                metadata = {"name": name, "namespace": namespace, "labels": labels}
                used = [{"name": each["name"], "usage": _usage(each)} for each in containers]
                window = min(youngest, WINDOW)
                yield self._measured("PodMetrics", metadata, window) | {"containers": used}

    def _measured(self, kind: str, metadata: Object, window: timedelta) -> Object:
        now = timestamp(self._clock.now())
        present = {name: value for name, value in metadata.items() if value}
        return {
            "kind": kind,
            "apiVersion": f"{GROUP}/{VERSION}",
            "metadata": present | {"creationTimestamp": now},
            "timestamp": now,
            "window": f"{int(window.total_seconds())}s",
        }

    def _age(self, measured: Object) -> timedelta:
        return self._clock.now() - parse_time(measured["startTime"])


def _usage(measured: Object) -> Object:
    nanocores = measured["cpu"]["usageNanoCores"]
    memory = measured["memory"]["workingSetBytes"] // 1024
    return {"cpu": f"{nanocores}n" if nanocores else "0", "memory": f"{memory}Ki"}
