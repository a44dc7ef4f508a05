"""Ephemeral containers, which `kubectl debug` adds to a Pod that runs."""

import pytest

from kubesim.apiserver.errors import StatusError


async def debug(lab, *containers):
    """Add ephemeral containers as kubectl does, by a strategic merge patch."""
    patch = {"spec": {"ephemeralContainers": [{"image": "busybox:1.36"} | c for c in containers]}}
    await lab.api.patch("pods", "pod", patch, "default", subresource="ephemeralcontainers")
    await lab.settle()


async def test_an_ephemeral_container_runs_once_beside_the_others(make_lab):
    async with make_lab() as lab:
        await lab.run(command=["sleep", "1000"])
        await debug(lab, {"name": "debug", "command": ["sh", "-c", "hostname; sleep 5; exit 3"]})
        statuses = (await lab.pod())["status"]["ephemeralContainerStatuses"]
        assert [(each["name"], next(iter(each["state"]))) for each in statuses] == [
            ("debug", "running")
        ]
        assert await lab.log(container="debug") == "pod\n"
        await lab.advance(60)
        status = (await lab.pod())["status"]["ephemeralContainerStatuses"][0]
        assert (status["state"]["terminated"]["exitCode"], status["restartCount"]) == (3, 0)
        assert await lab.phase() == "Running"


async def test_it_sees_the_processes_of_its_target(make_lab):
    async with make_lab() as lab:
        await lab.run(command=["sleep", "1000"])
        await debug(lab, {"name": "a", "command": ["ps"], "targetContainerName": "c"})
        await debug(lab, {"name": "b", "command": ["ps"]})
        assert "    1 root      0:00 sleep 1000" in await lab.log(container="a")
        assert "sleep 1000" not in await lab.log(container="b")


async def test_its_pod_can_still_be_labelled(make_lab):
    async with make_lab() as lab:
        await lab.run(command=["sleep", "1000"])
        await debug(lab, {"name": "debug", "command": ["true"]})
        await lab.api.patch("pods", "pod", {"metadata": {"labels": {"tier": "front"}}}, "default")
        assert (await lab.pod())["metadata"]["labels"]["tier"] == "front"


async def test_it_is_told_in_events(make_lab):
    async with make_lab() as lab:
        await lab.run(command=["sleep", "1000"])
        await debug(lab, {"name": "debug", "command": ["true"]})
        events = (await lab.api.list("events", "default"))["items"]
        await lab.settle()
        events = (await lab.api.list("events", "default"))["items"]
        paths = {each["involvedObject"].get("fieldPath") for each in events}
        assert "spec.ephemeralContainers{debug}" in paths


async def test_its_end_is_that_of_its_pod(make_lab):
    async with make_lab() as lab:
        await lab.run(command=["sleep", "1000"], terminationGracePeriodSeconds=1)
        await debug(lab, {"name": "debug", "command": ["sleep", "1000"]})
        await lab.api.delete("pods", "pod", "default")
        await lab.advance(5)
        assert not await lab.exists()


@pytest.mark.parametrize(
    ("container", "why"),
    [
        ({"name": "c"}, 'spec.ephemeralContainers[0].name: Duplicate value: "c"'),
        (
            {"name": "d", "targetContainerName": "x"},
            'spec.ephemeralContainers[0].targetContainerName: Not found: "x"',
        ),
        (
            {"name": "d", "ports": [{"containerPort": 80}]},
            "spec.ephemeralContainers[0].ports: Forbidden: "
            "cannot be set for an Ephemeral Container",
        ),
        ({"name": "d", "image": ""}, "spec.ephemeralContainers[0].image: Required value"),
    ],
)
async def test_what_is_refused(make_lab, container, why):
    async with make_lab() as lab:
        await lab.run(command=["sleep", "1000"])
        with pytest.raises(StatusError) as refused:
            await debug(lab, container)
        assert why in str(refused.value)


async def test_it_stays_as_it_is(make_lab):
    async with make_lab() as lab:
        await lab.run(command=["sleep", "1000"])
        await debug(lab, {"name": "debug", "command": ["true"]})
        with pytest.raises(StatusError, match=r'existing ephemeral containers "debug" may not be'):
            await debug(lab, {"name": "debug", "command": ["false"]})
        with pytest.raises(StatusError, match=r"spec.ephemeralContainers: Forbidden: cannot be"):
            container = {"name": "e", "image": "busybox:1.36"}
            await lab.run("other", command=["true"], ephemeralContainers=[container])
