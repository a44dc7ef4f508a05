"""The HTTPS adapter, spoken to over real sockets."""

import asyncio
import json
import ssl

import aiohttp
import pytest

from kubesim.apiserver.request import Response, Upgrade
from kubesim.http import HTTPServer, PortTakenError, server_tls
from kubesim.kubeadm.pki import PKI


class Site:
    """A server with a CA of its own; `answer` is what it answers, `seen` what it was asked."""

    def __init__(self, directory):
        self.pki = PKI(directory / "pki", "10.96.0.1")
        self.directory = directory
        self.seen = []
        self.answer = Response(200, {"content-type": "application/json"}, b"{}\n")
        paths = (self.pki.path(name) for name in ("apiserver.crt", "apiserver.key", "ca.crt"))
        self.server = HTTPServer(self.handle, server_tls(*paths))

    async def handle(self, request):
        self.seen.append(request)
        return self.answer

    async def __aenter__(self):
        self.server.listen(0)
        self.server.start()
        return self

    async def __aexit__(self, *problem):
        await self.server.stop()

    @property
    def url(self):
        return f"https://127.0.0.1:{self.server.port}"

    def client_tls(self, *, user=None, groups=()):
        context = ssl.create_default_context(cadata=self.pki.ca_pem.decode())
        if user:
            certificate, key = self.pki.client_certificate(user, groups)
            path = self.directory / "client.pem"
            path.write_bytes(certificate + key)
            context.load_cert_chain(path)
        return context

    def session(self, **identity):
        connector = aiohttp.TCPConnector(ssl=self.client_tls(**identity))
        return aiohttp.ClientSession(self.url, connector=connector)


async def test_a_request_arrives_whole(tmp_path):
    async with Site(tmp_path) as site, site.session() as session:
        headers = {"Authorization": "Bearer abc", "X-Twice": "1"}
        path = "/api/v1/pods/?command=a&command=b&watch="
        async with session.post(path, data=b"body", headers=headers) as answer:
            assert (answer.status, answer.reason) == (200, "OK")
            assert await answer.read() == b"{}\n"
        request = site.seen[0]
        assert (request.method, request.path, request.body) == ("POST", "/api/v1/pods/", b"body")
        assert request.query == {"command": ["a", "b"], "watch": [""]}
        assert request.credentials.token == "abc"
        assert request.credentials.certificate is None
        assert request.headers["x-twice"] == "1"
        assert request.user is None


async def test_a_client_certificate_tells_user_and_groups(tmp_path):
    async with Site(tmp_path) as site, site.session(user="jane", groups=["a", "b"]) as session:
        async with session.get("/"):
            pass
        certificate = site.seen[0].credentials.certificate
        assert (certificate.common_name, certificate.organizations) == ("jane", ("a", "b"))


async def test_a_certificate_of_another_authority_is_refused(tmp_path):
    stranger = PKI(tmp_path / "stranger", "10.96.0.1")
    async with Site(tmp_path) as site:
        context = site.client_tls()
        path = tmp_path / "stranger.pem"
        path.write_bytes(b"".join(stranger.client_certificate("admin", ["system:masters"])))
        context.load_cert_chain(path)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
            with pytest.raises(aiohttp.ClientError):
                await session.get(site.url)
        assert not site.seen


