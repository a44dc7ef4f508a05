"""Deleting Pods: signals, grace, hooks."""

POLITE = "trap 'echo got TERM; sleep 2; exit 0' TERM; while true; do sleep 1; done"


async def test_a_process_that_ignores_term_is_killed_after_the_grace_period(make_lab):
    async with make_lab() as lab:
        await lab.run(command=["sleep", "1000"], terminationGracePeriodSeconds=10)
        await lab.api.delete("pods", "pod", "default")
        await lab.advance(9)
        assert await lab.exists()
        assert ("Killing", "Stopping container c") in await lab.events()
        await lab.advance(2)
        assert not await lab.exists()


async def test_a_process_that_handles_term_ends_at_once(make_lab):
    async with make_lab() as lab:
        await lab.run(command=["sh", "-c", POLITE])
        await lab.api.delete("pods", "pod", "default")
        await lab.advance(5)
        assert not await lab.exists()


async def test_nginx_ends_gracefully(make_lab):
    async with make_lab() as lab:
        await lab.run(image="nginx:1.26")
        await lab.api.delete("pods", "pod", "default")
        await lab.settle()
        assert not await lab.exists()


async def test_a_forced_deletion_does_not_wait(make_lab):
    async with make_lab() as lab:
        pod = await lab.run(command=["sleep", "1000"])
        await lab.api.delete("pods", "pod", "default", grace_period=0)
        assert not await lab.exists()
        await lab.advance(3)
        again = await lab.run(command=["sleep", "1000"])
        assert again["metadata"]["uid"] != pod["metadata"]["uid"]
        assert await lab.phase() == "Running"


async def test_the_pre_stop_hook_runs_before_term(make_lab):
    async with make_lab() as lab:
        hook = {"exec": {"command": ["sh", "-c", "echo hook > /proc/1/fd/1; sleep 3"]}}
        await lab.run(command=["sh", "-c", POLITE], lifecycle={"preStop": hook})
        server = await lab.server()
        stream = server.logs("default", "pod", "c", follow=True)
        await lab.api.delete("pods", "pod", "default")
        await lab.advance(10)
        assert [chunk async for chunk in stream] == [b"hook\n", b"got TERM\n"]
        assert not await lab.exists()


async def test_a_hook_may_sleep(make_lab):
    async with make_lab() as lab:
        await lab.run(image="nginx:1.26", lifecycle={"preStop": {"sleep": {"seconds": 5}}})
        await lab.api.delete("pods", "pod", "default")
        await lab.advance(4)
        assert await lab.exists()
        await lab.advance(2)
        assert not await lab.exists()


async def test_a_failing_post_start_hook_kills_the_container(make_lab):
    async with make_lab() as lab:
        hook = {"exec": {"command": ["false"]}}
        await lab.run(
            command=["sleep", "1000"],
            lifecycle={"postStart": hook},
            terminationGracePeriodSeconds=1,
        )
        await lab.advance(5)
        assert (await lab.status())["restartCount"] > 0
        events = await lab.events()
        assert ("FailedPostStartHook", "PostStartHook failed") in events
        assert ("Killing", "FailedPostStartHook") in events


async def test_deleting_a_finished_pod_is_immediate(make_lab):
    async with make_lab() as lab:
        await lab.sh("true")
        await lab.api.delete("pods", "pod", "default")
        await lab.settle()
        assert not await lab.exists()


async def test_deleting_a_pod_that_never_started(make_lab):
    async with make_lab() as lab:
        await lab.run(volumes=[{"name": "v", "configMap": {"name": "nope"}}])
        await lab.api.delete("pods", "pod", "default")
        await lab.settle()
        assert not await lab.exists()


async def test_a_failed_post_start_hook_ends_nginx_gracefully(make_lab):
    async with make_lab() as lab:
        hook = {"postStart": {"httpGet": {"port": 9090, "path": "/"}}}
        await lab.run(image="nginx:1.27", lifecycle=hook)
        await lab.advance(2)
        status = await lab.status()
        assert status["restartCount"] == 1
        assert status["lastState"]["terminated"]["exitCode"] == 0
        said = next(text for reason, text in await lab.events() if reason == "FailedPostStartHook")
        assert said == "PostStartHook failed"
