"""Clusters described as kind describes them: kind.x-k8s.io/v1alpha4, `kind: Cluster`.

See https://kind.sigs.k8s.io/docs/user/configuration/. Every field of kind is accepted. What cannot
mean anything without real machines is named in a note, instead of being left out silently; a field
that kind does not know either is an error.
"""

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kubesim.cluster import NodeSpec
from kubesim.kubeadm import patches, versions
from kubesim.kubeadm.config import ClusterConfig

API_VERSION = "kind.x-k8s.io/v1alpha4"
ROLES = ("control-plane", "worker")
PROXY_MODES = ("iptables", "ipvs", "nftables", "none")
TOP = (
    "kind",
    "apiVersion",
    "name",
    "nodes",
    "networking",
    "featureGates",
    "runtimeConfig",
    "kubeadmConfigPatches",
    "kubeadmConfigPatchesJSON6902",
    "containerdConfigPatches",
    "containerdConfigPatchesJSON6902",
)
NETWORKING = (
    "ipFamily",
    "apiServerPort",
    "apiServerAddress",
    "podSubnet",
    "serviceSubnet",
    "disableDefaultCNI",
    "kubeProxyMode",
    "dnsSearch",
)
NODE = (
    "role",
    "image",
    "labels",
    "extraMounts",
    "extraPortMappings",
    "kubeadmConfigPatches",
    "kubeadmConfigPatchesJSON6902",
)
FIXED = {  # what cannot be otherwise, and what stays
    "serviceSubnet": "10.96.0.0/16",
    "apiServerAddress": "127.0.0.1",
    "ipFamily": "ipv4",
}
NO_PORTS = "no port of this machine leads to it; use kubectl port-forward"
WITHOUT_EFFECT = {
    "kubeadmConfigPatchesJSON6902": "patches by JSON pointers are not applied",
    "containerdConfigPatches": "there is no containerd to configure",
    "containerdConfigPatchesJSON6902": "there is no containerd to configure",
    "extraMounts": "no directory of this machine is shown to a simulated node",
    "dnsSearch": "simulated nodes have no search domains of their own",
}


class ConfigError(Exception):
    """The configuration is wrong."""


@dataclass(frozen=True)
class KindConfig:
    """What a configuration asks for; `notes` are sentences about what is ignored."""

    name: str | None
    nodes: tuple[NodeSpec, ...]
    port: int
    notes: tuple[str, ...]
    cluster: ClusterConfig


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
    _known(document, TOP, "the configuration")
    if document.get("kind") != "Cluster" or document.get("apiVersion") != API_VERSION:
        raise ConfigError(f"it must have kind: Cluster and apiVersion: {API_VERSION}")
    name = name or document.get("name")
    networking = document.get("networking") or {}
    _known(networking, NETWORKING, "networking")
    described = document.get("nodes") or [{"role": "control-plane"}]
    try:
        shared = patches.read(document.get("kubeadmConfigPatches") or [], "kubeadmConfigPatches")
        specs = _nodes(described, name or "kubesim", shared)
        flags = tuple(_flags(described, shared))
    except patches.PatchError as error:
        raise ConfigError(str(error)) from None
    version = next(node.version for node in specs if node.role == "control-plane")
    cluster = ClusterConfig(
        name or "kubesim",
        version or versions.DEFAULT,
        _pod_subnet(networking),
        kube_proxy_mode=_proxy_mode(networking),
        default_cni=not networking.get("disableDefaultCNI"),
        extra_args=flags,
        feature_gates=_gates(document.get("featureGates") or {}),
        runtime_config=tuple(
            (str(key), str(value)) for key, value in (document.get("runtimeConfig") or {}).items()
        ),
    )
    notes = (*_notes(document, networking), *patches.notes(shared, "kubeadmConfigPatches"))
    notes += tuple(_node_notes(described))
    return KindConfig(name, specs, _port(networking), notes, cluster)


