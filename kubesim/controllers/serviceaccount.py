"""The service account controller: every namespace has a ServiceAccount `default`.

Kubernetes' `pkg/controller/serviceaccount/serviceaccounts_controller.go`. Pods that name no other
run as this one.
"""

from kubesim.clientgo.absence import tolerating
from kubesim.clientgo.informer import Change, InformerFactory
from kubesim.controllers.controller import Controller

ACCOUNT = "default"


class ServiceAccountController(Controller):
    """Creates what is missing, and creates it again when somebody deletes it."""

    name = "service-account-controller"

    def watch(self, informers: InformerFactory) -> None:
        """Namespaces fill the queue, and so do deleted accounts."""
        namespaces, accounts = (
            informers.informer("namespaces"),
            informers.informer("serviceaccounts"),
        )
        self.namespaces, self.accounts = namespaces.cache, accounts.cache
        namespaces.add_handler(self.enqueue)
        accounts.add_handler(self._account_changed)

    async def sync(self, key: str) -> None:
        """Create the account in an active namespace that lacks it."""
        namespace = self.namespaces.get(key)
        if namespace is None or namespace["status"].get("phase") != "Active":
            return
        if self.accounts.get(ACCOUNT, key) is not None:
            return
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": ACCOUNT, "namespace": key},
        }
        with tolerating(403, 409):  # terminating, or made by somebody else meanwhile
            await self.client.create("serviceaccounts", account)

    def _account_changed(self, change: Change) -> None:
        if change.new is None:
            self.queue.add(change.object["metadata"]["namespace"])
