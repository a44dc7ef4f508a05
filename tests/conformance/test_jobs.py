"""Jobs: Pods until enough of them have succeeded, or too many have failed."""

import json

import pytest

from kubelab import waiting

WAIT = 120
TRACKED = ("1.26", "KEP-2307, Jobs tracked by finalizers")
INDEXED = ("1.24", "KEP-2214, Indexed Jobs")
ANNOUNCED = ("1.31", "KEP-4368 and KEP-3939: the last condition waits for the last Pod")


@pytest.fixture
def job(batch, namespace):
    """Creates a Job that runs a script in busybox."""

    def create(script="true", pod=None, **spec):
        container = {"name": "main", "image": "busybox:1.36", "command": ["sh", "-c", script]}
        template = {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "containers": [container],
            **(pod or {}),
        }
        body = {"metadata": {"name": "work"}, "spec": {"template": {"spec": template}, **spec}}
        return batch.create_namespaced_job(namespace, body)

    return create


@pytest.fixture
def status(batch, namespace):
    """The Job's present status."""
    return lambda: batch.read_namespaced_job("work", namespace).status


@pytest.fixture
def ended(status):
    """Waits until the Job is complete or has failed; returns that condition and the status."""

    def wait():
        def last():
            found = status()
            ends = [c for c in found.conditions or () if c.type in ("Complete", "Failed")]
            return ends and (ends[0], found)

        return waiting.until(last, timeout=WAIT)

    return wait


@pytest.fixture
def pods(core, namespace):
    """The Job's Pods."""
    return lambda: core.list_namespaced_pod(namespace, label_selector="job-name=work").items


def test_a_job_is_complete_when_its_pod_has_succeeded(job, ended):
    job()
    condition, status = ended()
    assert (condition.type, condition.status, status.succeeded) == ("Complete", "True", 1)
    assert (status.active, status.failed) == (None, None)
    assert status.start_time <= status.completion_time


def test_what_is_left_out_is_filled_in(job):
    spec = job().spec
    assert (spec.completions, spec.parallelism, spec.backoff_limit) == (1, 1, 6)


def test_the_server_makes_the_selector(job):
    made = job()
    (selected,) = made.spec.selector.match_labels.values()
    assert selected == made.metadata.uid
    labels = made.spec.template.metadata.labels
    assert (labels["job-name"], labels["controller-uid"]) == ("work", made.metadata.uid)


@pytest.mark.since("1.27", "batch.kubernetes.io/ prefixed labels, KEP-2214")
def test_the_labels_have_a_prefix(job):
    labels = job().spec.template.metadata.labels
    assert labels["batch.kubernetes.io/job-name"] == "work"


def test_its_pods_belong_to_it(job, ended, pods):
    made = job()
    ended()
    (pod,) = pods()
    (owner,) = pod.metadata.owner_references
    assert (owner.kind, owner.uid, owner.controller) == ("Job", made.metadata.uid, True)
    assert pod.metadata.name.startswith("work-")
    assert pod.status.phase == "Succeeded"


def test_completions_run_as_many_at_once_as_it_may(job, ended, pods):
    job(completions=3, parallelism=2)
    assert ended()[1].succeeded == 3
    assert len(pods()) == 3


def test_active_pods_are_counted(job, status, pods):
    job("sleep 3600", completions=5, parallelism=2)
    waiting.until(lambda: status().active == 2, timeout=WAIT)
    assert len(pods()) == 2


def test_parallelism_may_change(batch, namespace, job, status):
    job("sleep 3600", completions=5, parallelism=1)
    waiting.until(lambda: status().active == 1, timeout=WAIT)
    batch.patch_namespaced_job("work", namespace, {"spec": {"parallelism": 3}})
    waiting.until(lambda: status().active == 3, timeout=WAIT)
    batch.patch_namespaced_job("work", namespace, {"spec": {"parallelism": 0}})
    waiting.until(lambda: not status().active, timeout=WAIT)


def test_without_completions_one_success_is_enough(job, ended):
    made = job(parallelism=2)
    assert made.spec.completions is None
    assert ended()[1].succeeded == 2


def test_too_many_failures_fail_the_job(job, ended, told):
    job("exit 1", backoffLimit=0)
    condition, status = ended()
    assert (condition.type, condition.reason) == ("Failed", "BackoffLimitExceeded")
    assert condition.message == "Job has reached the specified backoff limit"
    assert (status.failed, status.succeeded, status.completion_time) == (1, None, None)
    assert told("work", "BackoffLimitExceeded") == ["Job has reached the specified backoff limit"]


