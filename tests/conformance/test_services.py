"""Services: addresses, ports, types, and where their traffic goes."""

import json

import pytest

from kubelab import waiting

WAIT = 60
PORTS = [{"port": 80, "targetPort": 8080}]


@pytest.fixture
def service(core, namespace):
    """Creates a Service of the Pods app=web; returns it."""

    def create(name="web", ports=PORTS, selector="web", **spec):
        if selector:
            spec["selector"] = {"app": selector}
        body = {"metadata": {"name": name}, "spec": {"ports": ports, **spec}}
        return core.create_namespaced_service(namespace, body)

    return create


@pytest.fixture
def refused(cause_pairs, core, namespace):
    """The causes for which a Service is refused, as (field, message)."""

    def create(name="web", **spec):
        body = {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}}
        return cause_pairs(core.create_namespaced_service, namespace, body)

    return create


def test_a_service_gets_an_address_and_defaults(service):
    spec = service(ports=[{"port": 80}]).spec
    assert (spec.type, spec.session_affinity) == ("ClusterIP", "None")
    assert spec.cluster_ip.startswith("10.96.")
    assert (spec.ports[0].protocol, spec.ports[0].target_port) == ("TCP", 80)
    assert spec.cluster_ips == [spec.cluster_ip]


def test_traffic_goes_to_every_ready_pod(service, serving, fetch):
    service()
    serving("one")
    serving("two")
    waiting.until(lambda: set(fetch("web", times=12)) == {"one", "two"}, timeout=WAIT)


def test_a_pod_that_is_not_ready_gets_nothing(core, namespace, service, serving, fetch, shell_pod):
    service()
    serving("one")
    probe = {"exec": {"command": ["false"]}}
    pod = shell_pod("two", "httpd -f -p 8080", readinessProbe=probe)
    core.create_namespaced_pod(
        namespace, pod | {"metadata": {"name": "two", "labels": {"app": "web"}}}
    )
    waiting.until(lambda: "one" in set(fetch("web", times=12)), timeout=WAIT)
    assert set(fetch("web", times=12)) == {"one"}


def test_without_endpoints_connections_are_refused(service, fetch):
    service()
    waiting.until(lambda: "Connection refused" in fetch("web")[0], timeout=WAIT)


def test_a_named_target_port_is_the_pods(service, serving, fetch):
    service(ports=[{"port": 80, "targetPort": "web"}])
    serving("one")
    waiting.until(lambda: set(fetch("web")) == {"one"}, timeout=WAIT)


def test_client_affinity_stays_with_one_pod(service, serving, fetch):
    spec = service(sessionAffinity="ClientIP").spec
    assert spec.session_affinity_config.client_ip.timeout_seconds == 10800
    serving("one")
    serving("two")
    waiting.until(lambda: set(fetch("web")), timeout=WAIT)
    assert len(set(fetch("web", times=12))) == 1


def test_a_node_port_is_open_on_every_node(core, service, serving, fetch):
    port = service(type="NodePort").spec.ports[0].node_port
    assert 30000 <= port <= 32767
    serving("one")
    nodes = [
        each.address
        for node in core.list_node().items
        for each in node.status.addresses
        if each.type == "InternalIP"
    ]
    waiting.until(lambda: set(fetch("web")) == {"one"}, timeout=WAIT)
    for address in nodes:
        waiting.until(lambda a=address: fetch(a, port) == ["one"], timeout=WAIT)


def test_a_local_node_port_drops_what_its_node_cannot_answer(
    core, namespace, service, serving, fetch
):
    port = service(type="NodePort", externalTrafficPolicy="Local").spec.ports[0].node_port
    here = core.read_namespaced_pod("client", namespace).spec.node_name
    serving("one", nodeName=here)
    addresses = {
        node.metadata.name: each.address
        for node in core.list_node().items
        for each in node.status.addresses
        if each.type == "InternalIP"
    }
    own = addresses.pop(here)
    waiting.until(lambda: fetch(own, port) == ["one"], timeout=WAIT)
    for address in addresses.values():
        assert fetch(address, port) == ["nc: timed out"]


@pytest.mark.since("1.22", "internalTrafficPolicy is beta, and on, in 1.22 (KEP-2086)")
def test_local_internal_traffic_is_dropped_without_a_local_pod(
    core, namespace, service, serving, fetch
):
    service(internalTrafficPolicy="Local")
    here = core.read_namespaced_pod("client", namespace).spec.node_name
    other = next(n.metadata.name for n in core.list_node().items if n.metadata.name != here)
    serving("one", nodeName=other)
    assert fetch("web") == ["nc: timed out"]


