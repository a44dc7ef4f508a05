"""Logs and commands, as the API server asks for them."""

import pytest

from kubesim.apiserver.errors import StatusError

COUNT = "for i in 1 2 3; do echo line $i; sleep 10; done; echo oops >&2; sleep 1000"


async def test_logs_whole_and_in_part(make_lab):
    async with make_lab() as lab:
        await lab.run(command=["sh", "-c", COUNT])
        await lab.advance(35)
        assert await lab.log() == "line 1\nline 2\nline 3\noops\n"
        assert await lab.log(tail_lines=2) == "line 3\noops\n"
        assert await lab.log(tail_lines=0) == ""
        assert await lab.log(since_seconds=20) == "line 3\noops\n"
        assert await lab.log(limit_bytes=9) == "line 1\nli"
        stamped = await lab.log(timestamps=True, tail_lines=1)
        assert stamped.endswith("Z oops\n")
        assert len(stamped) == len("2026-11-23T08:22:21.831500489Z oops\n")


async def test_logs_are_followed_to_the_end(make_lab):
    async with make_lab() as lab:
        await lab.run(command=["sh", "-c", "echo a; sleep 5; echo b"], restartPolicy="Never")
        stream = (await lab.server()).logs("default", "pod", "c", follow=True, tail_lines=1)
        assert await anext(stream) == b"a\n"
        await lab.advance(6)
        assert [chunk async for chunk in stream] == [b"b\n"]


async def test_the_log_of_the_previous_run(make_lab):
    async with make_lab() as lab:
        script = "n=$(cat /v/n)x; echo $n; echo $n > /v/n; [ $n = xx ] && sleep 1000"
        await lab.run(
            command=["sh", "-c", script],
            volumes=[{"name": "v", "emptyDir": {}}],
            volumeMounts=[{"name": "v", "mountPath": "/v"}],
        )
        assert (await lab.log()).endswith("xx\n")
        assert (await lab.log(previous=True)).endswith("x\n")
        with pytest.raises(StatusError, match='previous terminated container "c" in pod "first"'):
            await lab.run("first", command=["sleep", "1000"])
            await lab.log("first", previous=True)


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"image": "nginx:nope"}, "trying and failing to pull image"),
        ({"volumes": [{"name": "v", "configMap": {"name": "nope"}}]}, "ContainerCreating"),
    ],
)
async def test_there_is_no_log_before_the_start(make_lab, spec, why):
    async with make_lab() as lab:
        await lab.run(**spec)
        with pytest.raises(StatusError) as failure:
            await lab.log()
        message = f'container "c" in pod "pod" is waiting to start: {why}'
        assert (failure.value.code, str(failure.value)) == (400, message)


async def test_commands_and_their_exit_codes(make_lab):
    async with make_lab() as lab:
        await lab.run(command=["sleep", "1000"])
        assert await lab.exec("echo", "hi") == ("hi\n", 0)
        assert await lab.exec("sh", "-c", "exit 42") == ("", 42)
        assert (await lab.exec("ps"))[0].startswith("PID   USER     TIME  COMMAND\n    1 root")
        with pytest.raises(StatusError) as failure:
            await lab.exec("nosuch")
        assert 'exec: "nosuch": executable file not found in $PATH' in str(failure.value)


async def test_no_commands_in_a_container_that_does_not_run(make_lab):
    async with make_lab() as lab:
        await lab.sh("true")
        with pytest.raises(StatusError, match='container not found \\("c"\\)'):
            await lab.exec("ls")


async def test_a_dead_node_answers_nothing(make_lab):
    async with make_lab() as lab:
        pod = await lab.run(command=["sleep", "1000"])
        await lab.cluster.stop_node(pod["spec"]["nodeName"])
        with pytest.raises(StatusError, match="no route to host"):
            await lab.log()
