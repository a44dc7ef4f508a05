"""The environment of a container: Service variables, then what its spec says."""

import re
from collections.abc import Iterable, Mapping

from kubesim.apimachinery.objects import Object
from kubesim.kubelet import sources
from kubesim.kubelet.sources import MissingSourceError, Sources

REFERENCE = re.compile(r"\$\$|\$\(([^()\s]+)\)")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by variables; unknown ones stay, `$$` is a dollar sign."""

    def replace(match: re.Match[str]) -> str:
        if match.group() == "$$":
            return "$"
        return variables.get(match.group(1), match.group())

    return REFERENCE.sub(replace, text)


async def environment(
    reader: Sources, pod: Object, container: Object, services: Iterable[Object]
) -> dict[str, str]:
    """Return a container's environment; MissingSourceError if a source it needs is not there."""
    variables: dict[str, str] = {}
    for service in services:
        variables |= service_variables(service)
    result: dict[str, str] = {}
    for each in container.get("envFrom") or []:
        result |= await _from_object(reader, each)
    for each in container.get("env") or []:
        if each.get("valueFrom"):
            value = await _from_source(reader, pod, container, each["valueFrom"])
        else:
            value = expand(each.get("value") or "", variables | result)
        if value is not None:
            result[each["name"]] = value
    return {**result, **(variables | result)}  # its own come first, as in the kubelet


async def _from_object(reader: Sources, source: Object) -> dict[str, str]:
    prefix = source.get("prefix") or ""
    if "configMapRef" in source:
        reference = source["configMapRef"]
        data = await reader.config_map(reference["name"], reference.get("optional", False))
    else:
        reference = source["secretRef"]
        data = await reader.secret(reference["name"], reference.get("optional", False))
    return {prefix + key: data[key].decode(errors="replace") for key in sorted(data)}


async def _from_source(
    reader: Sources, pod: Object, container: Object, source: Object
) -> str | None:
    if "fieldRef" in source:
        return sources.field(pod, source["fieldRef"]["fieldPath"])
    if "resourceFieldRef" in source:
        return sources.resource(pod, container, source["resourceFieldRef"])
    kind = "ConfigMap" if "configMapKeyRef" in source else "Secret"
    reference = source.get("configMapKeyRef") or source["secretKeyRef"]
    optional = reference.get("optional", False)
    read = reader.config_map if kind == "ConfigMap" else reader.secret
    data = await read(reference["name"], optional)
    if reference["key"] in data:
        return data[reference["key"]].decode(errors="replace")
    if optional:
        return None
    where = f"{kind} {pod['metadata']['namespace']}/{reference['name']}"
    raise MissingSourceError(f"couldn't find key {reference['key']} in {where}")


def service_variables(service: Object) -> dict[str, str]:
    """Return the Docker-link style variables of one Service (pkg/kubelet/envvars)."""
    ip = service["spec"].get("clusterIP")
    ports = service["spec"].get("ports") or []
    if not ip or ip == "None" or not ports:
        return {}
    name = service["metadata"]["name"].upper().replace("-", "_")
    result = {f"{name}_SERVICE_HOST": ip, f"{name}_SERVICE_PORT": str(ports[0]["port"])}
    for port in ports:
        if port.get("name"):
            suffix = port["name"].upper().replace("-", "_")
            result[f"{name}_SERVICE_PORT_{suffix}"] = str(port["port"])
    for index, port in enumerate(ports):
        protocol = port.get("protocol", "TCP")
        address = f"{protocol.lower()}://{ip}:{port['port']}"
        prefix = f"{name}_PORT_{port['port']}_{protocol}"
        if index == 0:
            result[f"{name}_PORT"] = address
        result |= {
            prefix: address,
            f"{prefix}_PROTO": protocol.lower(),
            f"{prefix}_PORT": str(port["port"]),
            f"{prefix}_ADDR": ip,
        }
    return result
