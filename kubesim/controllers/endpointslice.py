"""The EndpointSlice controller: the Pods behind a Service, in slices that others follow.

Kubernetes' `pkg/controller/endpointslice`. kube-proxy and the name server read slices; Endpoints
are kept beside them by a controller of their own, for older clients.
"""

from kubesim.apimachinery.endpointslices import MANAGED_BY, SERVICE_NAME, SLICES, service_of
from kubesim.apimachinery.objects import (
    Object,
    controller_reference,
    is_being_deleted,
    key,
    labels_of,
    pod_is_ready,
    split_key,
    uid,
)
from kubesim.apiserver.errors import StatusError
from kubesim.clientgo.absence import NOT_FOUND, tolerating
from kubesim.clientgo.client import Client
from kubesim.clientgo.informer import Change, InformerFactory
from kubesim.clock import Clock
from kubesim.controllers.controller import Controller
from kubesim.controllers.endpoint_util import (
    HEADLESS,
    concerned,
    has_address,
    pod_ports,
    pods_of,
)
from kubesim.controllers.endpointslice_reconciler import Plan, PortKey, port_key, reconcile
from kubesim.controllers.triggertime import TriggerTimes, annotated

MAX_ENDPOINTS = 100  # in a slice; the real --max-endpoints-per-slice
ZONE = "topology.kubernetes.io/zone"


class SliceController(Controller):
    """What the two controllers have in common that write slices: `managed_by` tells them apart."""

    managed_by: str

    def __init__(self, client: Client, informers: InformerFactory, clock: Clock) -> None:
        self._written: dict[str, dict[str, int]] = {}
        self._held: set[str] = set()
        super().__init__(client, informers, clock)

    def watch_slices(self, informers: InformerFactory) -> None:
        """Take the cache of slices; a slice that somebody else changes is looked at again."""
        slices = informers.informer(SLICES)
        self.slices = slices.cache
        slices.cache.add_index("service", service_of)
        slices.add_handler(self._slice_changed)

    def slices_of(self, service: str) -> list[Object]:
        """The slices of a Service that this controller manages."""
        return [each for each in self.slices.by_index("service", service) if self._is_ours(each)]

    def behind(self, service: str) -> bool:
        """Whether the cache does not know yet what was written for this Service.

        Then nothing must be decided, or slices would be made twice; it is queued again.
        """
        seen = {uid(each): each["metadata"]["generation"] for each in self.slices_of(service)}
        written = self._written.get(service, {})
        self._written[service] = {
            identity: generation
            for identity, generation in written.items()
            if seen.get(identity, 0) < generation
        }
        if self._written[service]:
            self._held.add(service)
            return True
        del self._written[service]
        return False

    def forget(self, service: str) -> None:
        """The Service is gone; nothing that was written for it matters any more."""
        self._written.pop(service, None)
        self._held.discard(service)

    async def carry_out(self, service: str, plan: Plan, moment: str | None = None) -> None:
        """Write what was planned; moment: of the change that it follows, for slices to tell."""
        written = self._written.setdefault(service, {})
        for each in plan.create:
            made = await self.client.create(SLICES, _at(each, moment))
            written[uid(made)] = made["metadata"]["generation"]
        for each in plan.update:
            made = await self.client.update(SLICES, _at(each, moment))
            written[uid(made)] = made["metadata"]["generation"]
        for each in plan.delete:
            with tolerating(NOT_FOUND):
                await self.client.delete(SLICES, each["metadata"]["name"], split_key(service)[0])

    async def report_failure(self, about: Object, error: StatusError) -> None:
        """Tell that slices could not be written; a namespace that is going away is no failure."""
        if error.code == 403:
            return
        message = f"Error updating Endpoint Slices for Service {key(about)}: {error}"
        self.recorder.event(about, "Warning", "FailedToUpdateEndpointSlices", message)
        raise error

    def _slice_changed(self, change: Change) -> None:
        for each in filter(None, (change.new, change.old)):
            if not self._is_ours(each):
                continue
            for service in service_of(each):
                if change.new is None:
                    self._written.get(service, {}).pop(uid(each), None)
                if service in self._held or self._by_others(service, change):
                    self._held.discard(service)
                    self.queue.add(service)

    def _by_others(self, service: str, change: Change) -> bool:
        """Whether a slice was changed or deleted by somebody else."""
        if change.new is None or change.old is None:
            return change.new is None
        known = self._written.get(service, {}).get(uid(change.new), 0)
        return bool(change.new["metadata"]["generation"] > known)

    def _is_ours(self, endpoint_slice: Object) -> bool:
        return labels_of(endpoint_slice).get(MANAGED_BY) == self.managed_by


