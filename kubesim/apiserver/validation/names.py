"""Names, labels and ports: what characters they may have.

Rules and sentences are those of k8s.io/apimachinery/pkg/util/validation/validation.go. Each
function returns what is wrong with a value, nothing when it is right.
"""

import ipaddress
import re
from collections.abc import Iterator

LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = rf"{LABEL}(\.{LABEL})*"
WILDCARD = rf"\*\.{SUBDOMAIN}"
DNS_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
LABEL_VALUE = f"({QUALIFIED})?"
CONFIG_KEY = "[-._a-zA-Z0-9]+"
PERCENT = "[0-9]+%"

LABEL_MESSAGE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
    "and must start and end with an alphanumeric character"
)
SUBDOMAIN_MESSAGE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, "
    "'-' or '.', and must start and end with an alphanumeric character"
)
WILDCARD_MESSAGE = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which "
    "must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric "
    "character"
)
DNS_1035_MESSAGE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character"
)
QUALIFIED_MESSAGE = (
    "must consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character"
)
LABEL_VALUE_MESSAGE = (
    "a valid label must be an empty string or consist of alphanumeric characters, "
    "'-', '_' or '.', and must start and end with an alphanumeric character"
)
CONFIG_KEY_MESSAGE = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
PERCENT_MESSAGE = "a valid percent string must be a numeric string followed by an ending '%'"
ENVIRONMENT_MESSAGE = (
    "a valid environment variable name must consist only of printable ASCII characters "
    "other than '='"
)
HTTP_HEADER = "[-A-Za-z0-9]+"
HTTP_HEADER_MESSAGE = "a valid HTTP header must consist of alphanumeric characters or '-'"
PORT_MESSAGE = "must be between 1 and 65535, inclusive"
LINK_LOCAL_MULTICAST = {
    4: ipaddress.ip_network("224.0.0.0/24"),
    6: ipaddress.ip_network("ff02::/16"),
}
NETWORK_MESSAGE = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
ADDRESS_MESSAGE = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"


def dns_label(value: str) -> Iterator[str]:
    """Check a name that becomes one part of a DNS name, as a namespace's."""
    yield from _too_long(value, 63)
    if not re.fullmatch(LABEL, value):
        yield _regex_error(LABEL_MESSAGE, LABEL, "my-name", "123-abc")


def dns_subdomain(value: str) -> Iterator[str]:
    """Check a name of parts joined by dots, as most objects have."""
    yield from _too_long(value, 253)
    if not re.fullmatch(SUBDOMAIN, value):
        yield _regex_error(SUBDOMAIN_MESSAGE, SUBDOMAIN, "example.com")


def wildcard_subdomain(value: str) -> Iterator[str]:
    """Check a name whose first part stands for any."""
    yield from _too_long(value, 253)
    if not re.fullmatch(WILDCARD, value):
        yield _regex_error(WILDCARD_MESSAGE, WILDCARD, "*.example.com")


def dns_1035_label(value: str) -> Iterator[str]:
    """Check a name that must not start with a digit, as a Service's."""
    yield from _too_long(value, 63)
    if not re.fullmatch(DNS_1035, value):
        yield _regex_error(DNS_1035_MESSAGE, DNS_1035, "my-name", "abc-123")


def path_segment(value: str) -> Iterator[str]:
    """Check a name that only has to fit into a URL, as a Role's."""
    if value in (".", ".."):
        yield f"may not be '{value}'"
    for character in "/%":
        if character in value:
            yield f"may not contain '{character}'"


