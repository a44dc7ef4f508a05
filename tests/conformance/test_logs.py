"""Logs as kubectl shows them."""

import pytest

from kubelab import waiting

WAIT = 90
TALK = "echo one; echo two >&2; echo three; sleep 3600"


@pytest.fixture
def talker(core, namespace, shell_pod):
    core.create_namespaced_pod(namespace, shell_pod("talker", TALK))
    waiting.pod_ready(core, "talker", namespace, timeout=WAIT)


@pytest.fixture
def pair(core, namespace, shell_pod):
    """A Pod of two containers and an init container, each saying its name."""
    pod = shell_pod("pair", "echo main; sleep 3600")
    container = pod["spec"]["containers"][0]
    side = container | {"name": "side", "command": ["sh", "-c", "echo side; sleep 3600"]}
    first = container | {"name": "first", "command": ["echo", "first"]}
    pod["spec"]["containers"] += [side]
    pod["spec"]["initContainers"] = [first]
    core.create_namespaced_pod(namespace, pod)
    waiting.pod_ready(core, "pair", namespace, timeout=WAIT)


def complete(kubectl, *arguments, lines=3):
    """A log, once it has as many lines as its container writes."""
    return waiting.until(
        lambda: (text := kubectl("logs", *arguments)).count("\n") >= lines and text, timeout=WAIT
    )


def test_both_streams_are_in_the_log(kubectl, talker):
    assert sorted(complete(kubectl, "talker").split()) == ["one", "three", "two"]


def test_the_end_of_a_log(kubectl, talker):
    complete(kubectl, "talker")
    assert len(kubectl("logs", "talker", "--tail=1").splitlines()) == 1
    assert kubectl("logs", "talker", "--tail=0") == ""


def test_the_first_bytes_of_a_log(kubectl, talker):
    complete(kubectl, "talker")
    assert len(kubectl("logs", "talker", "--limit-bytes=5")) == 5


def test_each_line_has_a_time(kubectl, talker):
    complete(kubectl, "talker")
    for line in kubectl("logs", "talker", "--timestamps").splitlines():
        stamp, text = line.split(" ")
        assert stamp.endswith("Z")
        assert stamp[10] == "T"
        assert text in ("one", "two", "three")


def test_only_what_is_recent(kubectl, talker):
    complete(kubectl, "talker")
    assert len(kubectl("logs", "talker", "--since=1h").splitlines()) == 3
    assert kubectl("logs", "talker", "--since-time=2099-01-01T00:00:00Z") == ""


def test_a_log_is_followed_to_the_containers_end(kubectl, core, namespace, shell_pod):
    script = "for n in 1 2 3; do echo $n; sleep 1; done"
    core.create_namespaced_pod(namespace, shell_pod("count", script, restart="Never"))
    waiting.pod_phase(core, "count", namespace, "Running", "Succeeded", timeout=WAIT)
    assert kubectl("logs", "--follow", "count") == "1\n2\n3\n"


def test_the_log_of_the_run_before(kubectl, core, namespace, shell_pod):
    core.create_namespaced_pod(namespace, shell_pod("again", "echo run; sleep 1; exit 1"))

    def restarted():
        statuses = core.read_namespaced_pod("again", namespace).status.container_statuses
        return statuses and statuses[0].restart_count

    waiting.until(restarted, timeout=WAIT)
    assert kubectl("logs", "again", "--previous") == "run\n"


def test_there_is_no_run_before_the_first(kubectl, talker):
    message = kubectl("logs", "talker", "--previous", fails=True)
    assert 'previous terminated container "main" in pod "talker" not found' in message


def test_kubectl_takes_the_first_of_several_containers(kubectl, pair):
    assert complete(kubectl, "pair", lines=1) == "main\n"


def test_a_container_can_be_named(kubectl, pair):
    assert complete(kubectl, "pair", "-c", "side", lines=1) == "side\n"
    assert complete(kubectl, "pair", "-c", "first", lines=1) == "first\n"


def test_a_container_that_does_not_exist(kubectl, pair):
    message = kubectl("logs", "pair", "-c", "nope", fails=True)
    assert "container nope is not valid for pod pair" in message


def test_all_containers_with_their_names(kubectl, pair):
    text = complete(kubectl, "pair", "--all-containers", "--prefix")
    assert sorted(text.splitlines()) == [
        "[pod/pair/first] first",
        "[pod/pair/main] main",
        "[pod/pair/side] side",
    ]


def test_the_pods_that_a_label_selects(kubectl, core, namespace, shell_pod):
    for name in ("a", "b"):
        pod = shell_pod(name, f"echo {name}; sleep 3600")
        pod["metadata"]["labels"] = {"set": "ab"}
        core.create_namespaced_pod(namespace, pod)
    for name in ("a", "b"):
        waiting.pod_ready(core, name, namespace, timeout=WAIT)
    assert sorted(complete(kubectl, "-l", "set=ab", lines=2).split()) == ["a", "b"]


def test_a_deployment_stands_for_one_of_its_pods(kubectl):
    kubectl("create", "deployment", "web", "--image=busybox:1.36", "--", "sh", "-c", TALK)
    kubectl("rollout", "status", "deployment/web", "--timeout=80s")
    assert sorted(complete(kubectl, "deploy/web").split()) == ["one", "three", "two"]


def test_a_container_that_waits_for_its_image_has_no_log(kubectl, core, namespace, shell_pod):
    pod = shell_pod("wrong", "true", image="registry.invalid/nope:1")
    core.create_namespaced_pod(namespace, pod)

    def refused():
        message = kubectl("logs", "wrong", fails=True)
        return "is waiting to start: trying and failing to pull image" in message

    assert waiting.until(refused, timeout=WAIT)


def test_a_log_outlives_its_process(kubectl, core, namespace, shell_pod):
    core.create_namespaced_pod(namespace, shell_pod("brief", "echo done", restart="Never"))
    waiting.pod_phase(core, "brief", namespace, "Succeeded", timeout=WAIT)
    assert kubectl("logs", "brief") == "done\n"


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--tail=-2", "must be greater than or equal to -1"),
        ("--limit-bytes=-1", "must be greater than 0"),
    ],
)
def test_options_that_make_no_sense(kubectl, talker, option, words):
    assert words in kubectl("logs", "talker", option, fails=True)
