"""Validation of APIServices (kube-aggregator's pkg/apis/apiregistration/validation)."""

from collections.abc import Iterator
from typing import Any

from kubesim.apiserver.patch.fields import Cause, forbidden, invalid, required
from kubesim.apiserver.validation import names

Object = dict[str, Any]
INSECURE = "may not be true if caBundle is specified"


def api_service(obj: Object) -> Iterator[Cause]:
    """Check an APIService."""
    spec = obj.get("spec") or {}
    group, version = spec.get("group", ""), spec.get("version", "")
    wanted = f"{version}.{group}"
    if obj["metadata"].get("name") != wanted:
        why = f'must be `spec.version+"."+spec.group`: {wanted!r}'
        yield invalid("metadata.name", obj["metadata"].get("name", ""), why.replace("'", '"'))
    if group:
        for problem in names.dns_subdomain(group):
            yield invalid("spec.group", group, problem)
    for problem in names.dns_1035_label(version):
        yield invalid("spec.version", version, problem)
    for field, limit in (("groupPriorityMinimum", 20000), ("versionPriority", 1000)):
        value = spec.get(field, 0)
        if not 0 < value <= limit:
            why = f"must be positive and less than {limit}"
            yield invalid(f"spec.{field}", value, why)
    service = spec.get("service")
    if service is None:
        if spec.get("caBundle"):
            yield forbidden("spec.caBundle", "local APIServices may not have a caBundle")
        if spec.get("insecureSkipTLSVerify"):
            why = "local APIServices may not have insecureSkipTLSVerify"
            yield forbidden("spec.insecureSkipTLSVerify", why)
        return
    for field in ("namespace", "name"):
        if not service.get(field):
            yield required(f"spec.service.{field}")
    if spec.get("caBundle") and spec.get("insecureSkipTLSVerify"):
        yield invalid("spec.insecureSkipTLSVerify", value=True, detail=INSECURE)