def test_a_failed_pod_is_replaced(job, ended, pods):
    job("exit 1", backoffLimit=1)
    assert ended()[1].failed == 2
    assert [pod.status.phase for pod in pods()] == ["Failed", "Failed"]


def test_containers_may_be_restarted_in_their_pod(job, ended, pods):
    script = "test -e /data/before || { touch /data/before; exit 1; }"
    container = {
        "name": "main",
        "image": "busybox:1.36",
        "command": ["sh", "-c", script],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    volumes = [{"name": "data", "emptyDir": {}}]
    job(pod={"restartPolicy": "OnFailure", "containers": [container], "volumes": volumes})
    assert ended()[0].type == "Complete"
    (pod,) = pods()
    assert pod.status.container_statuses[0].restart_count == 1


def test_a_job_that_takes_too_long_fails(job, ended, pods, told):
    job("sleep 3600", activeDeadlineSeconds=1)
    condition, _ = ended()
    assert (condition.type, condition.reason) == ("Failed", "DeadlineExceeded")
    assert condition.message == "Job was active longer than specified deadline"
    waiting.until(lambda: not pods(), timeout=WAIT)
    assert told("work", "DeadlineExceeded")


def test_events_tell_of_its_pods_and_its_end(job, ended, pods, told):
    job()
    ended()
    (pod,) = pods()
    assert told("work", "SuccessfulCreate") == [f"Created pod: {pod.metadata.name}"]
    assert told("work", "Completed") == ["Job completed"]


def test_what_it_has_counted_may_be_deleted(core, namespace, job, ended, pods, status):
    job()
    ended()
    (pod,) = pods()
    core.delete_namespaced_pod(pod.metadata.name, namespace)
    waiting.until(lambda: not pods(), timeout=WAIT)
    assert status().succeeded == 1


def test_its_template_cannot_change(batch, namespace, job, causes):
    job("sleep 3600")
    container = {"containers": [{"name": "main", "image": "busybox:1.35"}]}
    patch = {"spec": {"template": {"spec": container}, "completions": 2}}
    found = causes(batch.patch_namespaced_job, "work", namespace, patch)
    assert found["spec.completions"].endswith("field is immutable")
    assert found["spec.template"].endswith("field is immutable")


def test_what_makes_no_sense_is_refused(job, causes):
    found = causes(job, pod={"restartPolicy": "Always"}, backoffLimit=-1)
    assert found["spec.template.spec.restartPolicy"].endswith('"OnFailure", "Never"')
    assert found["spec.backoffLimit"] == ("Invalid value: -1: must be greater than or equal to 0")


def test_a_selector_of_ones_own_needs_to_be_asked_for(job, causes):
    found = causes(job, selector={"matchLabels": {"app": "mine"}})
    assert found["spec.selector"].endswith("`selector` not auto-generated")


def test_deleting_it_leaves_its_pods_if_nobody_says_what_else(batch, namespace, job, ended, pods):
    job()
    ended()
    batch.delete_namespaced_job("work", namespace)
    waiting.gone(batch.read_namespaced_job, "work", namespace, timeout=WAIT)
    (pod,) = pods()
    assert not pod.metadata.owner_references


def test_deleting_it_in_the_background_takes_its_pods_along(batch, namespace, job, status, pods):
    job("sleep 3600")
    waiting.until(lambda: status().active == 1, timeout=WAIT)
    batch.delete_namespaced_job("work", namespace, propagation_policy="Background")
    waiting.until(lambda: not pods(), timeout=WAIT)


def test_kubectl_creates_one_and_prints_it(kubectl):
    kubectl("create", "job", "hi", "--image=busybox:1.36", "--", "echo", "hello")
    assert kubectl("wait", "--for=condition=complete", "job/hi", "--timeout=90s") == (
        "job.batch/hi condition met\n"
    )
    assert kubectl("logs", "job/hi") == "hello\n"
    row = kubectl("get", "job", "hi", "--no-headers").split()
    assert "1/1" in row
    assert "0 Active" in kubectl("describe", "job", "hi")


@pytest.mark.since("1.23", "TTLAfterFinished, KEP-592")
def test_it_goes_after_its_time_to_live(batch, namespace, job, pods):
    job(ttlSecondsAfterFinished=1)
    waiting.gone(batch.read_namespaced_job, "work", namespace, timeout=WAIT)
    waiting.until(lambda: not pods(), timeout=WAIT)


@pytest.mark.since("1.24", "KEP-2232, suspended Jobs")
def test_a_suspended_job_rests_until_it_is_resumed(
    batch, namespace, job, status, pods, ended, told
):
    job(suspend=True)
    assert told("work", "Suspended") == ["Job suspended"]
    assert (status().start_time, pods()) == (None, [])
    batch.patch_namespaced_job("work", namespace, {"spec": {"suspend": False}})
    ended()
    assert told("work", "Resumed") == ["Job resumed"]


@pytest.mark.since(*INDEXED)
def test_each_pod_of_an_indexed_job_knows_its_index(core, namespace, job, ended, pods):
    job("echo $JOB_COMPLETION_INDEX $(hostname)", completionMode="Indexed", completions=2)
    assert ended()[1].completed_indexes == "0,1"
    names = [pod.metadata.name for pod in sorted(pods(), key=lambda pod: pod.spec.hostname)]
    for index, name in enumerate(names):
        answer = core.read_namespaced_pod_log(name, namespace, _preload_content=False)
        assert answer.data.decode() == f"{index} work-{index}\n"


@pytest.mark.since("1.33", "KEP-3850, back-off limit per index")
def test_each_index_may_fail_by_itself(job, ended):
    script = "test $JOB_COMPLETION_INDEX = 0"
    job(script, completionMode="Indexed", completions=2, parallelism=2, backoffLimitPerIndex=0)
    condition, status = ended()
    assert (condition.type, condition.reason) == ("Failed", "FailedIndexes")
    assert (status.completed_indexes, status.failed_indexes) == ("0", "1")


@pytest.mark.since("1.31", "KEP-3329, Pod failure policy")
def test_a_failure_policy_ends_the_job_at_once(job, ended, pods):
    codes = {"operator": "In", "values": [42]}
    rules = [{"action": "FailJob", "onExitCodes": codes}]
    job("exit 42", podFailurePolicy={"rules": rules})
    condition, status = ended()
    assert (condition.reason, status.failed) == ("PodFailurePolicy", 1)
    (pod,) = pods()
    assert condition.message == (
        f"Container main for pod {pod.metadata.namespace}/{pod.metadata.name} failed with "
        "exit code 42 matching FailJob rule at index 0"
    )


@pytest.mark.since("1.33", "KEP-3998, Job success policy")
def test_a_success_policy_ends_the_job_early(job, ended):
    script = "test $JOB_COMPLETION_INDEX = 0 || sleep 3600"
    policy = {"rules": [{"succeededIndexes": "0"}]}
    how = {"completionMode": "Indexed", "completions": 2, "parallelism": 2}
    job(script, successPolicy=policy, **how)
    condition, _ = ended()
    assert (condition.type, condition.reason) == ("Complete", "SuccessPolicy")
    assert condition.message == "Matched rules at index 0"


@pytest.mark.since(*TRACKED)
def test_a_running_pod_waits_to_be_counted(job, status, pods):
    job("sleep 3600")
    waiting.until(lambda: status().active == 1, timeout=WAIT)
    (pod,) = pods()
    assert pod.metadata.finalizers == ["batch.kubernetes.io/job-tracking"]


@pytest.mark.since(*ANNOUNCED)
def test_its_end_is_announced(job, ended):
    job()
    _, status = ended()
    assert [(each.type, each.reason) for each in status.conditions] == [
        ("SuccessCriteriaMet", "CompletionsReached"),
        ("Complete", "CompletionsReached"),
    ]
    assert (status.ready, status.terminating) == (0, 0)


@pytest.mark.since("1.35", "KEP-4368, Jobs managed by others")
def test_a_job_that_somebody_else_manages_is_left_alone(job, status, pods, kubectl):
    job(managedBy="example.com/queue")
    kubectl("create", "job", "other", "--image=busybox:1.36", "--", "true")
    kubectl("wait", "--for=condition=complete", "job/other", "--timeout=90s")
    assert pods() == []
    assert json.loads(kubectl("get", "job", "work", "-o", "json"))["status"] == {}
