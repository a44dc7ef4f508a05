"""Pods that run: logs, commands, exit codes, Deployments, through the official Python client."""

import pytest
from kubernetes import client
from kubernetes.stream import stream

from kubelab import waiting

WAIT = 90


@pytest.fixture
def running(core, namespace, shell_pod):
    """Starts a Pod and waits until it is ready."""

    def start(name, script="sleep 3600", **container):
        core.create_namespaced_pod(namespace, shell_pod(name, script, **container))
        return waiting.pod_ready(core, name, namespace, timeout=WAIT)

    return start


def read_log(core, namespace, pod, **options):
    """A container's log as text; version 36 of the client turns it into the repr of bytes."""
    answer = core.read_namespaced_pod_log(pod, namespace, _preload_content=False, **options)
    return answer.data.decode()


def execute(core, namespace, pod, *command, stdin=None):
    """Run a command; its stdout, stderr and exit code."""
    session = stream(
        core.connect_get_namespaced_pod_exec,
        pod,
        namespace,
        command=list(command),
        stdin=stdin is not None,
        stdout=True,
        stderr=True,
        _preload_content=False,
    )
    if stdin is not None:
        session.write_stdin(stdin)
    session.run_forever(timeout=WAIT)
    output = session.read_stdout(timeout=1), session.read_stderr(timeout=1)
    return *output, session.returncode


def test_a_pod_runs_and_its_log_can_be_read(core, namespace, running):
    running("talker", "for n in 1 2 3; do echo line $n; done; sleep 3600")

    def log(**options):
        return read_log(core, namespace, "talker", **options).splitlines()

    assert waiting.until(lambda: log() == ["line 1", "line 2", "line 3"], timeout=WAIT)
    assert log(tail_lines=1) == ["line 3"]
    assert log(limit_bytes=6) == ["line 1"]
    stamp, _, text = log(timestamps=True)[0].partition(" ")
    assert stamp.endswith("Z")
    assert text == "line 1"


def test_a_log_is_refused_with_a_reason(core, namespace, running, refusal):
    running("one")
    status = refusal(core.read_namespaced_pod_log, "one", namespace, container="nope")
    assert (status["code"], status["reason"]) == (400, "BadRequest")
    assert status["message"] == "container nope is not valid for pod one"
    status = refusal(core.read_namespaced_pod_log, "one", namespace, previous=True)
    assert (status["code"], status["reason"]) == (400, "BadRequest")
    assert status["message"] == 'previous terminated container "main" in pod "one" not found'


def test_commands_run_in_containers(core, namespace, running):
    running("one")
    out, err, code = execute(core, namespace, "one", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (out, err, code) == ("out\n", "err\n", 3)
    assert execute(core, namespace, "one", "hostname")[0] == "one\n"
    assert execute(core, namespace, "one", "true")[2] == 0


def test_a_command_gets_its_input(core, namespace, running):
    running("one")
    out, _, code = execute(core, namespace, "one", "head", "-n", "1", stdin="hello\nworld\n")
    assert (out, code) == ("hello\n", 0)


def test_output_may_be_large(core, namespace, running):
    running("one")
    out, _, code = execute(core, namespace, "one", "seq", "1", "20000")
    assert code == 0
    assert out.splitlines()[-1] == "20000"
    assert len(out.splitlines()) == 20000


@pytest.mark.parametrize(
    ("script", "phase", "code"), [("exit 0", "Succeeded", 0), ("exit 3", "Failed", 3)]
)
def test_a_pod_that_runs_once_ends_as_its_command_did(
    core, namespace, shell_pod, script, phase, code
):
    core.create_namespaced_pod(namespace, shell_pod("once", script, restart="Never"))
    pod = waiting.pod_phase(core, "once", namespace, phase, timeout=WAIT)
    state = pod.status.container_statuses[0].state.terminated
    assert (state.exit_code, state.reason) == (code, "Error" if code else "Completed")
    assert pod.status.container_statuses[0].restart_count == 0


def test_a_container_that_ends_is_started_again(core, namespace, shell_pod):
    core.create_namespaced_pod(namespace, shell_pod("again", "echo started; sleep 1; exit 1"))

    def restarted():
        statuses = core.read_namespaced_pod("again", namespace).status.container_statuses or []
        return statuses and statuses[0].restart_count >= 1

    waiting.until(restarted, timeout=WAIT)
    assert read_log(core, namespace, "again", previous=True) == "started\n"


def test_an_image_that_does_not_exist_is_waited_for(core, namespace, shell_pod, refusal):
    manifest = shell_pod("stuck", "true", image="example.invalid/no/such:1")
    core.create_namespaced_pod(namespace, manifest)

    def reason():
        statuses = core.read_namespaced_pod("stuck", namespace).status.container_statuses or []
        state = statuses and statuses[0].state.waiting
        return state and state.reason in ("ErrImagePull", "ImagePullBackOff")

    waiting.until(reason, timeout=WAIT)
    status = refusal(core.read_namespaced_pod_log, "stuck", namespace)
    waits, _, why = status["message"].rpartition(": ")
    assert waits == 'container "main" in pod "stuck" is waiting to start'
    assert why in ("image can't be pulled", "trying and failing to pull image")


def test_a_pod_can_be_told_to_go(core, namespace, running):
    running("one")
    deleted = core.delete_namespaced_pod("one", namespace)
    assert isinstance(deleted, client.V1Pod)
    assert deleted.metadata.deletion_timestamp
    waiting.gone(core.read_namespaced_pod, "one", namespace, timeout=WAIT)


def test_a_deployment_replaces_what_is_lost(core, apps, namespace, shell_pod):
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": shell_pod("web", "sleep 3600")["spec"]["containers"]}
        | {"terminationGracePeriodSeconds": 1},
    }
    body = {
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template,
        },
    }
    apps.create_namespaced_deployment(namespace, body)
    waiting.deployment_ready(apps, "web", namespace, timeout=WAIT)
    before = waiting.pods_ready(core, namespace, "app=web", 2, timeout=WAIT)
    lost = before[0].metadata.name
    core.delete_namespaced_pod(lost, namespace)
    waiting.gone(core.read_namespaced_pod, lost, namespace, timeout=WAIT)
    after = waiting.pods_ready(core, namespace, "app=web", 2, timeout=WAIT)
    assert lost not in {pod.metadata.name for pod in after}
    scale = apps.patch_namespaced_deployment_scale("web", namespace, {"spec": {"replicas": 1}})
    assert scale.spec.replicas == 1
    waiting.pods_ready(core, namespace, "app=web", 1, timeout=WAIT)
