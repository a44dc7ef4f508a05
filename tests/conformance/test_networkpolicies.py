"""NetworkPolicies: what they say, and who gets through."""

import json

import pytest

from kubelab import waiting

WAIT = 60
WEB = {"podSelector": {"matchLabels": {"app": "web"}}}
CLIENT = {"podSelector": {"matchLabels": {"app": "client"}}}
enforced = pytest.mark.since("1.31", "kindnet enforces NetworkPolicies since kind 0.24")


@pytest.fixture
def policy(networking, namespace):
    """Creates a policy for the Pods app=web."""

    def create(name="p", **spec):
        body = {"metadata": {"name": name}, "spec": {**WEB, **spec}}
        return networking.create_namespaced_network_policy(namespace, body)

    return create


@pytest.fixture
def refused(cause_pairs, networking, namespace):
    """The causes for which a policy is refused, as (field, message)."""

    def create(**spec):
        body = {"metadata": {"name": "p"}, "spec": {**WEB, **spec}}
        return cause_pairs(networking.create_namespaced_network_policy, namespace, body)

    return create


@pytest.fixture
def web(serving):
    """The address of a Pod app=web."""
    return serving("web").status.pod_ip


def becomes(fetch, ip, told, **how):
    waiting.until(lambda: fetch(ip, 8080, **how) == [told], timeout=WAIT, what=f"{told} from {ip}")


DROPPED = "nc: timed out"


def test_without_policies_every_pod_is_open(web, fetch):
    becomes(fetch, web, "web")


def test_a_policy_is_about_what_comes_in_by_default(policy):
    assert policy().spec.policy_types == ["Ingress"]


def test_rules_for_what_goes_out_make_it_about_that_too(policy):
    assert policy(egress=[{}]).spec.policy_types == ["Ingress", "Egress"]


def test_ports_are_of_tcp_by_default(policy):
    port = policy(ingress=[{"ports": [{"port": 80}]}]).spec.ingress[0].ports[0]
    assert (port.protocol, port.port) == ("TCP", 80)


def test_a_peer_must_say_something(refused):
    assert refused(ingress=[{"from": [{}]}]) == [
        ("spec.ingress[0].from[0]", "Required value: must specify a peer")
    ]


def test_a_block_stands_alone(refused):
    peer = {"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}
    assert refused(ingress=[{"from": [peer]}]) == [
        (
            "spec.ingress[0].from[0]",
            "Forbidden: may not specify both ipBlock and another peer",
        )
    ]


def test_an_exception_lies_within_its_block(refused):
    peer = {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["192.168.0.0/16"]}}
    ((field, message),) = refused(ingress=[{"from": [peer]}])
    assert field == "spec.ingress[0].from[0].ipBlock.except[0]"
    assert "must be a strict subset of `cidr`" in message


def test_a_port_is_a_port(refused):
    ((field, message),) = refused(ingress=[{"ports": [{"port": 70000}]}])
    assert field == "spec.ingress[0].ports[0].port"
    assert message == "Invalid value: 70000: must be between 1 and 65535, inclusive"


def test_columns_and_description(policy, kubectl):
    policy(ingress=[{"from": [CLIENT], "ports": [{"port": 80}]}])
    heading, row = [line.split() for line in kubectl("get", "netpol").splitlines()]
    assert heading == ["NAME", "POD-SELECTOR", "AGE"]
    assert row[:2] == ["p", "app=web"]
    described = kubectl("describe", "netpol", "p")
    assert "To Port: 80/TCP" in described
    assert "PodSelector: app=client" in described


def test_a_policy_is_changed_by_apply(kubectl):
    body = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "p"},
        "spec": {**WEB, "ingress": [{"from": [CLIENT]}]},
    }
    created = kubectl("apply", "-f", "-", stdin=json.dumps(body))
    assert created == "networkpolicy.networking.k8s.io/p created\n"
    del body["spec"]["ingress"]
    kubectl("apply", "-f", "-", stdin=json.dumps(body))
    assert json.loads(kubectl("get", "netpol", "p", "-o", "json"))["metadata"]["generation"] == 2


@enforced
def test_an_empty_policy_closes_its_pods(policy, web, fetch):
    policy()
    becomes(fetch, web, DROPPED)


@enforced
def test_those_who_are_chosen_come_in(policy, web, fetch):
    policy(ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "other"}}}]}])
    becomes(fetch, web, DROPPED)
    policy("more", ingress=[{"from": [CLIENT]}])
    becomes(fetch, web, "web")


@enforced
def test_a_deleted_policy_closes_nothing(policy, web, fetch, networking, namespace):
    policy()
    becomes(fetch, web, DROPPED)
    networking.delete_namespaced_network_policy("p", namespace)
    becomes(fetch, web, "web")


@enforced
def test_only_the_named_port_is_open(policy, web, fetch):
    policy(ingress=[{"ports": [{"port": "web"}]}])
    becomes(fetch, web, "web")
    assert fetch(web, 8081) == [DROPPED]


@enforced
def test_a_range_of_ports_is_open(policy, web, fetch):
    policy(ingress=[{"ports": [{"port": 8079, "endPort": 8081}]}])
    becomes(fetch, web, "web")
    assert fetch(web, 8082) == [DROPPED]


@enforced
def test_namespaces_are_chosen_by_their_labels(policy, web, fetch, namespace):
    def of(name):
        return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}

    policy(ingress=[{"from": [of("kube-system")]}])
    becomes(fetch, web, DROPPED)
    policy("own", ingress=[{"from": [of(namespace)]}])
    becomes(fetch, web, "web")


@enforced
def test_addresses_can_be_excepted(policy, web, fetch, core, namespace):
    own = core.read_namespaced_pod("client", namespace).status.pod_ip
    everybody = {"cidr": "0.0.0.0/0"}
    policy("all", ingress=[{"from": [{"ipBlock": everybody}]}])
    becomes(fetch, web, "web")
    but_me = {"ipBlock": {**everybody, "except": [f"{own}/32"]}}
    policy("others", ingress=[{"from": [but_me]}])
    becomes(fetch, web, "web")  # policies add up


@enforced
def test_what_goes_out_can_be_closed(web, fetch, networking, namespace):
    spec = {**CLIENT, "policyTypes": ["Egress"]}
    body = {"metadata": {"name": "out"}, "spec": spec}
    networking.create_namespaced_network_policy(namespace, body)
    becomes(fetch, web, DROPPED)
    patch = {"spec": {"egress": [{"to": [WEB]}]}}
    networking.patch_namespaced_network_policy("out", namespace, patch)
    becomes(fetch, web, "web")
