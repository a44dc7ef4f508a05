"""Logs, exec, attach and port-forward, with a kubelet that says what it was asked."""

import asyncio
import json
import struct
import zlib
from datetime import UTC, datetime

import pytest

from kubesim.apiserver import errors
from kubesim.apiserver.errors import StatusError
from kubesim.apiserver.handlers import spdy, streams
from kubesim.apiserver.handlers.remotecommand import ERROR, RESIZE, STDERR, STDOUT
from kubesim.apiserver.request import Request, RequestInfo
from kubesim.kubelet.server import ForwardError, RefusedError


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

    def attach(self, *container, **options):
        self.asked = (*container, options)
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

    def hang_up(self):
        self.killed = True

    async def resize(self, columns, rows):
        self.output.put_nowait(b"%dx%d" % (columns, rows))


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
    query = {"stdout": "true", "stderr": "true"} | query
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
    assert client.output(STDOUT) == b"HELLO"
    assert client.output(STDERR) == b"warning\n"
    status = json.loads(client.output(ERROR))
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]
    assert status["reason"] == "NonZeroExitCode"
    assert client.from_server[-1][0] == ERROR
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
    assert client.output(STDOUT) == b"done"


async def test_a_command_that_cannot_start_is_told_on_the_error_channel():
    class Refusing(FakeKubelet):
        async def exec(self, *command, **options):
            raise errors.internal("no such program")

    client = Client()
    response = await start(pod(), Refusing(), "nope")
    await response.body.serve(client)
    status = json.loads(client.output(ERROR))
    assert (status["reason"], status["message"]) == (
        "InternalError",
        "Internal error occurred: no such program",
    )


