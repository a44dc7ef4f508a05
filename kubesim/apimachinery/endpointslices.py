"""How an EndpointSlice says what it belongs to, and which of its endpoints take traffic."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kubesim.apimachinery.objects import Object, labels_of

SLICES = "endpointslices.discovery.k8s.io"
SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"


def service_of(endpoint_slice: Mapping[str, Any]) -> Iterable[str]:
    """The key of the Service that a slice names, as an index of slices wants it."""
    name = labels_of(endpoint_slice).get(SERVICE_NAME)
    return (f"{endpoint_slice['metadata']['namespace']}/{name}",) if name else ()


def is_ready(endpoint: Object) -> bool:
    """Whether an endpoint takes new connections; not saying so means yes."""
    return (endpoint.get("conditions") or {}).get("ready") is not False


def serves_its_end(endpoint: Object) -> bool:
    """Whether an endpoint is about to go but still answers: the last resort of kube-proxy."""
    conditions = endpoint.get("conditions") or {}
    return bool(conditions.get("serving") is not False and conditions.get("terminating"))


def endpoints_of(endpoint_slice: Object) -> Iterator[Object]:
    """The endpoints of a slice, which may be null."""
    yield from endpoint_slice.get("endpoints") or ()


def port_number(endpoint_slice: Object, name: str) -> int | None:
    """The port of that name in a slice; one without a number (all ports) has none."""
    ports = endpoint_slice.get("ports") or ()
    return next((port.get("port") for port in ports if (port.get("name") or "") == name), None)
