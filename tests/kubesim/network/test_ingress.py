"""Ingresses: the controller that a class brings along, and where it sends requests."""

import pytest

from kubesim.network.ingress import find_route, routes

INGRESSES = "ingresses.networking.k8s.io"
CLASSES = "ingressclasses.networking.k8s.io"
NODE = "172.18.0.2"
PAGES = "mkdir -p /www/deep; hostname | tee /www/index.html > /www/deep/page"
SERVE = f"{PAGES}; exec httpd -f -p 8080 -h /www"


def backend(name, port=80):
    return {"service": {"name": name, "port": {"number": port}}}


def rule(host="", *paths):
    entries = [
        {"path": path, "pathType": kind, "backend": backend(name)} for path, kind, name in paths
    ]
    return {"http": {"paths": entries}} | ({"host": host} if host else {})


async def make_class(lab):
    spec = {"controller": "k8s.io/ingress-nginx"}
    await lab.api.create(CLASSES, {"metadata": {"name": "nginx"}, "spec": spec})
    await lab.advance(15)


async def serve(lab, *names):
    for name in names:
        ports = [{"port": 80, "targetPort": 8080}]
        await lab.create("services", name, spec={"selector": {"app": name}, "ports": ports})
        await lab.run(name, command=["sh", "-c", SERVE])


async def ingress(lab, *rules, name="one", annotations=None, **spec):
    meta = {"name": name, "namespace": "default", "annotations": annotations or {}}
    spec = {"ingressClassName": "nginx", "rules": list(rules), **spec}
    await lab.api.create(INGRESSES, {"metadata": meta, "spec": spec}, "default")
    await lab.settle()


async def ask(lab, *requests):
    """What a Pod is told that asks for host and path; codes instead of pages of errors."""
    await lab.run("client", command=["sleep", "100000"])
    found = []
    for host, path in requests:
        script = f"wget -qO- --header 'Host: {host}' {NODE}{path} 2>&1"
        told = await lab.exec_later("sh", "-c", script, name="client", seconds=7)
        found.append(told.rpartition("error: HTTP/1.1 ")[2].strip())
    return found


async def test_a_class_brings_its_controller_which_routes_by_host_and_path(make_lab):
    async with make_lab() as lab:
        await make_class(lab)
        await serve(lab, "one", "two")
        await ingress(
            lab,
            rule("a.test", ("/", "Prefix", "one"), ("/deep", "Prefix", "two")),
            rule("*.b.test", ("/deep/page", "Exact", "two")),
        )
        assert await ask(
            lab,
            ("a.test", "/"),
            ("a.test", "/deep/page"),
            ("x.b.test", "/deep/page"),
            ("x.b.test", "/other"),
            ("nobody.test", "/"),
        ) == ["one", "two", "two", "404 Not Found", "404 Not Found"]
        made = await lab.api.get(INGRESSES, "one", "default")
        assert made["status"] == {"loadBalancer": {"ingress": [{"ip": NODE}]}}
        assert ("Sync", "Scheduled for sync") in await lab.events("one")


async def test_without_endpoints_the_answer_is_503_and_without_a_rule_the_default(make_lab):
    async with make_lab() as lab:
        await make_class(lab)
        await serve(lab, "one")
        spec = {"defaultBackend": backend("one")}
        await ingress(lab, rule("gone.test", ("/", "Prefix", "nowhere")), **spec)
        found = await ask(lab, ("gone.test", "/"), ("other.test", "/"))
        assert found == ["503 Service Temporarily Unavailable", "one"]


async def test_a_path_can_be_rewritten(make_lab):
    async with make_lab() as lab:
        await make_class(lab)
        await serve(lab, "one")
        annotations = {"nginx.ingress.kubernetes.io/rewrite-target": "/deep/$1"}
        route = rule("", ("/api/(.*)", "ImplementationSpecific", "one"))
        await ingress(lab, route, annotations=annotations)
        assert await ask(lab, ("any.test", "/api/page")) == ["one"]


async def test_other_classes_are_left_to_others(make_lab):
    async with make_lab() as lab:
        await make_class(lab)
        await serve(lab, "one")
        await ingress(lab, rule("a.test", ("/", "Prefix", "one")), ingressClassName="other")
        assert await ask(lab, ("a.test", "/")) == ["404 Not Found"]
        assert (await lab.api.get(INGRESSES, "one", "default"))["status"] == {"loadBalancer": {}}


async def test_nobody_answers_without_a_class(make_lab):
    async with make_lab() as lab:
        log = await lab.sh(f"wget -qO- {NODE}")
        assert "Connection refused" in log


@pytest.mark.parametrize(
    ("path", "taken"),
    [("/foo", True), ("/foo/", True), ("/foo/bar", True), ("/foobar", False), ("/", False)],
)
def test_a_prefix_ends_with_an_element_of_the_path(path, taken):
    spec = {"rules": [rule("", ("/foo", "Prefix", "one"))]}
    table = routes([{"metadata": {"name": "one"}, "spec": spec}])
    assert (find_route(table, "any", path) is not None) is taken


def test_exact_paths_come_first_then_longer_ones():
    paths = (("/", "Prefix", "a"), ("/foo", "Prefix", "b"), ("/foo", "Exact", "c"))
    table = routes([{"metadata": {"name": "one"}, "spec": {"rules": [rule("", *paths)]}}])
    found = [
        find_route(table, "any", path).backend["service"]["name"]
        for path in ("/x", "/foo/x", "/foo")
    ]
    assert found == ["a", "b", "c"]
