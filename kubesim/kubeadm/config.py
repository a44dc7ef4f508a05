"""What a cluster is made with: the parts of kubeadm's ClusterConfiguration that matter here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kubesim.kubeadm import versions


@dataclass(frozen=True)
class ClusterConfig:
    """Names, addresses and flags that hold for the whole cluster."""

    name: str = "kubesim"
    version: str = versions.DEFAULT
    pod_subnet: str = "10.244.0.0/16"
    service_subnet: str = "10.96.0.0/16"
    kube_proxy_mode: str = "iptables"  # "none" leaves kube-proxy out
    default_cni: bool = True
    extra_args: Sequence[tuple[str, str, str]] = ()  # component, flag, value
    feature_gates: Sequence[tuple[str, bool]] = ()
    runtime_config: Sequence[tuple[str, str]] = ()

    @classmethod
    def read(cls, fields: dict[str, Any]) -> "ClusterConfig":
        """Return the configuration that was written as JSON. Raises TypeError."""
        lists = {
            key: tuple(tuple(each) for each in value)
            for key, value in fields.items()
            if isinstance(value, list)
        }
        return cls(**(fields | lists))
