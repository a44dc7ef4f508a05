"""Connections between Pods: who reaches whom, and how failures look."""

import pytest

from kubesim.network.fabric import Backend, ServicePort

SERVE = "mkdir /www; echo $NAME > /www/index.html; httpd -f -p 8080 -h /www"


def server(machine, name):
    sandbox = machine.sandbox(name)
    return machine.start("sh", "-c", SERVE, sandbox=sandbox, NAME=name), sandbox.network.ip


async def test_containers_of_a_pod_share_localhost_and_others_do_not(make_machine):
    machine = make_machine()
    sandbox = machine.sandbox()
    httpd = machine.start("sh", "-c", SERVE, sandbox=sandbox, NAME="web")
    await machine.clock.advance(1)
    assert (await machine.sh("wget -qO- localhost:8080", sandbox=sandbox))[0] == "web\n"
    _, errors, status = await machine.sh("wget -qO- localhost:8080")
    assert errors == "wget: can't connect to remote host (127.0.0.1): Connection refused\n"
    assert status == 1
    httpd.kill()


async def test_pods_reach_each_other_by_address(make_machine):
    machine = make_machine()
    httpd, ip = server(machine, "web")
    await machine.clock.advance(1)
    assert (await machine.sh(f"wget -qO- {ip}:8080"))[0] == "web\n"
    httpd.kill()
    await machine.finish(httpd)
    assert "Connection refused" in (await machine.sh(f"wget -qO- {ip}:8080"))[1]


@pytest.mark.parametrize(
    ("address", "seconds", "reason"),
    [
        ("10.244.1.200", 3, "No route to host"),
        ("10.96.7.7", 127, "Connection timed out"),
        ("192.0.2.1", 0, "Network is unreachable"),
    ],
)
async def test_failures_to_connect_look_as_on_linux(make_machine, address, seconds, reason):
    machine = make_machine()
    machine.network.rules.cluster_ips.add("10.96.7.7")
    client = machine.start("wget", "-qO-", f"http://{address}:80")
    await machine.clock.advance(max(seconds - 1, 0))
    assert client.running == (seconds > 0)
    await machine.finish(client, 3)
    assert f"({address}): {reason}" in client.log.tail(200).decode()


async def test_a_dead_node_does_not_answer(make_machine):
    machine = make_machine()
    httpd, ip = server(machine, "web")
    node = machine.network.add_node("other", "172.18.0.3")
    node.pod_cidr = "10.244.2.0/24"
    machine.network.nodes["node"].up = False
    _, errors, status = await machine.sh(f"wget -T 5 -qO- {ip}:8080")
    assert (errors, status) == ("wget: download timed out\n", 1)
    httpd.kill()


async def test_a_service_address_leads_to_all_endpoints(make_machine):
    machine = make_machine()
    pods = [server(machine, name) for name in ("a", "b", "c")]
    endpoints = [Backend((ip, 8080)) for _, ip in pods]
    machine.network.rules.service_ports["10.96.0.50", 80] = ServicePort("web", endpoints)
    machine.network.rules.node_ports[30080] = machine.network.rules.service_ports["10.96.0.50", 80]
    await machine.clock.advance(1)
    ask = "for i in $(seq 30); do wget -qO- 10.96.0.50; wget -qO- 172.18.0.2:30080; done | sort -u"
    assert (await machine.sh(ask))[0] == "a\nb\nc\n"
    for httpd, _ in pods:
        httpd.kill()


async def test_session_affinity_keeps_a_client_with_one_endpoint(make_machine):
    machine = make_machine()
    pods = [server(machine, name) for name in ("a", "b", "c")]
    endpoints = [Backend((ip, 8080)) for _, ip in pods]
    port = ServicePort("web", endpoints, affinity_seconds=60)
    machine.network.rules.service_ports["10.96.0.50", 80] = port
    await machine.clock.advance(1)
    ask = "for i in $(seq 20); do wget -qO- 10.96.0.50; done | sort -u | wc -l"
    assert (await machine.sh(ask))[0] == "1\n"
    for httpd, _ in pods:
        httpd.kill()


async def test_a_service_without_endpoints_refuses(make_machine):
    machine = make_machine()
    machine.network.rules.service_ports["10.96.0.50", 80] = ServicePort("web", [])
    _, errors, _ = await machine.sh("wget -qO- 10.96.0.50")
    assert "can't connect to remote host (10.96.0.50): Connection refused" in errors


async def test_a_server_that_dies_cuts_its_connections(make_machine):
    machine = make_machine()
    sandbox = machine.sandbox()
    listener = machine.start("nc", "-l", "-p", "9000", sandbox=sandbox)
    await machine.clock.advance(1)
    client = machine.start("sh", "-c", "sleep 1000 | nc localhost 9000", sandbox=sandbox)
    await machine.clock.advance(1)
    listener.kill()
    await machine.clock.advance(1)
    assert not listener.running
    client.kill()


async def test_nc_carries_both_directions(make_machine):
    machine = make_machine()
    sandbox = machine.sandbox()
    listener = machine.start("sh", "-c", "echo pong | nc -l -p 9000", sandbox=sandbox)
    await machine.clock.advance(1)
    assert (await machine.sh("echo ping | nc localhost 9000", sandbox=sandbox))[0] == "pong\n"
    assert await machine.finish(listener) == 0
    assert listener.log.tail(100) == b"ping\n"


async def test_addresses_are_given_back_and_not_given_twice(make_machine):
    machine = make_machine()
    seen = [machine.sandbox().network for _ in range(250)]
    assert len({each.ip for each in seen}) == 250
    for each in seen:
        machine.network.remove_pod(each)
    again = [machine.sandbox().network.ip for _ in range(250)]
    assert len(set(again)) == 250