def _nodes(
    described: Sequence[Any], cluster: str, shared: Sequence[Mapping[str, Any]]
) -> tuple[NodeSpec, ...]:
    nodes: list[NodeSpec] = []
    for index, node in enumerate(described):
        _known(node, NODE, f"nodes[{index}]")
        role = node.get("role", "control-plane")
        if role not in ROLES:
            raise ConfigError(f"nodes[{index}].role is {role!r}, it must be one of {ROLES}")
        number = sum(other.role == role for other in nodes) + 1
        name = f"{cluster}-{role}{number if number > 1 else ''}"
        own = patches.read(node.get("kubeadmConfigPatches") or [], f"nodes[{index}] patches")
        labels = patches.labels([*shared, *own]) | dict(node.get("labels") or {})
        nodes.append(NodeSpec(name, role, labels, _version(node.get("image") or "")))
    if not any(node.role == "control-plane" for node in nodes):
        raise ConfigError("nodes: 0 control planes; a cluster needs at least one")
    return tuple(nodes)


def _version(image: str) -> str:
    """Return the release of Kubernetes that a node image is of; "" when it is none to run here."""
    tag = image.partition("@")[0].rpartition(":")[2]
    try:
        return str(versions.parse(tag)) if image else ""
    except versions.VersionError:
        return ""


def _flags(
    described: Sequence[Mapping[str, Any]], shared: Sequence[Mapping[str, Any]]
) -> Iterator[patches.Flag]:
    yield from patches.flags(shared)
    for node in described:
        own = patches.read(node.get("kubeadmConfigPatches") or [], "nodes")
        yield from patches.flags(own)


def _gates(given: Mapping[str, Any]) -> tuple[tuple[str, bool], ...]:
    for gate, on in given.items():
        if not isinstance(on, bool):
            raise ConfigError(f"featureGates.{gate} must be true or false")
    return tuple((str(gate), on) for gate, on in given.items())


def _pod_subnet(networking: Mapping[str, Any]) -> str:
    subnet = networking.get("podSubnet", ClusterConfig.pod_subnet)
    try:
        network = ipaddress.IPv4Network(subnet)
    except ValueError as error:
        raise ConfigError(f"networking.podSubnet: {error}") from None
    if network.prefixlen > 24:
        raise ConfigError("networking.podSubnet must hold a /24 for every node")
    return str(network)


def _proxy_mode(networking: Mapping[str, Any]) -> str:
    mode = networking.get("kubeProxyMode") or ClusterConfig.kube_proxy_mode
    if mode not in PROXY_MODES:
        raise ConfigError(f"networking.kubeProxyMode is {mode!r}, it must be one of {PROXY_MODES}")
    return str(mode)


def _port(networking: Mapping[str, Any]) -> int:
    port = networking.get("apiServerPort", 0)
    if not isinstance(port, int) or not -1 <= port < 65536:
        raise ConfigError("networking.apiServerPort must be a port number")
    return max(port, 0)


def _notes(document: Mapping[str, Any], networking: Mapping[str, Any]) -> Iterator[str]:
    for key, value in FIXED.items():
        if networking.get(key, value) != value:
            yield f"networking.{key} is ignored: it is {value} in the embedded cluster"
    if networking.get("disableDefaultCNI"):
        yield "networking.disableDefaultCNI leaves kindnet out; Pods are connected all the same"
    for key in ("featureGates", "runtimeConfig"):
        if document.get(key):
            yield f"{key} are shown in the components' flags and change nothing else"
    yield from _without_effect({**document, **networking}, "")


def _node_notes(described: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for index, node in enumerate(described):
        where = f"nodes[{index}]."
        image = node.get("image")
        if image and not _version(image):
            yield f"node image {image} is ignored: no release of Kubernetes that can be run here"
        for mapping in node.get("extraPortMappings") or ():
            port = mapping.get("containerPort") if isinstance(mapping, Mapping) else mapping
            yield f"{where}extraPortMappings: {NO_PORTS} ({port})"
        own = patches.read(node.get("kubeadmConfigPatches") or [], where)
        yield from patches.notes(own, f"{where}kubeadmConfigPatches")
        yield from _without_effect(node, where)


def _without_effect(given: Mapping[str, Any], where: str) -> Iterator[str]:
    for key, why in WITHOUT_EFFECT.items():
        if given.get(key):
            yield f"{where}{key}: {why}"


def _known(value: Any, keys: Sequence[str], where: str) -> None:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where} must be a mapping")
    for key in value:
        if key not in keys:
            raise ConfigError(f"{where}: {key!r} is unknown; kind knows {', '.join(keys)}")
