"""The EndpointSliceMirroring controller: Endpoints that somebody wrote by hand, as slices.

Kubernetes' `pkg/controller/endpointslicemirroring`. It serves Services without a selector: whoever
writes their Endpoints need not know of slices, and whoever follows slices need not know of them.
"""

from collections.abc import Iterator

from kubesim.apimachinery.endpointslices import MANAGED_BY, SERVICE_NAME
from kubesim.apimachinery.objects import (
    Object,
    annotations_of,
    is_being_deleted,
    labels_of,
    split_key,
)
from kubesim.apiserver.errors import StatusError
from kubesim.clientgo.informer import InformerFactory
from kubesim.controllers.endpointslice import SliceController, new_slice
from kubesim.controllers.endpointslice_reconciler import Plan, PortKey, port_key, reconcile

SKIP_MIRROR = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"
NOT_COPIED = (
    "kubectl.kubernetes.io/last-applied-configuration",
    "endpoints.kubernetes.io/last-change-trigger-time",
)
MAX_ENDPOINTS = 1000  # of a subset; the real --mirroring-max-endpoints-per-subset


class EndpointSliceMirroringController(SliceController):
    """Keeps slices in step with the Endpoints of Services without a selector."""

    name = "endpointslicemirroring-controller"
    managed_by = "endpointslicemirroring-controller.k8s.io"

    def watch(self, informers: InformerFactory) -> None:
        """Endpoints fill the queue, and so do the Services that they stand behind."""
        services, endpoints = informers.informer("services"), informers.informer("endpoints")
        self.services, self.endpoints = services.cache, endpoints.cache
        services.add_handler(self.enqueue)
        endpoints.add_handler(self.enqueue)
        self.watch_slices(informers)

    async def sync(self, key: str) -> None:
        """Write the slices that the Endpoints give; without something to mirror there are none."""
        if self.behind(key):
            return
        name, namespace = reversed(split_key(key))
        endpoints = self.endpoints.get(name, namespace)
        service = self.services.get(name, namespace)
        mirrored = endpoints is not None and service is not None and _is_mirrored(endpoints)
        if service is None or endpoints is None or not mirrored or service["spec"].get("selector"):
            await self.carry_out(key, Plan(delete=self.slices_of(key)))
            return
        base = new_slice(name, endpoints, self._labels(name, endpoints), "IPv4")
        annotations = annotations_of(endpoints)
        base["metadata"]["annotations"] = {
            name: text for name, text in annotations.items() if name not in NOT_COPIED
        }
        plan = reconcile(_groups(endpoints), self.slices_of(key), base, MAX_ENDPOINTS)
        try:
            await self.carry_out(key, plan)
        except StatusError as error:
            await self.report_failure(endpoints, error)

    def _labels(self, name: str, endpoints: Object) -> dict[str, str]:
        return labels_of(endpoints) | {SERVICE_NAME: name, MANAGED_BY: self.managed_by}


def _is_mirrored(endpoints: Object) -> bool:
    skipped = labels_of(endpoints).get(SKIP_MIRROR) == "true"
    annotations = annotations_of(endpoints)
    return not skipped and LEADER not in annotations and not is_being_deleted(endpoints)


def _groups(endpoints: Object) -> dict[PortKey, list[Object]]:
    groups: dict[PortKey, list[Object]] = {}
    for subset in endpoints.get("subsets") or ():
        named = [{"name": port.get("name", ""), **port} for port in subset.get("ports") or ()]
        groups.setdefault(port_key(named), []).extend(_endpoints(subset))
    return groups


def _endpoints(subset: Object) -> Iterator[Object]:
    for field, ready in (("addresses", True), ("notReadyAddresses", False)):
        for address in subset.get(field) or ():
            copied = {n: address[n] for n in ("hostname", "nodeName", "targetRef") if n in address}
            yield {"addresses": [address["ip"]], "conditions": {"ready": ready}, **copied}
