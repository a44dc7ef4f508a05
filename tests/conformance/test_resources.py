"""Memory limits, qualities of service, and what the figures say."""

import pytest

from kubelab import waiting

WAIT = 90


@pytest.fixture
def ended(core, namespace, shell_pod):
    """Runs a script to its end with limits; returns how its container ended."""

    def run(script, **limits):
        pod = shell_pod("one", script, restart="Never", resources={"limits": limits})
        core.create_namespaced_pod(namespace, pod)
        waiting.pod_phase(core, "one", namespace, "Succeeded", "Failed", timeout=WAIT)
        statuses = core.read_namespaced_pod("one", namespace).status.container_statuses
        return statuses[0].state.terminated

    return run


def test_who_takes_more_than_its_limit_is_killed(ended):
    end = ended("tail /dev/zero", memory="32Mi")
    assert (end.reason, end.exit_code) == ("OOMKilled", 137)


def test_a_growing_variable_takes_memory(ended):
    end = ended("x=aaaaaaaa; while true; do x=$x$x; done", memory="16Mi")
    assert (end.reason, end.exit_code) == ("OOMKilled", 137)


def test_what_is_passed_on_takes_none(ended):
    end = ended("head -c 100000000 /dev/zero | wc -c", memory="32Mi")
    assert (end.reason, end.exit_code) == ("Completed", 0)


def test_who_stays_below_its_limit_lives(ended):
    end = ended("head -c 1000000 /dev/zero | tail -c 10 > /dev/null", memory="64Mi")
    assert (end.reason, end.exit_code) == ("Completed", 0)


def test_a_container_that_is_killed_for_memory_is_restarted(core, namespace, shell_pod):
    pod = shell_pod("one", "sleep 1; tail /dev/zero", resources={"limits": {"memory": "32Mi"}})
    core.create_namespaced_pod(namespace, pod)

    def last():
        statuses = core.read_namespaced_pod("one", namespace).status.container_statuses
        return statuses and statuses[0].last_state.terminated

    assert waiting.until(last, timeout=WAIT).reason == "OOMKilled"


@pytest.mark.parametrize(
    ("resources", "quality"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "10m"}}, "Burstable"),
        ({"limits": {"memory": "64Mi"}}, "Burstable"),
        ({"limits": {"cpu": "100m", "memory": "64Mi"}}, "Guaranteed"),
    ],
)
def test_requests_and_limits_give_a_quality_of_service(
    core, namespace, shell_pod, resources, quality
):
    pod = shell_pod("one", "true", restart="Never", resources=resources)
    assert core.create_namespaced_pod(namespace, pod).status.qos_class == quality


def test_a_limit_alone_is_the_request_too(core, namespace, shell_pod):
    limits = {"cpu": "100m", "memory": "64Mi"}
    pod = shell_pod("one", "true", restart="Never", resources={"limits": limits})
    made = core.create_namespaced_pod(namespace, pod)
    assert made.spec.containers[0].resources.requests == limits


def test_a_request_above_its_limit_is_refused(core, namespace, shell_pod, refusal):
    resources = {"limits": {"memory": "1Mi"}, "requests": {"memory": "2Mi"}}
    pod = shell_pod("one", "true", resources=resources)
    status = refusal(core.create_namespaced_pod, namespace, pod)
    assert "must be less than or equal to memory limit" in status["message"]


def test_a_node_tells_what_it_has(core):
    status = core.list_node().items[0].status
    assert set(status.capacity) >= {"cpu", "memory", "pods", "ephemeral-storage"}
    assert set(status.allocatable) >= {"cpu", "memory", "pods", "ephemeral-storage"}


def test_a_node_tells_that_it_is_well(core):
    conditions = {each.type: each for each in core.list_node().items[0].status.conditions}
    assert {kind: each.status for kind, each in conditions.items()} == {
        "MemoryPressure": "False",
        "DiskPressure": "False",
        "PIDPressure": "False",
        "Ready": "True",
    }
    assert conditions["MemoryPressure"].reason == "KubeletHasSufficientMemory"
    assert conditions["DiskPressure"].message == "kubelet has no disk pressure"
