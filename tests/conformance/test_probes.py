"""Probes and hooks, and what becomes of who fails them."""

import pytest

from kubelab import waiting

WAIT = 120
FAST = {"periodSeconds": 1, "failureThreshold": 1}


@pytest.fixture
def start(core, namespace, shell_pod):
    """Makes a Pod; returns a function that reads its only container's status."""

    def make(script="sleep 3600", *, image=None, **container):
        pod = shell_pod("one", script, **container)
        if image:
            pod["spec"]["containers"][0] |= {"image": image}
            del pod["spec"]["containers"][0]["command"]
        core.create_namespaced_pod(namespace, pod)

        def status():
            statuses = core.read_namespaced_pod("one", namespace).status.container_statuses
            return statuses[0] if statuses else None

        return status

    return make


@pytest.fixture
def events(core, namespace):
    """The messages of the Events of a reason, about the namespace's Pods."""

    def read(reason):
        found = core.list_namespaced_event(namespace).items
        return [each.message for each in found if each.reason == reason]

    return read


def is_ready(status):
    return lambda: (found := status()) and found.ready


def test_a_container_is_ready_when_its_probe_succeeds(start):
    script = "sleep 3; touch /tmp/ready; sleep 3600"
    probe = FAST | {"exec": {"command": ["cat", "/tmp/ready"]}}
    status = start(script, readinessProbe=probe)
    running = waiting.until(lambda: (s := status()) and s.state.running and s, timeout=WAIT)
    assert not running.ready
    assert waiting.until(is_ready(status), timeout=WAIT)


def test_a_container_stops_being_ready_when_its_probe_fails(start, kubectl):
    probe = FAST | {"exec": {"command": ["cat", "/tmp/ready"]}}
    status = start("touch /tmp/ready; sleep 3600", readinessProbe=probe)
    waiting.until(is_ready(status), timeout=WAIT)
    kubectl("exec", "one", "--", "rm", "/tmp/ready")
    assert waiting.until(lambda: not status().ready, timeout=WAIT)
    assert status().restart_count == 0


def test_a_container_that_is_not_alive_is_restarted(start, events):
    probe = FAST | {"exec": {"command": ["false"]}}
    status = start(livenessProbe=probe)
    assert waiting.until(lambda: (s := status()) and s.restart_count, timeout=WAIT)
    assert "Container main failed liveness probe, will be restarted" in events("Killing")


def test_the_first_two_restarts_are_immediate(start):
    probe = FAST | {"exec": {"command": ["false"]}, "initialDelaySeconds": 3}
    status = start(livenessProbe=probe)

    def restarted_twice():
        found = status()
        if found and found.restart_count < 2:
            assert not found.state.waiting or found.state.waiting.reason != "CrashLoopBackOff"
        return found and found.restart_count == 2

    assert waiting.until(restarted_twice, timeout=WAIT)


def test_other_probes_wait_for_the_startup_probe(start):
    startup = {"exec": {"command": ["cat", "/tmp/up"]}, "periodSeconds": 1, "failureThreshold": 60}
    live = FAST | {"exec": {"command": ["cat", "/tmp/up"]}}
    status = start("sleep 4; touch /tmp/up; sleep 3600", startupProbe=startup, livenessProbe=live)
    assert waiting.until(lambda: (s := status()) and s.started, timeout=WAIT)
    assert status().restart_count == 0


def test_a_container_that_never_starts_up_is_restarted(start, events):
    status = start(startupProbe=FAST | {"exec": {"command": ["false"]}})
    assert waiting.until(lambda: (s := status()) and s.restart_count, timeout=WAIT)
    assert "Container main failed startup probe, will be restarted" in events("Killing")


@pytest.mark.parametrize(
    ("probe", "message"),
    [
        ({"httpGet": {"port": 80, "path": "/nope"}}, "HTTP probe failed with statuscode: 404"),
        ({"httpGet": {"port": 81}}, "connect: connection refused"),
        ({"tcpSocket": {"port": 81}}, "connect: connection refused"),
    ],
)
def test_what_a_failing_probe_says(start, events, probe, message):
    start(image="nginx:1.27", readinessProbe=FAST | probe)

    def said():
        return any(
            each.startswith("Readiness probe failed: ") and message in each
            for each in events("Unhealthy")
        )

    assert waiting.until(said, timeout=WAIT)


@pytest.mark.parametrize(
    "probe", [{"httpGet": {"port": 80}}, {"tcpSocket": {"port": 80}}, {"httpGet": {"port": "web"}}]
)
def test_what_a_healthy_server_answers(start, probe):
    ports = [{"name": "web", "containerPort": 80}]
    status = start(image="nginx:1.27", readinessProbe=FAST | probe, ports=ports)
    assert waiting.until(is_ready(status), timeout=WAIT)


@pytest.mark.since("1.24", "KEP-2727: gRPC probes to Pods")
def test_a_server_that_speaks_no_grpc_fails_its_probe(start, events):
    start(image="nginx:1.27", readinessProbe=FAST | {"grpc": {"port": 80}})
    assert waiting.until(lambda: events("Unhealthy"), timeout=WAIT)


def test_a_hook_runs_after_the_start(start, kubectl):
    hook = {"postStart": {"exec": {"command": ["sh", "-c", "echo hook > /tmp/hook"]}}}
    status = start(lifecycle=hook)
    waiting.until(is_ready(status), timeout=WAIT)
    assert kubectl("exec", "one", "--", "cat", "/tmp/hook") == "hook\n"


def test_a_failed_hook_ends_the_container(start, events):
    status = start(image="nginx:1.27", lifecycle={"postStart": {"exec": {"command": ["false"]}}})

    def last():
        found = status()
        return found and found.last_state.terminated

    assert waiting.until(last, timeout=WAIT).exit_code == 0
    assert events("FailedPostStartHook")
    assert "FailedPostStartHook" in events("Killing")


def test_a_hook_runs_before_the_end(start, kubectl, core, namespace):
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "echo bye > /proc/1/fd/1; sleep 2"]}}}
    status = start("echo up; sleep 3600", lifecycle=hook)
    waiting.until(is_ready(status), timeout=WAIT)
    kubectl("delete", "pod", "one", "--grace-period=10", "--wait=false")
    assert waiting.until(lambda: "bye\n" in kubectl("logs", "one"), timeout=WAIT)
