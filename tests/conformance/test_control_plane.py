"""kube-system as kubeadm makes it: static Pods, addons, accounts, configuration, Leases."""

import json

import pytest
from kubernetes import client

from kubelab import describe, waiting

WAIT = 90
NAMESPACE = "kube-system"
COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
FLAGS = {
    "etcd": (
        "--client-cert-auth=true",
        "--data-dir=/var/lib/etcd",
        "--trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt",
        "--snapshot-count=10000",
        "--listen-metrics-urls=http://127.0.0.1:2381",
    ),
    "kube-apiserver": (
        "--allow-privileged=true",
        "--authorization-mode=Node,RBAC",
        "--client-ca-file=/etc/kubernetes/pki/ca.crt",
        "--enable-admission-plugins=NodeRestriction",
        "--etcd-servers=https://127.0.0.1:2379",
        "--secure-port=6443",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--tls-cert-file=/etc/kubernetes/pki/apiserver.crt",
        "--service-account-signing-key-file=/etc/kubernetes/pki/sa.key",
    ),
    "kube-controller-manager": (
        "--allocate-node-cidrs=true",
        "--bind-address=127.0.0.1",
        "--cluster-signing-key-file=/etc/kubernetes/pki/ca.key",
        "--controllers=*,bootstrapsigner,tokencleaner",
        "--kubeconfig=/etc/kubernetes/controller-manager.conf",
        "--leader-elect=true",
        "--root-ca-file=/etc/kubernetes/pki/ca.crt",
        "--use-service-account-credentials=true",
    ),
    "kube-scheduler": (
        "--bind-address=127.0.0.1",
        "--kubeconfig=/etc/kubernetes/scheduler.conf",
        "--leader-elect=true",
    ),
}
ACCOUNTS = {
    "attachdetach-controller",
    "bootstrap-signer",
    "certificate-controller",
    "clusterrole-aggregation-controller",
    "coredns",
    "cronjob-controller",
    "daemon-set-controller",
    "default",
    "deployment-controller",
    "disruption-controller",
    "endpoint-controller",
    "endpointslice-controller",
    "expand-controller",
    "generic-garbage-collector",
    "horizontal-pod-autoscaler",
    "job-controller",
    "kube-proxy",
    "namespace-controller",
    "node-controller",
    "persistent-volume-binder",
    "pod-garbage-collector",
    "replicaset-controller",
    "replication-controller",
    "resourcequota-controller",
    "root-ca-cert-publisher",
    "service-account-controller",
    "statefulset-controller",
    "token-cleaner",
    "ttl-controller",
}


@pytest.fixture(autouse=True)
def _all_is_up(core):
    """A cluster that has only just been made is still starting these."""
    waiting.until(
        lambda: all(describe.is_ready(pod) for pod in core.list_namespaced_pod(NAMESPACE).items),
        timeout=WAIT,
    )


@pytest.fixture
def component(core):
    """Gives the Pod of a component of the control plane, of its first node."""

    def find(name):
        found = core.list_namespaced_pod(NAMESPACE, label_selector=f"component={name}").items
        return sorted(found, key=lambda pod: pod.metadata.name)[0]

    return find


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_is_a_mirror_pod_of_its_node(core, component, name):
    pod = component(name)
    node = pod.spec.node_name
    assert pod.metadata.name == f"{name}-{node}"
    owner = pod.metadata.owner_references[0]
    assert (owner.api_version, owner.kind, owner.name, owner.controller) == (
        "v1",
        "Node",
        node,
        True,
    )
    assert owner.uid == core.read_node(node).metadata.uid
    annotations = pod.metadata.annotations
    assert annotations["kubernetes.io/config.source"] == "file"
    assert annotations["kubernetes.io/config.mirror"] == annotations["kubernetes.io/config.hash"]
    assert "kubernetes.io/config.seen" in annotations


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_runs_on_its_nodes_network_before_everything_else(core, component, name):
    pod = component(name)
    assert pod.metadata.labels == {"component": name, "tier": "control-plane"}
    assert pod.spec.host_network
    assert pod.status.pod_ip == pod.status.host_ip
    assert (pod.spec.priority_class_name, pod.spec.priority) == (
        "system-node-critical",
        2000001000,
    )
    toleration = pod.spec.tolerations[0]
    assert (toleration.operator, toleration.effect, toleration.key) == ("Exists", "NoExecute", None)
    assert pod.status.qos_class == "Burstable"
    assert pod.spec.service_account_name is None


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_is_started_with_kubeadms_flags(component, name):
    container = component(name).spec.containers[0]
    assert (container.name, container.command[0]) == (name, name)
    assert set(FLAGS[name]) <= set(container.command)
    assert container.command[1:] == sorted(container.command[1:])


