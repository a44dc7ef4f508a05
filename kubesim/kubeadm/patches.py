"""kubeadmConfigPatches of a kind configuration: what of them a simulated cluster can take.

Flags of the control plane's components are shown in their command lines; labels that a node is to
register with are set. The rest is named in a note.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

COMPONENTS = {
    "apiServer": "kube-apiserver",
    "controllerManager": "kube-controller-manager",
    "scheduler": "kube-scheduler",
}
NODE_KINDS = ("InitConfiguration", "JoinConfiguration")
OTHER_KINDS = ("KubeletConfiguration", "KubeProxyConfiguration")
Flag = tuple[str, str, str]  # component, flag, value


class PatchError(Exception):
    """A patch is not one; the message says which."""


def read(patches: Any, where: str) -> list[dict[str, Any]]:
    """Return the documents of a list of patches. Raises PatchError."""
    if not isinstance(patches, Sequence) or isinstance(patches, str):
        raise PatchError(f"{where} must be a list of YAML texts")
    documents = []
    for index, text in enumerate(patches):
        try:
            found = [each for each in yaml.safe_load_all(str(text)) if each]
        except yaml.YAMLError as error:
            raise PatchError(f"{where}[{index}] is not YAML: {error}") from None
        for document in found:
            if not isinstance(document, dict) or "kind" not in document:
                raise PatchError(f"{where}[{index}] must be a mapping with a kind")
            documents.append(document)
    return documents


def flags(documents: Sequence[Mapping[str, Any]]) -> Iterator[Flag]:
    """Yield the flags that ClusterConfigurations add to components."""
    for document in documents:
        if document["kind"] != "ClusterConfiguration":
            continue
        for section, component in COMPONENTS.items():
            for name, value in _arguments(document.get(section)):
                yield component, name, value
        local = (document.get("etcd") or {}).get("local")
        for name, value in _arguments(local):
            yield "etcd", name, value


def labels(documents: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the labels that kubelets are told to register with (--node-labels)."""
    found: dict[str, str] = {}
    for document in documents:
        if document["kind"] in NODE_KINDS:
            arguments = dict(_arguments(document.get("nodeRegistration"), "kubeletExtraArgs"))
            for pair in filter(None, arguments.get("node-labels", "").split(",")):
                key, _, value = pair.partition("=")
                found[key.strip()] = value.strip()
    return found


def notes(documents: Sequence[Mapping[str, Any]], where: str) -> Iterator[str]:
    """Yield a sentence about each document that changes nothing."""
    for document in documents:
        kind = document["kind"]
        if kind not in ("ClusterConfiguration", *NODE_KINDS):
            yield f"{where}: a patch of {kind} changes nothing in the embedded cluster"
        for section in sorted(document.keys() - {"kind", "apiVersion", "metadata"}):
            used = (
                (*COMPONENTS, "etcd") if kind == "ClusterConfiguration" else ("nodeRegistration",)
            )
            if kind not in OTHER_KINDS and section not in used:
                yield f"{where}: {section} of {kind} changes nothing in the embedded cluster"


def _arguments(section: Any, key: str = "extraArgs") -> Iterator[tuple[str, str]]:
    """Yield flags as kubeadm v1beta3 writes them, a mapping, or v1beta4, a list."""
    given = section.get(key) if isinstance(section, Mapping) else None
    if isinstance(given, Mapping):
        yield from ((str(name), str(value)) for name, value in given.items())
    elif isinstance(given, Sequence) and not isinstance(given, str):
        for each in given:
            if isinstance(each, Mapping) and "name" in each:
                yield str(each["name"]), str(each.get("value", ""))
