"""Commands in containers and the containers' own streams, through kubectl and the client."""

import pytest
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import stream
from kubernetes.stream.ws_client import ERROR_CHANNEL

from kubelab import waiting

WAIT = 90
RUN = ("--image=busybox:1.36", "--restart=Never")


@pytest.fixture
def sleeper(core, namespace, shell_pod):
    core.create_namespaced_pod(namespace, shell_pod("one", "echo early; sleep 3600"))
    return waiting.pod_ready(core, "one", namespace, timeout=WAIT)


@pytest.fixture
def run_attached(kubectl, core, namespace):
    """Runs a command in a Pod that waits for its first line of input; returns what is printed."""

    def run(name, script, stdin="\n", **how):
        return kubectl("run", name, *RUN, "-i", "--", "sh", "-c", f"read _; {script}",
                       stdin=stdin, **how)  # fmt: skip

    return run


def session_of(connect, namespace, pod, **options):
    options = {"stdin": False, "stdout": True, "stderr": True, "tty": False} | options
    return stream(connect, pod, namespace, _preload_content=False, **options)


def test_the_exit_code_of_a_command_is_kubectls(kubectl, sleeper):
    message = kubectl("exec", "one", "--", "sh", "-c", "exit 5", fails=True)
    assert message == "command terminated with exit code 5\n"


def test_output_and_errors_stay_apart(kubectl, sleeper):
    assert kubectl("exec", "one", "--", "sh", "-c", "echo out; echo err >&2") == "out\n"


def test_input_is_passed_on_to_its_end(kubectl, sleeper):
    assert kubectl("exec", "-i", "one", "--", "wc", "-c", stdin="hello\n" * 1000) == "6000\n"


def test_a_large_output_arrives_whole(kubectl, sleeper):
    lines = kubectl("exec", "one", "--", "seq", "1", "50000").splitlines()
    assert (len(lines), lines[-1]) == (50000, "50000")


def test_without_i_a_command_has_no_input(kubectl, sleeper):
    assert kubectl("exec", "one", "--", "cat", stdin="ignored") == ""


def test_a_missing_program_is_told_in_runcs_words(kubectl, sleeper):
    message = kubectl("exec", "one", "--", "nope", fails=True)
    assert 'exec: "nope": executable file not found in $PATH' in message


def test_a_missing_container_is_refused(kubectl, sleeper):
    message = kubectl("exec", "one", "-c", "zz", "--", "ls", fails=True)
    assert "container zz" in message


def test_no_commands_in_a_pod_that_has_ended(kubectl, core, namespace):
    kubectl("run", "done", *RUN, "--", "true")
    waiting.pod_phase(core, "done", namespace, "Succeeded", timeout=WAIT)
    message = kubectl("exec", "done", "--", "ls", fails=True)
    assert "cannot exec into a container in a completed pod; current phase is Succeeded" in message


def test_no_commands_in_a_container_that_does_not_run(core, namespace, shell_pod):
    core.create_namespaced_pod(namespace, shell_pod("brief", "true", restart="Never"))
    waiting.pod_phase(core, "brief", namespace, "Succeeded", timeout=WAIT)
    connect = core.connect_get_namespaced_pod_exec
    try:
        session = session_of(connect, namespace, "brief", command=["ls"])
    except ApiException as refused:  # until v5 of the protocol, before it was switched
        told = str(refused)
    else:
        session.run_forever(timeout=WAIT)
        told = session.read_channel(ERROR_CHANNEL)
    assert 'container not found ("main")' in told.replace("\\", "")


def test_a_deployment_stands_for_one_of_its_pods(kubectl):
    kubectl("create", "deployment", "web", "--image=nginx:1.27")
    kubectl("rollout", "status", "deployment/web", "--timeout=80s")
    assert kubectl("exec", "deploy/web", "--", "hostname").startswith("web-")


