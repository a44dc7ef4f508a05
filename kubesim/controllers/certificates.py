"""The certificate controllers: approve the kubelets' own requests, sign what is approved, tidy up.

Kubernetes' pkg/controller/certificates (approver, signer, cleaner); see
https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/.
"""

import base64
from collections.abc import Sequence
from datetime import datetime, timedelta

from kubesim.apimachinery import pkcs10
from kubesim.apimachinery.objects import Object, timestamp
from kubesim.apimachinery.pkcs10 import CertificateRequest
from kubesim.clientgo.absence import NOT_FOUND, tolerating
from kubesim.clientgo.client import Client
from kubesim.clientgo.informer import InformerFactory
from kubesim.clock import Clock
from kubesim.controllers import conditions
from kubesim.controllers.controller import Controller
from kubesim.controllers.keys import CertificateSigner

REQUESTS = "certificatesigningrequests.certificates.k8s.io"
CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
NODES, NODE_PREFIX = "system:nodes", "system:node:"
OPTIONAL = {"digital signature", "key encipherment"}
LONGEST = timedelta(days=365)
CLEANING_SECONDS = 3600.0
KEPT = {
    "Approved": timedelta(hours=1),
    "Denied": timedelta(hours=1),
    "Failed": timedelta(hours=1),
    "Pending": timedelta(hours=24),
}


class _CertificateController(Controller):
    """A loop over the requests; keys are their names."""

    name = "certificate-controller"

    def watch(self, informers: InformerFactory) -> None:
        """Requests fill the queue."""
        requests = informers.informer(REQUESTS)
        self.requests = requests.cache
        requests.add_handler(self.enqueue)


class CertificateApprover(_CertificateController):
    """Approves the client certificates that kubelets ask for themselves."""

    async def sync(self, key: str) -> None:
        """Approve a kubelet's request if its author may have it."""
        request = self.requests.get(key)
        if request is None or decided(request) or request["spec"]["signerName"] != KUBELET_CLIENT:
            return
        wanted = parsed(request)
        if kubelet_client_problem(wanted, request["spec"]["usages"]):
            return
        own = request["spec"]["username"] == wanted.common_name
        for subresource, mine, told in (
            ("selfnodeclient", True, "self kubelet client certificate"),
            ("nodeclient", False, "kubelet client certificate"),
        ):
            if (own or not mine) and await self._may(request, subresource):
                await self._approve(request, told)
                return

    async def _may(self, request: Object, subresource: str) -> bool:
        spec = request["spec"]
        attributes = {
            "group": "certificates.k8s.io",
            "resource": "certificatesigningrequests",
            "verb": "create",
            "subresource": subresource,
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": spec["username"],
                "groups": spec.get("groups", []),
                "resourceAttributes": attributes,
            },
        }
        answer = await self.client.create("subjectaccessreviews.authorization.k8s.io", review)
        return bool(answer["status"]["allowed"])

    async def _approve(self, request: Object, told: str) -> None:
        now = timestamp(self.clock.now())
        message = f"Auto approving {told} after SubjectAccessReview."
        approved = conditions.make("Approved", "True", "AutoApproved", message, now)
        await write(self.client, request, "approval", approved | {"lastUpdateTime": now})


class CertificateSigningController(_CertificateController):
    """Signs approved requests of the signers that Kubernetes itself defines."""

    def __init__(
        self,
        client: Client,
        informers: InformerFactory,
        clock: Clock,
        signer: CertificateSigner | None,
    ) -> None:
        self._signer = signer
        super().__init__(client, informers, clock)

    async def sync(self, key: str) -> None:
        """Sign a request, or say why not."""
        request = self.requests.get(key)
        if request is None or not awaits_signature(request):
            return
        check = PROBLEMS.get(request["spec"]["signerName"])
        if check is None:
            return
        if self._signer is None:
            told = "this cluster has no certificate authority, so nobody signs the request"
            self.recorder.event(request, "Warning", "SigningDisabled", told)
            return
        problem = check(parsed(request), request["spec"]["usages"])
        if problem:
            now = timestamp(self.clock.now())
            failed = conditions.make("Failed", "True", "SignerValidationFailure", problem, now)
            await write(self.client, request, "status", failed | {"lastUpdateTime": now})
            return
        seconds = request["spec"].get("expirationSeconds")
        validity = min(LONGEST, timedelta(seconds=seconds)) if seconds else LONGEST
        pem = base64.b64decode(request["spec"]["request"]).decode()
        certificate = self._signer.sign_request(pem, request["spec"]["usages"], validity)
        await write(self.client, request, "status", certificate=certificate)


