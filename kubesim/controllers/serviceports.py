"""The ports of a Service, looked up in a Pod: what Endpoints and EndpointSlices have in common."""

from collections.abc import Iterator

from kubesim.apimachinery.objects import Object

HEADLESS = "service.kubernetes.io/headless"


def pod_ports(service: Object, pod: Object) -> Iterator[Object]:
    """The ports at which a Pod stands behind a Service's; one that it does not have is left out."""
    for port in service["spec"].get("ports") or ():
        number = _target_port(port, pod)
        if number is not None:
            made = {"name": port.get("name", ""), "port": number, "protocol": _protocol(port)}
            if port.get("appProtocol"):
                made["appProtocol"] = port["appProtocol"]
            yield made


def _target_port(port: Object, pod: Object) -> int | None:
    """The number of a target port; a name is one of a container's, or of a sidecar's, ports."""
    target = port.get("targetPort") or port["port"]
    if isinstance(target, int):
        return target
    spec = pod["spec"]
    sidecars = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    listed = (each for box in [*spec["containers"], *sidecars] for each in box.get("ports") or ())
    return next(
        (
            each["containerPort"]
            for each in listed
            if each.get("name") == target and _protocol(each) == _protocol(port)
        ),
        None,
    )


def _protocol(port: Object) -> str:
    return str(port.get("protocol", "TCP"))
