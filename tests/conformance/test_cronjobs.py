"""CronJobs: a Job at every moment of a schedule."""

import re

import pytest

from kubelab import waiting

WAIT = 120
SINCE = "1.21", "batch/v1 CronJob and its second controller, KEP-19"
pytestmark = pytest.mark.since(*SINCE)


@pytest.fixture
def cron(batch, namespace):
    """Creates a CronJob that runs a script in busybox."""

    def create(schedule="* * * * *", script="true", name="tick", **spec):
        container = {"name": "main", "image": "busybox:1.36", "command": ["sh", "-c", script]}
        pod = {"restartPolicy": "Never", "containers": [container]}
        job = {"metadata": {"labels": {"of": name}}, "spec": {"template": {"spec": pod}}}
        spec = {"schedule": schedule, "jobTemplate": job, **spec}
        return batch.create_namespaced_cron_job(
            namespace, {"metadata": {"name": name}, "spec": spec}
        )

    return create


@pytest.fixture
def jobs(batch, namespace):
    """The Jobs that are there, oldest first."""

    def read():
        found = batch.list_namespaced_job(namespace, label_selector="of=tick").items
        return sorted(found, key=lambda job: job.metadata.name)

    return read


@pytest.fixture
def status(batch, namespace):
    """The CronJob's present status."""
    return lambda: batch.read_namespaced_cron_job("tick", namespace).status


@pytest.fixture
def a_minute_later(cluster):
    """Waits until the next minute has come, or moves the cluster's clock there."""
    return lambda: cluster.wait(60)


def test_what_is_left_out_is_filled_in(cron):
    spec = cron(suspend=None).spec
    assert (spec.concurrency_policy, spec.suspend) == ("Allow", False)
    assert (spec.successful_jobs_history_limit, spec.failed_jobs_history_limit) == (3, 1)


def test_a_job_starts_at_the_minute(cron, jobs, status, a_minute_later, told):
    made = cron()
    a_minute_later()
    job, *_ = waiting.until(jobs, timeout=WAIT)
    assert waiting.until(lambda: status().last_schedule_time, timeout=WAIT)
    assert re.fullmatch(r"tick-\d{8}", job.metadata.name)  # the minute since 1970
    assert job.metadata.owner_references[0].uid == made.metadata.uid
    assert f"Created job {job.metadata.name}" in told("tick", "SuccessfulCreate")


def test_a_job_that_has_ended_is_noted(cron, status, a_minute_later, told):
    cron()
    a_minute_later()
    waiting.until(lambda: status().last_successful_time, timeout=WAIT)
    assert told("tick", "SawCompletedJob")[0].endswith("Complete")


def test_a_job_that_runs_is_active(cron, jobs, status, a_minute_later):
    cron(script="sleep 3600", concurrencyPolicy="Forbid")
    a_minute_later()
    active = waiting.until(lambda: status().active, timeout=WAIT)
    assert [each.name for each in active] == [job.metadata.name for job in jobs()]


def test_forbid_starts_no_second_job(cron, jobs, a_minute_later, told):
    cron(script="sleep 3600", concurrencyPolicy="Forbid")
    a_minute_later()
    waiting.until(jobs, timeout=WAIT)
    a_minute_later()
    assert told("tick", "JobAlreadyActive")
    assert len(jobs()) == 1


def test_replace_deletes_the_job_that_runs(cron, jobs, a_minute_later, told):
    cron(script="sleep 3600", concurrencyPolicy="Replace")
    a_minute_later()
    first, *_ = waiting.until(jobs, timeout=WAIT)
    a_minute_later()
    assert f"Deleted job {first.metadata.name}" in told("tick", "SuccessfulDelete")
    waiting.until(
        lambda: first.metadata.name not in [j.metadata.name for j in jobs()], timeout=WAIT
    )


def test_a_suspended_cronjob_starts_nothing(batch, namespace, cron, jobs, a_minute_later):
    cron(suspend=True)
    a_minute_later()
    assert jobs() == []
    batch.patch_namespaced_cron_job("tick", namespace, {"spec": {"suspend": False}})
    waiting.until(jobs, timeout=WAIT)


def test_only_the_last_jobs_are_kept(cron, jobs, status, a_minute_later):
    cron(successfulJobsHistoryLimit=0)
    a_minute_later()
    waiting.until(lambda: status().last_successful_time, timeout=WAIT)
    waiting.until(lambda: all(not job.status.succeeded for job in jobs()), timeout=WAIT)


def test_a_job_can_be_made_from_it_by_hand(cron, batch, namespace, kubectl, told):
    cron("0 0 1 1 *")
    assert kubectl("create", "job", "now", "--from=cronjob/tick") == "job.batch/now created\n"
    made = batch.read_namespaced_job("now", namespace)
    assert made.metadata.annotations["cronjob.kubernetes.io/instantiate"] == "manual"
    assert made.metadata.owner_references[0].name == "tick"
    assert told("tick", "UnexpectedJob") == [
        "Saw a job that the controller did not create or forgot: now"
    ]


def test_its_jobs_go_with_it(batch, namespace, cron, jobs, a_minute_later):
    cron()
    a_minute_later()
    waiting.until(jobs, timeout=WAIT)
    batch.delete_namespaced_cron_job("tick", namespace)
    waiting.until(lambda: not jobs(), timeout=WAIT)


def test_kubectl_creates_and_prints_it(kubectl):
    created = kubectl(
        "create", "cronjob", "hi", "--image=busybox:1.36", "--schedule=*/5 * * * *", "--", "true"
    )
    assert created == "cronjob.batch/hi created\n"
    row = kubectl("get", "cronjob", "hi", "--no-headers")
    assert row.split()[:6] == ["hi", "*/5", "*", "*", "*", "*"]
    assert "Schedule:                      */5 * * * *" in kubectl("describe", "cronjob", "hi")


@pytest.mark.parametrize(
    ("schedule", "why"),
    [
        ("every day", "expected exactly 5 fields, found 2: [every day]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("@noon", "unrecognized descriptor: @noon"),
    ],
)
def test_what_is_no_schedule_is_refused(cron, causes, schedule, why):
    found = causes(cron, schedule)
    assert found["spec.schedule"] == f'Invalid value: "{schedule}": {why}'


def test_a_long_name_leaves_no_room_for_its_jobs(cron, causes):
    found = causes(cron, name="x" * 53)
    assert found["metadata.name"].endswith("must be no more than 52 characters")


def test_what_makes_no_sense_is_refused(cron, causes):
    found = causes(cron, concurrencyPolicy="Never", startingDeadlineSeconds=-1)
    assert found["spec.concurrencyPolicy"] == (
        'Unsupported value: "Never": supported values: "Allow", "Forbid", "Replace"'
    )
    assert found["spec.startingDeadlineSeconds"].endswith("must be greater than or equal to 0")


@pytest.mark.since("1.27", "KEP-3140, time zones of CronJobs")
def test_a_time_zone_must_exist(cron, causes):
    found = causes(cron, timeZone="Mars/Olympus")
    assert found["spec.timeZone"].endswith("unknown time zone Mars/Olympus")
