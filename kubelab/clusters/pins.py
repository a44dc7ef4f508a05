"""Versions and checksums of what kubelab downloads or asks for. One place to update."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Download:
    """A program's release: where a platform's binary and the checksum beside it are published.

    `linux_amd64` is the pinned digest. Other platforms are verified against the checksum file
    that the release publishes beside the binary, fetched over HTTPS from the same host: that
    proves an undamaged download, not (as the pin does) that the release is the one we tested.
    """

    program: str
    version: str
    url: str
    checksum_suffix: str
    linux_amd64: str


KIND = Download(
    program="kind",
    version="v0.33.0",
    url="https://github.com/kubernetes-sigs/kind/releases/download/{version}/kind-{system}-{machine}",
    checksum_suffix=".sha256sum",
    linux_amd64="aee6151561422756b764a4ae28e7f44cda5af5a9eead3cc9985112b1de8d8e0d",
)
KUBECTL = Download(
    program="kubectl",
    version="v1.37.0",
    url="https://dl.k8s.io/release/{version}/bin/{system}/{machine}/kubectl",
    checksum_suffix=".sha256",
    linux_amd64="6129359f4e1f3848a5572ccb0b26cf28b8ca08cef38c95a765b2f64a2c961a2f",
)

PYTEST_KIND = "pytest-kind==22.11.1"

# From the release notes of kind v0.33.0.
NODE_IMAGE = (
    "kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5"
)
# The newest node image whose kubelet still starts on a cgroup v1 host.
CGROUP_V1_NODE_IMAGE = (
    "kindest/node:v1.34.11@sha256:44e222ee2132dab25ff87301682f89eb82c7880ea3a1bf543bfe9708fd08d67d"
)
# kubelet's failCgroupV1 is true by default from this version on (KEP-5573).
FIRST_WITHOUT_CGROUP_V1 = (1, 35)
# kubeadm dropped its v1beta3 configuration in 1.37; kind writes v1beta4 from v0.32 on
# (kubernetes-sigs/kind#4173).
FIRST_WITHOUT_KUBEADM_V1BETA3 = (1, 37)
FIRST_KIND_WITH_KUBEADM_V1BETA4 = (0, 32)
