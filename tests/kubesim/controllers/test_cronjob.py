"""CronJobs: a Job at every moment of a schedule."""

import functools
from datetime import UTC, datetime

import pytest

from kubesim.apiserver.errors import StatusError

CRONJOBS, JOBS = "cronjobs.batch", "jobs.batch"
START = datetime(2026, 11, 23, 11, 59, 30, tzinfo=UTC)


@pytest.fixture
def world_at(make_world):
    """Worlds of one node that begin half a minute before noon."""
    return functools.partial(make_world, nodes=1, start=START)


async def create(world, **how):
    await world.create_cron_job(**how)
    await world.settle()


async def jobs(world):
    return sorted(job["metadata"]["name"] for job in await world.items(JOBS))


async def finish(world, code=0):
    """Let every Pod that runs exit."""
    for pod in await world.items("pods"):
        if pod["status"]["phase"] == "Running":
            await world.end_pod(pod, code)


async def status(world):
    return (await world.get(CRONJOBS, "tick"))["status"]


async def reasons(world):
    return [reason for reason, _ in await world.events("tick")]


def minute(hour, minute):
    return int(datetime(2026, 11, 23, hour, minute, tzinfo=UTC).timestamp()) // 60


async def test_a_job_starts_at_every_minute(world_at):
    async with world_at() as world:
        await create(world)
        assert await jobs(world) == []
        await world.advance(31)
        name = f"tick-{minute(12, 0)}"
        assert await jobs(world) == [name]
        (job,) = await world.items(JOBS)
        assert job["metadata"]["labels"]["of"] == "tick"
        assert job["metadata"]["ownerReferences"][0]["kind"] == "CronJob"
        assert job["metadata"]["annotations"] == {
            "batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-11-23T12:00:00Z"
        }
        assert [each["name"] for each in (await status(world))["active"]] == [name]
        assert (await status(world))["lastScheduleTime"] == "2026-11-23T12:00:00Z"
        await finish(world)
        assert "active" not in await status(world)
        assert (await status(world))["lastSuccessfulTime"]
        assert await world.events("tick") == [
            ("SuccessfulCreate", f"Created job {name}"),
            *((r, m) for r, m in await world.events(f"{name}")),
            ("SawCompletedJob", f"Saw completed job: {name}, condition: Complete"),
        ]


async def test_only_the_last_jobs_are_kept(world_at):
    async with world_at() as world:
        await create(world, successfulJobsHistoryLimit=2)
        for _ in range(4):
            await world.advance(60)
            await finish(world)
        assert await jobs(world) == [f"tick-{minute(12, 2)}", f"tick-{minute(12, 3)}"]
        assert "SuccessfulDelete" in await reasons(world)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("Allow", [0, 1]), ("Forbid", [0]), ("Replace", [1])],
)
async def test_what_happens_while_a_job_still_runs(world_at, policy, expected):
    async with world_at() as world:
        await create(world, concurrencyPolicy=policy)
        await world.advance(31)
        await world.advance(60)
        assert await jobs(world) == [f"tick-{minute(12, each)}" for each in expected]
        assert ("JobAlreadyActive" in await reasons(world)) == (policy == "Forbid")


async def test_a_suspended_cronjob_rests_and_catches_up_with_the_last_start_only(world_at):
    async with world_at() as world:
        await create(world, suspend=True)
        await world.advance(300)
        assert await jobs(world) == []
        await world.change(CRONJOBS, "tick", {"spec": {"suspend": False}})
        assert await jobs(world) == [f"tick-{minute(12, 4)}"]


async def test_a_start_that_is_too_late_is_missed(world_at):
    async with world_at() as world:
        await create(world, suspend=True, startingDeadlineSeconds=10)
        await world.advance(75)
        await world.change(CRONJOBS, "tick", {"spec": {"suspend": False}})
        assert await jobs(world) == []
        await world.advance(20)
        assert await jobs(world) == [f"tick-{minute(12, 1)}"]


async def test_more_than_a_hundred_missed_starts_are_told(world_at):
    async with world_at() as world:
        await create(world, suspend=True)
        long_ago = {"status": {"lastScheduleTime": "2026-11-23T09:00:00Z"}}
        await world.api.patch(CRONJOBS, "tick", long_ago, "default", subresource="status")
        await world.change(CRONJOBS, "tick", {"spec": {"suspend": False}})
        assert len(await jobs(world)) == 1
        assert "TooManyMissedTimes" in await reasons(world)


async def test_a_time_zone_moves_the_schedule(world_at):
    async with world_at() as world:
        await create(world, schedule="0 21 * * *", timeZone="Asia/Tokyo")
        await world.advance(31)
        (job,) = await world.items(JOBS)
        told = job["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"]
        assert told == "2026-11-23T21:00:00+09:00"


async def test_a_job_made_by_hand_from_a_cronjob_is_noticed(world_at):
    async with world_at() as world:
        await create(world, schedule="0 0 1 1 *")
        cron_job = await world.get(CRONJOBS, "tick")
        owner = {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "name": "tick",
            "uid": cron_job["metadata"]["uid"],
            "controller": True,
        }
        meta = {"name": "now", "namespace": "default", "ownerReferences": [owner]}
        made = {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta}
        await world.api.create(JOBS, made | {"spec": cron_job["spec"]["jobTemplate"]["spec"]})
        await world.settle()
        message = "Saw a job that the controller did not create or forgot: now"
        assert ("UnexpectedJob", message) in await world.events("tick")
        await finish(world)
        assert (await status(world))["lastSuccessfulTime"]


async def test_a_job_that_goes_missing_is_no_longer_active(world_at):
    async with world_at() as world:
        await create(world)
        await world.advance(31)
        (name,) = await jobs(world)
        await world.api.delete(JOBS, name, "default", propagation="Background")
        await world.settle()
        assert "active" not in await status(world)
        assert ("MissingJob", f"Active job went missing: {name}") in await world.events("tick")


async def test_the_jobs_go_with_their_cronjob(world_at):
    async with world_at() as world:
        await create(world)
        await world.advance(31)
        await world.api.delete(CRONJOBS, "tick", "default")
        await world.advance(5)
        assert await jobs(world) == []
        assert await world.items("pods") == []


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        (
            {"schedule": "a b c"},
            "spec.schedule",
            'Invalid value: "a b c": expected exactly 5 fields, found 3: [a b c]',
        ),
        (
            {"schedule": "TZ=UTC * * * * *"},
            "spec.schedule",
            'Invalid value: "TZ=UTC * * * * *": '
            "cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
        ),
        (
            {"timeZone": "Mars/Olympus"},
            "spec.timeZone",
            'Invalid value: "Mars/Olympus": unknown time zone Mars/Olympus',
        ),
        (
            {"concurrencyPolicy": "Never"},
            "spec.concurrencyPolicy",
            'Unsupported value: "Never": supported values: "Allow", "Forbid", "Replace"',
        ),
        (
            {"name": "x" * 53},
            "metadata.name",
            f'Invalid value: "{"x" * 53}": must be no more than 52 characters',
        ),
    ],
)
async def test_what_makes_no_sense_is_refused(make_world, spec, field, message):
    async with make_world(controllers=False, scheduler=False) as world:
        with pytest.raises(StatusError) as refused:
            await create(world, **spec)
        assert refused.value.details["causes"] == [
            {"reason": message_reason(message), "message": message, "field": field}
        ]


def message_reason(message):
    unsupported = message.startswith("Unsupported")
    return "FieldValueNotSupported" if unsupported else "FieldValueInvalid"
