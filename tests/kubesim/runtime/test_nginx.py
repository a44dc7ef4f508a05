"""The web server, asked from within its Pod and from another one."""

import pytest

from kubesim.runtime.container import MountPoint
from kubesim.runtime.filesystem import File, Tree
from kubesim.runtime.signals import LINUX


class Site:
    """An nginx container and clients beside it."""

    def __init__(self, machine, config=None, image="nginx:1.26"):
        self.machine = machine
        self.sandbox = machine.sandbox("web")
        mounts = []
        if config is not None:
            tree = Tree(machine.clock.now)
            tree.write("default.conf", config)
            mounts = [MountPoint("/etc/nginx/conf.d", tree.root, read_only=True)]
        self.server = machine.start(
            "nginx", "-g", "daemon off;", image=image, sandbox=self.sandbox, mounts=mounts
        )

    async def ask(self, script):
        await self.machine.clock.advance(1)
        ip = self.sandbox.network.ip
        return await self.machine.sh(script.replace("SITE", ip), sandbox=self.sandbox)

    def logged(self, stream="stdout"):
        entries = self.server.log.entries()
        return b"".join(each.data for each in entries if each.stream == stream).decode()


async def test_serves_its_page_and_logs_it(make_machine):
    site = Site(make_machine())
    out, _, _ = await site.ask("wget -qO- SITE; wget -qO- localhost")
    assert out.count("<h1>Welcome to nginx!</h1>") == 2
    address = site.sandbox.network.ip
    assert f"{address} - - [" in site.logged()
    assert '"GET / HTTP/1.1" 200 615 "-" "Wget"' in site.logged()
    assert "start worker processes" in site.logged("stderr")
    site.server.kill()


@pytest.mark.parametrize(
    ("image", "version"), [("nginx:1.26", "nginx/1.26.3"), ("nginx:1.27", "nginx/1.27.5")]
)
async def test_names_its_version(make_machine, image, version):
    site = Site(make_machine(), image=image)
    _, errors, _ = await site.ask("wget -S -O- SITE")
    assert f"  Server: {version}\n" in errors
    site.server.kill()


@pytest.mark.parametrize(
    ("setup", "request_", "answer"),
    [
        ("true", "wget -O- SITE/nope", "HTTP/1.1 404 Not Found"),
        ("rm /usr/share/nginx/html/index.html", "wget -O- SITE", "HTTP/1.1 403 Forbidden"),
        ("true", "wget --post-data x=1 -O- SITE", "HTTP/1.1 405 Not Allowed"),
    ],
)
async def test_refuses_with_the_right_status(make_machine, setup, request_, answer):
    site = Site(make_machine())
    await site.server.execute(["sh", "-c", setup]).wait()
    _, errors, status = await site.ask(request_)
    assert f"wget: server returned error: {answer}\n" in errors
    assert status == 1
    site.server.kill()


async def test_serves_what_is_written_to_its_document_root(make_machine):
    site = Site(make_machine())
    script = "mkdir /usr/share/nginx/html/a; echo hello > /usr/share/nginx/html/a/index.html"
    await site.server.execute(["sh", "-c", script]).wait()
    out, _, _ = await site.ask("wget -O- SITE/a")
    assert out == "hello\n"
    site.server.kill()


async def test_obeys_a_mounted_server_block(make_machine):
    config = """
    server {
        listen 8080;
        location /hi { return 200 "hi from $hostname\\n"; }
        location / { root /srv; }  # empty
    }
    """
    site = Site(make_machine(), config)
    out, errors, _ = await site.ask("wget -qO- SITE:8080/hi; wget -qO- SITE:8080/; wget SITE:80")
    assert out == "hi from web\n"
    assert "403 Forbidden" in errors
    assert "can't connect to remote host" in errors
    site.server.kill()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("server { listen 80;", 'unexpected end of file, expecting "}"'),
        ("server { lisen 80; }", 'unknown directive "lisen"'),
        ("server { location / { proxy_pass http://x; } }", 'unknown directive "proxy_pass"'),
        ("server { listen eighty; }", 'invalid port in "eighty"'),
    ],
)
async def test_a_bad_configuration_ends_it(make_machine, config, message):
    machine = make_machine()
    site = Site(machine, config)
    assert await machine.finish(site.server) == 1
    assert f"[emerg] 1#1: {message}" in site.logged("stderr")
    assert f"nginx: [emerg] {message}" in site.logged("stderr")


