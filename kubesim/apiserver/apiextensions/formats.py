"""The formats that a string in a custom resource may have to have (kube-openapi's strfmt)."""

import base64
import ipaddress
import re
import uuid
from collections.abc import Callable
from datetime import date, datetime
from urllib.parse import urlparse

HOSTNAME = re.compile(r"(?=.{1,255}$)[A-Za-z0-9]([A-Za-z0-9-]{0,62})(\.[A-Za-z0-9-]{1,63})*\.?")
EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
DURATION = re.compile(r"-?(\d+(\.\d+)?\s*(ns|us|µs|ms|s|m|h|d|w)\s*)+|0")
QUANTITY = re.compile(r"[+-]?[0-9.]+([eEinumkKMGTP]*[-+]?[0-9]*)")
COLOR = re.compile(r"#?([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})")
DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def _parses(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def check(value: str) -> bool:
        try:
            parse(value)
        except ValueError:
            return False
        return True

    return check


def _matches(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda value: bool(pattern.fullmatch(value))


def _date_time(value: str) -> bool:
    return bool(DATE_TIME.fullmatch(value)) and _parses(datetime.fromisoformat)(value)


def _uri(value: str) -> bool:
    parts = urlparse(value)
    return bool(parts.scheme or parts.path.startswith("/"))


FORMATS: dict[str, Callable[[str], bool]] = {
    "date": _parses(date.fromisoformat),
    "date-time": _date_time,
    "datetime": _date_time,
    "duration": _matches(DURATION),
    "quantity": _matches(QUANTITY),
    "byte": _parses(lambda value: base64.b64decode(value, validate=True)),
    "email": _matches(EMAIL),
    "hostname": _matches(HOSTNAME),
    "ipv4": _parses(ipaddress.IPv4Address),
    "ipv6": _parses(ipaddress.IPv6Address),
    "cidr": _parses(lambda value: ipaddress.ip_network(value, strict=False)),
    "mac": _matches(re.compile(r"([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}")),
    "uri": _uri,
    "uuid": _parses(uuid.UUID),
    "hexcolor": _matches(COLOR),
}


def conforms(value: str, name: str) -> bool:
    """Whether a string has a format; formats that are not known are none."""
    check = FORMATS.get(name)
    return not check or check(value)
