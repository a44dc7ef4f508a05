"""Ingresses and their classes: what they say, and where requests go."""

import json

import pytest

from kubelab import waiting

WAIT = 90


def backend():
    return {"service": {"name": "web", "port": {"number": 80}}}


def rule(host="", path="/", kind="Prefix", to=None):
    entry = {"path": path, "pathType": kind, "backend": to or backend()}
    return {"http": {"paths": [entry]}} | ({"host": host} if host else {})


@pytest.fixture
def ingress(networking, namespace):
    """Creates an Ingress; returns it."""

    def create(*rules, name="one", **spec):
        spec = {"rules": list(rules), **spec} if rules else spec
        body = {"metadata": {"name": name}, "spec": spec}
        return networking.create_namespaced_ingress(namespace, body)

    return create


@pytest.fixture
def refused(cause_pairs, networking, namespace):
    """The causes for which an Ingress is refused, as (field, message)."""

    def create(*rules, annotations=None, **spec):
        spec = {"rules": list(rules), **spec} if rules else spec
        body = {"metadata": {"name": "one", "annotations": annotations or {}}, "spec": spec}
        return cause_pairs(networking.create_namespaced_ingress, namespace, body)

    return create


FIRST = "spec.rules[0].http.paths[0]"


def test_a_new_ingress_is_served_by_nobody(ingress):
    made = ingress(rule())
    assert made.spec.ingress_class_name is None
    assert made.metadata.generation == 1
    assert not made.status.load_balancer.ingress


def test_it_needs_rules_or_a_default(refused, ingress):
    ((field, message),) = refused()
    assert field == "spec"
    assert message.endswith("either `defaultBackend` or `rules` must be specified")
    assert ingress(defaultBackend=backend()).spec.default_backend.service.name == "web"


def test_a_path_has_a_type(kubectl):
    entry = {"path": "/", "backend": backend()}
    body = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "one"},
        "spec": {"rules": [{"http": {"paths": [entry]}}]},
    }
    told = kubectl("create", "--validate=false", "-f", "-", stdin=json.dumps(body), fails=True)
    assert f"{FIRST}.pathType: Required value: pathType must be specified" in told


def test_a_type_is_a_known_one(refused):
    ((field, message),) = refused(rule(kind="Suffix"))
    assert field == f"{FIRST}.pathType"
    assert 'supported values: "Exact", "ImplementationSpecific", "Prefix"' in message


def test_a_path_is_absolute(refused):
    assert refused(rule(path="web")) == [
        (f"{FIRST}.path", 'Invalid value: "web": must be an absolute path')
    ]


def test_a_backend_names_a_port(refused):
    nameless = {"service": {"name": "web"}}
    ((field, message),) = refused(rule(to=nameless))
    assert field == f"{FIRST}.backend"
    assert message == "Required value: port name or number is required"


def test_a_host_is_a_name(refused):
    found = refused(rule("10.0.0.1"))
    why = 'Invalid value: "10.0.0.1": must be a DNS name, not an IP address'
    assert ("spec.rules[0].host", why) in found


def test_a_wildcard_stands_for_the_first_part(ingress, refused):
    assert ingress(rule("*.example.com")).spec.rules[0].host == "*.example.com"
    ((field, message),) = refused(rule("www.*.com"))
    assert field == "spec.rules[0].host"
    assert "a wildcard DNS-1123 subdomain must start with '*.'" in message


def test_a_class_is_named_in_one_way(refused):
    annotations = {"kubernetes.io/ingress.class": "nginx"}
    ((field, message),) = refused(rule(), annotations=annotations, ingressClassName="nginx")
    assert field.startswith("annotations") or field.startswith("metadata.annotations")
    assert message.endswith("can not be set when the class field is also set")


def test_a_class_names_its_controller(networking, namespace, refusal):
    body = {"metadata": {"name": namespace}, "spec": {"controller": "nginx"}}
    status = refusal(networking.create_ingress_class, body)
    (cause,) = status["details"]["causes"]
    assert cause["field"] == "spec.controller"
    assert "must be a domain-prefixed path" in cause["message"]


def test_columns(ingress, kubectl):
    tls = [{"hosts": ["a.test"], "secretName": "cert"}]
    ingress(rule("a.test"), rule("b.test"), ingressClassName="mine", tls=tls)
    heading, row = kubectl("get", "ingress").splitlines()
    assert heading.split() == ["NAME", "CLASS", "HOSTS", "ADDRESS", "PORTS", "AGE"]
    assert row.split()[:5] == ["one", "mine", "a.test,b.test", "80,", "443"]


def test_describe_tells_where_requests_go(ingress, kubectl, core, namespace, serving):
    ports = [{"port": 80, "targetPort": 8080}]
    spec = {"selector": {"app": "web"}, "ports": ports}
    core.create_namespaced_service(namespace, {"metadata": {"name": "web"}, "spec": spec})
    ingress(rule("a.test", "/shop"))
    lines = kubectl("describe", "ingress", "one").splitlines()
    assert any(line.split()[:2] == ["/shop", "web:80"] for line in lines)


def test_create_ingress_writes_rules(kubectl):
    created = kubectl("create", "ingress", "one", "--rule=a.test/shop*=web:80", "--class=mine")
    assert created == "ingress.networking.k8s.io/one created\n"
    spec = json.loads(kubectl("get", "ingress", "one", "-o", "json"))["spec"]
    assert spec["ingressClassName"] == "mine"
    (entry,) = spec["rules"][0]["http"]["paths"]
    assert (entry["path"], entry["pathType"]) == ("/shop", "Prefix")


@pytest.fixture
def nginx(networking, cluster):
    """The class `nginx`, whose controller the embedded cluster brings along."""
    if cluster.engine != "embedded":
        pytest.skip("a real cluster has no ingress controller until one is installed")
    spec = {"controller": "k8s.io/ingress-nginx"}
    if not networking.list_ingress_class().items:
        networking.create_ingress_class({"metadata": {"name": "nginx"}, "spec": spec})
    return "nginx"


@pytest.fixture
def served(nginx, ingress, networking, namespace, core, serving):
    """Starts a Pod behind a Service and an Ingress; returns the address it is served at."""

    def start(*rules, **spec):
        ports = [{"name": "http", "port": 80, "targetPort": 8080}]
        body = {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": ports}}
        core.create_namespaced_service(namespace, body)
        serving("web")
        ingress(*rules, ingressClassName=nginx, **spec)

        def address():
            status = networking.read_namespaced_ingress("one", namespace).status
            return (status.load_balancer.ingress or [None])[0]

        return waiting.until(address, timeout=WAIT).ip

    return start


def test_requests_go_by_host(served, fetch, namespace):
    ip = served(rule(f"{namespace}.test"))
    waiting.until(lambda: fetch(ip, name=f"{namespace}.test") == ["web"], timeout=WAIT)
    assert fetch(ip, name="nobody.test") == ["</html>"]


def test_requests_go_by_path(served, fetch, namespace):
    host = f"{namespace}.test"
    ip = served(rule(host, "/index.html", "Exact"))
    waiting.until(lambda: fetch(ip, path="/index.html", name=host) == ["web"], timeout=WAIT)
    assert fetch(ip, path="/", name=host) == ["</html>"]


def test_a_port_can_be_named(served, fetch, namespace):
    host = f"{namespace}.test"
    to = {"service": {"name": "web", "port": {"name": "http"}}}
    ip = served(rule(host, to=to))
    waiting.until(lambda: fetch(ip, name=host) == ["web"], timeout=WAIT)
