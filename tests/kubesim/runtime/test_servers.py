"""The servers of other people's images, asked by a client in another Pod."""

import pytest

from kubesim.runtime.container import MountPoint
from kubesim.runtime.filesystem import Tree

ANSWERS = [
    ("httpd:2.4", [], "curl -s {ip}", "<html><body><h1>It works!</h1></body></html>\n"),
    ("nginx:latest", [], "curl -sI {ip} | head -1", "HTTP/1.1 200 OK\n"),
    ("nginxinc/nginx-unprivileged:1.27", [], "curl -s {ip}:8080 | grep -c Welcome", "2\n"),
    (
        "gcr.io/google-samples/hello-app:2.0",
        [],
        "curl -s {ip}:8080",
        "Hello, world!\nVersion: 2.0.0\nHostname: server\n",
    ),
    ("hashicorp/http-echo:1.0", ["-text=hi"], "curl -s {ip}:5678", "hi\n"),
    ("traefik/whoami:v1.10", [], "curl -s {ip} | head -1", "Hostname: server\n"),
    (
        "gcr.io/google-samples/kubernetes-bootcamp:v1",
        [],
        "curl -s {ip}:8080",
        "Hello Kubernetes bootcamp! | Running on: server | v=1\n",
    ),
    ("registry.k8s.io/echoserver:1.4", [], "curl -s {ip}:8080/x | grep method", "\tmethod=GET\n"),
    (
        "registry.k8s.io/e2e-test-images/agnhost:2.39",
        ["netexec"],
        "curl -s {ip}:8080/hostname",
        "server",
    ),
    (
        "python:3.12",
        ["python", "-m", "http.server"],
        "curl -s {ip}:8000/etc/ | grep hosts",
        '<li><a href="hosts">hosts</a></li>\n',
    ),
]


def start(machine, image, arguments):
    found = machine.images.find(image)
    argv = [*found.entrypoint, *(arguments or found.command)]
    sandbox = machine.sandbox("server")
    return machine.start(*argv, image=image, sandbox=sandbox), sandbox.network.ip


@pytest.mark.parametrize(
    ("image", "arguments", "script", "answer"), ANSWERS, ids=[row[0] for row in ANSWERS]
)
async def test_a_server_answers_as_the_real_one(make_machine, image, arguments, script, answer):
    machine = make_machine()
    server, ip = start(machine, image, arguments)
    await machine.clock.advance(1)
    out, _, _ = await machine.sh(script.format(ip=ip), image="curlimages/curl:8.10.1")
    assert out.replace("\r", "") == answer
    server.signal(15)
    await machine.clock.advance(1)
    assert not server.running or image.startswith("python")
    server.kill()


async def test_curl_fails_with_the_codes_that_scripts_ask_for(make_machine):
    machine = make_machine()
    server, ip = start(machine, "nginx:1.27", [])
    await machine.clock.advance(1)
    image = "curlimages/curl:8.10.1"
    for script, code, message in (
        ("curl -sS nowhere", 6, "curl: (6) Could not resolve host: nowhere\n"),
        (f"curl -sS {ip}:81", 7, "Could not connect to server\n"),
        (f"curl -fsS {ip}/nope", 22, "curl: (22) The requested URL returned error: 404\n"),
        ("curl -sS -m 1 10.244.1.200", 28, "milliseconds"),
    ):
        _, errors, status = await machine.sh(script, image=image)
        assert (status, message in errors) == (code, True), errors
    out, _, _ = await machine.sh(f"curl -so /dev/null -w '%{{http_code}}' {ip}", image=image)
    assert out == "200"
    server.kill()


async def test_redis_keeps_what_it_is_told(make_machine):
    machine = make_machine()
    server, ip = start(machine, "redis:7", [])
    await machine.clock.advance(1)
    script = "; ".join(
        f"redis-cli -h {ip} {command}"
        for command in (
            "ping",
            "set name 'a b' EX 100",
            "get name",
            "ttl name",
            "incr hits",
            "incr hits",
            "get nothing",
            "rpush list x y z",
            "lrange list 0 -1",
            "incr name",
            "frobnicate 1",
            "keys '*'",
        )
    )
    out, _, _ = await machine.sh(script, image="redis:7")
    assert out.splitlines() == [
        *("PONG", "OK", "a b", "100", "1", "2", "", "3", "x", "y", "z"),
        "ERR value is not an integer or out of range",
        "ERR unknown command 'frobnicate', with args beginning with: '1'",
        *("hits", "list", "name"),
    ]
    inline, _, _ = await machine.sh(f"printf 'PING\\r\\nGET hits\\r\\nQUIT\\r\\n' | nc {ip} 6379")
    assert inline == "+PONG\r\n$1\r\n2\r\n+OK\r\n"
    server.signal(15)
    await machine.clock.advance(1)
    assert server.exit_code == 0
    assert b"values" in server.files.read("/data/dump.rdb")


async def test_redis_takes_a_configuration_file_alone(make_machine):
    machine = make_machine()
    tree = Tree(machine.clock.now)
    tree.write("redis.conf", "maxmemory 2mb\nmaxmemory-policy allkeys-lru\n")
    server = machine.start(
        *("docker-entrypoint.sh", "/conf/redis.conf"),
        image="redis:7",
        sandbox=(sandbox := machine.sandbox("server")),
        mounts=[MountPoint("/conf", tree.root, read_only=True)],
    )
    await machine.clock.advance(1)
    ip = sandbox.network.ip
    ask = f"redis-cli -h {ip} CONFIG"
    script = f"{ask} GET 'maxmemory*'; {ask} SET maxmemory 1kb; {ask} GET maxmemory"
    out, _, _ = await machine.sh(script, image="redis:7")
    told = ["maxmemory", "2097152", "maxmemory-policy", "allkeys-lru"]
    assert out.split() == [*told, "OK", "maxmemory", "1024"]
    server.kill()


async def test_redis_asks_for_its_password(make_machine):
    machine = make_machine()
    server, ip = start(machine, "redis:7", ["redis-server", "--requirepass", "secret"])
    await machine.clock.advance(1)
    ask = f"redis-cli -h {ip} get x; redis-cli -h {ip} -a secret set x 1"
    out, _, _ = await machine.sh(ask, image="redis:7")
    assert out == "NOAUTH Authentication required.\nOK\n"
    server.kill()


@pytest.mark.parametrize(
    ("image", "script", "status", "reason"),
    [
        ("python:3.12", "python -c 'print(1)'", 1, "runs no Python programs"),
        ("ubuntu:22.04", "apt-get update", 100, "cannot install others"),
        ("alpine:3.20", "apk add curl", 1, "cannot install others"),
        ("busybox:1.36", "vi /x", 1, "no screen editor"),
    ],
)
async def test_what_is_not_simulated_is_refused_with_a_sentence(
    make_machine, image, script, status, reason
):
    _, errors, found = await make_machine().sh(script, image=image)
    assert found == status
    assert reason in errors
