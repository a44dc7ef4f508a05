"""Clusters described as kind describes them: kind.x-k8s.io/v1alpha4, `kind: Cluster`.

See https://kind.sigs.k8s.io/docs/user/configuration/. What the simulation cannot do is refused by
name instead of being left out silently.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kubesim.cluster import NodeSpec

API_VERSION = "kind.x-k8s.io/v1alpha4"
ROLES = ("control-plane", "worker")
FIXED = {
    "podSubnet": "10.244.0.0/16",
    "serviceSubnet": "10.96.0.0/16",
    "apiServerAddress": "127.0.0.1",
    "ipFamily": "ipv4",
}


class ConfigError(Exception):
    """The configuration is wrong, or asks for what is not simulated."""


@dataclass(frozen=True)
class KindConfig:
    """What a configuration asks for; `notes` are sentences about what is ignored."""

    name: str | None
    nodes: tuple[NodeSpec, ...]
    port: int
    notes: tuple[str, ...]


def load(path: Path, name: str | None) -> KindConfig:
    """Read a configuration file; `name` wins over the file's. Raises ConfigError."""
    try:
        document = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {error}") from None
    try:
        return parse(document, name)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def parse(document: Any, name: str | None) -> KindConfig:
    """Understand a configuration. Raises ConfigError."""
    _known(document, ("kind", "apiVersion", "name", "nodes", "networking"), "the configuration")
    if document.get("kind") != "Cluster" or document.get("apiVersion") != API_VERSION:
        raise ConfigError(f"it must have kind: Cluster and apiVersion: {API_VERSION}")
    name = name or document.get("name")
    networking = document.get("networking") or {}
    _known(networking, (*FIXED, "apiServerPort"), "networking")
    for key, value in FIXED.items():
        if networking.get(key, value) != value:
            raise ConfigError(f"networking.{key} can only be {value} in the embedded cluster")
    nodes = document.get("nodes") or [{"role": "control-plane"}]
    port = networking.get("apiServerPort", 0)
    if not isinstance(port, int) or not -1 <= port < 65536:
        raise ConfigError("networking.apiServerPort must be a port number")
    specs = _nodes(nodes, name or "kubesim")
    images = sorted({node["image"] for node in nodes if node.get("image")})
    notes = tuple(f"node image {image} is ignored: nodes are simulated" for image in images)
    return KindConfig(name, specs, max(port, 0), notes)


def _nodes(described: Sequence[Any], cluster: str) -> tuple[NodeSpec, ...]:
    nodes: list[NodeSpec] = []
    for index, node in enumerate(described):
        _known(node, ("role", "labels", "image"), f"nodes[{index}]")
        role = node.get("role", "control-plane")
        if role not in ROLES:
            raise ConfigError(f"nodes[{index}].role is {role!r}, it must be one of {ROLES}")
        number = sum(other.role == role for other in nodes) + 1
        name = f"{cluster}-{role}{number if number > 1 else ''}"
        nodes.append(NodeSpec(name, role, dict(node.get("labels") or {})))
    control_planes = sum(node.role == "control-plane" for node in nodes)
    if control_planes != 1:
        raise ConfigError(
            f"nodes: {control_planes} control planes; the embedded cluster has exactly one"
        )
    return tuple(nodes)


def _known(value: Any, keys: Sequence[str], where: str) -> None:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where} must be a mapping")
    for key in value:
        if key not in keys:
            raise ConfigError(
                f"{where}: {key!r} is not simulated; the embedded cluster knows {', '.join(keys)}"
            )
