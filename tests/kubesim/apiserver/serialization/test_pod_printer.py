"""The words of `kubectl get pods`, each from the state that a real kubelet reports."""

from datetime import UTC, datetime, timedelta

import pytest

from kubesim.apiserver.serialization.printers import pods as pod_printer

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def container(name="app", *, ready=False, restarts=0, started=None, last=None, **state):
    status = {"name": name, "ready": ready, "restartCount": restarts, "state": state}
    if started is not None:
        status["started"] = started
    if last:
        status["lastState"] = {"terminated": {"exitCode": 1, "finishedAt": last}}
    return status


def pod(*containers, init=(), phase="Running", init_specs=None, conditions=(), **status):
    spec = {"containers": [{"name": c["name"]} for c in containers] or [{"name": "app"}]}
    if init or init_specs:
        spec["initContainers"] = init_specs or [{"name": c["name"]} for c in init]
    made = {"phase": phase, "conditions": list(conditions), **status}
    if containers:
        made["containerStatuses"] = list(containers)
    if init:
        made["initContainerStatuses"] = list(init)
    return {"metadata": {"name": "web"}, "spec": spec, "status": made}


RUNNING = {"running": {"startedAt": "2026-11-23T11:00:00Z"}}
READY = {"type": "Ready", "status": "True"}
DONE = {"terminated": {"exitCode": 0, "reason": "Completed"}}
CREATING = {"waiting": {"reason": "ContainerCreating"}}
INITIALIZING = {"waiting": {"reason": "PodInitializing"}}


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (pod(phase="Pending"), "Pending"),
        (pod(phase="Failed", reason="Evicted"), "Evicted"),
        (pod(container(**CREATING), phase="Pending"), "ContainerCreating"),
        (pod(container(waiting={"reason": "CrashLoopBackOff"})), "CrashLoopBackOff"),
        (pod(container(waiting={"reason": "ErrImagePull"}), phase="Pending"), "ErrImagePull"),
        (pod(container(ready=True, **RUNNING), conditions=[READY]), "Running"),
        (pod(container(**DONE), phase="Succeeded"), "Completed"),
        (pod(container(terminated={"exitCode": 1, "reason": "Error"}), phase="Failed"), "Error"),
        (pod(container(terminated={"exitCode": 3}), phase="Failed"), "ExitCode:3"),
        (pod(container(terminated={"exitCode": 137, "signal": 9}), phase="Failed"), "Signal:9"),
        (pod(container(**DONE), container("b", ready=True, **RUNNING)), "NotReady"),
        (
            pod(container(**DONE), container("b", ready=True, **RUNNING), conditions=[READY]),
            "Running",
        ),
        (
            pod(
                phase="Pending",
                conditions=[
                    {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}
                ],
            ),
            "SchedulingGated",
        ),
        (
            pod(container(**INITIALIZING), init=[container("i", **RUNNING)], phase="Pending"),
            "Init:0/1",
        ),
        (
            pod(
                container(**INITIALIZING),
                init=[container("i", **DONE), container("j", **INITIALIZING)],
                phase="Pending",
            ),
            "Init:1/2",
        ),
        (
            pod(
                container(**INITIALIZING),
                init=[container("i", waiting={"reason": "CrashLoopBackOff"})],
                phase="Pending",
            ),
            "Init:CrashLoopBackOff",
        ),
        (
            pod(
                container(**INITIALIZING),
                init=[container("i", terminated={"exitCode": 2, "reason": "Error"})],
                phase="Pending",
            ),
            "Init:Error",
        ),
        (
            pod(
                container(**INITIALIZING),
                init=[container("i", terminated={"exitCode": 2})],
                phase="Pending",
            ),
            "Init:ExitCode:2",
        ),
    ],
)
def test_status(state, word):
    assert pod_printer.status(state) == word


@pytest.mark.parametrize(
    ("phase", "reason", "word"),
    [
        ("Running", None, "Terminating"),
        ("Pending", None, "Terminating"),
        ("Failed", None, "Completed"),
        ("Running", "NodeLost", "Unknown"),
    ],
)
def test_a_pod_on_its_way_out_says_so_until_it_has_ended(phase, reason, word):
    going = pod(container(**DONE), phase=phase)
    going["metadata"]["deletionTimestamp"] = "2026-11-23T11:59:00Z"
    if reason:
        going["status"]["reason"] = reason
    assert pod_printer.status(going) == word


def test_a_sidecar_counts_as_a_container_and_does_not_hold_up_the_status():
    specs = [{"name": "proxy", "restartPolicy": "Always"}]
    sidecar = container("proxy", ready=True, started=True, restarts=2, **RUNNING)
    state = pod(
        container(ready=True, **RUNNING), init=[sidecar], init_specs=specs, conditions=[READY]
    )
    assert pod_printer.ready(state) == "2/2"
    assert pod_printer.status(state) == "Running"
    assert pod_printer.restarts(state, NOW) == "2"


def test_ready_counts_running_and_ready_containers_only():
    state = pod(container(ready=True, **RUNNING), container("b", **RUNNING))
    assert pod_printer.ready(state) == "1/2"


def test_restarts_are_of_init_containers_until_those_are_done():
    finished = "2026-11-23T11:59:50Z"
    init = container("i", restarts=3, last=finished, waiting={"reason": "CrashLoopBackOff"})
    state = pod(container(**INITIALIZING), init=[init], phase="Pending")
    assert pod_printer.restarts(state, NOW) == "3 (10s ago)"
    init["state"] = DONE
    assert pod_printer.restarts(state, NOW) == "0"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (150, "2m30s"),
        (10 * 60 + 5, "10m"),
        (179 * 60, "179m"),
        (3 * 3600, "3h"),
        (7 * 3600 + 90, "7h1m"),
        (8 * 3600 + 90, "8h"),
        (47 * 3600, "47h"),
        (48 * 3600, "2d"),
        (50 * 3600, "2d2h"),
        (8 * 86400 + 7200, "8d"),
        (729 * 86400, "729d"),
        (731 * 86400, "2y1d"),
        (9 * 365 * 86400 + 86400, "9y"),
    ],
)
def test_durations_are_as_short_as_kubectl_shows_them(seconds, shown):
    assert pod_printer.human_duration(timedelta(seconds=seconds)) == shown
