"""Jobs: Pods until enough of them have succeeded, or too many have failed."""

import pytest

from kubesim.apiserver.errors import StatusError
from kubesim.controllers.job_indexes import parse, show

JOBS = "jobs.batch"
INDEX = "batch.kubernetes.io/job-completion-index"
FINALIZER = "batch.kubernetes.io/job-tracking"


async def create(world, **spec):
    job = await world.create_job(**spec)
    await world.settle()
    return job


async def active(world):
    found = await world.items("pods")
    return [
        pod
        for pod in found
        if pod["status"]["phase"] in ("Pending", "Running")
        and "deletionTimestamp" not in pod["metadata"]
    ]


async def only(world):
    (pod,) = await active(world)
    return pod


async def status(world):
    return (await world.get(JOBS, "work"))["status"]


async def conditions(world):
    listed = (await status(world)).get("conditions", [])
    return {each["type"]: each["reason"] for each in listed if each["status"] == "True"}


def index(pod):
    return int(pod["metadata"]["annotations"][INDEX])


async def test_a_job_is_complete_when_its_pod_has_succeeded(make_world):
    async with make_world(nodes=1) as world:
        await create(world)
        pod = await only(world)
        assert pod["metadata"]["finalizers"] == [FINALIZER]
        assert (await status(world))["active"] == 1
        await world.end_pod(pod)
        ended = await status(world)
        assert await conditions(world) == {
            "SuccessCriteriaMet": "CompletionsReached",
            "Complete": "CompletionsReached",
        }
        assert ended["succeeded"] == 1
        assert "active" not in ended
        assert ended["uncountedTerminatedPods"] == {}
        assert ended["completionTime"]
        (pod,) = await world.items("pods")
        assert "finalizers" not in pod["metadata"]
        name = pod["metadata"]["name"]
        assert await world.events("work") == [
            ("SuccessfulCreate", f"Created pod: {name}"),
            ("Scheduled", f"Successfully assigned default/{name} to node-1"),
            ("Completed", "Job completed"),
        ]


async def test_completions_and_parallelism(make_world):
    async with make_world(nodes=1) as world:
        await create(world, completions=3, parallelism=2)
        first, second = await active(world)
        await world.end_pod(first)
        assert len(await active(world)) == 2
        await world.end_pod(second)
        await world.end_pod(await only(world))
        assert (await status(world))["succeeded"] == 3
        assert "Complete" in await conditions(world)


async def test_without_completions_one_success_is_enough_once_all_have_ended(make_world):
    async with make_world(nodes=1) as world:
        await create(world, parallelism=2)
        first, second = await active(world)
        await world.end_pod(first)
        assert await conditions(world) == {}
        assert len(await active(world)) == 1
        await world.end_pod(second, code=1)
        assert "Complete" in await conditions(world)


async def test_failed_pods_are_replaced_after_ten_then_twenty_seconds(make_world):
    async with make_world(nodes=1) as world:
        await create(world)
        for seconds in (10, 20):
            await world.end_pod(await only(world), code=1)
            await world.advance(seconds - 1)
            assert await active(world) == []
            await world.advance(1)
            assert len(await active(world)) == 1
        assert (await status(world))["failed"] == 2


async def test_more_failures_than_the_limit_fail_the_job(make_world):
    async with make_world(nodes=1) as world:
        await create(world, backoffLimit=0, parallelism=2, completions=2)
        failing, running = await active(world)
        await world.end_pod(failing, code=1)
        assert await conditions(world) == {
            "FailureTarget": "BackoffLimitExceeded",
            "Failed": "BackoffLimitExceeded",
        }
        assert (await status(world))["failed"] == 2
        assert await active(world) == []
        message = "Job has reached the specified backoff limit"
        assert (await world.events("work"))[-1] == ("BackoffLimitExceeded", message)
        assert not await world.exists("pods", running["metadata"]["name"])


async def test_a_job_that_takes_too_long_fails(make_world):
    async with make_world(nodes=1) as world:
        await create(world, activeDeadlineSeconds=30)
        await world.advance(29)
        assert await conditions(world) == {}
        await world.advance(1)
        assert (await conditions(world))["Failed"] == "DeadlineExceeded"
        assert await active(world) == []


