"""From a Pod's creation to its end: phases, conditions, init containers, restarts, messages."""

import pytest

from kubelab import waiting

WAIT = 90


@pytest.fixture
def pod_of(core, namespace):
    """Makes a Pod from containers; returns a function that reads it."""

    def make(*containers, init=(), restart="Always", **spec):
        full = [{"image": "busybox:1.36"} | each for each in containers]
        first = [{"image": "busybox:1.36"} | each for each in init]
        pod = {
            "metadata": {"name": "one"},
            "spec": {
                "containers": full,
                "initContainers": first,
                "restartPolicy": restart,
                "terminationGracePeriodSeconds": 1,
                **spec,
            },
        }
        core.create_namespaced_pod(namespace, pod)
        return lambda: core.read_namespaced_pod("one", namespace)

    return make


def sh(script, name="main", **more):
    return {"name": name, "command": ["sh", "-c", script], **more}


def ended(core, namespace):
    waiting.pod_phase(core, "one", namespace, "Succeeded", "Failed", timeout=WAIT)
    return core.read_namespaced_pod("one", namespace).status


def conditions(status):
    return {each.type: each.status for each in status.conditions}


def test_the_conditions_of_a_running_pod(pod_of, core, namespace):
    pod_of(sh("sleep 3600"))
    waiting.pod_ready(core, "one", namespace, timeout=WAIT)
    found = conditions(core.read_namespaced_pod("one", namespace).status)
    for kind in ("Initialized", "Ready", "ContainersReady", "PodScheduled"):
        assert found[kind] == "True"


def test_the_conditions_of_a_finished_pod(pod_of, core, namespace):
    pod_of(sh("true"), restart="Never")
    status = ended(core, namespace)
    assert status.phase == "Succeeded"
    ready = next(each for each in status.conditions if each.type == "Ready")
    assert (ready.status, ready.reason) == ("False", "PodCompleted")


def test_one_failed_container_fails_the_pod(pod_of, core, namespace):
    pod_of(sh("true", "a"), sh("exit 3", "b"), restart="Never")
    status = ended(core, namespace)
    assert status.phase == "Failed"
    codes = {each.name: each.state.terminated.exit_code for each in status.container_statuses}
    assert codes == {"a": 0, "b": 3}


def test_on_failure_restarts_only_failures(pod_of, core, namespace):
    script = "test -e /v/x && exit 0; touch /v/x; exit 1"
    mount = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    pod_of(sh(script, **mount), restart="OnFailure", volumes=[{"name": "v", "emptyDir": {}}])
    status = ended(core, namespace)
    assert (status.phase, status.container_statuses[0].restart_count) == ("Succeeded", 1)


def test_a_crashing_container_backs_off(pod_of):
    read = pod_of(sh("exit 1"))

    def waits():
        statuses = read().status.container_statuses
        state = statuses and statuses[0].state.waiting
        return state and state.reason == "CrashLoopBackOff" and state.message

    message = waiting.until(waits, timeout=WAIT)
    assert message.startswith("back-off ")
    assert "restarting failed container=main pod=one_" in message


def test_a_command_that_is_not_there(pod_of, core, namespace):
    pod_of({"name": "main", "command": ["/nope"]}, restart="Never")
    end = ended(core, namespace).container_statuses[0].state.terminated
    assert (end.reason, end.exit_code) == ("StartError", 128)
    assert 'exec: "/nope": stat /nope: no such file or directory' in end.message


def test_init_containers_run_one_after_the_other(pod_of, core, namespace, kubectl):
    mount = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    init = [sh(f"echo {name} >> /v/order", name, **mount) for name in ("a", "b")]
    pod_of(sh("cat /v/order", **mount), init=init, restart="Never",
           volumes=[{"name": "v", "emptyDir": {}}])  # fmt: skip
    ended(core, namespace)
    assert kubectl("logs", "one") == "a\nb\n"


