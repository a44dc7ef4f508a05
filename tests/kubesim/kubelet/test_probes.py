"""Startup, readiness and liveness probes."""

import pytest

CAT = {"exec": {"command": ["cat", "/tmp/ok"]}}


async def test_readiness_follows_its_probe(make_lab):
    async with make_lab() as lab:
        probe = CAT | {"periodSeconds": 5, "failureThreshold": 2}
        await lab.run(command=["sleep", "1000"], readinessProbe=probe)
        assert not (await lab.status())["ready"]
        message = (await lab.condition("Ready"))["message"]
        assert message == "containers with unready status: [c]"
        missing = "Readiness probe failed: cat: can't open '/tmp/ok': No such file or directory\n"
        assert ("Unhealthy", missing) in await lab.events()
        await lab.exec("touch", "/tmp/ok")
        await lab.advance(6)
        assert (await lab.status())["ready"]
        await lab.exec("rm", "/tmp/ok")
        await lab.advance(6)
        assert (await lab.status())["ready"], "one failure is less than the threshold"
        await lab.advance(6)
        assert not (await lab.status())["ready"]
        assert (await lab.status())["restartCount"] == 0


async def test_a_container_that_is_not_alive_is_restarted(make_lab):
    async with make_lab() as lab:
        probe = CAT | {"periodSeconds": 2, "failureThreshold": 3}
        await lab.run(
            command=["sh", "-c", "touch /tmp/ok; sleep 1000"],
            livenessProbe=probe,
            terminationGracePeriodSeconds=1,
        )
        await lab.exec("rm", "/tmp/ok")
        await lab.advance(4)
        assert (await lab.status())["restartCount"] == 0
        await lab.advance(8)
        status = await lab.status()
        assert status["restartCount"] == 1
        assert status["lastState"]["terminated"]["exitCode"] == 137
        killing = "Container c failed liveness probe, will be restarted"
        assert ("Killing", killing) in await lab.events()


async def test_other_probes_wait_for_the_startup_probe(make_lab):
    async with make_lab() as lab:
        await lab.run(
            command=["sh", "-c", "sleep 20; touch /tmp/ok; sleep 1000"],
            startupProbe=CAT | {"periodSeconds": 5, "failureThreshold": 10},
            livenessProbe=CAT | {"periodSeconds": 1, "failureThreshold": 1},
        )
        await lab.advance(18)
        status = await lab.status()
        assert (status["started"], status["ready"], status["restartCount"]) == (False, False, 0)
        await lab.advance(10)
        status = await lab.status()
        assert (status["started"], status["ready"], status["restartCount"]) == (True, True, 0)


async def test_a_container_that_never_starts_up_is_restarted(make_lab):
    async with make_lab() as lab:
        await lab.run(
            command=["sleep", "1000"],
            startupProbe=CAT | {"periodSeconds": 1, "failureThreshold": 3},
            terminationGracePeriodSeconds=1,
        )
        await lab.advance(6)
        assert (await lab.status())["restartCount"] == 1
        killing = "Container c failed startup probe, will be restarted"
        assert ("Killing", killing) in await lab.events()


@pytest.mark.parametrize(
    ("probe", "message"),
    [
        ({"httpGet": {"path": "/nope", "port": 80}}, "HTTP probe failed with statuscode: 404"),
        (
            {"httpGet": {"path": "/x", "port": 81}},
            'Get "http://IP:81/x": dial tcp IP:81: connect: connection refused',
        ),
        ({"tcpSocket": {"port": 81}}, "dial tcp IP:81: connect: connection refused"),
        (
            {"exec": {"command": ["sleep", "10"]}},
            'command timed out: "sleep 10" timed out after 1s',
        ),
        (
            {"grpc": {"port": 80}},
            'timeout: failed to connect service "IP:80" within 1s: context deadline exceeded',
        ),
    ],
)
async def test_what_failing_probes_say(make_lab, probe, message):
    async with make_lab() as lab:
        pod = await lab.run(image="nginx:1.26", readinessProbe=probe)
        await lab.advance(12)
        assert not (await lab.status())["ready"]
        said = [text for reason, text in await lab.events() if reason == "Unhealthy"]
        assert "Readiness probe failed: " + message.replace("IP", pod["status"]["podIP"]) in said[0]


@pytest.mark.parametrize(
    "probe",
    [
        {"httpGet": {"path": "/", "port": 80}},
        {"httpGet": {"path": "/", "port": "web"}},
        {"tcpSocket": {"port": 80}},
        {"exec": {"command": ["true"]}},
    ],
)
async def test_what_succeeds(make_lab, probe):
    async with make_lab() as lab:
        ports = [{"name": "web", "containerPort": 80}]
        await lab.run(image="nginx:1.26", readinessProbe=probe, ports=ports)
        await lab.advance(11)
        assert (await lab.status())["ready"]


async def test_delays_are_waited_for(make_lab):
    async with make_lab() as lab:
        probe = {"exec": {"command": ["true"]}, "initialDelaySeconds": 30, "successThreshold": 2}
        await lab.run(command=["sleep", "1000"], readinessProbe=probe | {"periodSeconds": 5})
        await lab.advance(33)
        assert not (await lab.status())["ready"]
        await lab.advance(5)
        assert (await lab.status())["ready"]


async def test_the_first_restarts_of_a_container_that_is_not_alive_are_immediate(make_lab):
    async with make_lab() as lab:
        probe = {"exec": {"command": ["false"]}, "initialDelaySeconds": 5, "failureThreshold": 1}
        await lab.run(
            command=["sleep", "1000"],
            livenessProbe=probe | {"periodSeconds": 5},
            terminationGracePeriodSeconds=1,
        )
        counts = []
        for _ in range(4):
            await lab.advance(8)
            status = await lab.status()
            counts.append((status["restartCount"], next(iter(status["state"]))))
        # Only a run that had ended before the decision counts for the back-off.
        assert counts == [(1, "running"), (2, "running"), (2, "waiting"), (3, "running")]