async def test_a_second_one_in_the_same_pod_cannot_bind(make_machine):
    machine = make_machine()
    site = Site(machine)
    await machine.clock.advance(1)
    second = machine.start("nginx", "-g", "daemon off;", image="nginx:1.27", sandbox=site.sandbox)
    assert await machine.finish(second) == 1
    errors = b"".join(entry.data for entry in second.log.entries()).decode()
    assert "bind() to 0.0.0.0:80 failed (98: Address already in use)" in errors
    assert errors.endswith("still could not bind()\n")
    site.server.kill()


@pytest.mark.parametrize("signal", ["TERM", "QUIT"])
async def test_ends_well_when_asked_to(make_machine, signal):
    machine = make_machine()
    site = Site(machine)
    await machine.clock.advance(1)
    site.server.signal(LINUX[signal])
    assert await machine.finish(site.server) == 0
    again = machine.start("nginx", "-g", "daemon off;", image="nginx:1.26", sandbox=site.sandbox)
    await machine.clock.advance(5)
    assert again.running
    again.kill()


async def test_a_single_file_can_be_mounted(make_machine):
    machine = make_machine()
    page = File(0o644, machine.clock.now(), bytearray(b"mounted\n"))
    mount = MountPoint("/usr/share/nginx/html/index.html", page, read_only=True)
    sandbox = machine.sandbox()
    server = machine.start(
        "nginx", "-g", "daemon off;", image="nginx:1.26", sandbox=sandbox, mounts=[mount]
    )
    out, _, _ = await machine.sh("sleep 1; wget -qO- localhost", sandbox=sandbox)
    assert out == "mounted\n"
    writing = server.execute(["sh", "-c", "echo x > /usr/share/nginx/html/index.html"])
    assert await writing.wait() == 1
    server.kill()


async def test_logs_go_to_files_where_a_volume_hides_the_links(make_machine):
    machine = make_machine()
    logs = Tree(machine.clock.now)
    sandbox = machine.sandbox("web")
    mount = MountPoint("/var/log/nginx", logs.root)
    server = machine.start("nginx", image="nginx:1.26", sandbox=sandbox, mounts=[mount])
    await machine.clock.advance(1)
    await machine.sh("wget -qO- localhost", sandbox=sandbox)
    out, _, _ = await machine.sh(
        "cat /logs/access.log; grep -c worker /logs/error.log",
        mounts=[MountPoint("/logs", logs.root)],
    )
    assert '"GET / HTTP/1.1" 200' in out
    assert out.endswith("\n1\n")
    assert server.log.entries() == []
    server.kill()


async def test_obeys_a_mounted_nginx_conf(make_machine):
    machine = make_machine()
    text = b"events {}\nhttp { server { listen 8080; return 200 'mine'; } }\n"
    mount = MountPoint("/etc/nginx/nginx.conf", File(0o644, machine.clock.now(), bytearray(text)))
    sandbox = machine.sandbox("web")
    server = machine.start("nginx", image="nginx:1.26", sandbox=sandbox, mounts=[mount])
    await machine.clock.advance(1)
    out, _, _ = await machine.sh("wget -qO- localhost:8080", sandbox=sandbox)
    assert out == "mine"
    server.kill()


async def test_reloads_and_quits_when_told_by_another_nginx(make_machine):
    machine = make_machine()
    script = """nginx & sleep 1
        echo 'server { listen 81; return 200 new; }' > /etc/nginx/conf.d/default.conf
        nginx -s reload; sleep 1; curl -s localhost:81; curl -s localhost; echo " $?"
        nginx -s quit; wait; echo ended"""
    out, _, _ = await machine.sh(script, image="nginx:1.26")
    assert out.splitlines()[-2:] == ["new 7", "ended"]
