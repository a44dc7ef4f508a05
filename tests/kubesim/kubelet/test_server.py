"""Logs and commands, as the API server asks for them."""

import pytest

from kubesim.apiserver.errors import StatusError
from kubesim.kubelet.server import ForwardError, RefusedError

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
        with pytest.raises(RefusedError, match='container not found \\("c"\\)'):
            await lab.exec("ls")


async def test_a_dead_node_answers_nothing(make_lab):
    async with make_lab() as lab:
        pod = await lab.run(command=["sleep", "1000"])
        await lab.cluster.stop_node(pod["spec"]["nodeName"])
        with pytest.raises(StatusError, match="no route to host"):
            await lab.log()


async def read(session, size):
    """What a session writes, up to `size` bytes of it."""
    output = b""
    async for chunk in session.stdout:
        output += chunk
        if len(output) >= size:
            break
    return output.decode()


async def test_who_attaches_sees_what_is_written_from_then_on(make_lab):
    async with make_lab() as lab:
        await lab.run(command=["sh", "-c", "echo early; sleep 5; echo late; echo oops >&2"])
        session = (await lab.server()).attach("default", "pod", "c", stdin=False)
        await lab.advance(6)
        assert b"".join([chunk async for chunk in session.stdout]) == b"late\n"
        assert b"".join([chunk async for chunk in session.stderr]) == b"oops\n"
        assert await session.wait() == 0
        assert await lab.log(previous=True) == "early\nlate\noops\n"


@pytest.mark.parametrize(("once", "phase"), [(True, "Succeeded"), (False, "Running")])
async def test_the_input_of_a_stdin_once_container_ends_with_its_first_client(
    make_lab, once, phase
):
    async with make_lab() as lab:
        container = {"name": "c", "image": "busybox:1.36", "command": ["cat"]}
        container |= {"stdin": True, "stdinOnce": once}
        await lab.run(containers=[container], restartPolicy="Never")
        session = (await lab.server()).attach("default", "pod", "c", stdin=True)
        await session.write_stdin(b"hello\n")
        assert await read(session, 6) == "hello\n"
        await session.close_stdin()
        await lab.settle()
        assert await lab.phase() == phase


async def test_a_client_that_goes_away_leaves_the_container_running(make_lab):
    async with make_lab() as lab:
        container = {"name": "c", "image": "busybox:1.36", "command": ["cat"], "stdin": True}
        await lab.run(containers=[container])
        first = (await lab.server()).attach("default", "pod", "c", stdin=True)
        first.hang_up()
        second = (await lab.server()).attach("default", "pod", "c", stdin=True)
        await second.write_stdin(b"again\n")
        assert await read(second, 6) == "again\n"
        assert await lab.log() == "again\n"


async def test_a_shell_on_a_terminal_shows_its_prompt_to_who_attaches(make_lab):
    async with make_lab() as lab:
        container = {"name": "c", "image": "busybox:1.36", "command": ["sh"]}
        container |= {"stdin": True, "stdinOnce": True, "tty": True}
        await lab.run(containers=[container], restartPolicy="Never")
        session = (await lab.server()).attach("default", "pod", "c", stdin=True)
        await session.resize(100, 30)
        for typed in (b"ec\x03", b"echo hi\r", b"exit 3\r"):
            await session.write_stdin(typed)
            await lab.settle()
        output = b"".join([chunk async for chunk in session.stdout]).decode()
        assert output == "\r/ # \x1b[Jec^C\r\n/ # echo hi\r\nhi\r\n/ # exit 3\r\n"
        assert (await lab.status())["state"]["terminated"]["exitCode"] == 3


async def test_nobody_attaches_to_a_container_that_does_not_run(make_lab):
    async with make_lab() as lab:
        await lab.sh("true")
        with pytest.raises(RefusedError, match="container c not found in pod pod_default"):
            (await lab.server()).attach("default", "pod", "c", stdin=False)


async def test_ports_of_a_pod_are_reached_from_inside(make_lab):
    async with make_lab() as lab:
        await lab.run(image="nginx:1.27")
        connect = (await lab.server()).forwarder("default", "pod")
        connection = await connect(80)
        await connection.write(b"GET / HTTP/1.0\r\n\r\n")
        assert (await connection.read_line()) == b"HTTP/1.1 200 OK\r\n"
        refused = r"dial tcp4 127.0.0.1:81: connect: connection refused"
        with pytest.raises(ForwardError, match=refused):
            await connect(81)
        await lab.sh("true", "done")
        with pytest.raises(RefusedError, match=r'pod not found \("done_default"\)'):
            (await lab.server("done")).forwarder("default", "done")


async def test_a_command_that_leaves_a_daemon_behind_ends(make_lab):
    async with make_lab() as lab:
        await lab.run(command=["sleep", "1000"])
        assert await lab.exec("httpd", "-p", "8080", "-h", "/etc") == ("", 0)
        connect = (await lab.server()).forwarder("default", "pod")
        (await connect(8080)).close()