async def test_a_deleted_pod_counts_as_failed_and_is_replaced(make_world):
    async with make_world(nodes=1) as world:
        await create(world)
        name = (await only(world))["metadata"]["name"]
        await world.api.delete("pods", name, "default")
        await world.advance(10)
        assert (await only(world))["metadata"]["name"] != name
        assert (await status(world))["failed"] == 1


async def test_suspending_deletes_the_pods_and_resuming_begins_anew(make_world):
    async with make_world(nodes=1) as world:
        await create(world, suspend=True)
        assert await active(world) == []
        assert "startTime" not in await status(world)
        assert await conditions(world) == {"Suspended": "JobSuspended"}
        await world.change(JOBS, "work", {"spec": {"suspend": False}})
        assert len(await active(world)) == 1
        assert (await status(world))["startTime"]
        await world.change(JOBS, "work", {"spec": {"suspend": True}})
        assert await active(world) == []
        told = {reason for reason, _ in await world.events("work")}
        assert {"Suspended", "Resumed", "SuccessfulDelete"} <= told


async def test_each_pod_of_an_indexed_job_knows_its_index(make_world):
    async with make_world(nodes=1) as world:
        await create(world, completionMode="Indexed", completions=3, parallelism=3)
        pods = sorted(await active(world), key=index)
        assert [index(pod) for pod in pods] == [0, 1, 2]
        assert [pod["spec"]["hostname"] for pod in pods] == ["work-0", "work-1", "work-2"]
        assert pods[1]["metadata"]["labels"][INDEX] == "1"
        assert pods[1]["metadata"]["name"].startswith("work-1-")
        (variable,) = pods[1]["spec"]["containers"][0]["env"]
        source = {"apiVersion": "v1", "fieldPath": f"metadata.labels['{INDEX}']"}
        assert variable == {"name": "JOB_COMPLETION_INDEX", "valueFrom": {"fieldRef": source}}
        await world.end_pod(pods[0])
        await world.end_pod(pods[2])
        assert (await status(world))["completedIndexes"] == "0,2"
        await world.end_pod(pods[1], code=1)
        await world.advance(10)
        await world.end_pod(await only(world))
        ended = await status(world)
        assert ended["completedIndexes"] == "0-2"
        assert (ended["succeeded"], ended["failed"]) == (3, 1)


async def test_each_index_may_fail_so_often(make_world):
    async with make_world(nodes=1) as world:
        await create(
            world,
            completionMode="Indexed",
            completions=2,
            parallelism=2,
            backoffLimitPerIndex=1,
        )
        good, bad = sorted(await active(world), key=index)
        await world.end_pod(good)
        await world.end_pod(bad, code=1)
        await world.advance(10)
        again = await only(world)
        assert index(again) == 1
        counted = again["metadata"]["annotations"]["batch.kubernetes.io/job-index-failure-count"]
        assert counted == "1"
        await world.end_pod(again, code=1)
        ended = await status(world)
        assert (ended["completedIndexes"], ended["failedIndexes"]) == ("0", "1")
        assert (await conditions(world))["Failed"] == "FailedIndexes"


async def test_too_many_failed_indexes_end_the_job(make_world):
    async with make_world(nodes=1) as world:
        await create(
            world,
            completionMode="Indexed",
            completions=3,
            parallelism=3,
            backoffLimitPerIndex=0,
            maxFailedIndexes=1,
        )
        pods = await active(world)
        await world.end_pod(pods[0], code=1)
        assert await conditions(world) == {}
        await world.end_pod(pods[1], code=1)
        assert (await conditions(world))["Failed"] == "MaxFailedIndexesExceeded"


@pytest.mark.parametrize(
    ("action", "failed", "reason"), [("FailJob", 1, "PodFailurePolicy"), ("Ignore", 0, None)]
)
async def test_a_failure_policy_judges_exit_codes(make_world, action, failed, reason):
    async with make_world(nodes=1) as world:
        codes = {"operator": "In", "values": [42]}
        rules = {"rules": [{"action": action, "onExitCodes": codes}]}
        await create(world, podFailurePolicy=rules, backoffLimit=1)
        pod = await only(world)
        await world.end_pod(pod, code=42)
        assert (await status(world)).get("failed", 0) == failed
        assert (await conditions(world)).get("Failed") == reason
        if reason:
            *_, (_, message) = await world.events("work")
            name = pod["metadata"]["name"]
            assert message == (
                f"Container main for pod default/{name} failed with exit code 42 "
                "matching FailJob rule at index 0"
            )


