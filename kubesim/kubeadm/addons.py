"""What kubeadm and kind install into a new cluster: kube-proxy, the pod network and CoreDNS.

See cmd/kubeadm/app/phases/addons and kind's pkg/build/nodeimage/const_cni.go.
"""

from collections.abc import Iterator

from kubesim.apimachinery.objects import Object
from kubesim.kubeadm import versions
from kubesim.kubeadm.config import ClusterConfig
from kubesim.kubeadm.rbac_policy import API_VERSION, binding_to, rule

NAMESPACE = "kube-system"
DNS_IP = "10.96.0.10"
LINUX = {"kubernetes.io/os": "linux"}
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
COREFILE = """.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30 {
       disable success cluster.local
       disable denial cluster.local
    }
    loop
    reload
    loadbalance
}
"""


def addons(config: ClusterConfig, server: str) -> Iterator[tuple[str, Object]]:
    """Every object of the addons, with its resource; server: how kube-proxy reaches the API."""
    yield from _core_dns(config)
    if config.kube_proxy_mode != "none":
        yield from _kube_proxy(config, server)
    if config.default_cni:
        yield from _kindnet(config, server)


def made(kind: str, name: str, namespace: str, api_version: str = "v1", **fields: object) -> Object:
    """Return an object of that kind and name; `labels` go to its metadata."""
    metadata: Object = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    if "labels" in fields:
        metadata["labels"] = fields.pop("labels")
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


def _core_dns(config: ClusterConfig) -> Iterator[tuple[str, Object]]:
    labels = {"k8s-app": "kube-dns"}
    yield "serviceaccounts", made("ServiceAccount", "coredns", NAMESPACE)
    yield "configmaps", made("ConfigMap", "coredns", NAMESPACE, data={"Corefile": COREFILE})
    yield "services", _dns_service()
    spec = {
        "replicas": 2,
        "selector": {"matchLabels": labels},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
        "template": {"metadata": {"labels": labels}, "spec": _dns_pod(config)},
    }
    yield (
        "deployments.apps",
        made("Deployment", "coredns", NAMESPACE, "apps/v1", labels=labels, spec=spec),
    )


def _dns_service() -> Object:
    labels = {
        "k8s-app": "kube-dns",
        "kubernetes.io/cluster-service": "true",
        "kubernetes.io/name": "CoreDNS",
    }
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
        {"name": "metrics", "port": 9153, "protocol": "TCP", "targetPort": 9153},
    ]
    spec = {"clusterIP": DNS_IP, "selector": {"k8s-app": "kube-dns"}, "ports": ports}
    return made("Service", "kube-dns", NAMESPACE, labels=labels, spec=spec)


def _dns_pod(config: ClusterConfig) -> Object:
    same = {"key": "k8s-app", "operator": "In", "values": ["kube-dns"]}
    apart = {
        "weight": 100,
        "podAffinityTerm": {
            "labelSelector": {"matchExpressions": [same]},
            "topologyKey": "kubernetes.io/hostname",
        },
    }
    ports = [("dns", 53), ("dns-tcp", 53), ("metrics", 9153)]
    ports += [("liveness-probe", 8080), ("readiness-probe", 8181)]
    container = {
        "name": "coredns",
        "image": versions.component_image("coredns", config.version),
        "imagePullPolicy": "IfNotPresent",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "resources": {
            "limits": {"memory": "170Mi"},
            "requests": {"cpu": "100m", "memory": "70Mi"},
        },
        "ports": [
            {"name": name, "containerPort": port, "protocol": "UDP" if name == "dns" else "TCP"}
            for name, port in ports
        ],
        "livenessProbe": _probe("/health", 8080)
        | {"initialDelaySeconds": 60, "timeoutSeconds": 5, "failureThreshold": 5},
        "readinessProbe": _probe("/ready", 8181),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": "config-volume", "mountPath": "/etc/coredns", "readOnly": True}],
    }
    items = [{"key": "Corefile", "path": "Corefile"}]
    return {
        "serviceAccountName": "coredns",
        "priorityClassName": "system-cluster-critical",
        "affinity": {
            "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [apart]}
        },
        "tolerations": [
            {"key": "CriticalAddonsOnly", "operator": "Exists"},
            {"key": CONTROL_PLANE, "effect": "NoSchedule"},
        ],
        "nodeSelector": LINUX,
        "dnsPolicy": "Default",
        "containers": [container],
        "volumes": [{"name": "config-volume", "configMap": {"name": "coredns", "items": items}}],
    }


def _probe(path: str, port: int) -> Object:
    return {"httpGet": {"path": path, "port": port, "scheme": "HTTP"}}


