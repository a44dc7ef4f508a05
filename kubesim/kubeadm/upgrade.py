"""Replacing the parts of a node by those of another release, as `kubeadm upgrade` does it.

The rules are those of https://kubernetes.io/releases/version-skew-policy/ and of kubeadm's
phases/upgrade/policy.go: a control plane goes up one minor release at a time, API servers are never
more than one apart, a kubelet is never newer than an API server and at most three minor releases
older. What another release changes here is only versions and images: features are not gated.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from kubesim.kubeadm.versions import Version, parse

MAX_KUBELET_SKEW = 3


class UpgradeError(ValueError):
    """The upgrade is not allowed; the message says why not."""


@dataclass(frozen=True)
class Releases:
    """What the nodes of a cluster run: of API servers where there is one, and of kubelets."""

    servers: Mapping[str, Version]
    kubelets: Mapping[str, Version]

    def check(self, node: str, wanted: str) -> Version:
        """Return the release that a node may go to. Raises UpgradeError or VersionError."""
        target = parse(wanted)
        if node in self.servers:
            self._check_control_plane(node, target)
        else:
            self._check_worker(node, target)
        return target

    def _check_control_plane(self, node: str, target: Version) -> None:
        current = self.servers[node]
        if target.minor > current.minor + 1:
            raise UpgradeError(
                f'Specified version to upgrade to "{target}" is too high; kubeadm can upgrade only '
                f"1 minor version at a time, and {node} has {current}"
            )
        if target < current:
            raise UpgradeError(
                f'Specified version to downgrade to "{target}" is too low; {node} has {current}'
            )
        others = {name: version for name, version in self.servers.items() if name != node}
        for name, version in others.items():
            if target.minor > version.minor + 1:
                raise UpgradeError(
                    f"kube-apiserver instances must be within one minor version of each other: "
                    f"upgrade {name}, which has {version}, before {node} goes to {target}"
                )
        old = sorted({v for v in self.kubelets.values() if v.minor < target.minor - 3})
        if old:
            raise UpgradeError(
                "There are kubelets in this cluster that are too old that have these versions "
                f"{[str(version) for version in old]}"
            )

    def _check_worker(self, node: str, target: Version) -> None:
        oldest = min(self.servers.values())
        if target.minor > oldest.minor:
            raise UpgradeError(
                f"kubelet must not be newer than kube-apiserver: {node} cannot go to {target} "
                f"while an API server has {oldest}; upgrade the control plane first"
            )
        newest = max(self.servers.values())
        if target.minor < newest.minor - MAX_KUBELET_SKEW:
            raise UpgradeError(
                f"kubelet may be up to three minor versions older than kube-apiserver: {target} "
                f"is too old for {newest}"
            )
