"""`kubectl debug`: ephemeral containers, copies of Pods, and Pods on a node."""

import pytest

from kubelab import waiting

WAIT = 90


@pytest.fixture
def sleeper(core, namespace, shell_pod):
    core.create_namespaced_pod(namespace, shell_pod("one", "sleep 3600"))
    waiting.pod_ready(core, "one", namespace, timeout=WAIT)


def ended(core, namespace):
    """The end of the only ephemeral container, when it has come."""
    statuses = core.read_namespaced_pod("one", namespace).status.ephemeral_container_statuses
    return statuses and statuses[0].state.terminated


@pytest.mark.since("1.25", "KEP-277: ephemeral containers")
def test_an_ephemeral_container_runs_in_a_pod(kubectl, core, namespace, sleeper):
    kubectl("debug", "one", "--image=busybox:1.36", "-c", "debug", "--", "sh", "-c", "hostname")
    assert waiting.until(lambda: ended(core, namespace), timeout=WAIT).exit_code == 0
    assert kubectl("logs", "one", "-c", "debug") == "one\n"


@pytest.mark.since("1.25", "KEP-277: ephemeral containers")
def test_an_ephemeral_container_is_not_run_again(kubectl, core, namespace, sleeper):
    kubectl("debug", "one", "--image=busybox:1.36", "-c", "debug", "--", "sh", "-c", "exit 3")
    assert waiting.until(lambda: ended(core, namespace), timeout=WAIT).exit_code == 3
    pod = core.read_namespaced_pod("one", namespace)
    assert pod.status.phase == "Running"
    assert pod.status.ephemeral_container_statuses[0].restart_count == 0


@pytest.mark.since("1.25", "KEP-277: ephemeral containers")
def test_a_target_shows_its_processes(kubectl, core, namespace, sleeper):
    kubectl("debug", "one", "--image=busybox:1.36", "-c", "debug", "--target=main", "--", "ps")
    waiting.until(lambda: ended(core, namespace), timeout=WAIT)
    assert "sleep 3600" in kubectl("logs", "one", "-c", "debug")


def test_a_copy_of_a_pod_with_another_container(kubectl, core, namespace, sleeper):
    kubectl("debug", "one", "--image=busybox:1.36", "--copy-to=two", "-c", "debug",
            "--", "sleep", "3600")  # fmt: skip
    waiting.pod_ready(core, "two", namespace, timeout=WAIT)
    copy = core.read_namespaced_pod("two", namespace)
    assert [each.name for each in copy.spec.containers] == ["main", "debug"]
    assert core.read_namespaced_pod("one", namespace).status.phase == "Running"


def test_a_copy_of_a_pod_with_another_image(kubectl, core, namespace, sleeper):
    kubectl("debug", "one", "--copy-to=two", "--set-image=main=nginx:1.27")
    copy = core.read_namespaced_pod("two", namespace)
    assert copy.spec.containers[0].image == "nginx:1.27"


def test_a_pod_on_a_node(kubectl, core, namespace):
    node = core.list_node().items[-1].metadata.name
    kubectl("debug", f"node/{node}", "--image=busybox:1.36", "--", "sh", "-c", "hostname")
    (pod,) = core.list_namespaced_pod(namespace).items
    assert pod.spec.node_name == node
    assert (pod.spec.host_network, pod.spec.host_pid, pod.spec.host_ipc) == (True, True, True)
    waiting.pod_phase(core, pod.metadata.name, namespace, "Succeeded", timeout=WAIT)
    assert kubectl("logs", pod.metadata.name) == f"{node}\n"