def _at(endpoint_slice: Object, moment: str | None) -> Object:
    if moment is None:
        return endpoint_slice
    return endpoint_slice | {"metadata": annotated(endpoint_slice["metadata"], moment)}


def new_slice(name: str, owner: Object, labels: dict[str, str], address_type: str) -> Object:
    """A slice without ports and endpoints, named after its Service by the API server."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": f"{name}-",
            "namespace": owner["metadata"]["namespace"],
            "labels": labels,
            "ownerReferences": [controller_reference(owner)],
        },
        "addressType": address_type,
    }


class EndpointSliceController(SliceController):
    """Keeps the slices of each Service with a selector in step with its Pods."""

    name = "endpointslice-controller"
    managed_by = "endpointslice-controller.k8s.io"

    def __init__(self, client: Client, informers: InformerFactory, clock: Clock) -> None:
        self._times = TriggerTimes()
        super().__init__(client, informers, clock)

    def watch(self, informers: InformerFactory) -> None:
        """Services fill the queue, and so do changes of the Pods that they select."""
        services, pods = informers.informer("services"), informers.informer("pods")
        self.services, self.pods = services.cache, pods.cache
        self.nodes = informers.informer("nodes").cache
        services.add_handler(self.enqueue)
        pods.add_handler(self._pod_changed)
        self.watch_slices(informers)

    async def sync(self, key: str) -> None:
        """Write the slices that the Service's Pods give, as far as they differ."""
        service = self.services.get(*reversed(split_key(key)))
        if service is None or is_being_deleted(service):
            self.forget(key)
            self._times.forget(key)
            return  # its slices are garbage, and collected
        selector, kind = service["spec"].get("selector"), service["spec"].get("type")
        if not selector or kind == "ExternalName" or self.behind(key):
            return
        pods = pods_of(service, self.pods)
        moment = self._times.last_change(service, pods)
        groups = self._groups(service, pods)
        base = new_slice(service["metadata"]["name"], service, self._labels(service), "IPv4")
        try:
            plan = reconcile(groups, self.slices_of(key), base, MAX_ENDPOINTS)
            await self.carry_out(key, plan, moment)
        except StatusError as error:
            await self.report_failure(service, error)

    def _groups(self, service: Object, pods: list[Object]) -> dict[PortKey, list[Object]]:
        groups: dict[PortKey, list[Object]] = {}
        for pod in pods:
            if has_address(pod):
                ports = port_key(pod_ports(service, pod))
                groups.setdefault(ports, []).append(self._endpoint(service, pod))
        return groups

    def _endpoint(self, service: Object, pod: Object) -> Object:
        meta, spec = pod["metadata"], pod["spec"]
        serving, terminating = pod_is_ready(pod), is_being_deleted(pod)
        ready = bool(service["spec"].get("publishNotReadyAddresses")) or (
            serving and not terminating
        )
        target = {"kind": "Pod", "namespace": meta["namespace"], "name": meta["name"]}
        endpoint: Object = {
            "addresses": [pod["status"]["podIP"]],
            "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
            "targetRef": target | {"uid": uid(pod)},
        }
        if spec.get("nodeName"):
            endpoint["nodeName"] = spec["nodeName"]
            zone = labels_of(self.nodes.get(spec["nodeName"]) or {"metadata": {}}).get(ZONE)
            endpoint |= {"zone": zone} if zone else {}
        if spec.get("hostname") and spec.get("subdomain") == service["metadata"]["name"]:
            endpoint["hostname"] = spec["hostname"]
        return endpoint

    def _labels(self, service: Object) -> dict[str, str]:
        own = {SERVICE_NAME: service["metadata"]["name"], MANAGED_BY: self.managed_by}
        if service["spec"].get("clusterIP") == "None":
            own[HEADLESS] = ""
        return labels_of(service) | own

    def _pod_changed(self, change: Change) -> None:
        for name in concerned(self.services, change):
            self.queue.add(name)
