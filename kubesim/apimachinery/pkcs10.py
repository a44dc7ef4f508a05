"""Reading a certificate request (PKCS #10, RFC 2986): who wants to be called what.

As much of ASN.1's DER as that takes, so that the API server can judge a request without a library
for cryptography; whether its signature holds is the signer's business.
"""

import base64
import binascii
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

BEGIN, END = "-----BEGIN CERTIFICATE REQUEST-----", "-----END CERTIFICATE REQUEST-----"
COMMON_NAME, ORGANIZATION = "2.5.4.3", "2.5.4.10"
EXTENSION_REQUEST, ALTERNATIVE_NAMES = "1.2.840.113549.1.9.14", "2.5.29.17"
INTEGER, OCTETS, IDENTIFIER, SEQUENCE, SET = 0x02, 0x04, 0x06, 0x30, 0x31
ATTRIBUTES = 0xA0
EMAIL, DNS, URI, ADDRESS = 0x81, 0x82, 0x86, 0x87


@dataclass(frozen=True)
class CertificateRequest:
    """The subject of a request, and the other names that it asks for."""

    common_name: str
    organizations: tuple[str, ...]
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[str, ...] = ()
    email_addresses: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()


def parse(pem: str) -> CertificateRequest:
    """Read a request in PEM form. Raises ValueError."""
    _, begin, rest = pem.partition(BEGIN)
    body, end, _ = rest.partition(END)
    if not begin or not end:
        raise ValueError("PEM block type must be CERTIFICATE REQUEST")
    try:
        der = base64.b64decode("".join(body.split()), validate=True)
        (_, request), *_ = _values(der)
        (_, info), *_ = _values(request)
        (_, _version), (_, subject), (_, _key), *attributes = _values(info)
        return _read(subject, [value for tag, value in attributes if tag == ATTRIBUTES])
    except (binascii.Error, IndexError, ValueError):
        raise ValueError("asn1: structure error: malformed certificate request") from None


def _read(subject: bytes, attributes: list[bytes]) -> CertificateRequest:
    names = list(_subject(subject))
    others = [pair for each in attributes for pair in _alternative_names(each)]

    def of(tag: int) -> tuple[str, ...]:
        return tuple(value.decode() for kind, value in others if kind == tag)

    return CertificateRequest(
        common_name=next((value for oid, value in names if oid == COMMON_NAME), ""),
        organizations=tuple(value for oid, value in names if oid == ORGANIZATION),
        dns_names=of(DNS),
        ip_addresses=tuple(
            str(ipaddress.ip_address(value)) for kind, value in others if kind == ADDRESS
        ),
        email_addresses=of(EMAIL),
        uris=of(URI),
    )


def _subject(name: bytes) -> Iterator[tuple[str, str]]:
    for _, group in _values(name):
        for _, pair in _values(group):
            (_, oid), (_, value) = _values(pair)
            yield _identifier(oid), value.decode()


def _alternative_names(attributes: bytes) -> Iterator[tuple[int, bytes]]:
    for _, attribute in _values(attributes):
        (_, oid), (_, requested) = _values(attribute)
        if _identifier(oid) != EXTENSION_REQUEST:
            continue
        for _, extensions in _values(requested):
            for _, extension in _values(extensions):
                (_, name), *_critical, (_, value) = _values(extension)
                if _identifier(name) == ALTERNATIVE_NAMES:
                    ((_, names),) = _values(value)
                    yield from _values(names)


def _values(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the tag and the content of each value in a row of them."""
    at = 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(der[at : at + size], "big"), at + size
        if at + length > len(der):
            raise ValueError("truncated")
        yield tag, der[at : at + length]
        at += length


def _identifier(content: bytes) -> str:
    """An object identifier, its first two arcs packed into one byte (X.690, 8.19)."""
    arcs, value = [content[0] // 40, content[0] % 40], 0
    for byte in content[1:]:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            arcs.append(value)
            value = 0
    return ".".join(map(str, arcs))
