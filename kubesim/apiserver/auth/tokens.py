"""JSON Web Tokens in their compact form (RFC 7515), and a signer that needs no cryptography.

A cluster that is served signs with the elliptic-curve key of its own PKI. One that lives in this
process only has nobody to show a public key to: it signs with a secret.
"""

import base64
import hashlib
import hmac
import json
from random import Random
from typing import Any

Claims = dict[str, Any]


def encode(data: bytes) -> str:
    """Return base64url without its padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Return what base64url without padding stands for. Raises ValueError."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def unsigned(header: Claims, claims: Claims) -> str:
    """Return the part of a token that is signed."""
    return ".".join(encode(json.dumps(part).encode()) for part in (header, claims))


def claims_of(text: str) -> Claims | None:
    """Return the claims in the signed part of a token, or None. Raises ValueError."""
    claims = json.loads(decode(text.partition(".")[2]))
    return claims if isinstance(claims, dict) else None


class SecretSigner:
    """Signs and checks tokens with a secret (algorithm HS256)."""

    def __init__(self, random: Random) -> None:
        self._secret = random.randbytes(32)

    def sign(self, claims: Claims) -> str:
        """The token for these claims."""
        text = unsigned({"alg": "HS256", "typ": "JWT"}, claims)
        return f"{text}.{encode(self._signature(text))}"

    def verify(self, token: str) -> Claims | None:
        """The claims of a token with a good signature, else None."""
        text, _, signature = token.rpartition(".")
        try:
            good = hmac.compare_digest(decode(signature), self._signature(text))
            return claims_of(text) if good else None
        except ValueError:
            return None

    def _signature(self, text: str) -> bytes:
        return hmac.digest(self._secret, text.encode(), hashlib.sha256)
