"""Waiting ends when the state is there, and otherwise says what was there instead."""

import re

import pytest

from kubelab import waiting
from kubelab.waiting import WaitTimeout

SLEEPER = {"name": "main", "image": "busybox:1.36", "command": ["sleep", "3600"]}


def create(core, namespace, name, **container):
    spec = {"containers": [SLEEPER | container], "terminationGracePeriodSeconds": 0}
    pod = {"metadata": {"name": name, "labels": {"app": name}}, "spec": spec}
    return core.create_namespaced_pod(namespace, pod)


class NotFoundError(Exception):
    status = 404


def test_until_returns_the_first_true_result():
    results = iter([0, None, "", "there", "later"])
    assert waiting.until(lambda: next(results), timeout=5) == "there"


def test_until_looks_once_even_without_time():
    assert waiting.until(lambda: 1, timeout=0) == 1


def test_a_timeout_says_what_was_awaited_and_what_was_seen():
    with pytest.raises(WaitTimeout, match=r"waited 0.1 s for three things.\nLast seen: \[\]"):
        waiting.until(list, timeout=0.1, what="three things")
    with pytest.raises(WaitTimeout, match="Last seen: two of them"):
        waiting.until(lambda: False, timeout=0, last_seen=lambda: "two of them")


def test_not_found_is_not_yet():
    answers = iter([NotFoundError(), NotFoundError(), None])

    def look():
        if error := next(answers):
            raise error
        return True

    assert waiting.until(look, timeout=5)


def test_a_timeout_says_that_a_thing_does_not_exist():
    def look():
        raise NotFoundError

    with pytest.raises(WaitTimeout, match="it does not exist"):
        waiting.until(look, timeout=0, last_seen=lambda: pytest.fail("there is nothing to see"))


def test_other_errors_are_not_waited_out():
    with pytest.raises(ZeroDivisionError):
        waiting.until(lambda: 1 / 0, timeout=60)


def test_pod_ready_returns_the_pod(core, namespace):
    create(core, namespace, "web")
    pod = waiting.pod_ready(core, "web", namespace)
    assert pod.status.phase == "Running"


def test_a_pod_that_does_not_get_ready_is_described(core, namespace):
    create(core, namespace, "web", image="registry.invalid/nothing:1")

    def failed():
        statuses = core.read_namespaced_pod("web", namespace).status.container_statuses or []
        events = core.list_namespaced_event(namespace).items
        pulled = [s for s in statuses if s.state.waiting.reason.endswith(("Pull", "BackOff"))]
        return pulled and [event for event in events if event.reason == "Failed"]

    waiting.until(failed)
    with pytest.raises(WaitTimeout) as caught:
        waiting.pod_ready(core, "web", namespace, timeout=0.5)
    shown = str(caught.value)
    assert "Pod web: phase Pending, not ready" in shown
    assert re.search("container main: waiting, (ErrImagePull|ImagePullBackOff)", shown)
    assert "Event Failed: " in shown


def test_pod_phase_waits_for_one_of_several(core, namespace):
    core.create_namespaced_pod(
        namespace,
        {
            "metadata": {"name": "job"},
            "spec": {"restartPolicy": "Never", "containers": [SLEEPER | {"command": ["false"]}]},
        },
    )
    pod = waiting.pod_phase(core, "job", namespace, "Succeeded", "Failed")
    assert pod.status.phase == "Failed"
    with pytest.raises(WaitTimeout, match="main: terminated, Error, exit code 1"):
        waiting.pod_phase(core, "job", namespace, "Running", timeout=0.5)


def test_pods_ready_counts_the_living(core, apps, namespace):
    with pytest.raises(WaitTimeout, match="no Pod matches app=web"):
        waiting.pods_ready(core, namespace, "app=web", 2, timeout=0.1)
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [SLEEPER]}}
    selector = {"matchLabels": {"app": "web"}}
    spec = {"replicas": 2, "selector": selector, "template": template}
    apps.create_namespaced_deployment(namespace, {"metadata": {"name": "web"}, "spec": spec})
    pods = waiting.pods_ready(core, namespace, "app=web", 2)
    assert len({pod.metadata.name for pod in pods}) == 2
    assert waiting.deployment_ready(apps, "web", namespace).status.available_replicas == 2


def test_a_deployment_that_does_not_roll_out_is_described(apps, namespace):
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [SLEEPER | {"image": "registry.invalid/nothing:1"}]},
    }
    selector = {"matchLabels": {"app": "web"}}
    spec = {"replicas": 1, "selector": selector, "template": template}
    apps.create_namespaced_deployment(namespace, {"metadata": {"name": "web"}, "spec": spec})
    with pytest.raises(WaitTimeout, match=r"Deployment web: 1 wanted, . updated, 0 available"):
        waiting.deployment_ready(apps, "web", namespace, timeout=2)


def test_gone_waits_for_the_end(core, namespace):
    create(core, namespace, "web")
    with pytest.raises(WaitTimeout, match="it still exists"):
        waiting.gone(core.read_namespaced_pod, "web", namespace, timeout=0.1)
    core.delete_namespaced_pod("web", namespace)
    waiting.gone(core.read_namespaced_pod, "web", namespace)
