"""The root CA publisher: every namespace has the cluster's CA in a ConfigMap.

Kubernetes' `pkg/controller/certificates/rootcacertpublisher/publisher.go`. Pods find it in their
service account volume and can trust the API server by it.
"""

from kubesim.apimachinery.objects import Object
from kubesim.clientgo.absence import tolerating
from kubesim.clientgo.client import Client
from kubesim.clientgo.informer import Change, InformerFactory
from kubesim.clock import Clock
from kubesim.controllers.controller import Controller

NAME = "kube-root-ca.crt"
DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal "
    "endpoints such as the internal service IP or kubernetes.default.svc. No other usage is "
    "guaranteed across distributions of Kubernetes clusters."
)


class RootCACertPublisher(Controller):
    """Writes the ConfigMap, and writes it again when somebody changes or deletes it."""

    name = "root-ca-cert-publisher"

    def __init__(
        self, client: Client, informers: InformerFactory, clock: Clock, root_ca: str
    ) -> None:
        self._data = {"ca.crt": root_ca}
        super().__init__(client, informers, clock)

    def watch(self, informers: InformerFactory) -> None:
        """Namespaces fill the queue, and so do changes of the ConfigMap."""
        namespaces, config_maps = informers.informer("namespaces"), informers.informer("configmaps")
        self.namespaces, self.config_maps = namespaces.cache, config_maps.cache
        namespaces.add_handler(self.enqueue)
        config_maps.add_handler(self._config_map_changed)

    async def sync(self, key: str) -> None:
        """Create or correct the ConfigMap of an active namespace."""
        namespace = self.namespaces.get(key)
        if namespace is None or namespace["status"].get("phase") != "Active":
            return
        present = self.config_maps.get(NAME, key)
        if present is not None and present.get("data") == self._data:
            return
        with tolerating(403, 404):  # the namespace or the ConfigMap is going
            if present is None:
                await self.client.create("configmaps", self._config_map(key))
            else:
                await self.client.update("configmaps", present | {"data": self._data})

    def _config_map(self, namespace: str) -> Object:
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": NAME,
                "namespace": namespace,
                "annotations": {"kubernetes.io/description": DESCRIPTION},
            },
            "data": self._data,
        }

    def _config_map_changed(self, change: Change) -> None:
        meta = change.object["metadata"]
        if meta["name"] == NAME:
            self.queue.add(meta["namespace"])
