"""Certificate requests are read without a library for cryptography."""

import base64
import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kubesim.apimachinery.pkcs10 import parse


def request(*alternatives, organizations=("dev", "ops")):
    names = [(NameOID.ORGANIZATION_NAME, o) for o in organizations] + [
        (NameOID.COMMON_NAME, "jané")
    ]
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in names])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), False)
    made = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


def test_the_subject_is_read():
    found = parse(request())
    assert (found.common_name, found.organizations) == ("jané", ("dev", "ops"))
    assert found.dns_names == found.ip_addresses == found.uris == ()


def test_the_other_names_are_read():
    found = parse(
        request(
            x509.DNSName("node.example"),
            x509.IPAddress(ipaddress.ip_address("10.0.0.1")),
            x509.IPAddress(ipaddress.ip_address("fd00::1")),
            x509.RFC822Name("a@b.c"),
            x509.UniformResourceIdentifier("spiffe://x"),
        )
    )
    assert found.dns_names == ("node.example",)
    assert found.ip_addresses == ("10.0.0.1", "fd00::1")
    assert found.email_addresses == ("a@b.c",)
    assert found.uris == ("spiffe://x",)


def wrapped(der):
    body = base64.b64encode(der).decode()
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n"


@pytest.mark.parametrize(
    "pem",
    ["", "hello", wrapped(b""), wrapped(b"\x30\x7f\x00"), wrapped(b"\x30\x02\x30\x00")],
)
def test_what_is_no_request(pem):
    with pytest.raises(ValueError, match=r"PEM block|malformed"):
        parse(pem)
