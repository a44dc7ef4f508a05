"""APIServices: which server answers for which group and version.

kube-aggregator's autoregistration and availability controllers. Every version that this server
serves itself has a local one; one that names a Service is stored and listed, and says that its
requests are not forwarded: kubesim has no servers behind its own.
"""

from kubesim.api.resources import RESOURCES
from kubesim.api.served import Resources
from kubesim.apimachinery.objects import Object
from kubesim.apiserver.apiextensions.conditions import condition, with_condition
from kubesim.clientgo.absence import find, tolerating
from kubesim.clientgo.client import Client
from kubesim.clientgo.informer import InformerFactory
from kubesim.clock import Clock
from kubesim.controllers.controller import Controller

GROUP = "apiregistration.k8s.io"
APISERVICES = f"apiservices.{GROUP}"
AUTOMANAGED = "kube-aggregator.kubernetes.io/automanaged"
BUILT_IN = frozenset((each.group, each.version) for each in RESOURCES)
GROUP_PRIORITIES = {
    "": 18000,
    "apps": 17800,
    "events.k8s.io": 17750,
    "authentication.k8s.io": 17700,
    "authorization.k8s.io": 17600,
    "autoscaling": 17500,
    "batch": 17400,
    "certificates.k8s.io": 17300,
    "networking.k8s.io": 17200,
    "policy": 17100,
    "rbac.authorization.k8s.io": 17000,
    "storage.k8s.io": 16800,
    "apiextensions.k8s.io": 16700,
    "admissionregistration.k8s.io": 16700,
    "scheduling.k8s.io": 16600,
    "coordination.k8s.io": 16500,
    "node.k8s.io": 16300,
    "discovery.k8s.io": 16200,
}
VERSION_PRIORITIES = {("", "v1"): 1, ("autoscaling", "v2"): 30}
LOCAL = condition("Available", "True", "Local", "Local APIServices are always available")


async def run(client: Client, resources: Resources, clock: Clock) -> None:
    """Keep the APIServices until cancelled."""
    informers = InformerFactory(client, clock)
    await informers.run_with(Registration(client, informers, clock, resources).run)


class Registration(Controller):
    """Keys are names of APIServices, such as `v1.apps`."""

    name = "kube-aggregator"
    workers = 1

    def __init__(
        self, client: Client, informers: InformerFactory, clock: Clock, resources: Resources
    ) -> None:
        self._resources = resources
        super().__init__(client, informers, clock)

    def watch(self, informers: InformerFactory) -> None:
        """What is served fills the queue, and so do changed and deleted APIServices."""
        services = informers.informer(APISERVICES)
        self.services = services.cache
        services.add_handler(self.enqueue)
        self._resources.on_change(self._enqueue_served)
        self._enqueue_served()

    async def sync(self, key: str) -> None:
        """Register what is served, forget what no longer is, say what is available."""
        service = self.services.get(key)
        served = self._served().get(key)
        if service is None:
            if served:
                with tolerating(409):
                    await self.client.create(APISERVICES, local(*served))
        elif AUTOMANAGED in (service["metadata"].get("labels") or {}) and not served:
            with tolerating(404):
                await self.client.delete(APISERVICES, key)
        else:
            await self._write_availability(service)

    async def _write_availability(self, service: Object) -> None:
        before = service.get("status") or {}
        status = with_condition(before, await self._availability(service), self.clock.now())
        if status != before:
            with tolerating(404):
                changed = service | {"status": status}
                await self.client.update(APISERVICES, changed, subresource="status")

    async def _availability(self, service: Object) -> Object:
        reference = service["spec"].get("service")
        if not reference:
            return LOCAL
        name, namespace = reference.get("name", ""), reference.get("namespace", "")
        if await find(self.client, "services", name, namespace) is None:
            told = f'service/{name} in "{namespace}" is not present'
            return condition("Available", "False", "ServiceNotFound", told)
        told = "kubesim forwards no requests to extension API servers; a real cluster does"
        return condition("Available", "False", "FailedDiscoveryCheck", told)

    def _served(self) -> dict[str, tuple[str, str]]:
        pairs = self._resources.group_versions()
        return {
            f"{version}.{group}": (group, version) for group, version in pairs if group != GROUP
        }

    def _enqueue_served(self) -> None:
        registered = [
            service["metadata"]["name"]
            for service in self.services.list()
            if AUTOMANAGED in (service["metadata"].get("labels") or {})
        ]
        for name in dict.fromkeys([*self._served(), *registered]):
            self.queue.add(name)


def local(group: str, version: str) -> Object:
    """Return the APIService of a version that this server serves itself."""
    built_in = (group, version) in BUILT_IN
    spec: Object = {"group": group} if group else {}
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "APIService",
        "metadata": {
            "name": f"{version}.{group}",
            "labels": {AUTOMANAGED: "onstart" if built_in else "true"},
        },
        "spec": spec
        | {
            "version": version,
            "groupPriorityMinimum": GROUP_PRIORITIES.get(group, 1000),
            "versionPriority": VERSION_PRIORITIES.get((group, version), 15 if built_in else 100),
        },
    }
