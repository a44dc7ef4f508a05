"""Where a Pod's environment and volumes get values from: its own fields, ConfigMaps, Secrets."""

import base64
import re
from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal

from kubesim.apimachinery import quantity
from kubesim.apimachinery.objects import Object
from kubesim.apiserver.errors import StatusError
from kubesim.clientgo.client import Client
from kubesim.kubelet.node import CAPACITY

SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


class MissingSourceError(Exception):
    """A ConfigMap, Secret or key is not there; the message is the kubelet's."""


class Sources:
    """Reads for one Pod."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    async def config_map(self, name: str, optional: bool) -> dict[str, bytes]:
        """Return the data of a ConfigMap; empty if it is missing but optional."""
        found = await self._get("configmaps", name, optional)
        data = {key: text.encode() for key, text in (found.get("data") or {}).items()}
        return data | _decoded(found.get("binaryData"))

    async def secret(self, name: str, optional: bool) -> dict[str, bytes]:
        """Return the data of a Secret; empty if it is missing but optional."""
        return _decoded((await self._get("secrets", name, optional)).get("data"))

    async def _get(self, resource: str, name: str, optional: bool) -> Object:
        try:
            return await self._client.get(resource, name, self._namespace)
        except StatusError as error:
            if error.code != 404:
                raise MissingSourceError(str(error)) from error
            if optional:
                return {}
            raise MissingSourceError(f'{resource.removesuffix("s")} "{name}" not found') from None

    async def token(self, pod: Object, projection: Object) -> tuple[bytes, float]:
        """Return a service account token bound to `pod`, and the seconds it is good for."""
        reference = {
            "kind": "Pod",
            "apiVersion": "v1",
            "name": pod["metadata"]["name"],
            "uid": pod["metadata"]["uid"],
        }
        account = pod["spec"].get("serviceAccountName", "default")
        lifetime = projection.get("expirationSeconds", 3600)
        spec: Object = {"expirationSeconds": lifetime, "boundObjectRef": reference}
        if projection.get("audience"):
            spec["audiences"] = [projection["audience"]]
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        answer = await self._client.create(
            "serviceaccounts", request, self._namespace, subresource="token", name=account
        )
        return answer["status"]["token"].encode(), lifetime


def _decoded(data: Mapping[str, str] | None) -> dict[str, bytes]:
    return {key: base64.b64decode(text) for key, text in (data or {}).items()}


def field(pod: Object, path: str) -> str:
    """Return what a fieldRef's path stands for in `pod`."""
    metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
    subscript = SUBSCRIPT.fullmatch(path)
    if subscript:
        return str((metadata.get(subscript[1]) or {}).get(subscript[2], ""))
    match path:
        case "metadata.labels" | "metadata.annotations":
            values = metadata.get(path.partition(".")[2]) or {}
            return "\n".join(f'{key}="{_quoted(values[key])}"' for key in sorted(values))
        case "status.podIPs" | "status.hostIPs":
            return ",".join(each["ip"] for each in status.get(path.partition(".")[2]) or [])
    group, _, name = path.partition(".")
    found = {"metadata": metadata, "spec": spec, "status": status}[group].get(name, "")
    return str(found)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def resource(pod: Object, container: Object, reference: Object) -> str:
    """Return what a resourceFieldRef stands for: a limit or request in units of its divisor."""
    name = reference.get("containerName")
    if name:
        container = next(each for each in pod["spec"]["containers"] if each["name"] == name)
    kind, _, key = reference["resource"].partition(".")
    amount = ((container.get("resources") or {}).get(kind) or {}).get(key)
    if amount is None:
        amount = CAPACITY[key] if kind == "limits" else "0"
    divisor = quantity.parse(reference.get("divisor") or "1") or Decimal(1)
    return str(int((quantity.parse(amount) / divisor).to_integral_value(ROUND_CEILING)))
