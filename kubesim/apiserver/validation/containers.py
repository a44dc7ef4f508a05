"""Validation of a container (pkg/apis/core/validation)."""

from collections.abc import Iterator
from typing import Any

from kubesim.apiserver.patch.fields import (
    Cause,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from kubesim.apiserver.validation import names
from kubesim.apiserver.validation.environment import environment
from kubesim.apiserver.validation.metadata import each, unique
from kubesim.apiserver.validation.podnetwork import host_ports
from kubesim.apiserver.validation.resources import requirements
from kubesim.apiserver.validation.security import container_context
from kubesim.apiserver.validation.volumes import mounts

Object = dict[str, Any]
HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
HOOKS = ("exec", "httpGet", "tcpSocket", "sleep")
PROTOCOLS = ("SCTP", "TCP", "UDP")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")


def containers(spec: Object, path: str, usable: dict[str, Object]) -> Iterator[Cause]:
    """Check all containers of a Pod's spec; `usable` are the volumes that can be mounted."""
    if not spec.get("containers"):
        yield required(f"{path}.containers")
    seen: set[str] = set()
    for field in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(field, ())):
            at = f"{path}.{field}[{index}]"
            yield from _name(container["name"], at, seen)
            yield from _container(container, at, usable, init=field == "initContainers")
            if spec.get("hostNetwork"):
                yield from _host_ports(container, at)
    yield from host_ports(spec, "containers", path)


def ephemeral_container(container: Object, path: str, spec: Object) -> Iterator[Cause]:
    """Check an ephemeral container by itself; its name is compared with others elsewhere."""
    usable = {volume["name"]: volume for volume in spec.get("volumes", ())}
    yield from _name(container["name"], path, set())
    yield from _container(container, path, usable, init=False)


def _name(name: str, path: str, seen: set[str]) -> Iterator[Cause]:
    if not name:
        yield required(f"{path}.name")
        return
    yield from each(f"{path}.name", name, names.dns_label(name))
    if name in seen:
        yield duplicate(f"{path}.name", name)
    seen.add(name)


def _container(
    container: Object, path: str, usable: dict[str, Object], *, init: bool
) -> Iterator[Cause]:
    image = container.get("image", "")
    if not image:
        yield required(f"{path}.image")
    elif image != image.strip():
        yield invalid(f"{path}.image", image, "must not have leading or trailing whitespace")
    yield from _lifecycle(container, path, init=init)
    policy = container.get("terminationMessagePolicy")
    if policy not in (None, "File", "FallbackToLogsOnError"):
        why = "must be 'File' or 'FallbackToLogsOnError'"
        yield invalid(f"{path}.terminationMessagePolicy", policy, why)
    yield from _ports(container.get("ports", ()), f"{path}.ports")
    yield from environment(container, path)
    yield from mounts(container, path, usable)
    if container.get("imagePullPolicy", "Always") not in PULL_POLICIES:
        policy = container["imagePullPolicy"]
        yield not_supported(f"{path}.imagePullPolicy", policy, PULL_POLICIES)
    if container.get("restartPolicy", "Always") != "Always" and init:
        yield not_supported(f"{path}.restartPolicy", container["restartPolicy"], ("Always",))
    yield from requirements(container.get("resources", {}), f"{path}.resources")
    yield from container_context(container.get("securityContext", {}), f"{path}.securityContext")


def _lifecycle(container: Object, path: str, *, init: bool) -> Iterator[Cause]:
    """Check hooks and probes; of init containers, only restartable ones may have them."""
    sidecar = init and container.get("restartPolicy") == "Always"
    if init and not sidecar and container.get("lifecycle"):
        why = "may not be set for init containers without restartPolicy=Always"
        yield forbidden(f"{path}.lifecycle", why)
        container = container | {"lifecycle": {}}
    for hook, handler in container.get("lifecycle", {}).items():
        if isinstance(handler, dict):
            yield from _handler(handler, f"{path}.lifecycle.{hook}", HOOKS)
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if probe not in container:
            continue
        if init and not sidecar:
            why = "may not be set for init containers without restartPolicy=Always"
            yield forbidden(f"{path}.{probe}", why)
            continue
        yield from _probe(container[probe], f"{path}.{probe}", only_once=probe != "readinessProbe")


def _probe(probe: Object, path: str, *, only_once: bool) -> Iterator[Cause]:
    yield from _handler(probe, path, HANDLERS)
    for field in (
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ):
        yield from not_negative(probe.get(field, 0), f"{path}.{field}")
    if only_once and probe.get("successThreshold", 1) != 1:
        yield invalid(f"{path}.successThreshold", probe["successThreshold"], "must be 1")


def _handler(handler: Object, path: str, known: tuple[str, ...]) -> Iterator[Cause]:
    given = [name for name in known if name in handler]
    if not given:
        yield required(path, "must specify a handler type")
    for extra in given[1:]:
        yield forbidden(f"{path}.{extra}", "may not specify more than 1 handler type")
    for name in given[:1]:
        yield from _action(handler[name], name, f"{path}.{name}")


def _action(action: Object, name: str, path: str) -> Iterator[Cause]:
    if name == "exec" and not action.get("command"):
        yield required(f"{path}.command")
    if name == "httpGet" and not action.get("path"):
        yield required(f"{path}.path")
    if name in ("httpGet", "tcpSocket", "grpc"):
        port = action.get("port", 0)
        yield from each(f"{path}.port", port, names.port(port))
    for header in action.get("httpHeaders", ()):
        yield from each(
            f"{path}.httpHeaders", header.get("name", ""), names.http_header(header.get("name", ""))
        )
    if name == "httpGet" and action.get("scheme", "HTTP") not in ("HTTP", "HTTPS"):
        yield not_supported(f"{path}.scheme", action["scheme"], ("HTTP", "HTTPS"))


def _ports(ports: Any, path: str) -> Iterator[Cause]:
    for index, port in enumerate(ports):
        at = f"{path}[{index}]"
        if port.get("name"):
            yield from each(f"{at}.name", port["name"], names.port_name(port["name"]))
        number = port.get("containerPort", 0)
        if not number:
            yield required(f"{at}.containerPort")
        else:
            yield from each(f"{at}.containerPort", number, names.port_number(number))
        if port.get("hostPort"):
            yield from each(f"{at}.hostPort", port["hostPort"], names.port_number(port["hostPort"]))
        if port.get("protocol") not in PROTOCOLS:
            yield not_supported(f"{at}.protocol", port.get("protocol"), PROTOCOLS)
    yield from unique((port.get("name") for port in ports), lambda i: f"{path}[{i}].name")


def _host_ports(container: Object, path: str) -> Iterator[Cause]:
    for index, port in enumerate(container.get("ports", ())):
        if port.get("hostPort") != port.get("containerPort"):
            why = "must match `hostPort` when `hostNetwork` is true"
            at = f"{path}.ports[{index}].containerPort"
            yield invalid(at, port.get("containerPort"), why)


def not_negative(value: int, path: str) -> Iterator[Cause]:
    """Check a count."""
    if value < 0:
        yield invalid(path, value, "must be greater than or equal to 0")
