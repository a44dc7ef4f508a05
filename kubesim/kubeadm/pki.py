"""The cluster's certificate authority, certificates, token signing key and kubeconfig files.

File names and subjects are kubeadm's, so that what a learner reads about a real control plane can
be looked up here: https://kubernetes.io/docs/setup/best-practices/certificates/. All keys are EC
P-256: they take a millisecond to make where RSA takes a second.
"""

import base64
import ipaddress
import os
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kubesim.apiserver.auth import tokens

CA_VALIDITY = timedelta(days=3650)
CERTIFICATE_VALIDITY = timedelta(days=365)
SERVING_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
KEY_USAGES = {
    "signing": "digital_signature",
    "digital signature": "digital_signature",
    "content commitment": "content_commitment",
    "key encipherment": "key_encipherment",
    "key agreement": "key_agreement",
    "data encipherment": "data_encipherment",
    "cert sign": "key_cert_sign",
    "crl sign": "crl_sign",
}
EXTENDED_USAGES = {
    "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp signing": ExtendedKeyUsageOID.OCSP_SIGNING,
}
ADMIN_USER = "kubernetes-admin"
ADMIN_GROUP = "kubeadm:cluster-admins"


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, replacing an old one in one step."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    temporary.replace(path)


class PKI:
    """The key material in one directory; what is missing is made, what is there is kept.

    Raises ValueError when a file is there but holds no key or certificate.
    """

    def __init__(self, directory: Path, service_ip: str) -> None:
        self.directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._ca_key = self._key("ca.key")
        self._ca = self._certificate("ca.crt", self._make_ca)
        self._key("apiserver.key")
        addresses = ("127.0.0.1", service_ip)
        self._certificate("apiserver.crt", lambda: self._make_serving(addresses))
        self.tokens = TokenKey(self._key("sa.key"))

    @property
    def ca_pem(self) -> bytes:
        """The certificate authority's certificate, PEM."""
        return self._ca.public_bytes(serialization.Encoding.PEM)

    def path(self, name: str) -> Path:
        """Where the file of that name is kept."""
        return self.directory / name

    def client_certificate(self, user: str, groups: Sequence[str]) -> tuple[bytes, bytes]:
        """A new certificate and key (PEM) for a client: CN is the user, each O a group."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [(NameOID.ORGANIZATION_NAME, group) for group in groups]
        subject = _name(*names, (NameOID.COMMON_NAME, user))
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        certificate = self._sign(_builder(subject, CERTIFICATE_VALIDITY), key, usage)
        return certificate.public_bytes(serialization.Encoding.PEM), _key_pem(key)

    def sign_request(self, request: str, usages: Sequence[str], validity: timedelta) -> str:
        """Sign a certificate request as kube-controller-manager does; PEM in, PEM out.

        Raises ValueError when the request is not signed with its own key.
        """
        csr = x509.load_pem_x509_csr(request.encode())
        if not csr.is_signature_valid:
            raise ValueError("the certificate request's signature does not hold")
        builder = _builder(csr.subject, validity).issuer_name(self._ca.subject)
        builder = builder.public_key(csr.public_key())
        if key_usages := {KEY_USAGES[each] for each in usages if each in KEY_USAGES}:
            builder = builder.add_extension(_key_usage(key_usages), True)
        extended = [EXTENDED_USAGES[each] for each in usages if each in EXTENDED_USAGES]
        if extended:
            builder = builder.add_extension(x509.ExtendedKeyUsage(extended), False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._ca_key.public_key())
        builder = builder.add_extension(authority, False)
        for extension in csr.extensions:
            if isinstance(extension.value, x509.SubjectAlternativeName):
                builder = builder.add_extension(extension.value, False)
        certificate = builder.sign(self._ca_key, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM).decode()

    def _key(self, name: str) -> ec.EllipticCurvePrivateKey:
        path = self.path(name)
        if not path.exists():
            write_private(path, _key_pem(ec.generate_private_key(ec.SECP256R1())))
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{path} is not an EC private key")
        return key

    def _certificate(self, name: str, make: Callable[[], x509.Certificate]) -> x509.Certificate:
        path = self.path(name)
        if not path.exists() or self._expires_soon(path):
            write_private(path, make().public_bytes(serialization.Encoding.PEM))
        return x509.load_pem_x509_certificate(path.read_bytes())

    @staticmethod
    def _expires_soon(path: Path) -> bool:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        return certificate.not_valid_after_utc < datetime.now(UTC) + timedelta(days=30)

    def _make_ca(self) -> x509.Certificate:
        subject = _name((NameOID.COMMON_NAME, "kubernetes"))
        builder = _builder(subject, CA_VALIDITY).issuer_name(subject)
        builder = builder.public_key(self._ca_key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        builder = builder.add_extension(_usage(certificates=True), True)
        identifier = x509.SubjectKeyIdentifier.from_public_key(self._ca_key.public_key())
        return builder.add_extension(identifier, False).sign(self._ca_key, hashes.SHA256())

    def _make_serving(self, addresses: Sequence[str]) -> x509.Certificate:
        subject = _name((NameOID.COMMON_NAME, "kube-apiserver"))
        names: list[x509.GeneralName] = [x509.DNSName(name) for name in SERVING_NAMES]
        names += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
        builder = _builder(subject, CERTIFICATE_VALIDITY)
        builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        return self._sign(builder, self._key("apiserver.key"), usage)

    def _sign(
        self,
        builder: x509.CertificateBuilder,
        key: ec.EllipticCurvePrivateKey,
        usage: x509.ExtendedKeyUsage,
    ) -> x509.Certificate:
        ca_key = self._ca_key.public_key()
        builder = builder.issuer_name(self._ca.subject).public_key(key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        builder = builder.add_extension(_usage(certificates=False), True)
        builder = builder.add_extension(usage, False)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key)
        return builder.add_extension(authority, False).sign(self._ca_key, hashes.SHA256())


class TokenKey:
    """Signs and checks the JSON Web Tokens of service accounts (RFC 7519, algorithm ES256)."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        public = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        digest = hashes.Hash(hashes.SHA256())
        digest.update(public)
        self._key_id = tokens.encode(digest.finalize())

    def sign(self, claims: dict[str, Any]) -> str:
        """The compact form of a token with these claims."""
        header = {"alg": "ES256", "kid": self._key_id}
        text = tokens.unsigned(header, claims)
        r, s = decode_dss_signature(self._key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{tokens.encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def verify(self, token: str) -> dict[str, Any] | None:
        """The claims of a token that this key signed, or None."""
        try:
            text, _, signature = token.rpartition(".")
            raw = tokens.decode(signature)
            der = encode_dss_signature(
                int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
            )
            self._key.public_key().verify(der, text.encode(), ec.ECDSA(hashes.SHA256()))
            return tokens.claims_of(text)
        except (ValueError, InvalidSignature):
            return None


def kubeconfig(
    cluster: str, server: str, ca_pem: bytes, certificate: bytes, key: bytes
) -> dict[str, Any]:
    """The kubeconfig of a client with a certificate, its parts named as kubeadm names them."""
    user = f"{cluster}-admin"
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": cluster,
                "cluster": {"server": server, "certificate-authority-data": _base64(ca_pem)},
            }
        ],
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate-data": _base64(certificate),
                    "client-key-data": _base64(key),
                },
            }
        ],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": user}}],
        "current-context": cluster,
    }


def _builder(subject: x509.Name, validity: timedelta) -> x509.CertificateBuilder:
    start = datetime.now(UTC) - timedelta(minutes=5)  # clocks of clients may be a little behind
    builder = x509.CertificateBuilder().subject_name(subject)
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(start).not_valid_after(start + validity)


def _name(*parts: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])


def _usage(*, certificates: bool) -> x509.KeyUsage:
    return _key_usage(
        {"digital_signature", "key_cert_sign" if certificates else "key_encipherment"}
    )


def _key_usage(names: Collection[str]) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature="digital_signature" in names,
        key_encipherment="key_encipherment" in names,
        key_cert_sign="key_cert_sign" in names,
        content_commitment="content_commitment" in names,
        data_encipherment="data_encipherment" in names,
        key_agreement="key_agreement" in names,
        crl_sign="crl_sign" in names,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
