"""What the controller manager signs with: certificates, and the tokens in Secrets."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol


class CertificateSigner(Protocol):
    """Signs certificates with the cluster's certificate authority; the real one is pki.PKI."""

    def sign_request(self, request: str, usages: Sequence[str], validity: timedelta) -> str:
        """Return the certificate, PEM, for a request. Raises ValueError for a bad signature."""


class TokenSigner(Protocol):
    """Signs tokens; the real one is pki.TokenKey."""

    def sign(self, claims: dict[str, Any]) -> str:
        """Return the token for these claims."""


@dataclass(frozen=True)
class Keys:
    """What the controllers sign with.

    root_ca: the CA's certificate, PEM, for every namespace's kube-root-ca.crt; certificates: the CA
    at work, without which no requested certificate is signed; tokens: signs the tokens in Secrets,
    which stay empty without it.
    """

    root_ca: str = ""
    certificates: CertificateSigner | None = None
    tokens: TokenSigner | None = None
