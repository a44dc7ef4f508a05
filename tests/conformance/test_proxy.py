"""The proxy subresources of Pods, Services and nodes."""

import json

import pytest

from kubelab import waiting

WAIT = 90
SERVE = "mkdir /w; hostname > /w/index.html; echo deep > /w/page; httpd -f -p 8080 -h /w"


@pytest.fixture
def web(core, namespace, shell_pod, kubectl):
    """A web server behind a Service whose port 80 is called http."""
    pod = shell_pod("web", SERVE, ports=[{"containerPort": 8080}])
    core.create_namespaced_pod(namespace, pod)
    ports = [{"name": "http", "port": 80, "targetPort": 8080}, {"name": "odd", "port": 81}]
    spec = {"selector": {"app": "web"}, "ports": ports}
    core.create_namespaced_service(namespace, {"metadata": {"name": "web"}, "spec": spec})
    waiting.pod_ready(core, "web", namespace, timeout=WAIT)
    waiting.until(lambda: core.read_namespaced_endpoints("web", namespace).subsets, timeout=WAIT)


@pytest.fixture
def raw(kubectl, namespace):
    """Gets a path below the namespace; `fails` returns what kubectl complains of."""

    def get(path, **how):
        return kubectl("get", "--raw", f"/api/v1/namespaces/{namespace}/{path}", **how)

    return get


def test_a_pods_first_port_answers(raw, web):
    assert raw("pods/web/proxy/") == "web\n"


def test_a_port_and_a_path_can_be_named(raw, web):
    assert raw("pods/web:8080/proxy/page") == "deep\n"


def test_a_scheme_can_be_named(raw, web):
    assert raw("pods/http:web:8080/proxy/page") == "deep\n"


def test_a_service_is_reached_by_the_number_of_its_port(raw, web):
    assert raw("services/web:80/proxy/page") == "deep\n"


def test_a_service_is_reached_by_the_name_of_its_port(raw, web):
    assert raw("services/web:http/proxy/") == "web\n"
    assert raw("services/http:web:http/proxy/") == "web\n"


def test_a_port_that_a_service_does_not_have(raw, web):
    message = raw("services/web:99/proxy/", fails=True)
    assert 'no service port 99 found for service "web"' in message


def test_a_service_without_pods(raw, core, namespace):
    spec = {"selector": {"app": "none"}, "ports": [{"port": 80}]}
    core.create_namespaced_service(namespace, {"metadata": {"name": "empty"}, "spec": spec})
    message = raw("services/empty:80/proxy/", fails=True)
    assert 'no endpoints available for service "empty"' in message


def test_a_port_that_nobody_listens_on(raw, web, core, namespace):
    ip = core.read_namespaced_pod("web", namespace).status.pod_ip
    message = raw("pods/web:81/proxy/", fails=True)
    why = f"error trying to reach service: dial tcp {ip}:81: connect: connection refused"
    assert why in message


def test_a_missing_pod(raw, web):
    assert 'pods "nope" not found' in raw("pods/nope/proxy/", fails=True)


def test_a_name_that_is_none(raw, web):
    assert 'invalid pod request "a:b:c:d"' in raw("pods/a:b:c:d/proxy/", fails=True)


def test_the_answers_status_is_passed_on(raw, web):
    assert "the server could not find the requested resource" in raw(
        "pods/web:8080/proxy/none", fails=True
    )


def test_the_python_client_gets_a_page(core, namespace, web):
    call = core.connect_get_namespaced_pod_proxy_with_path
    assert call("web:8080", namespace, "page", _preload_content=False).data == b"deep\n"


def test_a_node_is_asked_for_its_health(kubectl, core, namespace, web):
    node = core.read_namespaced_pod("web", namespace).spec.node_name
    assert kubectl("get", "--raw", f"/api/v1/nodes/{node}/proxy/healthz") == "ok"


def test_a_node_lists_its_pods(kubectl, core, namespace, web):
    node = core.read_namespaced_pod("web", namespace).spec.node_name
    pods = json.loads(kubectl("get", "--raw", f"/api/v1/nodes/{node}/proxy/pods"))
    assert pods["kind"] == "PodList"
    assert ("web", namespace) in [
        (pod["metadata"]["name"], pod["metadata"]["namespace"]) for pod in pods["items"]
    ]


def test_a_node_tells_what_its_pods_use(kubectl, core, namespace, web):
    node = core.read_namespaced_pod("web", namespace).spec.node_name

    def used():
        path = f"/api/v1/nodes/{node}/proxy/stats/summary"
        summary = json.loads(kubectl("get", "--raw", path))
        assert summary["node"]["nodeName"] == node
        mine = [pod for pod in summary["pods"] if pod["podRef"]["namespace"] == namespace]
        return mine and mine[0].get("memory", {}).get("workingSetBytes", 0) > 0

    assert waiting.until(used, timeout=WAIT)


def test_a_node_has_figures_for_prometheus(kubectl, core, namespace, web):
    node = core.read_namespaced_pod("web", namespace).spec.node_name
    text = kubectl("get", "--raw", f"/api/v1/nodes/{node}/proxy/metrics")
    assert "kubelet_running_pods" in text
