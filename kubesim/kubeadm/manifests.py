"""The static Pods of a control plane node, as kubeadm writes them to /etc/kubernetes/manifests.

Flags, volumes, probes and requests are those of cmd/kubeadm/app/phases/controlplane/manifests.go
and phases/etcd/local.go for a cluster made by kind. Only the ten seconds that kubeadm waits before
the first probe are left out, since nothing here needs them to start.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from kubesim.apimachinery.objects import Object
from kubesim.kubeadm.config import ClusterConfig
from kubesim.kubeadm.versions import component_image

ETC = "/etc/kubernetes"
PKI = f"{ETC}/pki"
ETCD_PKI = f"{PKI}/etcd"
COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
LOOPBACK = "127.0.0.1"
CERTIFICATES = {  # of the machine, for talking to the world outside
    "ca-certs": "/etc/ssl/certs",
    "etc-ca-certificates": "/etc/ca-certificates",
    "usr-local-share-ca-certificates": "/usr/local/share/ca-certificates",
    "usr-share-ca-certificates": "/usr/share/ca-certificates",
}


@dataclass(frozen=True)
class ControlPlane:
    """What the manifests of a control plane node depend on."""

    config: ClusterConfig
    name: str
    address: str
    version: str
    members: Sequence[tuple[str, str]]  # name and address of every control plane node


def static_pods(node: ControlPlane) -> dict[str, Object]:
    """Return every manifest by its file's name."""
    makers = {
        "etcd": _etcd,
        "kube-apiserver": _api_server,
        "kube-controller-manager": _controller_manager,
        "kube-scheduler": _scheduler,
    }
    return {f"{name}.yaml": make(node) for name, make in makers.items()}


def _etcd(node: ControlPlane) -> Object:
    url, peer = f"https://{node.address}:2379", f"https://{node.address}:2380"
    flags = {
        "advertise-client-urls": url,
        "cert-file": f"{ETCD_PKI}/server.crt",
        "client-cert-auth": "true",
        "data-dir": "/var/lib/etcd",
        "feature-gates": "InitialCorruptCheck=true",
        "initial-advertise-peer-urls": peer,
        "initial-cluster": ",".join(f"{name}=https://{ip}:2380" for name, ip in node.members),
        "key-file": f"{ETCD_PKI}/server.key",
        "listen-client-urls": f"https://{LOOPBACK}:2379,{url}",
        "listen-metrics-urls": f"http://{LOOPBACK}:2381",
        "listen-peer-urls": peer,
        "name": node.name,
        "peer-cert-file": f"{ETCD_PKI}/peer.crt",
        "peer-client-cert-auth": "true",
        "peer-key-file": f"{ETCD_PKI}/peer.key",
        "peer-trusted-ca-file": f"{ETCD_PKI}/ca.crt",
        "snapshot-count": "10000",
        "trusted-ca-file": f"{ETCD_PKI}/ca.crt",
        "watch-progress-notify-interval": "5s",
    }
    pod = _pod(node, "etcd", flags, 2381, "100m", ("/livez", "/readyz"))
    container = pod["spec"]["containers"][0]
    container["resources"]["requests"]["memory"] = "100Mi"
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        container[probe]["httpGet"].update(host=LOOPBACK, scheme="HTTP")
    _mount(pod, "etcd-data", "/var/lib/etcd")
    _mount(pod, "etcd-certs", ETCD_PKI)
    pod["metadata"]["annotations"] = {"kubeadm.kubernetes.io/etcd.advertise-client-urls": url}
    return pod


def _api_server(node: ControlPlane) -> Object:
    flags = {
        "advertise-address": node.address,
        "allow-privileged": "true",
        "authorization-mode": "Node,RBAC",
        "client-ca-file": f"{PKI}/ca.crt",
        "enable-admission-plugins": "NodeRestriction",
        "enable-bootstrap-token-auth": "true",
        "etcd-cafile": f"{ETCD_PKI}/ca.crt",
        "etcd-certfile": f"{PKI}/apiserver-etcd-client.crt",
        "etcd-keyfile": f"{PKI}/apiserver-etcd-client.key",
        "etcd-servers": f"https://{LOOPBACK}:2379",
        "kubelet-client-certificate": f"{PKI}/apiserver-kubelet-client.crt",
        "kubelet-client-key": f"{PKI}/apiserver-kubelet-client.key",
        "kubelet-preferred-address-types": "InternalIP,ExternalIP,Hostname",
        "proxy-client-cert-file": f"{PKI}/front-proxy-client.crt",
        "proxy-client-key-file": f"{PKI}/front-proxy-client.key",
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-client-ca-file": f"{PKI}/front-proxy-ca.crt",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-username-headers": "X-Remote-User",
        "runtime-config": ",".join(f"{key}={value}" for key, value in node.config.runtime_config),
        "secure-port": "6443",
        "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
        "service-account-key-file": f"{PKI}/sa.pub",
        "service-account-signing-key-file": f"{PKI}/sa.key",
        "service-cluster-ip-range": node.config.service_subnet,
        "tls-cert-file": f"{PKI}/apiserver.crt",
        "tls-private-key-file": f"{PKI}/apiserver.key",
    }
    pod = _pod(node, "kube-apiserver", flags, 6443, "250m", ("/livez", "/readyz"))
    container = pod["spec"]["containers"][0]
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        container[probe]["httpGet"]["host"] = node.address
    _mount_certificates(pod)
    where = f"{node.address}:6443"
    key = "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint"
    pod["metadata"]["annotations"] = {key: where}
    return pod


