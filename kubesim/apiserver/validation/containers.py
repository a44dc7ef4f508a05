"""Validation of a container (pkg/apis/core/validation)."""

import re
from collections.abc import Iterator
from typing import Any

from kubesim.apimachinery.quantity import parse
from kubesim.apiserver.patch.fields import (
    Cause,
    duplicate,
    forbidden,
    invalid,
    not_found,
    not_supported,
    required,
)
from kubesim.apiserver.validation import names
from kubesim.apiserver.validation.metadata import each, unique

Object = dict[str, Any]
HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
HOOKS = ("exec", "httpGet", "tcpSocket", "sleep")
PROTOCOLS = ("SCTP", "TCP", "UDP")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
STANDARD_RESOURCES = ("cpu", "memory", "ephemeral-storage")
ENVIRONMENT_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef")
SUBSCRIPTED_FIELD = re.compile(r"metadata\.(labels|annotations)\['[^']+'\]")
ENVIRONMENT_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
VOLUME_FIELDS = (
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
)
POD_FIELDS = {  # that have names here, whether or not a Pod may be told of them
    *ENVIRONMENT_FIELDS,
    *VOLUME_FIELDS,
    "spec.restartPolicy",
    "spec.schedulerName",
    "status.phase",
}


def containers(spec: Object, field: str, path: str) -> Iterator[Cause]:
    """Check the containers or init containers of a Pod's spec."""
    given = spec.get(field, [])
    if not given and field == "containers":
        yield required(f"{path}.{field}")
    volumes = {volume.get("name") for volume in spec.get("volumes", ())}
    seen = {c["name"] for c in spec.get("initContainers", ())} if field == "containers" else set()
    for index, container in enumerate(given):
        at = f"{path}.{field}[{index}]"
        yield from _name(container["name"], at, seen)
        yield from _container(container, at, volumes, init=field == "initContainers")
        if spec.get("hostNetwork"):
            yield from _host_ports(container, at)


def _name(name: str, path: str, seen: set[str]) -> Iterator[Cause]:
    if not name:
        yield required(f"{path}.name")
        return
    yield from each(f"{path}.name", name, names.dns_label(name))
    if name in seen:
        yield duplicate(f"{path}.name", name)
    seen.add(name)


def _container(container: Object, path: str, volumes: set[Any], *, init: bool) -> Iterator[Cause]:
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
    for index, variable in enumerate(container.get("env", ())):
        yield from _variable(variable, f"{path}.env[{index}]")
    yield from _mounts(container.get("volumeMounts", ()), f"{path}.volumeMounts", volumes)
    if container.get("imagePullPolicy", "Always") not in PULL_POLICIES:
        policy = container["imagePullPolicy"]
        yield not_supported(f"{path}.imagePullPolicy", policy, PULL_POLICIES)
    if container.get("restartPolicy", "Always") != "Always" and init:
        yield not_supported(f"{path}.restartPolicy", container["restartPolicy"], ("Always",))
    yield from resources(container.get("resources", {}), f"{path}.resources")


def _lifecycle(container: Object, path: str, *, init: bool) -> Iterator[Cause]:
    """Check hooks and probes; of init containers, only restartable ones may have them."""
    sidecar = init and container.get("restartPolicy") == "Always"
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


def _variable(variable: Object, path: str) -> Iterator[Cause]:
    name = variable["name"]
    if not name:
        yield required(f"{path}.name")
    else:
        yield from each(f"{path}.name", name, names.environment_name(name))
    source = variable.get("valueFrom")
    if source is None:
        return
    at = f"{path}.valueFrom"
    given = [kind for kind in ENVIRONMENT_SOURCES if kind in source]
    if "fieldRef" in source:
        yield from field_reference(source["fieldRef"], f"{at}.fieldRef", ENVIRONMENT_FIELDS)
    for kind in ("configMapKeyRef", "secretKeyRef"):
        if kind in source:
            yield from _key_reference(source[kind], f"{at}.{kind}")
    if not given:
        yield invalid(at, "", f"must specify one of: {_or_list(ENVIRONMENT_SOURCES)}")
    elif variable.get("value"):
        yield invalid(at, "", "may not be specified when `value` is not empty")
    elif len(given) > 1:
        yield invalid(at, "", "may not have more than one field specified at a time")


def _or_list(choices: tuple[str, ...]) -> str:
    quoted = [f"`{choice}`" for choice in choices]
    return f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def _key_reference(reference: Object, path: str) -> Iterator[Cause]:
    if not reference.get("name"):
        yield required(f"{path}.name")
    if not reference.get("key"):
        yield required(f"{path}.key")
    else:
        yield from each(f"{path}.key", reference["key"], names.config_key(reference["key"]))


def field_reference(reference: Object, path: str, supported: tuple[str, ...]) -> Iterator[Cause]:
    """Check a reference to a field of the Pod itself (validateObjectFieldSelector)."""
    field = reference.get("fieldPath", "")
    if not field:
        yield required(f"{path}.fieldPath")
    elif SUBSCRIPTED_FIELD.fullmatch(field):
        return
    elif field in POD_FIELDS and field not in supported:
        yield not_supported(f"{path}.fieldPath", field, supported)
    elif field not in POD_FIELDS:
        why = f"error converting fieldPath: field label not supported: {field}"
        yield invalid(f"{path}.fieldPath", field, why)


def _mounts(mounts: Any, path: str, volumes: set[Any]) -> Iterator[Cause]:
    seen = set()
    for index, mount in enumerate(mounts):
        at = f"{path}[{index}]"
        name, target = mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            yield required(f"{at}.name")
        elif name not in volumes:
            yield not_found(f"{at}.name", name)
        if not target:
            yield required(f"{at}.mountPath")
        elif target in seen:
            yield invalid(f"{at}.mountPath", target, "must be unique")
        seen.add(target)
        below = mount.get("subPath", "")
        if below.startswith("/"):
            yield invalid(f"{at}.subPath", below, "must be a relative path")
        if ".." in below.split("/"):
            yield invalid(f"{at}.subPath", below, "must not contain '..'")


def resources(given: Object, path: str) -> Iterator[Cause]:
    """Check requests and limits, and that no request is above its limit."""
    limits, requests = given.get("limits", {}), given.get("requests", {})
    for name, amount in limits.items():
        yield from _resource(name, amount, f"{path}.limits[{name}]")
    for name, amount in requests.items():
        yield from _resource(name, amount, f"{path}.requests[{name}]")
        if name in limits and parse(amount) > parse(limits[name]):
            why = f"must be less than or equal to {name} limit of {limits[name]}"
            yield invalid(f"{path}.requests", amount, why)


def _resource(name: str, amount: str, path: str) -> Iterator[Cause]:
    yield from each(path, name, names.qualified_name(name))
    if "/" not in name and name not in STANDARD_RESOURCES and not name.startswith("hugepages-"):
        yield invalid(path, name, "must be a standard resource type or fully qualified")
        yield invalid(path, name, "must be a standard resource for containers")
    if parse(amount) < 0:
        yield invalid(path, amount, "must be greater than or equal to 0")


def not_negative(value: int, path: str) -> Iterator[Cause]:
    """Check a count."""
    if value < 0:
        yield invalid(path, value, "must be greater than or equal to 0")
