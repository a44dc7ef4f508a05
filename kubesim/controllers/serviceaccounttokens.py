"""The tokens controller: fills the Secrets that ask for a service account's token.

Kubernetes' pkg/controller/serviceaccount/tokens_controller.go. Such tokens never expire; since 1.24
there is one only for those who create a Secret of this type themselves. The real one runs with the
manager's own rights, since no controller without tokens could have an account of its own.
"""

import base64
from typing import Any

from kubesim.apimachinery.objects import Object, annotations_of, key, uid
from kubesim.clientgo.absence import find, tolerating
from kubesim.clientgo.client import Client
from kubesim.clientgo.informer import Change, InformerFactory
from kubesim.clock import Clock
from kubesim.controllers.controller import Controller
from kubesim.controllers.keys import TokenSigner

TYPE = "kubernetes.io/service-account-token"
ACCOUNT_NAME = "kubernetes.io/service-account.name"
ACCOUNT_UID = "kubernetes.io/service-account.uid"
ISSUER = "kubernetes/serviceaccount"
CLAIM = "kubernetes.io/serviceaccount/"


class TokensController(Controller):
    """Keys are those of Secrets."""

    name = "tokens-controller"

    def __init__(
        self,
        client: Client,
        informers: InformerFactory,
        clock: Clock,
        signer: TokenSigner,
        root_ca: str,
    ) -> None:
        self._signer = signer
        self._root_ca = root_ca
        super().__init__(client, informers, clock)

    def watch(self, informers: InformerFactory) -> None:
        """Secrets of the type fill the queue, and so do those of an account that goes."""
        secrets = informers.informer("secrets")
        accounts = informers.informer("serviceaccounts")
        self.secrets, self.accounts = secrets.cache, accounts.cache
        secrets.cache.add_index("account", _account_of)
        secrets.add_handler(self._secret_changed)
        accounts.add_handler(self._account_changed)

    async def sync(self, key: str) -> None:
        """Fill a Secret; delete it if its account is not there."""
        namespace, _, name = key.rpartition("/")
        secret = self.secrets.get(name, namespace)
        if secret is None:
            return
        annotations = annotations_of(secret)
        account = await find(self.client, "serviceaccounts", annotations[ACCOUNT_NAME], namespace)
        if account is None or annotations.get(ACCOUNT_UID, uid(account)) != uid(account):
            with tolerating(404, 409):
                await self.client.delete("secrets", name, namespace, uid=uid(secret))
            return
        filled = self._filled(secret, account)
        if filled != secret:
            with tolerating(404):
                await self.client.update("secrets", filled)

    def _filled(self, secret: Object, account: Object) -> Object:
        metadata, data = secret["metadata"], secret.get("data") or {}
        namespace = metadata["namespace"]
        wanted = {"ca.crt": _encoded(self._root_ca), "namespace": _encoded(namespace)}
        if "token" not in data:
            wanted["token"] = _encoded(self._signer.sign(_claims(secret, account)))
        annotations = (metadata.get("annotations") or {}) | {ACCOUNT_UID: uid(account)}
        return secret | {
            "metadata": metadata | {"annotations": annotations},
            "data": data | wanted,
        }

    def _secret_changed(self, change: Change) -> None:
        if change.new is not None and any(_account_of(change.new)):
            self.queue.add(key(change.new))

    def _account_changed(self, change: Change) -> None:
        if change.new is None:
            for secret in self.secrets.by_index("account", key(change.object)):
                self.queue.add(key(secret))


def _account_of(secret: Object) -> list[str]:
    """The key of the account whose token a Secret is for."""
    if secret.get("type") != TYPE:
        return []
    metadata = secret["metadata"]
    name = (metadata.get("annotations") or {}).get(ACCOUNT_NAME, "")
    return [f"{metadata['namespace']}/{name}"] if name else []


def _claims(secret: Object, account: Object) -> dict[str, Any]:
    namespace, name = account["metadata"]["namespace"], account["metadata"]["name"]
    return {
        "iss": ISSUER,
        f"{CLAIM}namespace": namespace,
        f"{CLAIM}secret.name": secret["metadata"]["name"],
        f"{CLAIM}service-account.name": name,
        f"{CLAIM}service-account.uid": uid(account),
        "sub": f"system:serviceaccount:{namespace}:{name}",
    }


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
