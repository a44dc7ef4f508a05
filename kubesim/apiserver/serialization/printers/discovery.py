"""Columns of the group discovery.k8s.io."""

from collections.abc import Sequence
from datetime import datetime

from kubesim.apiserver.serialization.printers.column import AGE, NAME, Column, Object, field

MAX_SHOWN = 3


def _ports(endpoint_slice: Object, _now: datetime) -> str:
    ports = endpoint_slice.get("ports") or ()
    return _some([str(port.get("port", port.get("name") or "*")) for port in ports])


def _endpoints(endpoint_slice: Object, _now: datetime) -> str:
    endpoints = endpoint_slice.get("endpoints") or ()
    return _some([address for each in endpoints for address in each["addresses"]])


def _some(values: list[str]) -> str:
    more = f" + {len(values) - MAX_SHOWN} more..." if len(values) > MAX_SHOWN else ""
    return (",".join(values[:MAX_SHOWN]) or "<unset>") + more


COLUMNS: dict[str, Sequence[Column]] = {
    "endpointslices.discovery.k8s.io": (
        NAME,
        Column("AddressType", field("addressType")),
        Column("Ports", _ports),
        Column("Endpoints", _endpoints),
        AGE,
    ),
}