def qualified_name(value: str) -> Iterator[str]:
    """Check the key of a label, annotation or taint: an optional DNS prefix and a name."""
    examples = ("MyName", "my.name", "123-abc")
    prefix, slash, name = value.rpartition("/")
    if "/" in prefix:
        base = _regex_error(f"a qualified name {QUALIFIED_MESSAGE}", QUALIFIED, *examples)
        yield f"{base} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return
    if slash and not prefix:
        yield "prefix part must be non-empty"
    elif prefix:
        yield from (f"prefix part {error}" for error in dns_subdomain(prefix))
    if not name:
        yield "name part must be non-empty"
    yield from (f"name part {error}" for error in _too_long(name, 63))
    if not re.fullmatch(QUALIFIED, name):
        yield _regex_error(f"name part {QUALIFIED_MESSAGE}", QUALIFIED, *examples)


def label_value(value: str) -> Iterator[str]:
    """Check the value of a label."""
    yield from _too_long(value, 63)
    if not re.fullmatch(LABEL_VALUE, value):
        yield _regex_error(LABEL_VALUE_MESSAGE, LABEL_VALUE, "MyValue", "my_value", "12345")


def config_key(value: str) -> Iterator[str]:
    """Check a key of a ConfigMap or Secret, which may become a file's name."""
    yield from _too_long(value, 253)
    if not re.fullmatch(CONFIG_KEY, value):
        yield _regex_error(CONFIG_KEY_MESSAGE, CONFIG_KEY, "key.name", "KEY_NAME", "key-name")
    elif value in (".", ".."):
        yield f"must not be '{value}'"
    elif value.startswith(".."):
        yield "must not start with '..'"


def environment_name(value: str) -> Iterator[str]:
    """Check the name of an environment variable."""
    if not value.isascii() or not value.isprintable() or "=" in value:
        yield ENVIRONMENT_MESSAGE


def http_header(value: str) -> Iterator[str]:
    """Check the name of an HTTP header."""
    if not re.fullmatch(HTTP_HEADER, value):
        yield _regex_error(HTTP_HEADER_MESSAGE, HTTP_HEADER, "X-Header-Name")


def port_number(value: int) -> Iterator[str]:
    """Check a port's number."""
    if not 1 <= value <= 65535:
        yield PORT_MESSAGE


def port_name(value: str) -> Iterator[str]:
    """Check a port's name (an IANA service name)."""
    if len(value) > 15:
        yield "must be no more than 15 characters"
    if not re.fullmatch("[-a-z0-9]+", value):
        yield "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
    if not re.search("[a-z]", value):
        yield "must contain at least one letter (a-z)"
    if "--" in value:
        yield "must not contain consecutive hyphens"
    if value and (value[0] == "-" or value[-1] == "-"):
        yield "must not begin or end with a hyphen"


def port(value: int | str) -> Iterator[str]:
    """Check a port given by number or by name."""
    return port_number(value) if isinstance(value, int) else port_name(value)


def address(value: str) -> Iterator[str]:
    """Check an IP address."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        yield ADDRESS_MESSAGE


def network(value: str) -> Iterator[str]:
    """Check an address range."""
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        valid = False
    else:
        valid = "/" in value
    if not valid:
        yield NETWORK_MESSAGE


def ordinary_address(value: str) -> Iterator[str]:
    """Check that a valid IP address is not one that means something else on every machine."""
    parsed = ipaddress.ip_address(value)
    if parsed.is_unspecified:
        yield f"may not be unspecified ({value})"
    if parsed.is_loopback:
        yield "may not be in the loopback range (127.0.0.0/8, ::1/128)"
    if parsed.is_link_local:
        yield "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
    if parsed in LINK_LOCAL_MULTICAST[parsed.version]:
        yield "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"


def percent(value: str) -> Iterator[str]:
    """Check a percentage."""
    if not re.fullmatch(PERCENT, value):
        yield _regex_error(PERCENT_MESSAGE, PERCENT, "1%", "93%")


def _too_long(value: str, limit: int) -> Iterator[str]:
    if len(value) > limit:
        yield f"must be no more than {limit} bytes"


def _regex_error(message: str, expression: str, *examples: str) -> str:
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{message} (e.g. {shown}regex used for validation is '{expression}')"