@pytest.mark.parametrize(
    ("name", "port"),
    [("kube-apiserver", 6443), ("kube-controller-manager", 10257), ("kube-scheduler", 10259)],
)
def test_a_component_is_probed_over_tls(component, name, port):
    container = component(name).spec.containers[0]
    for probe in (container.liveness_probe, container.startup_probe):
        assert probe.http_get.scheme == "HTTPS"
        assert probe.timeout_seconds == 15
        named = {each.name: each.container_port for each in container.ports or ()}
        assert named.get(probe.http_get.port, probe.http_get.port) == port
    assert container.liveness_probe.failure_threshold == 8
    assert container.startup_probe.failure_threshold == 24


@pytest.mark.parametrize(
    ("name", "cpu"),
    [
        ("etcd", "100m"),
        ("kube-apiserver", "250m"),
        ("kube-controller-manager", "200m"),
        ("kube-scheduler", "100m"),
    ],
)
def test_a_component_requests_some_cpu_and_limits_none(component, name, cpu):
    resources = component(name).spec.containers[0].resources
    assert resources.requests["cpu"] == cpu
    assert resources.limits is None


@pytest.mark.parametrize("name", ["kube-controller-manager", "kube-scheduler"])
def test_a_component_is_given_its_kubeconfig_from_the_nodes_disk(component, name):
    spec = component(name).spec
    volume = next(each for each in spec.volumes if each.name == "kubeconfig")
    path = f"/etc/kubernetes/{name.removeprefix('kube-')}.conf"
    assert (volume.host_path.path, volume.host_path.type) == (path, "FileOrCreate")
    mount = next(each for each in spec.containers[0].volume_mounts if each.name == "kubeconfig")
    assert (mount.mount_path, mount.read_only) == (path, True)


def test_etcd_keeps_its_data_on_the_nodes_disk(component):
    volumes = {each.name: each.host_path for each in component("etcd").spec.volumes}
    assert (volumes["etcd-data"].path, volumes["etcd-data"].type) == (
        "/var/lib/etcd",
        "DirectoryOrCreate",
    )
    assert volumes["etcd-certs"].path == "/etc/kubernetes/pki/etcd"


def test_the_addresses_of_etcd_and_the_api_server_are_annotated(component):
    etcd, server = component("etcd"), component("kube-apiserver")
    ip = etcd.status.host_ip
    key = "kubeadm.kubernetes.io/etcd.advertise-client-urls"
    assert etcd.metadata.annotations[key] == f"https://{ip}:2379"
    key = "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint"
    assert server.metadata.annotations[key] == f"{ip}:6443"
    assert f"--advertise-address={ip}" in server.spec.containers[0].command


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_is_ready(component, name):
    pod = component(name)
    assert pod.status.phase == "Running"
    conditions = {each.type: each.status for each in pod.status.conditions}
    for kind in ("Initialized", "Ready", "ContainersReady", "PodScheduled"):
        assert conditions[kind] == "True"


@pytest.mark.parametrize("name", ["kube-controller-manager", "kube-scheduler"])
def test_a_component_tells_its_log_of_the_election_that_it_won(kubectl, name):
    printed = kubectl("logs", "-n", NAMESPACE, "-l", f"component={name}", "--tail=-1")
    assert f"attempting to acquire leader lease kube-system/{name}..." in printed
    assert f"successfully acquired lease kube-system/{name}" in printed


def test_etcd_and_the_api_server_have_logs(kubectl):
    for name in ("etcd", "kube-apiserver"):
        assert kubectl("logs", "-n", NAMESPACE, "-l", f"component={name}")


