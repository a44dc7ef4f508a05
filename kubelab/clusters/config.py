"""kind's Cluster configuration (v1alpha4), which describes a cluster for both engines."""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from kubelab.clusters.errors import ClusterError

API_VERSION = "kind.x-k8s.io/v1alpha4"
DEFAULT_NODES = 3
Config = dict[str, Any]


def for_nodes(name: str, nodes: int = DEFAULT_NODES) -> Config:
    """Describe a cluster of `nodes` nodes: one control plane, the rest workers."""
    if nodes < 1:
        raise ClusterError(f"A cluster cannot have {nodes} nodes.", "Ask for 1 or more.")
    roles = ["control-plane"] + ["worker"] * (nodes - 1)
    return {
        "kind": "Cluster",
        "apiVersion": API_VERSION,
        "name": name,
        "nodes": [{"role": role, "labels": {"kubelab.dev/role": role}} for role in roles],
    }


def load(name: str, source: Path | Mapping[str, Any]) -> Config:
    """Return the configuration from a file or a dictionary, checked, under the name `name`."""
    config = read_yaml(source) if isinstance(source, Path) else source
    if not isinstance(config, Mapping) or config.get("kind") != "Cluster":
        raise ClusterError(
            f"Not a kind Cluster configuration: {_origin(source)}.",
            f"It needs `kind: Cluster` and `apiVersion: {API_VERSION}`.",
        )
    if config.get("apiVersion") != API_VERSION:
        raise ClusterError(
            f"The apiVersion of {_origin(source)} is {config.get('apiVersion')!r}.",
            f"Write `apiVersion: {API_VERSION}`.",
        )
    nodes = config.get("nodes") or [{"role": "control-plane"}]
    networking = config.get("networking") or {}
    if not (isinstance(nodes, list) and all(isinstance(node, Mapping) for node in nodes)):
        raise _wrong(source, "nodes", "a list of entries such as `- role: worker`")
    if not isinstance(networking, Mapping):
        raise _wrong(source, "networking", "a mapping")
    if not isinstance(networking.get("apiServerPort", 0), int):
        raise _wrong(source, "networking.apiServerPort", "a port number")
    return {**config, "name": name, "nodes": nodes, "networking": networking}


def _wrong(source: Path | Mapping[str, Any], field: str, right: str) -> ClusterError:
    return ClusterError(f"`{field}` in {_origin(source)} is not {right}.", "Repair that field.")


def read_yaml(path: Path) -> Any:
    """Return what a YAML file says. Raises ClusterError that names the file."""
    try:
        return yaml.safe_load(path.read_text())
    except OSError as error:
        raise ClusterError(
            f"Cannot read {path}: {error.strerror}.",
            "Give the path of a file that exists.",
        ) from None
    except yaml.YAMLError as error:
        raise ClusterError(
            f"{path} is not YAML: {error}", "Repair the line that the message names."
        ) from None


def _origin(source: Path | Mapping[str, Any]) -> str:
    return str(source) if isinstance(source, Path) else "the cluster configuration"


def check_port(config: Config) -> None:
    """Refuse a fixed API server port that another program listens on."""
    networking = config.get("networking", {})
    port = networking.get("apiServerPort", 0)
    address = networking.get("apiServerAddress", "127.0.0.1")
    if port > 0 and not port_is_free(port, address):
        raise ClusterError(
            f"The API server's port {port} is taken by another program.",
            f"Stop it (`lsof -i :{port}` names it), or write another "
            "`networking.apiServerPort` (0 takes any free port).",
        )


def port_is_free(port: int, address: str = "127.0.0.1") -> bool:
    """Tell whether a server could listen on that TCP port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
        return True
