"""Connections to ports of Pods, through kubectl and the official client's own sockets."""

import http.client
import os
import re
import subprocess
from contextlib import contextmanager

import pytest
from kubernetes.stream import portforward

from kubelab import waiting

WAIT = 90


@pytest.fixture
def web(core, kubectl, namespace):
    """A web server that says its name."""
    script = "mkdir /w; hostname > /w/index.html; httpd -f -p 8080 -h /w"
    kubectl("run", "web", "--image=busybox:1.36", "--labels=app=web", "--port=8080",
            "--", "sh", "-c", script)  # fmt: skip
    waiting.pod_ready(core, "web", namespace, timeout=WAIT)


@pytest.fixture
def forward(kubectl_binary, cluster, namespace, tmp_path):
    """Runs kubectl port-forward; yields the local port it chose and a way to see its errors."""

    @contextmanager
    def run(target, port, **variables):
        command = [kubectl_binary, "-n", namespace, "port-forward", target, f":{port}"]
        environment = os.environ | {"KUBECONFIG": str(cluster.kubeconfig)} | variables
        errors = (tmp_path / "errors").open("w+")
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
        )
        try:
            line = process.stdout.readline()
            yield int(re.search(r":(\d+) -> ", line)[1]), tmp_path / "errors"
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()
            errors.close()

    return run


def fetch(port, path="/"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


def test_a_port_of_a_pod_answers_on_this_machine(forward, web):
    with forward("pod/web", 8080) as (port, _):
        assert fetch(port) == (200, "web\n")


def test_one_forward_carries_many_connections(forward, web):
    with forward("pod/web", 8080) as (port, _):
        assert [fetch(port)[0] for _ in range(5)] == [200] * 5
        assert fetch(port, "/nope")[0] == 404


def test_connections_are_open_side_by_side(forward, web):
    with forward("pod/web", 8080) as (port, _):
        first, second = (http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT)
                         for _ in range(2))  # fmt: skip
        first.connect()
        second.request("GET", "/")
        assert second.getresponse().read() == b"web\n"
        first.request("GET", "/")
        assert first.getresponse().read() == b"web\n"
        first.close()
        second.close()


def test_spdy_does_what_the_tunnel_does(forward, web):
    with forward("pod/web", 8080, KUBECTL_PORT_FORWARD_WEBSOCKETS="false") as (port, _):
        assert fetch(port) == (200, "web\n")


def test_a_port_that_nobody_listens_on_is_refused(forward, web):
    with forward("pod/web", 81) as (port, errors):
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            fetch(port)
        refused = "dial tcp4 127.0.0.1:81: connect: connection refused"
        assert waiting.until(lambda: refused in errors.read_text(), timeout=WAIT)
        assert "error forwarding port 81 to pod" in errors.read_text()


def test_a_service_stands_for_one_of_its_pods(forward, kubectl, web):
    kubectl("expose", "pod", "web", "--port=80", "--target-port=8080")
    with forward("service/web", 80) as (port, _):
        assert fetch(port) == (200, "web\n")


def test_a_deployment_stands_for_one_of_its_pods(forward, kubectl):
    kubectl("create", "deployment", "site", "--image=nginx:1.27")
    kubectl("rollout", "status", "deployment/site", "--timeout=80s")
    with forward("deploy/site", 80) as (port, _):
        assert fetch(port)[0] == 200


def test_a_pod_that_has_ended_has_no_ports(kubectl, core, namespace):
    kubectl("run", "done", "--image=busybox:1.36", "--restart=Never", "--", "true")
    waiting.pod_phase(core, "done", namespace, "Succeeded", timeout=WAIT)
    message = kubectl("port-forward", "pod/done", ":80", fails=True)
    assert "unable to forward port because pod is not running. Current status=Succeeded" in message


def test_the_python_client_gets_a_socket(core, namespace, web):
    forwarded = portforward(
        core.connect_get_namespaced_pod_portforward, "web", namespace, ports="8080"
    )
    socket = forwarded.socket(8080)
    socket.setblocking(True)
    socket.sendall(b"GET / HTTP/1.0\r\n\r\n")
    answer = b""
    while data := socket.recv(4096):
        answer += data
    assert answer.startswith(b"HTTP/1.")
    assert answer.endswith(b"\r\n\r\nweb\n")
    assert forwarded.error(8080) is None


def test_the_python_client_is_told_that_nobody_listens(core, namespace, web):
    forwarded = portforward(
        core.connect_get_namespaced_pod_portforward, "web", namespace, ports="81"
    )
    socket = forwarded.socket(81)
    socket.setblocking(True)
    assert socket.recv(4096) == b""
    assert "error forwarding port 81 to pod" in forwarded.error(81)