@pytest.mark.parametrize("name", ["kube-controller-manager", "kube-scheduler"])
def test_the_leader_of_a_component_holds_its_lease(cluster, component, name):
    leases = client.CoordinationV1Api(cluster.api_client())
    spec = leases.read_namespaced_lease(name, NAMESPACE).spec
    assert spec.holder_identity.startswith(f"{component(name).spec.node_name}_")
    assert spec.lease_duration_seconds == 15


def test_every_controller_has_an_account_of_its_own(core):
    found = {each.metadata.name for each in core.list_namespaced_service_account(NAMESPACE).items}
    assert found >= ACCOUNTS
    assert len(found) >= 33


def test_core_dns_is_a_deployment_of_two(apps):
    deployment = apps.read_namespaced_deployment("coredns", NAMESPACE)
    assert deployment.spec.replicas == 2
    assert deployment.spec.selector.match_labels == {"k8s-app": "kube-dns"}
    assert deployment.spec.strategy.rolling_update.max_unavailable == 1
    pod = deployment.spec.template.spec
    assert pod.priority_class_name == "system-cluster-critical"
    assert (pod.service_account_name, pod.dns_policy) == ("coredns", "Default")
    assert pod.node_selector == {"kubernetes.io/os": "linux"}
    container = pod.containers[0]
    assert container.args == ["-conf", "/etc/coredns/Corefile"]
    assert container.resources.limits == {"memory": "170Mi"}
    assert container.resources.requests == {"cpu": "100m", "memory": "70Mi"}
    ports = {each.name: (each.container_port, each.protocol) for each in container.ports}
    assert ports["dns"] == (53, "UDP")
    assert ports["dns-tcp"] == (53, "TCP")
    assert ports["metrics"] == (9153, "TCP")


def test_core_dns_is_probed(apps):
    container = apps.read_namespaced_deployment("coredns", NAMESPACE).spec.template.spec.containers[
        0
    ]
    assert container.liveness_probe.http_get.path == "/health"
    assert container.liveness_probe.initial_delay_seconds == 60
    assert container.readiness_probe.http_get.path == "/ready"
    assert container.security_context.read_only_root_filesystem
    assert container.security_context.allow_privilege_escalation is False


def test_the_dns_service_leads_to_core_dns(core):
    service = core.read_namespaced_service("kube-dns", NAMESPACE)
    assert service.spec.cluster_ip == "10.96.0.10"
    assert service.spec.selector == {"k8s-app": "kube-dns"}
    assert service.metadata.labels["kubernetes.io/cluster-service"] == "true"
    ports = {(each.name, each.port, each.protocol) for each in service.spec.ports}
    assert ports == {("dns", 53, "UDP"), ("dns-tcp", 53, "TCP"), ("metrics", 9153, "TCP")}
    pods = core.list_namespaced_pod(NAMESPACE, label_selector="k8s-app=kube-dns").items
    endpoints = core.read_namespaced_endpoints("kube-dns", NAMESPACE)
    found = {address.ip for subset in endpoints.subsets for address in subset.addresses}
    assert found == {pod.status.pod_ip for pod in pods}


def test_core_dns_answers_from_its_corefile(core):
    corefile = core.read_namespaced_config_map("coredns", NAMESPACE).data["Corefile"]
    assert corefile.startswith(".:53 {\n")
    assert "kubernetes cluster.local in-addr.arpa ip6.arpa {" in corefile
    assert "forward . /etc/resolv.conf" in corefile


def test_kube_proxy_runs_on_every_node(core, apps):
    daemons = apps.read_namespaced_daemon_set("kube-proxy", NAMESPACE)
    nodes = core.list_node().items
    assert daemons.status.desired_number_scheduled == len(nodes)
    assert daemons.status.number_ready == len(nodes)
    pods = core.list_namespaced_pod(NAMESPACE, label_selector="k8s-app=kube-proxy").items
    assert {pod.spec.node_name for pod in pods} == {node.metadata.name for node in nodes}
    assert all(pod.spec.host_network for pod in pods)


