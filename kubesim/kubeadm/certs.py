"""The credentials that kubeadm puts on a node's disk: /etc/kubernetes/*.conf and its pki.

Names are those of https://kubernetes.io/docs/setup/best-practices/certificates/: the CN is the user
that a component acts as, each O a group. kubeadm has three authorities (the cluster's, etcd's, the
front proxy's); here the cluster's own signs everything, and its private key stays off the nodes.
"""

import base64
from collections.abc import Iterator

import yaml

from kubesim.kubeadm.pki import ADMIN_GROUP, ADMIN_USER, PKI

ETC = "/etc/kubernetes"
KUBECONFIGS = {  # of a control plane node: user and group
    "admin.conf": (ADMIN_USER, ADMIN_GROUP),
    "super-admin.conf": ("kubernetes-super-admin", "system:masters"),
    "controller-manager.conf": ("system:kube-controller-manager", ""),
    "scheduler.conf": ("system:kube-scheduler", ""),
}
CLIENTS = {  # certificates of a control plane node: CN and O
    "pki/apiserver-kubelet-client": ("kube-apiserver-kubelet-client", ADMIN_GROUP),
    "pki/apiserver-etcd-client": ("kube-apiserver-etcd-client", ""),
    "pki/front-proxy-client": ("front-proxy-client", ""),
    "pki/etcd/healthcheck-client": ("kube-etcd-healthcheck-client", ""),
}
NODE_GROUP = "system:nodes"


def files(
    keys: PKI, cluster: str, node: str, server: str, control_plane: bool
) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of each file that a node has; server: where its kubelet connects."""
    configs = {"kubelet.conf": (f"system:node:{node}", NODE_GROUP)}
    if control_plane:
        configs |= KUBECONFIGS
    for name, (user, group) in configs.items():
        yield f"{ETC}/{name}", _kubeconfig(keys, cluster, server, user, group)
    yield f"{ETC}/pki/ca.crt", keys.ca_pem
    if not control_plane:
        return
    clients = CLIENTS | {f"pki/etcd/{each}": (node, "") for each in ("server", "peer")}
    for name, (user, group) in clients.items():
        certificate, key = keys.client_certificate(user, [group] if group else [])
        yield f"{ETC}/{name}.crt", certificate
        yield f"{ETC}/{name}.key", key
    for name in ("pki/etcd/ca.crt", "pki/front-proxy-ca.crt"):
        yield f"{ETC}/{name}", keys.ca_pem
    yield f"{ETC}/pki/apiserver.crt", keys.path("apiserver.crt").read_bytes()


def _kubeconfig(keys: PKI, cluster: str, server: str, user: str, group: str) -> bytes:
    certificate, key = keys.client_certificate(user, [group] if group else [])
    context = f"{user}@{cluster}"
    ca = {"certificate-authority-data": _base64(keys.ca_pem), "server": server}
    pair = {"client-certificate-data": _base64(certificate), "client-key-data": _base64(key)}
    config = {
        "apiVersion": "v1",
        "clusters": [{"cluster": ca, "name": cluster}],
        "contexts": [{"context": {"cluster": cluster, "user": user}, "name": context}],
        "current-context": context,
        "kind": "Config",
        "users": [{"name": user, "user": pair}],
    }
    return yaml.safe_dump(config, sort_keys=False).encode()


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
