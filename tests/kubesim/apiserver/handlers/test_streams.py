"""Logs and exec, with a kubelet that says what it was asked."""

import asyncio
import json
from datetime import UTC, datetime

import pytest

from kubesim.apiserver import errors
from kubesim.apiserver.errors import StatusError
from kubesim.apiserver.handlers import streams
from kubesim.apiserver.request import Request, RequestInfo


class FakeKubelet:
    def __init__(self, session=None):
        self.asked = None
        self.session = session

    async def logs(self, *pod, **options):
        self.asked = (*pod, options)
        yield b"one\n"

    async def exec(self, *command, **options):
        self.asked = (*command, options)
        return self.session


class Session:
    """A command that echoes its input in capitals until that ends, then exits with 3."""

    def __init__(self):
        self.output = asyncio.Queue()
        self.killed = False

    async def write_stdin(self, data):
        self.output.put_nowait(data.upper())

    async def close_stdin(self):
        self.output.put_nowait(None)

    @property
    async def stdout(self):
        while (data := await self.output.get()) is not None:
            yield data

    @property
    async def stderr(self):
        yield b"warning\n"

    async def wait(self):
        return 3

    def kill(self):
        self.killed = True


class Client:
    """The client's end of a WebSocket."""

    def __init__(self):
        self.to_server = asyncio.Queue()
        self.from_server = []

    async def send(self, message):
        self.from_server.append(message)

    async def receive(self):
        return await self.to_server.get()

    def output(self, channel):
        return b"".join(m[1:] for m in self.from_server if m[0] == channel)


def pod(*containers, init=(), node="n1"):
    spec = {"containers": [{"name": name} for name in containers or ("app",)]}
    if init:
        spec["initContainers"] = [{"name": name} for name in init]
    if node:
        spec["nodeName"] = node
    return {"metadata": {"name": "web", "namespace": "default"}, "spec": spec, "status": {}}


def log(about, kubelet=None, **query):
    info = RequestInfo("get", "", resource="pods", subresource="log", name="web")
    request = Request("GET", "/log", {key: [value] for key, value in query.items()})
    return streams.connect(info, request, about, {"n1": kubelet or FakeKubelet()})


async def test_the_kubelet_gets_the_options_of_a_log_request():
    kubelet = FakeKubelet()
    response = await log(
        pod("a", "b"),
        kubelet,
        container="b",
        follow="true",
        tailLines="5",
        sinceTime="2026-11-23T12:00:00Z",
        limitBytes="100",
        timestamps="1",
    )
    assert response.headers["content-type"] == "text/plain"
    assert [chunk async for chunk in response.body] == [b"one\n"]
    assert kubelet.asked == (
        "default",
        "web",
        "b",
        {
            "follow": True,
            "previous": False,
            "timestamps": True,
            "tail_lines": 5,
            "limit_bytes": 100,
            "since_seconds": None,
            "since_time": datetime(2026, 11, 23, 12, tzinfo=UTC),
        },
    )


