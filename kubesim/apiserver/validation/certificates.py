"""Validation of CertificateSigningRequests (pkg/apis/certificates/validation)."""

import base64
import re
from collections.abc import Iterator
from typing import Any

from kubesim.apimachinery import pkcs10
from kubesim.apiserver.patch.fields import (
    Cause,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from kubesim.apiserver.validation import names

Object = dict[str, Any]
USAGES = (
    *("any", "cert sign", "client auth", "code signing", "content commitment", "crl sign"),
    *("data encipherment", "decipher only", "digital signature", "email protection"),
    *("encipher only", "ipsec end system", "ipsec tunnel", "ipsec user", "key agreement"),
    *("key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime"),
    *("server auth", "signing", "timestamping"),
)
LEGACY = "kubernetes.io/legacy-unknown"
LEAST_SECONDS = 600
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
LASTING = ("Approved", "Denied", "Failed")  # conditions that stay once they are there


def request(obj: Object) -> Iterator[Cause]:
    """Check a new CertificateSigningRequest."""
    spec = obj["spec"]
    try:
        pkcs10.parse(base64.b64decode(spec.get("request", "")).decode())
    except ValueError as error:
        yield invalid("spec.request", spec.get("request", ""), str(error))
    usages = spec.get("usages") or []
    if not usages:
        yield required("spec.usages", "usages must be provided")
    for index, usage in enumerate(usages):
        if usage not in USAGES:
            yield not_supported(f"spec.usages[{index}]", usage, USAGES)
    for index, usage in enumerate(usages):
        if usage in usages[:index]:
            yield duplicate(f"spec.usages[{index}]", usage)
    yield from _signer_name(spec.get("signerName", ""))
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < LEAST_SECONDS:
        why = f"may not specify a duration less than {LEAST_SECONDS} seconds (10 minutes)"
        yield invalid("spec.expirationSeconds", seconds, why)


def _signer_name(name: str) -> Iterator[Cause]:
    path = "spec.signerName"
    if not name:
        yield required(path, "signerName must be provided")
        return
    domain, slash, rest = name.partition("/")
    if not slash or not rest:
        why = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        yield invalid(path, name, why)
        return
    for problem in names.dns_subdomain(domain):
        yield invalid(path, domain, f"validating label {problem}")
    if "." not in domain:
        yield invalid(
            path, domain, "should be a domain with at least two segments separated by dots"
        )
    for problem in names.dns_subdomain(rest):
        yield invalid(path, rest, f"validating label {problem}")
    if name == LEGACY:
        yield invalid(path, name, "the legacy signerName is not allowed via this API version")


def conditions_update(new: Object, old: Object) -> Iterator[Cause]:
    """Check the conditions after a change of the status or of the approval."""
    path = "status.conditions"
    after = new.get("status", {}).get("conditions") or []
    before = old.get("status", {}).get("conditions") or []
    types = [condition["type"] for condition in after]
    for kind in LASTING:
        if any(each["type"] == kind for each in before) and kind not in types:
            yield forbidden(path, f'updates may not remove a condition of type "{kind}"')
    for index, condition in enumerate(after):
        kind, status, at = condition["type"], condition.get("status", ""), f"{path}[{index}]"
        if not kind:
            yield required(f"{at}.type")
        elif kind in types[:index]:
            yield duplicate(f"{at}.type", kind)
        if kind in LASTING and status != "True":
            yield (
                not_supported(f"{at}.status", status, ("True",))
                if status
                else required(f"{at}.status")
            )
        elif status not in ("True", "False", "Unknown"):
            yield not_supported(f"{at}.status", status, ("False", "True", "Unknown"))
        other = {"Approved": "Denied", "Denied": "Approved"}.get(kind)
        if other in types[:index]:
            why = "Approved and Denied conditions are mutually exclusive"
            yield invalid(f"{at}.type", kind, why)


def certificate_update(new: Object, old: Object) -> Iterator[Cause]:
    """Check the certificate that a signer writes: it comes once."""
    path, shown = "status.certificate", "<certificate data>"
    after = new.get("status", {}).get("certificate", "")
    before = old.get("status", {}).get("certificate", "")
    if before and after != before:
        yield forbidden(path, "updates may not set or modify a certificate once it is set")
    elif after and not CERTIFICATE.search(base64.b64decode(after).decode(errors="replace")):
        yield invalid(path, shown, "must contain at least one CERTIFICATE PEM block")
