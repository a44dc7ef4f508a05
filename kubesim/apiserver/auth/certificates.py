"""Who may approve and sign which certificates, and what nobody may ask for.

The admission plugins CertificateApproval, CertificateSigning and CertificateSubjectRestriction:
https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#authorization
"""

import base64

from kubesim.apimachinery import pkcs10
from kubesim.apiserver import errors
from kubesim.apiserver.auth.authorization import RBAC, SUPERUSERS
from kubesim.apiserver.registry.context import Context
from kubesim.apiserver.registry.storage import Object
from kubesim.apiserver.request import RequestInfo, UserInfo

GROUP = "certificates.k8s.io"
CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"


class CertificateAdmission:
    """Asked before every write. Raises StatusError 403."""

    def __init__(self, rbac: RBAC) -> None:
        self._rbac = rbac

    def __call__(self, context: Context, new: Object | None, old: Object | None) -> None:
        """Judge a new request, an approval, or a signature."""
        if context.resource.plural != "certificatesigningrequests" or not new:
            return
        signer, name = new["spec"]["signerName"], new["metadata"]["name"]
        problem = None
        if old is None:
            problem = _restricted(new)
        elif (verb := _verb(context, new, old)) and not self._may(context.user, verb, signer):
            problem = f'user not permitted to {verb} requests with signerName "{signer}"'
        if problem:
            raise errors.forbidden(context.resource.full_name, name, problem)

    def _may(self, user: UserInfo, verb: str, signer: str) -> bool:
        """Whether a user has the verb on a signer, or on all of its domain."""
        domain = signer.partition("/")[0]
        asked = [
            RequestInfo(verb, "", GROUP, resource="signers", name=name)
            for name in (signer, f"{domain}/*")
        ]
        return any(self._rbac.allowed(user, info)[0] for info in asked)


def _verb(context: Context, new: Object, old: Object) -> str:
    """What an update does that needs a permission on the signer."""
    if context.subresource == "approval":
        return "approve"
    signs = context.subresource == "status" and _outcome(new) != _outcome(old)
    return "sign" if signs else ""


def _restricted(request: Object) -> str | None:
    """A certificate that makes its holder almighty cannot be asked for."""
    spec = request["spec"]
    if spec["signerName"] != CLIENT_SIGNER:
        return None
    wanted = pkcs10.parse(base64.b64decode(spec["request"]).decode())
    if SUPERUSERS in wanted.organizations:
        return f"use of {CLIENT_SIGNER} signer with {SUPERUSERS} group is not allowed"
    return None


def _outcome(request: Object) -> tuple[str, bool]:
    """What only a signer writes: the certificate, or that there will be none."""
    status = request.get("status") or {}
    failed = any(c["type"] == "Failed" for c in status.get("conditions") or ())
    return status.get("certificate", ""), failed
