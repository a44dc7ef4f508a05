"""What a node shows of itself: labels, annotations, conditions, capacity, its Lease."""

from datetime import UTC, datetime, timedelta

import pytest
from kubernetes import client

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


@pytest.fixture
def nodes(core):
    return core.list_node().items


@pytest.fixture
def control_plane(nodes):
    return next(node for node in nodes if CONTROL_PLANE in node.metadata.labels)


def test_a_node_is_labelled_by_its_system_and_its_name(nodes):
    for node in nodes:
        labels = node.metadata.labels
        assert labels["kubernetes.io/hostname"] == node.metadata.name
        assert labels["kubernetes.io/os"] == labels["beta.kubernetes.io/os"] == "linux"
        assert labels["kubernetes.io/arch"] == labels["beta.kubernetes.io/arch"]
        assert labels["kubernetes.io/arch"] == node.status.node_info.architecture


def test_only_the_control_plane_has_its_role_and_keeps_pods_away(nodes, control_plane):
    assert control_plane.metadata.labels[CONTROL_PLANE] == ""
    assert any(taint.effect == "NoSchedule" for taint in control_plane.spec.taints)
    workers = [node for node in nodes if node is not control_plane]
    assert workers
    for worker in workers:
        assert not any("node-role" in key for key in worker.metadata.labels)
        assert not worker.spec.taints


def test_kubeadm_and_the_kubelet_annotate_a_node(nodes):
    for node in nodes:
        annotations = node.metadata.annotations
        socket = annotations["kubeadm.alpha.kubernetes.io/cri-socket"]
        assert socket.endswith("/run/containerd/containerd.sock")
        assert annotations["node.alpha.kubernetes.io/ttl"] == "0"
        attach = "volumes.kubernetes.io/controller-managed-attach-detach"
        assert annotations[attach] == "true"


def test_kind_tells_a_node_who_provides_it(nodes):
    for node in nodes:
        assert node.spec.provider_id.startswith("kind://docker/")
        assert node.spec.provider_id.endswith(f"/{node.metadata.name}")


@pytest.mark.parametrize(
    ("kind", "status", "reason", "message"),
    [
        (
            "MemoryPressure",
            "False",
            "KubeletHasSufficientMemory",
            "kubelet has sufficient memory available",
        ),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        (
            "PIDPressure",
            "False",
            "KubeletHasSufficientPID",
            "kubelet has sufficient PID available",
        ),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ],
)
def test_a_healthy_node_has_these_conditions(nodes, kind, status, reason, message):
    for node in nodes:
        found = next(each for each in node.status.conditions if each.type == kind)
        assert (found.status, found.reason, found.message) == (status, reason, message)
        assert found.last_transition_time <= found.last_heartbeat_time


def test_the_ready_condition_comes_last(nodes):
    for node in nodes:
        assert node.status.conditions[-1].type == "Ready"


def test_a_node_has_an_address_and_a_name(nodes):
    for node in nodes:
        addresses = {each.type: each.address for each in node.status.addresses}
        assert addresses["Hostname"] == node.metadata.name
        assert addresses["InternalIP"].count(".") == 3
    assert len({node.status.addresses[0].address for node in nodes}) == len(nodes)


def test_nodes_share_the_range_of_pod_addresses(nodes):
    ranges = {node.spec.pod_cidr for node in nodes}
    assert len(ranges) == len(nodes)
    for node in nodes:
        assert node.spec.pod_cidr.startswith("10.244.")
        assert node.spec.pod_cidr.endswith("/24")


def test_a_node_tells_its_capacity(nodes):
    for node in nodes:
        kinds = {"cpu", "memory", "pods", "ephemeral-storage", "hugepages-1Gi", "hugepages-2Mi"}
        assert kinds <= set(node.status.capacity)
        assert kinds <= set(node.status.allocatable)
        assert node.status.capacity["pods"] == "110"


def test_a_node_tells_its_versions(nodes, cluster):
    for node in nodes:
        info = node.status.node_info
        assert info.kubelet_version.startswith("v1.")
        assert info.container_runtime_version.startswith("containerd://")
        assert info.operating_system == "linux"
        assert all((info.machine_id, info.system_uuid, info.boot_id, info.kernel_version))


def test_the_kubelet_listens_on_its_port(nodes):
    for node in nodes:
        assert node.status.daemon_endpoints.kubelet_endpoint.port == 10250


def test_a_node_lists_its_images(nodes, control_plane):
    names = [name for image in control_plane.status.images for name in image.names]
    assert any("kube-apiserver" in name for name in names)
    assert all(image.size_bytes > 0 for image in control_plane.status.images)


def test_a_node_renews_its_lease(cluster, nodes):
    leases = client.CoordinationV1Api(cluster.api_client())
    for node in nodes:
        lease = leases.read_namespaced_lease(node.metadata.name, "kube-node-lease")
        assert lease.spec.holder_identity == node.metadata.name
        assert lease.spec.lease_duration_seconds == 40
        owner = lease.metadata.owner_references[0]
        assert (owner.kind, owner.uid) == ("Node", node.metadata.uid)
        assert datetime.now(UTC) - lease.spec.renew_time < timedelta(minutes=5)


def test_get_nodes_shows_roles_and_versions(kubectl, nodes):
    heading, *rows = kubectl("get", "nodes").splitlines()
    assert heading.split() == ["NAME", "STATUS", "ROLES", "AGE", "VERSION"]
    found = {row.split()[0]: row.split() for row in rows}
    for node in nodes:
        row = found[node.metadata.name]
        assert row[1] == "Ready"
        assert row[-1] == node.status.node_info.kubelet_version
        assert ("control-plane" in row[2]) is (CONTROL_PLANE in node.metadata.labels)
        assert CONTROL_PLANE in node.metadata.labels or row[2] == "<none>"


def test_describe_node_lists_what_runs_there(kubectl, control_plane):
    printed = kubectl("describe", "node", control_plane.metadata.name)
    for word in ("etcd-", "kube-apiserver-", "kube-scheduler-", "kube-proxy-"):
        assert word in printed
    assert "Allocated resources:" in printed
    assert "HolderIdentity:  " + control_plane.metadata.name in printed
    assert "Unschedulable:      false" in printed


def test_cordoning_taints_a_node_and_uncordoning_does_not_leave_it_so(kubectl, core, nodes):
    name = next(n.metadata.name for n in nodes if CONTROL_PLANE not in n.metadata.labels)
    assert kubectl("cordon", name) == f"node/{name} cordoned\n"
    try:
        assert core.read_node(name).spec.unschedulable
        row = kubectl("get", "node", name, "--no-headers").split()
        assert row[1] == "Ready,SchedulingDisabled"
        assert kubectl("cordon", name) == f"node/{name} already cordoned\n"
    finally:
        assert kubectl("uncordon", name) == f"node/{name} uncordoned\n"
    assert not core.read_node(name).spec.unschedulable


def test_a_kubelet_is_a_user_of_its_own(kubectl, nodes):
    identity = (f"--as=system:node:{nodes[0].metadata.name}", "--as-group=system:nodes")
    assert kubectl("auth", "can-i", "get", "nodes", *identity) == "yes\n"
    refused = kubectl("get", "configmaps", "-A", *identity, fails=True)
    assert "forbidden" in refused
