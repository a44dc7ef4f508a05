"""Names: what a Pod can call others by."""

import pytest

from kubelab import waiting

WAIT = 60
specified = pytest.mark.since(
    "1.21", "kubernetes/dns specification 1.1; the old cluster's name server knows addresses only"
)


@pytest.fixture
def service(core, namespace):
    def create(name="web", **spec):
        ports = [{"name": "http", "port": 80, "targetPort": 8080}]
        spec = {"selector": {"app": "web"}, "ports": ports, **spec}
        return core.create_namespaced_service(namespace, {"metadata": {"name": name}, "spec": spec})

    return create


@pytest.fixture
def lookup(inside):
    """What nslookup says of a full name."""

    def ask(name, kind=""):
        option = f"-type={kind} " if kind else ""
        return inside(f"nslookup {option}{name} 2>&1 || true")

    return ask


@pytest.fixture
def eventually(lookup):
    """Waits until nslookup says something; names appear a moment after their objects."""

    def wait(name, told, kind=""):
        waiting.until(
            lambda: told in lookup(name, kind),
            timeout=WAIT,
            what=f"{told!r} of {name}",
            last_seen=lambda: lookup(name, kind),
        )

    return wait


def test_a_service_is_known_by_name_and_namespace(service, eventually, namespace):
    address = service().spec.cluster_ip
    eventually(f"web.{namespace}.svc.cluster.local", f"Address: {address}\n")


def test_short_names_are_completed_by_the_resolver(service, serving, fetch, namespace):
    service()
    serving("one")
    for name in ("web", f"web.{namespace}", f"web.{namespace}.svc"):
        waiting.until(lambda n=name: fetch(n) == ["one"], timeout=WAIT)


def test_the_resolver_is_configured(inside, namespace):
    lines = inside("cat /etc/resolv.conf").splitlines()
    search = next(line for line in lines if line.startswith("search")).split()
    assert search[1:4] == [f"{namespace}.svc.cluster.local", "svc.cluster.local", "cluster.local"]
    assert "nameserver 10.96.0.10" in lines
    assert "options ndots:5" in lines


def test_a_headless_service_leads_to_its_pods(service, serving, eventually, namespace):
    service(clusterIP="None")
    for pod in (serving("one"), serving("two")):
        eventually(f"web.{namespace}.svc.cluster.local", f"Address: {pod.status.pod_ip}\n")


def test_a_pod_with_hostname_and_subdomain_has_a_name(service, serving, eventually, namespace):
    service(clusterIP="None")
    pod = serving("one", hostname="first", subdomain="web")
    eventually(f"first.web.{namespace}.svc.cluster.local", f"Address: {pod.status.pod_ip}\n")


@specified
def test_the_address_of_a_named_pod_leads_back_to_its_name(service, serving, eventually, namespace):
    service(clusterIP="None")
    pod = serving("one", hostname="first", subdomain="web")
    name = f"first.web.{namespace}.svc.cluster.local"
    eventually(pod.status.pod_ip, f"name = {name}")


@specified
def test_the_address_of_a_service_leads_back_to_its_name(service, eventually, namespace):
    eventually(service().spec.cluster_ip, f"name = web.{namespace}.svc.cluster.local")


@specified
def test_a_port_is_found_by_its_name(service, eventually, namespace):
    service()
    name = f"web.{namespace}.svc.cluster.local"
    eventually(f"_http._tcp.{name}", f"service = 0 100 80 {name}", "srv")


@specified
def test_ports_of_a_headless_service_are_found_at_its_pods(service, serving, eventually, namespace):
    service(clusterIP="None")
    serving("one", hostname="first", subdomain="web")
    name = f"web.{namespace}.svc.cluster.local"
    eventually(f"_http._tcp.{name}", f"8080 first.{name}", "srv")


@specified
def test_an_external_name_is_an_alias(core, service, eventually, namespace):
    external = {"type": "ExternalName", "externalName": f"web.{namespace}.svc.cluster.local"}
    body = {"metadata": {"name": "alias"}, "spec": external}
    core.create_namespaced_service(namespace, body)
    address = service().spec.cluster_ip
    name = f"alias.{namespace}.svc.cluster.local"
    eventually(name, f"{name}\tcanonical name = web.{namespace}.svc.cluster.local\n")
    eventually(name, f"Address: {address}\n")


def test_what_does_not_exist_has_no_name(lookup, namespace):
    assert "NXDOMAIN" in lookup(f"nope.{namespace}.svc.cluster.local")


def test_a_pod_can_bring_its_own_resolver_configuration(core, namespace, shell_pod, kubectl):
    pod = shell_pod("own", "cat /etc/resolv.conf", restart="Never")
    pod["spec"] |= {
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["192.0.2.53"], "searches": ["example.com"]},
    }
    core.create_namespaced_pod(namespace, pod)
    waiting.until(
        lambda: core.read_namespaced_pod("own", namespace).status.phase == "Succeeded", timeout=WAIT
    )
    assert kubectl("logs", "own").split() == ["search", "example.com", "nameserver", "192.0.2.53"]