def test_a_load_balancer_waits_for_one(service, kubectl):
    service(type="LoadBalancer")
    row = kubectl("get", "service", "web", "--no-headers").split()
    assert (row[1], row[3]) == ("LoadBalancer", "<pending>")
    assert row[4].startswith("80:3")


def test_an_external_name_has_no_address(service, kubectl):
    spec = service(ports=None, selector="", type="ExternalName", externalName="example.com").spec
    assert spec.cluster_ip is None
    row = kubectl("get", "service", "web", "--no-headers").split()
    assert row[1:5] == ["ExternalName", "<none>", "example.com", "<none>"]


def test_an_address_can_be_asked_for_once(service, refusal, core, namespace):
    service("one", clusterIP="10.96.201.77")
    body = {
        "metadata": {"name": "two"},
        "spec": {"clusterIP": "10.96.201.77", "ports": [{"port": 80}]},
    }
    status = refusal(core.create_namespaced_service, namespace, body)
    assert status["code"] == 422
    assert "provided IP is already allocated" in status["message"]


def test_an_address_stays(service, refusal, core, namespace):
    service()
    status = refusal(
        core.patch_namespaced_service, "web", namespace, {"spec": {"clusterIP": "10.96.201.78"}}
    )
    assert "field is immutable" in status["message"] or "may not change" in status["message"]


def test_a_node_port_can_be_asked_for_within_the_range(refused):
    ((field, message),) = refused(type="NodePort", ports=[{"port": 80, "nodePort": 80}])
    assert field == "spec.ports[0].nodePort"
    assert message.endswith("The range of valid ports is 30000-32767")


def test_a_cluster_ip_service_takes_no_node_port(refused):
    ((field, _),) = refused(ports=[{"port": 80, "nodePort": 30123}])
    assert field == "spec.ports[0].nodePort"


def test_several_ports_need_names(refused):
    found = refused(ports=[{"port": 80}, {"port": 81}])
    assert found == [
        ("spec.ports[0].name", "Required value"),
        ("spec.ports[1].name", "Required value"),
    ]


def test_a_name_must_fit_into_dns(refused):
    ((field, message),) = refused("1web")
    assert field == "metadata.name"
    assert "a DNS-1035 label must consist of lower case alphanumeric characters" in message


def test_what_a_type_must_be(refused):
    found = dict(refused(type="Nope"))
    assert found["spec.type"].startswith('Unsupported value: "Nope": supported values: "ClusterIP"')


def test_a_headless_service_is_no_node_port(refused):
    fields = [field for field, _ in refused(clusterIP="None", type="NodePort")]
    assert fields == ["spec.clusterIPs[0]"]


def test_expose_follows_a_deployment(kubectl):
    kubectl("create", "deployment", "web", "--image=nginx:1.27", "--port=80")
    assert kubectl("expose", "deployment", "web") == "service/web exposed\n"
    spec = json.loads(kubectl("get", "service", "web", "-o", "json"))["spec"]
    assert spec["selector"] == {"app": "web"}
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]


def test_create_service_makes_each_type(kubectl):
    assert kubectl("create", "service", "clusterip", "a", "--tcp=80:8080") == "service/a created\n"
    kubectl("create", "service", "nodeport", "b", "--tcp=80", "--node-port=30777")
    kubectl("create", "service", "loadbalancer", "c", "--tcp=80")
    kubectl("create", "service", "externalname", "d", "--external-name=example.com")
    rows = [line.split() for line in kubectl("get", "services", "--no-headers").splitlines()]
    assert [row[1] for row in rows] == ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]
    assert rows[1][4] == "80:30777/TCP"


def test_endpoints_show_nothing_but_ready_addresses(service, kubectl, core, namespace, shell_pod):
    service()
    waiting.until(lambda: "<none>" in kubectl("get", "endpoints", "web"), timeout=WAIT)
    probe = {"exec": {"command": ["false"]}}
    pod = shell_pod("one", "sleep 3600", readinessProbe=probe)
    core.create_namespaced_pod(
        namespace, pod | {"metadata": {"name": "one", "labels": {"app": "web"}}}
    )
    row = ["web"]  # a blank, not <none>, when all addresses are not ready
    waiting.until(
        lambda: kubectl("get", "endpoints", "web", "--no-headers").split()[:-1] == row, timeout=WAIT
    )


def test_endpoints_tell_when_the_change_happened_that_they_follow(core, namespace, service):
    created = service().metadata.creation_timestamp

    def told():
        found = core.read_namespaced_endpoints("web", namespace).metadata.annotations or {}
        return found.get("endpoints.kubernetes.io/last-change-trigger-time")

    assert waiting.until(told, timeout=WAIT) == f"{created:%Y-%m-%dT%H:%M:%SZ}"