@pytest.mark.parametrize(
    ("about", "command", "offered", "words"),
    [
        (pod(), ["ls"], None, "Upgrade request required"),
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


async def test_a_client_without_a_common_protocol_is_refused():
    with pytest.raises(StatusError, match=r"server accepts .*v5.channel.k8s.io") as refused:
        await start(pod(), FakeKubelet(), "ls", offered="v9.channel.k8s.io")
    assert refused.value.code == 403


@pytest.mark.parametrize(
    ("offered", "code"), [("v5.channel.k8s.io", 101), ("v4.channel.k8s.io", 500)]
)
async def test_a_container_that_does_not_run_is_told_as_the_protocol_can(offered, code):
    class Refusing(FakeKubelet):
        async def exec(self, *command, **options):
            raise RefusedError('container not found ("app")')

    client = Client()
    response = await start(pod(), Refusing(), "ls", offered=offered)
    assert response.status == code
    if code == 500:
        assert response.body == b'container not found ("app")'
        return
    await response.body.serve(client)
    message = 'Internal error occurred: unable to upgrade connection: container not found ("app")'
    assert json.loads(client.output(ERROR))["message"] == message


async def test_some_stream_must_be_asked_for():
    with pytest.raises(StatusError, match="at least 1 of stdin, stdout, stderr"):
        await start(pod(), FakeKubelet(), "ls", stdout="false", stderr="false")


async def test_a_terminal_has_a_size_and_one_output():
    session, client = Session(), Client()
    response = await start(pod(), FakeKubelet(session), "sh", stdin="true", tty="true")
    client.to_server.put_nowait(bytes([RESIZE]) + b"no size")
    client.to_server.put_nowait(bytes([RESIZE]) + b'{"Width": 100, "Height": 30}')
    client.to_server.put_nowait(b"\xff\x00")
    await response.body.serve(client)
    assert client.output(STDOUT) == b"100x30"
    assert client.output(STDERR) == b""


async def test_attach_joins_the_container():
    session, client = Session(), Client()
    kubelet = FakeKubelet(session)
    info = RequestInfo("create", "", resource="pods", subresource="attach", name="web")
    headers = {"upgrade": "websocket", "sec-websocket-protocol": "v5.channel.k8s.io"}
    query = {"stdin": ["true"], "stdout": ["true"]}
    request = Request("POST", "/attach", query, headers)
    response = await streams.connect(info, request, pod(), {"n1": kubelet})
    client.to_server.put_nowait(b"\x00hello")
    client.to_server.put_nowait(b"\xff\x00")
    await response.body.serve(client)
    assert kubelet.asked == ("default", "web", "app", {"stdin": True})
    assert client.output(STDOUT) == b"HELLO"


class SPDYClient:
    """The client's side of a SPDY connection, and what it received, by stream."""

    def __init__(self):
        self.blocks = spdy.HeaderBlocks()
        self.to_server = asyncio.Queue()
        self.received = {}
        self.ended = set()
        self.controls = []

    def open(self, number, **headers):
        body = struct.pack("!IIH", number, 0, 0) + self.blocks.pack(headers)
        self.control(spdy.SYN_STREAM, body)

    def control(self, kind, body):
        self.to_server.put_nowait(struct.pack("!HHI", 0x8003, kind, len(body)) + body)

    def write(self, number, data, flags=0):
        self.to_server.put_nowait(struct.pack("!II", number, flags << 24 | len(data)) + data)

    async def send(self, frame):
        first, second = struct.unpack_from("!II", frame)
        if first >> 31:
            self.controls.append((first & 0xFFFF, frame[8:]))
            return
        self.received[first] = self.received.get(first, b"") + frame[8:]
        if second >> 24 & spdy.FIN:
            self.ended.add(first)

    async def receive(self):
        return await self.to_server.get()


def over_spdy(subresource, kubelet, protocol, **query):
    info = RequestInfo("create", "", resource="pods", subresource=subresource, name="web")
    headers = {"upgrade": "SPDY/3.1", "x-stream-protocol-version": protocol}
    request = Request("POST", "/", {key: [value] for key, value in query.items()}, headers)
    return streams.connect(info, request, pod(), {"n1": kubelet})


async def test_exec_over_spdy_has_a_stream_for_each_channel():
    session, client = Session(), SPDYClient()
    query = {"command": "x", "stdin": "1", "stdout": "1", "stderr": "1"}
    response = await over_spdy("exec", FakeKubelet(session), "v4.channel.k8s.io", **query)
    assert (response.body.over, response.body.protocol) == ("SPDY/3.1", "v4.channel.k8s.io")
    for number, name in enumerate(("error", "stdin", "stdout", "stderr")):
        client.open(2 * number + 1, streamType=name)
    client.write(3, b"hel")
    client.write(3, b"lo", spdy.FIN)
    await response.body.serve(client)
    assert client.received[5] == b"HELLO"
    assert client.received[7] == b"warning\n"
    assert json.loads(client.received[1])["reason"] == "NonZeroExitCode"
    assert client.ended == {1, 3, 5, 7}


async def test_a_spdy_client_may_leave_before_it_has_opened_its_streams():
    client = SPDYClient()
    query = {"command": "x", "stdout": "1"}
    response = await over_spdy("exec", FakeKubelet(Session()), "v4.channel.k8s.io", **query)
    client.open(1, streamType="error")
    client.to_server.put_nowait(None)
    await response.body.serve(client)
    assert client.received == {}


class Echo:
    """A connection that says in capitals what it is told."""

    def __init__(self):
        self.said = asyncio.Queue()
        self.closed = False

    async def read(self):
        return await self.said.get()

    async def write(self, data):
        self.said.put_nowait(data.upper())

    def close_writing(self):
        self.said.put_nowait(b"")

    def close(self):
        self.closed = True


class Forwarding(FakeKubelet):
    """A kubelet of a Pod that listens on port 80 only."""

    def forwarder(self, namespace, pod):
        async def connect(port):
            if port != 80:
                raise ForwardError(f"error forwarding port {port}")
            return Echo()

        return connect


async def test_each_forwarded_connection_is_a_pair_of_spdy_streams():
    client = SPDYClient()
    response = await over_spdy("portforward", Forwarding(), "portforward.k8s.io")
    for request, (port, number) in enumerate({80: 1, 81: 5}.items()):
        client.open(number, streamType="error", port=str(port), requestID=str(request))
        client.open(number + 2, streamType="data", port=str(port), requestID=str(request))
    client.write(3, b"hello", spdy.FIN)
    client.control(spdy.PING, b"\0\0\0\1")
    serving = asyncio.create_task(response.body.serve(client))
    while client.ended != {1, 3, 5, 7}:
        await asyncio.sleep(0)
    client.to_server.put_nowait(None)
    await serving
    assert client.received[3] == b"HELLO"
    assert client.received[5] == b"error forwarding port 81"
    assert (spdy.PING, b"\0\0\0\1") in client.controls


async def test_a_websocket_carries_one_connection_for_each_port():
    client = Client()
    info = RequestInfo("get", "", resource="pods", subresource="portforward", name="web")
    headers = {"upgrade": "websocket", "sec-websocket-protocol": "v4.channel.k8s.io"}
    request = Request("GET", "/", {"ports": ["80,81"]}, headers)
    response = await streams.connect(info, request, pod(), {"n1": Forwarding()})
    serving = asyncio.create_task(response.body.serve(client))
    client.to_server.put_nowait(b"\0hello")
    while b"\0HELLO" not in client.from_server:
        await asyncio.sleep(0)
    client.to_server.put_nowait(None)
    await serving
    ports = [b"\0\x50\0", b"\1\x50\0", b"\2\x51\0", b"\3\x51\0"]
    assert client.from_server[:4] == ports
    assert b"\3error forwarding port 81" in client.from_server


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({}, 'query parameter "port" is required'),
        ({"ports": ["http"]}, 'query parameter "port" cannot be "http"'),
        ({"ports": ["70000"]}, 'query parameter "port" cannot be "70000"'),
    ],
)
async def test_what_a_websocket_port_forward_can_get_wrong(query, words):
    info = RequestInfo("get", "", resource="pods", subresource="portforward", name="web")
    request = Request("GET", "/", query, {"upgrade": "websocket"})
    with pytest.raises(StatusError) as refused:
        await streams.connect(info, request, pod(), {"n1": Forwarding()})
    assert (refused.value.code, refused.value.message) == (400, words)


@pytest.mark.parametrize(
    "frame",
    [
        struct.pack("!HHI", 0x8002, spdy.PING, 0),
        struct.pack("!HHI", 0x8003, 77, 0),
        struct.pack("!HHI", 0x8003, spdy.SYN_STREAM, 2) + b"\0\0",
        struct.pack("!HHI", 0x8003, spdy.SYN_STREAM, 14) + b"\0\0\0\1" + b"x" * 10,
        struct.pack("!II", 1, 0xFFFFFF),
    ],
)
async def test_what_is_no_spdy_ends_the_connection(frame):
    client = SPDYClient()
    connection = spdy.Connection(client)
    client.to_server.put_nowait(frame)
    with pytest.raises(spdy.ProtocolError):
        await connection.run()
    assert await connection.accept() is None


def test_the_dictionary_is_the_published_one():
    # The Adler-32 that every SPDY/3 header block begins with.
    assert zlib.adler32(spdy.DICTIONARY) == 0xE3C6A7C2
