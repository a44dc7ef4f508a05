"""Validation of a container's environment (pkg/apis/core/validation)."""

import re
from collections.abc import Iterator
from typing import Any

from kubesim.apimachinery.quantity import parse
from kubesim.apiserver.patch.fields import Cause, invalid, not_supported, required
from kubesim.apiserver.validation import names
from kubesim.apiserver.validation.metadata import each

Object = dict[str, Any]
SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef")
SUBSCRIPTED_FIELD = re.compile(r"metadata\.(labels|annotations)\['([^']*)'\]")
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
RESOURCES = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
DIVISORS = {
    "cpu": ("1m", "1"),
    "memory": ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"),
}
DIVISORS_TOLD = {
    "cpu": "only divisor's values 1m and 1 are supported with the cpu resource",
    "memory": "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are "
    "supported with the memory resource",
    "ephemeral-storage": "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, "
    "1Pi, 1Ei are supported with the local ephemeral storage resource",
}


def environment(container: Object, path: str) -> Iterator[Cause]:
    """Check a container's variables, and where it takes more of them from."""
    for index, variable in enumerate(container.get("env", ())):
        yield from _variable(variable, f"{path}.env[{index}]")
    for index, source in enumerate(container.get("envFrom", ())):
        yield from _all_of(source, f"{path}.envFrom", f"{path}.envFrom[{index}]")


def _all_of(source: Object, path: str, at: str) -> Iterator[Cause]:
    prefix = source.get("prefix", "")
    if prefix:
        yield from each(f"{at}.prefix", prefix, names.environment_name(prefix))
    given = [kind for kind in ("configMapRef", "secretRef") if kind in source]
    for kind in given:
        name = source[kind].get("name", "")
        if name:
            yield from each(f"{at}.{kind}.name", name, names.dns_subdomain(name))
        else:
            yield required(f"{at}.{kind}.name")
    if not given:
        yield invalid(path, "", "must specify one of: `configMapRef` or `secretRef`")
    elif len(given) > 1:
        yield invalid(path, "", "may not have more than one field specified at a time")


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
    given = [kind for kind in SOURCES if kind in source]
    if "fieldRef" in source:
        yield from field_reference(source["fieldRef"], f"{at}.fieldRef", ENVIRONMENT_FIELDS)
    if "resourceFieldRef" in source:
        yield from resource_field(source["resourceFieldRef"], f"{at}.resourceFieldRef")
    for kind in ("configMapKeyRef", "secretKeyRef"):
        if kind in source:
            yield from _key_reference(source[kind], f"{at}.{kind}")
    if not given:
        yield invalid(at, "", f"must specify one of: {_or_list(SOURCES)}")
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
    field, version = reference.get("fieldPath", ""), reference.get("apiVersion", "v1")
    subscripted = SUBSCRIPTED_FIELD.fullmatch(field)
    if not field:
        yield required(f"{path}.fieldPath")
    elif version != "v1":
        why = f"error converting fieldPath: unsupported pod version: {version}"
        yield invalid(f"{path}.fieldPath", field, why)
    elif subscripted:
        key = subscripted[2].lower() if subscripted[1] == "annotations" else subscripted[2]
        yield from each(path, subscripted[2], names.qualified_name(key))
    elif field in POD_FIELDS and field not in supported:
        yield not_supported(f"{path}.fieldPath", field, supported)
    elif field not in POD_FIELDS:
        why = f"error converting fieldPath: field label not supported: {field}"
        yield invalid(f"{path}.fieldPath", field, why)


def resource_field(reference: Object, path: str, *, volume: bool = False) -> Iterator[Cause]:
    """Check a reference to what a container requests or may have."""
    resource = reference.get("resource", "")
    if volume and not reference.get("containerName"):
        yield required(f"{path}.containerName")
    elif not resource:
        yield required(f"{path}.resource")
    elif resource not in RESOURCES and not resource.partition(".")[2].startswith("hugepages-"):
        yield not_supported(f"{path}.resource", resource, RESOURCES)
    divisor, name = reference.get("divisor", "0"), resource.partition(".")[2]
    known = DIVISORS.get("cpu" if name == "cpu" else "memory", ())
    if parse(divisor) and name in DIVISORS_TOLD and divisor not in known:
        yield invalid(f"{path}.divisor", resource, DIVISORS_TOLD[name])
