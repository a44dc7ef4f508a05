"""What kubeadm leaves in the cluster for later: its configuration, and who may read it.

See cmd/kubeadm/app/phases/uploadconfig, phases/kubelet and phases/bootstraptoken, and the API
server's own extension-apiserver-authentication.
"""

from collections.abc import Iterator

from kubesim.apimachinery.objects import Object
from kubesim.kubeadm.addons import DNS_IP, NAMESPACE, made
from kubesim.kubeadm.config import ClusterConfig
from kubesim.kubeadm.rbac_policy import API_VERSION, rule

GROUP = "rbac.authorization.k8s.io"
JOINERS = "system:bootstrappers:kubeadm:default-node-token"
CONTROLLER_ROLES = {
    "bootstrap-signer": [rule("get list watch", "secrets")],
    "cloud-provider": [rule("create get list update watch", "configmaps")],
    "token-cleaner": [
        rule("delete get list watch", "secrets"),
        rule("create patch update", "events"),
    ],
}
AUTHENTICATION = "extension-apiserver-authentication"


def configuration(
    config: ClusterConfig, endpoint: str, ca_pem: str
) -> Iterator[tuple[str, Object]]:
    """Every object, with its resource; endpoint: address and port of the control plane."""
    kubeadm = {"ClusterConfiguration": _cluster_configuration(config, endpoint)}
    yield "configmaps", made("ConfigMap", "kubeadm-config", NAMESPACE, data=kubeadm)
    kubelet = {"kubelet": _kubelet_configuration()}
    yield "configmaps", made("ConfigMap", "kubelet-config", NAMESPACE, data=kubelet)
    authentication = {
        "client-ca-file": ca_pem,
        "requestheader-allowed-names": '["front-proxy-client"]',
        "requestheader-client-ca-file": ca_pem,
        "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
        "requestheader-group-headers": '["X-Remote-Group"]',
        "requestheader-username-headers": '["X-Remote-User"]',
    }
    yield "configmaps", made("ConfigMap", AUTHENTICATION, NAMESPACE, data=authentication)
    for name, reads in (
        ("kubeadm:nodes-kubeadm-config", "kubeadm-config"),
        ("kubeadm:kubelet-config", "kubelet-config"),
    ):
        rules = [rule("get", "configmaps", names=reads)]
        yield f"roles.{GROUP}", made("Role", name, NAMESPACE, API_VERSION, rules=rules)
        subjects = [
            {"apiGroup": GROUP, "kind": "Group", "name": each} for each in (JOINERS, "system:nodes")
        ]
        yield f"rolebindings.{GROUP}", _binding(name, name, subjects)
    yield from _leader_locking()


def _leader_locking() -> Iterator[tuple[str, Object]]:
    """The namespaced roles that every API server makes for the control plane's own parts."""
    reader = f"{AUTHENTICATION}-reader"
    rules = [rule("get list watch", "configmaps", names=AUTHENTICATION)]
    yield f"roles.{GROUP}", made("Role", reader, NAMESPACE, API_VERSION, rules=rules)
    users = ["system:kube-controller-manager", "system:kube-scheduler"]
    subjects = [{"apiGroup": GROUP, "kind": "User", "name": user} for user in users]
    yield f"rolebindings.{GROUP}", _binding(f"system::{reader}", reader, subjects)
    for component in ("kube-controller-manager", "kube-scheduler"):
        name = f"system::leader-locking-{component}"
        rules = [rule("watch", "configmaps"), rule("get update", "configmaps", names=component)]
        yield f"roles.{GROUP}", made("Role", name, NAMESPACE, API_VERSION, rules=rules)
        user = {"apiGroup": GROUP, "kind": "User", "name": f"system:{component}"}
        yield f"rolebindings.{GROUP}", _binding(name, name, [user])
    for controller, rules in CONTROLLER_ROLES.items():
        name = f"system:controller:{controller}"
        yield f"roles.{GROUP}", made("Role", name, NAMESPACE, API_VERSION, rules=rules)
        account = {"kind": "ServiceAccount", "name": controller, "namespace": NAMESPACE}
        yield f"rolebindings.{GROUP}", _binding(name, name, [account])


def _binding(name: str, role: str, subjects: list[Object]) -> Object:
    reference = {"apiGroup": GROUP, "kind": "Role", "name": role}
    return made("RoleBinding", name, NAMESPACE, API_VERSION, roleRef=reference, subjects=subjects)


def _cluster_configuration(config: ClusterConfig, endpoint: str) -> str:
    return f"""apiServer:
  certSANs:
  - localhost
  - 127.0.0.1
  extraArgs:
  - name: runtime-config
    value: "{",".join(f"{key}={value}" for key, value in config.runtime_config)}"
apiVersion: kubeadm.k8s.io/v1beta4
caCertificateValidityPeriod: 87600h0m0s
certificateValidityPeriod: 8760h0m0s
certificatesDir: /etc/kubernetes/pki
clusterName: {config.name}
controlPlaneEndpoint: {endpoint}
controllerManager:
  extraArgs:
  - name: enable-hostpath-provisioner
    value: "true"
dns: {{}}
encryptionAlgorithm: ECDSA-P256
etcd:
  local:
    dataDir: /var/lib/etcd
imageRepository: registry.k8s.io
kind: ClusterConfiguration
kubernetesVersion: {config.version}
networking:
  dnsDomain: cluster.local
  podSubnet: {config.pod_subnet}
  serviceSubnet: {config.service_subnet}
proxy: {{}}
scheduler: {{}}
"""


def _kubelet_configuration() -> str:
    return f"""apiVersion: kubelet.config.k8s.io/v1beta1
authentication:
  anonymous:
    enabled: false
  webhook:
    cacheTTL: 0s
    enabled: true
  x509:
    clientCAFile: /etc/kubernetes/pki/ca.crt
authorization:
  mode: Webhook
  webhook:
    cacheAuthorizedTTL: 0s
    cacheUnauthorizedTTL: 0s
cgroupDriver: systemd
cgroupRoot: /kubelet
clusterDNS:
- {DNS_IP}
clusterDomain: cluster.local
evictionHard:
  imagefs.available: 0%
  nodefs.available: 0%
  nodefs.inodesFree: 0%
failSwapOn: false
healthzBindAddress: 127.0.0.1
healthzPort: 10248
imageGCHighThresholdPercent: 100
kind: KubeletConfiguration
rotateCertificates: true
staticPodPath: /etc/kubernetes/manifests
"""