class CertificateCleaner(_CertificateController):
    """Deletes requests that nobody needs any more."""

    async def sync(self, key: str) -> None:
        """Delete a request that has been settled, or waiting, for long enough."""
        request = self.requests.get(key)
        if request is None:
            return
        state, since = state_of(request)
        if self.clock.now() - since > KEPT[state]:
            with tolerating(NOT_FOUND):
                await self.client.delete(REQUESTS, key, uid=request["metadata"]["uid"])
        else:
            self.queue.add_after(key, CLEANING_SECONDS)


async def write(
    client: Client,
    request: Object,
    subresource: str,
    condition: Object | None = None,
    certificate: str = "",
) -> None:
    """Write a condition or a certificate into a request's status."""
    status = dict(request.get("status") or {})
    if condition:
        status["conditions"] = [*(status.get("conditions") or ()), condition]
    if certificate:
        status["certificate"] = base64.b64encode(certificate.encode()).decode()
    with tolerating(NOT_FOUND):
        await client.update(REQUESTS, request | {"status": status}, subresource=subresource)


def parsed(request: Object) -> CertificateRequest:
    """What a request asks for."""
    return pkcs10.parse(base64.b64decode(request["spec"]["request"]).decode())


def types(request: Object) -> set[str]:
    """The conditions that a request has."""
    found = (request.get("status") or {}).get("conditions") or ()
    return {condition["type"] for condition in found}


def decided(request: Object) -> bool:
    """Whether somebody has approved or denied a request."""
    return bool(types(request) & {"Approved", "Denied"})


def awaits_signature(request: Object) -> bool:
    """Whether a request is approved and neither signed nor failed."""
    found = types(request)
    issued = (request.get("status") or {}).get("certificate")
    return "Approved" in found and not found & {"Denied", "Failed"} and not issued


def state_of(request: Object) -> tuple[str, datetime]:
    """What has become of a request, and since when."""
    conditions = (request.get("status") or {}).get("conditions") or ()
    times = {condition["type"]: condition["lastUpdateTime"] for condition in conditions}
    for state in ("Denied", "Failed", "Approved"):
        if state in times:
            return state, datetime.fromisoformat(times[state])
    return "Pending", datetime.fromisoformat(request["metadata"]["creationTimestamp"])


def client_problem(_wanted: CertificateRequest, usages: Sequence[str]) -> str:
    """Why a client certificate is refused; empty when it is not."""
    for usage in usages:
        if usage != "client auth" and usage not in OPTIONAL:
            return f"invalid usage for client certificate: {usage}"
    if "client auth" not in usages:
        return "missing required usage for client certificate: client auth"
    return ""


def kubelet_client_problem(wanted: CertificateRequest, usages: Sequence[str]) -> str:
    """Why a kubelet's client certificate is refused."""
    problem = _node_problem(wanted)
    for names, told in (
        (wanted.dns_names, "DNS"),
        (wanted.email_addresses, "Email"),
        (wanted.ip_addresses, "IP"),
        (wanted.uris, "URI"),
    ):
        if names and not problem:
            problem = f"{told} subjectAltNames are not allowed"
    return problem or _usage_problem(usages, "client auth")


def kubelet_serving_problem(wanted: CertificateRequest, usages: Sequence[str]) -> str:
    """Why a kubelet's serving certificate is refused."""
    problem = _node_problem(wanted)
    if not problem and not wanted.dns_names and not wanted.ip_addresses:
        problem = "DNS or IP subjectAltName is required"
    for names, told in ((wanted.email_addresses, "Email"), (wanted.uris, "URI")):
        if names and not problem:
            problem = f"{told} subjectAltNames are not allowed"
    return problem or _usage_problem(usages, "server auth")


def _node_problem(wanted: CertificateRequest) -> str:
    if wanted.organizations != (NODES,):
        return f"subject organization is not {NODES}"
    if not wanted.common_name.startswith(NODE_PREFIX):
        return f"subject common name does not begin with {NODE_PREFIX}"
    return ""


def _usage_problem(usages: Sequence[str], needed: str) -> str:
    wanted = {needed, "digital signature"}
    if set(usages) in (wanted, wanted | {"key encipherment"}):
        return ""
    return f"usages did not match [{needed} digital signature key encipherment]"


PROBLEMS = {
    CLIENT: client_problem,
    KUBELET_CLIENT: kubelet_client_problem,
    KUBELET_SERVING: kubelet_serving_problem,
}