def test_kube_proxy_is_configured_by_a_config_map(core, apps):
    data = core.read_namespaced_config_map("kube-proxy", NAMESPACE).data
    assert set(data) == {"config.conf", "kubeconfig.conf"}
    assert "kind: KubeProxyConfiguration" in data["config.conf"]
    pod = apps.read_namespaced_daemon_set("kube-proxy", NAMESPACE).spec.template.spec
    assert pod.containers[0].command == [
        "/usr/local/bin/kube-proxy",
        "--config=/var/lib/kube-proxy/config.conf",
        "--hostname-override=$(NODE_NAME)",
    ]
    assert pod.containers[0].security_context.privileged
    assert [each.operator for each in pod.tolerations][-1] == "Exists"
    assert pod.priority_class_name == "system-node-critical"


def test_kubeadm_leaves_its_configuration(core):
    data = core.read_namespaced_config_map("kubeadm-config", NAMESPACE).data
    assert "kind: ClusterConfiguration" in data["ClusterConfiguration"]
    assert "serviceSubnet: 10.96.0.0/16" in data["ClusterConfiguration"]
    assert "certificatesDir: /etc/kubernetes/pki" in data["ClusterConfiguration"]


def test_kubeadm_leaves_the_kubelets_configuration(core):
    names = [each.metadata.name for each in core.list_namespaced_config_map(NAMESPACE).items]
    name = next(each for each in names if each.startswith("kubelet-config"))
    text = core.read_namespaced_config_map(name, NAMESPACE).data["kubelet"]
    assert "kind: KubeletConfiguration" in text
    assert "staticPodPath: /etc/kubernetes/manifests" in text
    assert "clusterDomain: cluster.local" in text


def test_the_api_server_publishes_how_it_knows_its_clients(core):
    name = "extension-apiserver-authentication"
    data = core.read_namespaced_config_map(name, NAMESPACE).data
    assert data["client-ca-file"].startswith("-----BEGIN CERTIFICATE-----")
    assert data["requestheader-allowed-names"] == '["front-proxy-client"]'
    assert data["requestheader-username-headers"] == '["X-Remote-User"]'


def test_anybody_may_read_where_the_cluster_is(core):
    data = core.read_namespaced_config_map("cluster-info", "kube-public").data
    assert "kind: Config" in data["kubeconfig"]


@pytest.mark.parametrize(
    "name",
    [
        "extension-apiserver-authentication-reader",
        "kube-proxy",
        "kubeadm:nodes-kubeadm-config",
        "system::leader-locking-kube-controller-manager",
        "system::leader-locking-kube-scheduler",
        "system:controller:bootstrap-signer",
        "system:controller:token-cleaner",
    ],
)
def test_the_roles_of_kube_system(rbac, name):
    assert rbac.read_namespaced_role(name, NAMESPACE).rules


def test_a_node_may_read_kubeadms_configuration(rbac):
    binding = rbac.read_namespaced_role_binding("kubeadm:nodes-kubeadm-config", NAMESPACE)
    subjects = {(each.kind, each.name) for each in binding.subjects}
    assert ("Group", "system:nodes") in subjects


def test_deleting_the_mirror_of_a_component_brings_a_new_one(core, component):
    pod = component("kube-scheduler")
    name, old = pod.metadata.name, pod.metadata.uid
    core.delete_namespaced_pod(name, NAMESPACE)

    def back():
        found = core.list_namespaced_pod(NAMESPACE, field_selector=f"metadata.name={name}").items
        return any(each.metadata.uid != old and each.status.phase == "Running" for each in found)

    waiting.until(back, timeout=WAIT)


def test_get_all_lists_what_runs_in_kube_system(kubectl):
    printed = kubectl("get", "all", "-n", NAMESPACE)
    for line in ("service/kube-dns", "daemonset.apps/kube-proxy", "deployment.apps/coredns"):
        assert line in printed
    assert "pod/etcd-" in printed
    assert "replicaset.apps/coredns-" in printed


def test_what_a_component_is_can_be_read_from_its_json(kubectl):
    printed = kubectl("get", "pods", "-n", NAMESPACE, "-l", "tier=control-plane", "-o", "json")
    found = {each["metadata"]["labels"]["component"] for each in json.loads(printed)["items"]}
    assert found == set(COMPONENTS)