@pytest.mark.parametrize(
    ("about", "query", "code", "message"),
    [
        (
            pod("a", "b", init=["i"]),
            {},
            400,
            "a container name must be specified for pod web, choose one of: [a b] "
            "or one of the init containers: [i]",
        ),
        (pod(), {"container": "z"}, 400, "container z is not valid for pod web"),
        (
            pod(),
            {"tailLines": "-1"},
            422,
            'PodLogOptions "" is invalid: tailLines: Invalid value: -1: '
            "must be greater than or equal to 0",
        ),
        (
            pod(),
            {"sinceSeconds": "0"},
            422,
            'PodLogOptions "" is invalid: sinceSeconds: Invalid value: 0: must be greater than 0',
        ),
        (pod(), {"tailLines": "x"}, 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        (
            pod(node="gone"),
            {},
            500,
            'Get "https://gone:10250/containerLogs/default/web/app": '
            "dial tcp gone:10250: connect: connection refused",
        ),
    ],
)
async def test_what_a_log_request_can_get_wrong(about, query, code, message):
    with pytest.raises(StatusError) as refused:
        await log(about, **query)
    assert (refused.value.code, refused.value.message) == (code, message)


async def test_a_pod_without_a_node_has_an_empty_log():
    assert (await log(pod(node=None))).body == b""


def start(about, kubelet, *command, offered="v5.channel.k8s.io", **query):
    info = RequestInfo("get", "", resource="pods", subresource="exec", name="web")
    fields = {"command": list(command), **{key: [value] for key, value in query.items()}}
    headers = {"upgrade": "websocket", "sec-websocket-protocol": offered}
    request = Request("GET", "/exec", fields, headers if offered else {})
    return streams.connect(info, request, about, {"n1": kubelet})


async def test_exec_carries_input_output_and_the_exit_code():
    session, client = Session(), Client()
    kubelet = FakeKubelet(session)
    response = await start(pod(), kubelet, "sh", "-c", "x", stdin="true", stdout="true")
    assert response.body.protocol == "v5.channel.k8s.io"
    client.to_server.put_nowait(b"\x00hello")
    client.to_server.put_nowait(b"\xff\x00")
    await response.body.serve(client)
    assert kubelet.asked == (
        "default",
        "web",
        "app",
        ["sh", "-c", "x"],
        {"stdin": True, "tty": False},
    )
    assert client.output(streams.STDOUT) == b"HELLO"
    assert client.output(streams.STDERR) == b"warning\n"
    status = json.loads(client.output(streams.ERROR))
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]
    assert status["reason"] == "NonZeroExitCode"
    assert client.from_server[-1][0] == streams.ERROR
    assert not session.killed


async def test_a_command_ends_with_its_client():
    session, client = Session(), Client()
    response = await start(pod(), FakeKubelet(session), "cat", stdin="true")
    client.to_server.put_nowait(None)
    await response.body.serve(client)
    assert session.killed


async def test_a_command_whose_input_ends_goes_on():
    session, client = Session(), Client()
    response = await start(pod(), FakeKubelet(session), "cat", stdin="false")
    client.to_server.put_nowait(b"\x00not wanted")
    session.output.put_nowait(b"done")
    session.output.put_nowait(None)
    await response.body.serve(client)
    assert client.output(streams.STDOUT) == b"done"


async def test_a_command_that_cannot_start_is_told_on_the_error_channel():
    class Refusing(FakeKubelet):
        async def exec(self, *command, **options):
            raise errors.internal("no such program")

    client = Client()
    response = await start(pod(), Refusing(), "nope")
    await response.body.serve(client)
    status = json.loads(client.output(streams.ERROR))
    assert (status["reason"], status["message"]) == (
        "InternalError",
        "Internal error occurred: no such program",
    )


@pytest.mark.parametrize(
    ("about", "command", "offered", "words"),
    [
        (pod(), ["ls"], None, "speaks WebSocket, not SPDY"),
        (pod(), ["ls"], "v9.channel.k8s.io", "v5.channel.k8s.io, v4.channel.k8s.io"),
        (pod(), [], "v5.channel.k8s.io", "at least one command"),
        (pod(node=None), ["ls"], "v5.channel.k8s.io", "pod web does not have a host assigned"),
        (pod("a", "b"), ["ls"], "v5.channel.k8s.io", "choose one of: [a b]"),
    ],
)
async def test_what_an_exec_request_can_get_wrong(about, command, offered, words):
    with pytest.raises(StatusError) as refused:
        await start(about, FakeKubelet(), *command, offered=offered)
    assert refused.value.code == 400
    assert words in refused.value.message


async def test_older_clients_get_the_older_protocol():
    offered = "v4.channel.k8s.io, v3.channel.k8s.io"
    response = await start(pod(), FakeKubelet(Session()), "ls", offered=offered)
    assert response.body.protocol == "v4.channel.k8s.io"


@pytest.mark.parametrize("subresource", ["attach", "portforward"])
async def test_what_is_not_simulated_says_so_and_names_the_kind_engine(subresource):
    info = RequestInfo("get", "", resource="pods", subresource=subresource)
    with pytest.raises(StatusError, match=r"not simulated.*kind engine"):
        await streams.connect(info, Request("GET", "/"), pod(), {})
