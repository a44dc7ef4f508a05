"""What is particular to the writing of CertificateSigningRequests.

Who asks is noted at creation and nothing in the spec changes afterwards; approval and status are
subresources, so that who may approve and who may sign can be different people
(pkg/registry/certificates/certificates/strategy.go).
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from kubesim.apimachinery.objects import timestamp
from kubesim.apiserver import errors
from kubesim.apiserver.patch.fields import Cause
from kubesim.apiserver.registry.context import Context
from kubesim.apiserver.registry.strategy import Strategy, keep
from kubesim.apiserver.validation import certificates

Object = dict[str, Any]
APPROVALS = ("Approved", "Denied")


def note_requester(context: Context, obj: Object) -> None:
    """Write into a new request who makes it, whatever it says itself."""
    if context.resource.plural != "certificatesigningrequests":
        return
    spec, user = obj["spec"], context.user
    identity = {
        "username": user.name,
        "uid": user.uid,
        "groups": list(user.groups),
        "extra": {key: list(values) for key, values in user.extra.items()},
    }
    for field, value in identity.items():
        spec.pop(field, None)
        if value:
            spec[field] = value


class CertificateSigningRequestStrategy(Strategy):
    """CertificateSigningRequests."""

    status_metadata: tuple[str, ...] = ()

    def reset_fields(self, subresource: str) -> tuple[str, ...]:
        """Both subresources write into the status."""
        return ("spec",) if subresource else ("status",)

    def prepare_update(self, new: Object, old: Object) -> None:
        """Only the metadata can change."""
        keep(new, old, "spec")
        keep(new, old, "status")

    def prepare_status_update(self, new: Object, old: Object) -> Object:
        """A signer writes the certificate, or why there is none; approval is not its business."""
        updated = super().prepare_status_update(new, old)
        status = dict(updated.get("status") or {})
        approvals = [c for c in _conditions(old) if c["type"] in APPROVALS]
        others = [c for c in _conditions(updated) if c["type"] not in APPROVALS]
        status["conditions"] = [*approvals, *others]
        updated["status"] = {key: value for key, value in status.items() if value}
        self._refuse(updated, certificates.conditions_update(updated, old))
        self._refuse(updated, certificates.certificate_update(updated, old))
        return updated

    def prepare_approval(self, new: Object, old: Object, now: datetime) -> Object:
        """An approver writes conditions."""
        updated = super().prepare_status_update(new, old)
        status = dict(old.get("status") or {})
        status["conditions"] = [_timed(c, old, timestamp(now)) for c in _conditions(new)]
        updated["status"] = {key: value for key, value in status.items() if value}
        self._refuse(updated, certificates.conditions_update(updated, old))
        return updated

    def _refuse(self, obj: Object, causes: Iterable[Cause]) -> None:
        if found := list(causes):
            raise errors.invalid(self.resource.full_kind, obj["metadata"]["name"], found)


def _conditions(obj: Object) -> list[Object]:
    return (obj.get("status") or {}).get("conditions") or []


def _timed(condition: Object, old: Object, now: str) -> Object:
    """A condition with the times that its author left out."""
    before = next((c for c in _conditions(old) if c["type"] == condition["type"]), {})
    since = now
    if before.get("status") == condition.get("status"):
        since = before.get("lastTransitionTime", now)
    return {"lastUpdateTime": now, "lastTransitionTime": since} | condition


STRATEGIES = {"certificatesigningrequests.certificates.k8s.io": CertificateSigningRequestStrategy}