def test_a_pod_waits_for_its_init_containers(pod_of):
    read = pod_of(sh("sleep 3600"), init=[sh("sleep 3600", "first")])
    waiting.until(
        lambda: (s := read().status.init_container_statuses) and s[0].state.running, timeout=WAIT
    )
    status = read().status
    assert status.phase == "Pending"
    assert conditions(status)["Initialized"] == "False"
    assert status.container_statuses[0].state.waiting.reason == "PodInitializing"


def test_a_failed_init_container_fails_a_pod_that_never_restarts(pod_of, core, namespace):
    pod_of(sh("true"), init=[sh("exit 2", "first")], restart="Never")
    status = ended(core, namespace)
    assert status.phase == "Failed"
    assert status.init_container_statuses[0].state.terminated.exit_code == 2


@pytest.mark.since("1.29", "KEP-753: sidecar containers")
def test_a_sidecar_runs_beside_the_others(pod_of, core, namespace, kubectl):
    side = sh("trap 'exit 0' TERM; while true; do sleep 1; done", "side", restartPolicy="Always")
    pod_of(sh("echo done"), init=[side], restart="Never")
    status = ended(core, namespace)
    assert status.phase == "Succeeded"
    assert status.init_container_statuses[0].state.terminated.exit_code == 0


@pytest.mark.parametrize(
    ("script", "policy", "message"),
    [
        ("echo why > /dev/termination-log; exit 1", "File", "why\n"),
        ("echo log; exit 1", "FallbackToLogsOnError", "log\n"),
        ("echo log; exit 1", "File", None),
        ("echo log", "FallbackToLogsOnError", None),
    ],
)
def test_what_a_container_leaves_behind(pod_of, core, namespace, script, policy, message):
    pod_of(sh(script, terminationMessagePolicy=policy), restart="Never")
    assert ended(core, namespace).container_statuses[0].state.terminated.message == message


def test_an_active_deadline_ends_a_pod(pod_of, core, namespace):
    pod_of(sh("sleep 3600"), activeDeadlineSeconds=2, restart="Never")
    status = ended(core, namespace)
    assert (status.phase, status.reason) == ("Failed", "DeadlineExceeded")
    assert status.message == "Pod was active on the node longer than the specified deadline"


def test_a_status_that_somebody_has_changed_is_repaired(pod_of, core, namespace):
    read = pod_of(sh("sleep 3600"))
    waiting.pod_ready(core, "one", namespace, timeout=WAIT)
    wrong = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    core.patch_namespaced_pod_status("one", namespace, wrong)
    assert waiting.until(lambda: conditions(read().status)["Ready"] == "True", timeout=WAIT)


def test_a_deleted_pod_is_gone_after_its_grace_period(pod_of, core, namespace):
    pod_of(sh("sleep 3600"))
    waiting.pod_ready(core, "one", namespace, timeout=WAIT)
    core.delete_namespaced_pod("one", namespace)
    waiting.gone(core.read_namespaced_pod, "one", namespace, timeout=WAIT)


def test_a_working_directory(pod_of, core, namespace, kubectl):
    pod_of(sh("pwd", workingDir="/tmp"), restart="Never")
    ended(core, namespace)
    assert kubectl("logs", "one") == "/tmp\n"


def waits_for(read):
    statuses = read().status.container_statuses
    return statuses and statuses[0].state.waiting and statuses[0].state.waiting.reason


def test_an_image_that_does_not_exist(pod_of):
    read = pod_of({"name": "main", "image": "registry.invalid/nope:1"})
    assert waiting.until(
        lambda: waits_for(read) in ("ErrImagePull", "ImagePullBackOff"), timeout=WAIT
    )


def test_an_image_that_must_not_be_pulled(pod_of):
    read = pod_of({"name": "main", "image": "registry.invalid/nope:1", "imagePullPolicy": "Never"})
    assert waiting.until(lambda: waits_for(read) == "ErrImageNeverPull", timeout=WAIT)