def _controller_manager(node: ControlPlane) -> Object:
    kubeconfig = f"{ETC}/controller-manager.conf"
    flags = {
        "allocate-node-cidrs": "true",
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": LOOPBACK,
        "client-ca-file": f"{PKI}/ca.crt",
        "cluster-cidr": node.config.pod_subnet,
        "cluster-name": node.config.name,
        "cluster-signing-cert-file": f"{PKI}/ca.crt",
        "cluster-signing-key-file": f"{PKI}/ca.key",
        "controllers": "*,bootstrapsigner,tokencleaner",
        "enable-hostpath-provisioner": "true",
        "kubeconfig": kubeconfig,
        "leader-elect": "true",
        "requestheader-client-ca-file": f"{PKI}/front-proxy-ca.crt",
        "root-ca-file": f"{PKI}/ca.crt",
        "service-account-private-key-file": f"{PKI}/sa.key",
        "service-cluster-ip-range": node.config.service_subnet,
        "use-service-account-credentials": "true",
    }
    pod = _pod(node, "kube-controller-manager", flags, 10257, "200m", ("/healthz", ""))
    _mount_certificates(pod)
    _mount(pod, "flexvolume-dir", "/usr/libexec/kubernetes/kubelet-plugins/volume/exec")
    _mount(pod, "kubeconfig", kubeconfig, "FileOrCreate", read_only=True)
    return pod


def _scheduler(node: ControlPlane) -> Object:
    kubeconfig = f"{ETC}/scheduler.conf"
    flags = {
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": LOOPBACK,
        "kubeconfig": kubeconfig,
        "leader-elect": "true",
    }
    pod = _pod(node, "kube-scheduler", flags, 10259, "100m", ("/livez", "/readyz"))
    _mount(pod, "kubeconfig", kubeconfig, "FileOrCreate", read_only=True)
    return pod


def _pod(
    node: ControlPlane,
    component: str,
    flags: dict[str, str],
    port: int,
    cpu: str,
    paths: tuple[str, str],
) -> Object:
    gates = ",".join(f"{key}={str(on).lower()}" for key, on in node.config.feature_gates)
    if gates and component != "etcd":
        flags["feature-gates"] = gates
    flags |= {flag: value for owner, flag, value in node.config.extra_args if owner == component}
    live, ready = paths
    container: Object = {
        "name": component,
        "image": component_image(component, node.version),
        "imagePullPolicy": "IfNotPresent",
        "command": [component, *(f"--{flag}={flags[flag]}" for flag in sorted(flags))],
        "ports": [{"name": "probe-port", "containerPort": port, "protocol": "TCP"}],
        "resources": {"requests": {"cpu": cpu}},
        "startupProbe": _probe(live, failures=24),
        "livenessProbe": _probe(live, failures=8),
    }
    if ready:
        container["readinessProbe"] = _probe(ready, failures=3) | {"periodSeconds": 1}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": component,
            "namespace": "kube-system",
            "labels": {"component": component, "tier": "control-plane"},
        },
        "spec": {
            "containers": [container],
            "hostNetwork": True,
            "priority": 2_000_001_000,
            "priorityClassName": "system-node-critical",
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "volumes": [],
        },
    }


def _probe(path: str, failures: int) -> Object:
    action = {"host": LOOPBACK, "path": path, "port": "probe-port", "scheme": "HTTPS"}
    return {
        "httpGet": action,
        "failureThreshold": failures,
        "periodSeconds": 10,
        "timeoutSeconds": 15,
    }


def _mount(
    pod: Object, name: str, path: str, kind: str = "DirectoryOrCreate", *, read_only: bool = False
) -> None:
    """Show a piece of the node's disk to the component, at the same path."""
    pod["spec"]["volumes"].append({"name": name, "hostPath": {"path": path, "type": kind}})
    mount: Object = {"name": name, "mountPath": path}
    if read_only:
        mount["readOnly"] = True
    pod["spec"]["containers"][0].setdefault("volumeMounts", []).append(mount)


def _mount_certificates(pod: Object) -> None:
    for name, path in CERTIFICATES.items():
        _mount(pod, name, path, read_only=True)
    _mount(pod, "k8s-certs", PKI, read_only=True)