def _kube_proxy(config: ClusterConfig, server: str) -> Iterator[tuple[str, Object]]:
    yield "serviceaccounts", made("ServiceAccount", "kube-proxy", NAMESPACE)
    yield (
        "clusterrolebindings.rbac.authorization.k8s.io",
        binding_to("kubeadm:node-proxier", "system:node-proxier", "kube-proxy"),
    )
    data = {"config.conf": _proxy_config(config), "kubeconfig.conf": _proxy_kubeconfig(server)}
    labels = {"app": "kube-proxy"}
    yield "configmaps", made("ConfigMap", "kube-proxy", NAMESPACE, labels=labels, data=data)
    own = {"kind": "Role", "apiGroup": "rbac.authorization.k8s.io", "name": "kube-proxy"}
    joiners = {**own, "kind": "Group", "name": "system:bootstrappers:kubeadm:default-node-token"}
    rules = [rule("get", "configmaps", names="kube-proxy")]
    role = made("Role", "kube-proxy", NAMESPACE, API_VERSION, rules=rules)
    yield "roles.rbac.authorization.k8s.io", role
    binding = made(
        "RoleBinding", "kube-proxy", NAMESPACE, API_VERSION, roleRef=own, subjects=[joiners]
    )
    yield "rolebindings.rbac.authorization.k8s.io", binding
    container = {
        "name": "kube-proxy",
        "image": versions.component_image("kube-proxy", config.version),
        "imagePullPolicy": "IfNotPresent",
        "command": [
            "/usr/local/bin/kube-proxy",
            "--config=/var/lib/kube-proxy/config.conf",
            "--hostname-override=$(NODE_NAME)",
        ],
        "securityContext": {"privileged": True},
        "env": [_field("NODE_NAME", "spec.nodeName")],
        "volumeMounts": [
            {"name": "kube-proxy", "mountPath": "/var/lib/kube-proxy"},
            *_HOST_MOUNTS,
        ],
    }
    volume = {"name": "kube-proxy", "configMap": {"name": "kube-proxy"}}
    pod = _node_pod("kube-proxy", container, [volume, *_HOST_VOLUMES])
    pod["priorityClassName"] = "system-node-critical"
    yield "daemonsets.apps", _daemon_set("kube-proxy", {"k8s-app": "kube-proxy"}, pod)


def _kindnet(config: ClusterConfig, server: str) -> Iterator[tuple[str, Object]]:
    yield "serviceaccounts", made("ServiceAccount", "kindnet", NAMESPACE)
    rules = [
        rule("list watch patch", "nodes"),
        rule("list watch", "pods namespaces"),
        rule("list watch", "networkpolicies", "networking.k8s.io"),
    ]
    yield (
        "clusterroles.rbac.authorization.k8s.io",
        made("ClusterRole", "kindnet", "", API_VERSION, rules=rules),
    )
    yield (
        "clusterrolebindings.rbac.authorization.k8s.io",
        binding_to("kindnet", "kindnet", "kindnet"),
    )
    amounts = {"cpu": "100m", "memory": "50Mi"}
    container = {
        "name": "kindnet-cni",
        "image": versions.KINDNETD,
        "imagePullPolicy": "IfNotPresent",
        "env": [
            _field("HOST_IP", "status.hostIP"),
            _field("POD_IP", "status.podIP"),
            {"name": "POD_SUBNET", "value": config.pod_subnet},
            {"name": "CONTROL_PLANE_ENDPOINT", "value": server.removeprefix("https://")},
        ],
        "resources": {"limits": amounts, "requests": amounts},
        "securityContext": {
            "privileged": False,
            "capabilities": {"add": ["NET_RAW", "NET_ADMIN"]},
        },
        "volumeMounts": [{"name": "cni-cfg", "mountPath": "/etc/cni/net.d"}, *_HOST_MOUNTS],
    }
    volume = {"name": "cni-cfg", "hostPath": {"path": "/etc/cni/net.d"}}
    pod = _node_pod("kindnet", container, [volume, *_HOST_VOLUMES])
    labels = {"app": "kindnet", "k8s-app": "kindnet", "tier": "node"}
    yield "daemonsets.apps", _daemon_set("kindnet", labels, pod)


_HOST_MOUNTS = [
    {"name": "xtables-lock", "mountPath": "/run/xtables.lock"},
    {"name": "lib-modules", "mountPath": "/lib/modules", "readOnly": True},
]
_HOST_VOLUMES = [
    {"name": "xtables-lock", "hostPath": {"path": "/run/xtables.lock", "type": "FileOrCreate"}},
    {"name": "lib-modules", "hostPath": {"path": "/lib/modules"}},
]


def _field(name: str, path: str) -> Object:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def _node_pod(account: str, container: Object, volumes: list[Object]) -> Object:
    return {
        "serviceAccountName": account,
        "hostNetwork": True,
        "nodeSelector": LINUX,
        "tolerations": [{"operator": "Exists"}],
        "containers": [container],
        "volumes": volumes,
    }


def _daemon_set(name: str, labels: dict[str, str], pod: Object) -> Object:
    selector = {"app": "kindnet"} if name == "kindnet" else labels
    spec = {
        "selector": {"matchLabels": selector},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    return made("DaemonSet", name, NAMESPACE, "apps/v1", labels=labels, spec=spec)


def _proxy_config(config: ClusterConfig) -> str:
    return f"""apiVersion: kubeproxy.config.k8s.io/v1alpha1
bindAddress: 0.0.0.0
bindAddressHardFail: false
clientConnection:
  acceptContentTypes: ""
  burst: 0
  contentType: ""
  kubeconfig: /var/lib/kube-proxy/kubeconfig.conf
  qps: 0
clusterCIDR: {config.pod_subnet}
configSyncPeriod: 0s
conntrack:
  maxPerCore: 0
  min: null
enableProfiling: false
healthzBindAddress: ""
hostnameOverride: ""
kind: KubeProxyConfiguration
metricsBindAddress: ""
mode: {config.kube_proxy_mode}
nodePortAddresses: null
oomScoreAdj: null
portRange: ""
"""


def _proxy_kubeconfig(server: str) -> str:
    return f"""apiVersion: v1
kind: Config
clusters:
- cluster:
    certificate-authority: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt
    server: {server}
  name: default
contexts:
- context:
    cluster: default
    namespace: default
    user: default
  name: default
current-context: default
users:
- name: default
  user:
    tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token
"""