async def test_a_success_policy_ends_the_job_early(make_world):
    async with make_world(nodes=1) as world:
        await create(
            world,
            completionMode="Indexed",
            completions=3,
            parallelism=3,
            successPolicy={"rules": [{"succeededIndexes": "1-2", "succeededCount": 1}]},
        )
        zero, one, _ = sorted(await active(world), key=index)
        await world.end_pod(zero)
        assert await conditions(world) == {}
        await world.end_pod(one)
        await world.settle()
        assert await active(world) == []
        assert (await conditions(world))["Complete"] == "SuccessPolicy"
        message = "Matched rules at index 0"
        listed = (await status(world))["conditions"]
        assert {each["message"] for each in listed} == {message}


async def test_a_finished_job_goes_after_its_time_to_live(make_world):
    async with make_world(nodes=1) as world:
        await create(world, ttlSecondsAfterFinished=60)
        await world.end_pod(await only(world))
        await world.advance(59)
        assert await world.exists(JOBS, "work")
        await world.advance(1)
        assert not await world.exists(JOBS, "work")
        assert await world.items("pods") == []


@pytest.mark.parametrize(
    ("propagation", "left"), [("Background", 0), ("Foreground", 0), ("Orphan", 1), (None, 1)]
)
async def test_deleting_a_job(make_world, propagation, left):
    """A DELETE that names no policy leaves the Pods, as it did before there were policies."""
    async with make_world(nodes=1) as world:
        await create(world)
        await world.api.delete(JOBS, "work", "default", propagation=propagation)
        await world.advance(1)
        assert not await world.exists(JOBS, "work")
        pods = await world.items("pods")
        assert len(pods) == left
        assert not any("finalizers" in pod["metadata"] for pod in pods)


async def test_a_job_that_somebody_else_manages_is_left_alone(make_world):
    async with make_world(nodes=1) as world:
        await create(world, managedBy="example.com/queue")
        assert await active(world) == []
        assert await status(world) == {}


async def test_what_may_not_change_is_refused(make_world):
    async with make_world(controllers=False, scheduler=False) as world:
        await create(world)
        container = {"containers": [{"name": "main", "image": "busybox:1.35"}]}
        for patch, field in (
            ({"template": {"spec": container}}, "spec.template"),
            ({"completions": 5}, "spec.completions"),
            ({"completionMode": "Indexed"}, "spec.completionMode"),
        ):
            with pytest.raises(StatusError) as refused:
                await world.change(JOBS, "work", {"spec": patch})
            assert field in {cause["field"] for cause in refused.value.details["causes"]}
        await world.change(JOBS, "work", {"spec": {"parallelism": 0}})


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"template": {"restartPolicy": "Always"}}, "spec.template.spec.restartPolicy"),
        ({"completionMode": "Indexed", "parallelism": 1}, "spec.completions"),
        ({"backoffLimitPerIndex": 1}, "spec.backoffLimitPerIndex"),
        ({"backoffLimit": -1}, "spec.backoffLimit"),
        ({"podReplacementPolicy": "Never"}, "spec.podReplacementPolicy"),
        ({"podFailurePolicy": {"rules": [{"action": "Count"}]}}, "spec.podFailurePolicy.rules[0]"),
        (
            {
                "completionMode": "Indexed",
                "completions": 2,
                "successPolicy": {"rules": [{"succeededIndexes": "0-5"}]},
            },
            "spec.successPolicy.rules[0].succeededIndexes",
        ),
    ],
)
async def test_what_makes_no_sense_is_refused(make_world, spec, field):
    async with make_world(controllers=False, scheduler=False) as world:
        with pytest.raises(StatusError) as refused:
            await create(world, **spec)
        assert [cause["field"] for cause in refused.value.details["causes"]] == [field]


def test_indexes_are_shown_as_intervals():
    assert show({0, 1, 2, 3, 5, 7, 8}) == "0-3,5,7,8"
    assert parse("0-3,5,7,8", 8) == {0, 1, 2, 3, 5, 7}
    assert parse("", 3) == set()
