"""Checks wait for what they expect, and say what they saw instead."""

import itertools

import pytest
from kubernetes import client

from kubelab import waiting
from kubelab.grading import CheckFailed
from kubelab.grading.checks import Check

SLEEPER = {"name": "main", "image": "busybox:1.36", "command": ["sleep", "3600"]}


@pytest.fixture
def check(cluster, namespace):
    return Check(cluster.api_client(), namespace)


def create(core, namespace, name, *containers, **spec):
    body = {"containers": [SLEEPER | c for c in containers], "terminationGracePeriodSeconds": 0}
    pod = {"metadata": {"name": name, "labels": {"app": name}}, "spec": body | spec}
    return core.create_namespaced_pod(namespace, pod)


def test_a_failure_has_three_parts_that_stay_aligned():
    failed = CheckFailed("two\nlines", "one", "in the mirror")
    assert str(failed).splitlines() == [
        "observed:  two",
        "           lines",
        "expected:  one",
        "look next: in the mirror",
    ]


def test_that_and_equal(check):
    check.that(1, observed="x", expected="y", look="z")
    check.equal(2, 2, what="it", look="z")
    with pytest.raises(CheckFailed, match=r"observed:\s+x\nexpected:\s+y\nlook next: z"):
        check.that([], observed="x", expected="y", look="z")
    with pytest.raises(CheckFailed, match=r"the sum is 4\nexpected:\s+5"):
        check.equal(4, 5, what="the sum", look="z")


def test_exists_names_what_is_missing(check):
    assert check.exists("config_map", "kube-root-ca.crt").data
    with pytest.raises(CheckFailed, match=r"there is no deployment web[\s\S]*a deployment named"):
        check.exists("deployment", "web", within=0)


def test_a_ready_pod_answers_to_exec_logs_and_http(check, core, namespace):
    create(
        core,
        namespace,
        "web",
        {"name": "nginx", "image": "nginx:1.27", "command": None},
        {"command": ["sh", "-c", "echo here; sleep 3600"]},
    )
    assert check.ready("web").metadata.name == "web"
    assert check.running("web").status.phase == "Running"
    assert "nginx" in check.http("web", "main", "http://localhost/")
    assert check.exec("web", "main", ["echo", "a b"]) == "a b\n"
    assert check.logs("web", "main") == "here\n"
    assert [pod.metadata.name for pod in check.pods("app=web", 1)] == ["web"]
    with pytest.raises(CheckFailed, match=r"exit code 1[\s\S]*No such file"):
        check.exec("web", "main", ["cat", "/nowhere"])
    with pytest.raises(CheckFailed, match="an answer from http://localhost:81/"):
        check.http("web", "main", "http://localhost:81/", within=0)
    with pytest.raises(CheckFailed, match="2 ready Pods with the label app=web"):
        check.pods("app=web", 2, within=0)


def test_waiting_ends_early_when_it_is_in_vain(check, core, namespace):
    create(core, namespace, "bad", {"image": "registry.invalid/nothing:1"})
    with pytest.raises(CheckFailed, match=r"container main: waiting, \w+Pull") as caught:
        check.ready("bad", within=3600)
    assert caught.value.expected == "Pod bad ready"


def test_a_pod_that_ended_is_not_waited_for(check, core, namespace):
    create(core, namespace, "bad", {"command": ["false"]}, restartPolicy="Never")
    waiting.pod_phase(core, "bad", namespace, "Failed")  # it may have been ready for a moment
    with pytest.raises(CheckFailed, match="terminated, Error, exit code 1"):
        check.ready("bad", within=3600)


def test_rolled_out_describes_the_pods(cluster, check, namespace):
    apps = client.AppsV1Api(cluster.api_client())
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [SLEEPER]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    apps.create_namespaced_deployment(namespace, {"metadata": {"name": "web"}, "spec": spec})
    assert check.rolled_out("web").status.available_replicas == 1
    template["spec"]["containers"] = [SLEEPER | {"image": "registry.invalid/nothing:1"}]
    apps.patch_namespaced_deployment("web", namespace, {"spec": {"template": template}})
    waiting.until(
        lambda: apps.read_namespaced_deployment("web", namespace).status.observed_generation > 1
    )
    with pytest.raises(CheckFailed, match="Deployment web: 1 wanted"):
        check.rolled_out("web", within=0)


def test_eventually_takes_a_failed_check_as_not_yet(check):
    numbers = itertools.count()

    def third_time():
        if (number := next(numbers)) < 2:
            raise CheckFailed(f"it is {number}", "2")
        return number

    assert check.eventually(third_time, expected="2", look="z", within=10) == 2
    with pytest.raises(CheckFailed, match=r"observed:  it is 0\nexpected:  2"):
        numbers = itertools.count()
        check.eventually(third_time, expected="2", look="z", within=0)
    with pytest.raises(CheckFailed, match="observed:  the moon"):
        check.eventually(lambda: 0, expected=1, look="z", within=0, observed=lambda: "the moon")


def test_stays_looks_again(check):
    truths = itertools.chain([True, True], itertools.repeat(False))
    with pytest.raises(CheckFailed, match=r"it holds, for 60 s"):
        check.stays(lambda: next(truths), expected="it holds", for_=60, look="z")
    check.stays(lambda: True, expected="it holds", for_=0, look="z")
