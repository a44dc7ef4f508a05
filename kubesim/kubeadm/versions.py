"""Which release of everything belongs to a release of Kubernetes (kubeadm's constants.go)."""

import re
from dataclasses import dataclass

DEFAULT = "v1.37.0"
REGISTRY = "registry.k8s.io"
KINDNETD = "docker.io/kindest/kindnetd:v20251212-v0.29.0-alpha-105-g20ccfc88"
PAUSE = f"{REGISTRY}/pause:3.10.1"
COMPANIONS = {  # minor version: etcd, CoreDNS
    34: ("3.6.4-0", "v1.12.1"),
    35: ("3.6.6-0", "v1.13.1"),
    36: ("3.6.8-0", "v1.14.1"),
    37: ("3.6.10-0", "v1.14.2"),
    38: ("3.6.12-0", "v1.14.3"),
}
SEMANTIC = re.compile(r"v1\.(\d{1,3})\.(\d{1,3})")


class VersionError(ValueError):
    """There is no such release here; the message says which there are."""


@dataclass(frozen=True, order=True)
class Version:
    """A release of Kubernetes, 1.minor.patch."""

    minor: int
    patch: int

    def __str__(self) -> str:
        return f"v1.{self.minor}.{self.patch}"


def parse(text: str) -> Version:
    """Understand v1.37.0. Raises VersionError when it is none that can be run here."""
    match = SEMANTIC.fullmatch(text)
    if not match or int(match[1]) not in COMPANIONS:
        known = [*COMPANIONS]
        raise VersionError(
            f"version {text!r} cannot be run: the embedded cluster knows v1.{known[0]} to "
            f"v1.{known[-1]}, written as {DEFAULT}"
        )
    return Version(int(match[1]), int(match[2]))


def component_image(component: str, version: str) -> str:
    """Return the image of a component: kube-apiserver, etcd, coredns, ..."""
    etcd, coredns = COMPANIONS[parse(version).minor]
    if component == "etcd":
        return f"{REGISTRY}/etcd:{etcd}"
    if component == "coredns":
        return f"{REGISTRY}/coredns/coredns:{coredns}"
    return f"{REGISTRY}/{component}:{version}"