async def test_plain_http_is_told_what_to_do(tmp_path):
    async with Site(tmp_path) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.server.port)
        writer.write(b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = (await reader.read()).decode()
        writer.close()
    assert answer.startswith("HTTP/1.0 400 Bad Request\r\n")
    assert "Client sent an HTTP request to an HTTPS server." in answer


async def test_a_browser_is_told_what_this_is(tmp_path):
    async with Site(tmp_path) as site, site.session() as session:
        async with session.get("/", headers={"Accept": "text/html,*/*"}) as answer:
            assert "kubectl --kubeconfig" in await answer.text()
        async with session.get("/", headers={"Accept": "application/json"}) as answer:
            assert await answer.text() == "{}\n"


async def test_a_body_has_a_limit(tmp_path):
    async with Site(tmp_path) as site, site.session() as session:
        async with session.post("/", data=b"x" * (3 << 20)) as answer:
            assert answer.status == 200
        async with session.post("/", data=b"x" * ((3 << 20) + 1)) as answer:
            status = json.loads(await answer.read())
            assert (answer.status, status["reason"]) == (413, "RequestEntityTooLarge")


async def spoken(site, data):
    """Send bytes; return the status line and all that comes until the answer's head has ended."""
    port = site.server.port
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=site.client_tls())
    writer.write(data)
    heads = []
    while line := await reader.readline():
        heads.append(line.decode().strip())
        if not heads[-1] and heads[0] != "HTTP/1.1 100 Continue":
            break
        if not heads[-1]:
            writer.write(b"late")
            heads = []
    writer.close()
    return heads[0]


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("G@T / HTTP/1.1", "400"),
        ("\0\1garbage", "400"),
        ("GET / HTTP/1.1\r\nHost: x\r\nX: " + "a" * 100_000, "400"),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: many", "400"),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 52428800", "413"),
        ("GET / HTTP/1.0", "200"),
    ],
)
async def test_odd_requests_get_an_answer(tmp_path, head, status):
    async with Site(tmp_path) as site:
        body = b"x" * (4 << 20) if status == "413" else b""
        line = await spoken(site, head.encode() + b"\r\n\r\n" + body)
        assert line.split()[1] == status
        assert (await spoken(site, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")).split()[1] == "200"


async def test_a_client_may_ask_before_it_sends(tmp_path):
    async with Site(tmp_path) as site:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: "
        assert (await spoken(site, head + b"4\r\n\r\n")).split()[1] == "200"
        assert site.seen[0].body == b"late"
        assert (await spoken(site, head + b"52428800\r\n\r\n")).split()[1] == "413"


async def test_a_packed_body_is_not_unpacked(tmp_path):
    async with Site(tmp_path) as site, site.session() as session:
        headers = {"Content-Encoding": "gzip"}
        async with session.post("/", data=b"not packed at all", headers=headers) as answer:
            assert answer.status == 200
        assert len(site.seen) == 1


async def test_many_idle_streams_leave_room_for_others(tmp_path):
    async def silent():
        await asyncio.Event().wait()
        yield b""

    async with Site(tmp_path) as site:
        tls, port = site.client_tls(), site.server.port
        open_ones = []
        for _ in range(20):
            site.answer = Response(200, {}, silent())
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
            writer.write(b"GET /watch HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            open_ones.append(writer)
        site.answer = Response(200, {}, b"{}")
        assert (await spoken(site, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")).split()[1] == "200"
        for writer in open_ones:
            writer.transport.abort()


async def test_a_stream_arrives_chunk_by_chunk_and_ends_with_the_client(tmp_path):
    ended = asyncio.Event()
    more = asyncio.Event()

    async def lines():
        try:
            yield b"one\n"
            await more.wait()
            yield b"two\n"
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with Site(tmp_path) as site, site.session() as session:
        site.answer = Response(200, {"content-type": "application/json"}, lines())
        answer = await session.get("/")
        assert await answer.content.readline() == b"one\n"
        more.set()
        assert await answer.content.readline() == b"two\n"
        answer.close()
        async with asyncio.timeout(10):
            await ended.wait()


async def test_a_websocket_carries_messages_both_ways(tmp_path):
    async def echo(channel):
        while (message := await channel.receive()) is not None:
            await channel.send(b"\x01" + message)

    async with Site(tmp_path) as site, site.session() as session:
        site.answer = Response(101, {}, Upgrade(echo, "v5.channel.k8s.io"))
        offered = ("v5.channel.k8s.io", "v4.channel.k8s.io")
        async with session.ws_connect("/", protocols=offered, max_msg_size=0) as socket:
            assert socket.protocol == "v5.channel.k8s.io"
            for message in (b"", b"hello", b"x" * 1_000_000):
                await socket.send_bytes(message)
                assert await socket.receive_bytes() == b"\x01" + message


async def test_a_port_that_is_taken_is_named(tmp_path):
    async with Site(tmp_path) as site:
        port = site.server.port
        other = HTTPServer(site.handle, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        with pytest.raises(PortTakenError, match=f"port {port} on 127.0.0.1"):
            other.listen(port)


async def test_stopping_ends_open_streams(tmp_path):
    async def forever():
        yield b"one\n"
        await asyncio.Event().wait()

    async with Site(tmp_path) as site, site.session() as session:
        site.answer = Response(200, {}, forever())
        answer = await session.get("/")
        assert await answer.content.readline() == b"one\n"
        await site.server.stop()
        with pytest.raises(aiohttp.ClientError):
            await answer.content.read()


async def test_a_connection_can_leave_http_for_spdy(tmp_path):
    async def echo(channel):
        while data := await channel.receive():
            await channel.send(data.upper())
            if data == b"bye":
                return

    async with Site(tmp_path) as site:
        site.answer = Response(101, {}, Upgrade(echo, "v4.channel.k8s.io", "SPDY/3.1"))
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", site.server.port, ssl=site.client_tls()
        )
        head = "POST /x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
        writer.write(head.encode() + b"Content-Length: 0\r\n\r\n")
        answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert answer.startswith("http/1.1 101 ")
        assert "upgrade: spdy/3.1\r\n" in answer
        assert "x-stream-protocol-version: v4.channel.k8s.io\r\n" in answer
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"HELLO"
        writer.write(b"bye")
        assert await reader.read() == b"BYE"
        writer.close()