def test_spdy_does_what_websockets_do(kubectl, sleeper):
    spdy = {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "false"}
    assert kubectl("exec", "-i", "one", "--", "cat", stdin="over\n", **spdy) == "over\n"
    message = kubectl("exec", "one", "--", "sh", "-c", "exit 5", fails=True, **spdy)
    assert message == "command terminated with exit code 5\n"


def test_run_shows_what_the_container_prints(run_attached):
    assert "hello\n" in run_attached("hello", "echo hello")


def test_run_returns_the_exit_code_of_the_container(run_attached, namespace):
    message = run_attached("fails", "exit 4", fails=True)
    assert f"pod {namespace}/fails terminated (Error)" in message


def test_run_with_rm_deletes_the_pod(kubectl, core, namespace):
    printed = kubectl("run", "gone", *RUN, "--rm", "-i", "--", "cat", stdin="a b\n")
    assert 'pod "gone" deleted' in printed
    assert waiting.until(lambda: not core.list_namespaced_pod(namespace).items, timeout=WAIT)


def test_the_end_of_the_input_reaches_a_container_that_kubectl_run_made(run_attached):
    assert "3\n" in run_attached("count", "wc -l", stdin="\n1\n2\n3\n")


def test_run_makes_a_container_that_keeps_its_input_open_once(run_attached, core, namespace):
    run_attached("once", "true")
    container = core.read_namespaced_pod("once", namespace).spec.containers[0]
    assert (container.stdin, container.stdin_once, container.tty) == (True, True, None)


def test_attach_shows_what_comes_not_what_was(core, namespace, shell_pod):
    script = "echo early; read line; echo got $line"
    core.create_namespaced_pod(namespace, shell_pod("one", script, restart="Never", stdin=True))
    waiting.pod_ready(core, "one", namespace, timeout=WAIT)
    session = session_of(core.connect_get_namespaced_pod_attach, namespace, "one", stdin=True)
    session.write_stdin("late\n")
    session.run_forever(timeout=WAIT)
    assert session.read_stdout(timeout=1) == "got late\n"


def test_who_attaches_and_leaves_ends_nothing(core, namespace, shell_pod):
    core.create_namespaced_pod(namespace, shell_pod("one", "cat", stdin=True))
    waiting.pod_ready(core, "one", namespace, timeout=WAIT)
    session_of(core.connect_get_namespaced_pod_attach, namespace, "one", stdin=True).close()
    session = session_of(core.connect_get_namespaced_pod_attach, namespace, "one", stdin=True)
    session.write_stdin("again\n")
    session.update(timeout=10)
    assert session.read_stdout(timeout=5) == "again\n"
    session.close()


def test_nobody_attaches_to_a_pod_that_has_ended(kubectl, core, namespace):
    kubectl("run", "done", *RUN, "--", "true")
    waiting.pod_phase(core, "done", namespace, "Succeeded", timeout=WAIT)
    message = kubectl("attach", "done", fails=True)
    assert "cannot attach a container in a completed pod; current phase is Succeeded" in message


def test_a_terminal_is_what_the_command_sees(core, namespace, sleeper):
    command = ["sh", "-c", "test -t 0 && test -t 1 && echo terminal; read line"]
    connect = core.connect_get_namespaced_pod_exec
    session = session_of(connect, namespace, "one", tty=True, stdin=True, command=command)
    session.write_stdin("\n")
    session.run_forever(timeout=WAIT)
    assert "terminal\r\n" in session.read_stdout(timeout=1)


def test_a_shell_on_a_terminal_prompts_echoes_and_returns_its_exit_code(core, namespace, sleeper):
    session = session_of(core.connect_get_namespaced_pod_exec, namespace, "one", tty=True,
                         stdin=True, command=["sh"])  # fmt: skip
    session.write_stdin("exit 7\n")
    session.run_forever(timeout=WAIT)
    printed = session.read_stdout(timeout=1)
    assert "/ # " in printed
    assert "exit 7" in printed
    assert session.returncode == 7
