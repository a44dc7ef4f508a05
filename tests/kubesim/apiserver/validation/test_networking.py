"""What is wrong with NetworkPolicies, Ingresses and their classes, and what they get."""

import pytest

GROUP = "/apis/networking.k8s.io/v1"
POLICIES = f"{GROUP}/namespaces/default/networkpolicies"
INGRESSES = f"{GROUP}/namespaces/default/ingresses"
CLASSES = f"{GROUP}/ingressclasses"
BACKEND = {"service": {"name": "web", "port": {"number": 80}}}


def policy(**spec):
    return {"metadata": {"name": "one"}, "spec": {"podSelector": {}, **spec}}


def came_from(*peers, **rule):
    return policy(ingress=[{"from": list(peers), **rule}])


def ingress(path="/", kind="Prefix", backend=None, host="", **spec):
    entry = {"path": path, "backend": backend or BACKEND} | ({"pathType": kind} if kind else {})
    rule = {"http": {"paths": [entry]}} | ({"host": host} if host else {})
    return {"metadata": {"name": "one"}, "spec": {"rules": [rule], **spec}}


FIRST = "spec.rules[0].http.paths[0]"


@pytest.mark.parametrize(
    ("path", "obj", "field", "message"),
    [
        (
            POLICIES,
            came_from({}),
            "spec.ingress[0].from[0]",
            "Required value: must specify a peer",
        ),
        (
            POLICIES,
            came_from({"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}),
            "spec.ingress[0].from[0]",
            "Forbidden: may not specify both ipBlock and another peer",
        ),
        (
            POLICIES,
            came_from({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.0.0/8"]}}),
            "spec.ingress[0].from[0].ipBlock.except[0]",
            'Invalid value: "10.0.0.0/8": must be a strict subset of `cidr`',
        ),
        (
            POLICIES,
            policy(ingress=[{"ports": [{"port": 80, "endPort": 79}]}]),
            "spec.ingress[0].ports[0].endPort",
            "Invalid value: 79: must be greater than or equal to `port`",
        ),
        (
            POLICIES,
            policy(policyTypes=["Both"]),
            "spec.policyTypes[0]",
            'Unsupported value: "Both": supported values: "Egress", "Ingress"',
        ),
        (
            INGRESSES,
            {"metadata": {"name": "one"}, "spec": {}},
            "spec",
            "Invalid value: null: either `defaultBackend` or `rules` must be specified",
        ),
        (
            INGRESSES,
            ingress(kind=""),
            f"{FIRST}.pathType",
            "Required value: pathType must be specified",
        ),
        (
            INGRESSES,
            ingress("web"),
            f"{FIRST}.path",
            'Invalid value: "web": must be an absolute path',
        ),
        (
            INGRESSES,
            ingress(backend={"service": {"name": "web"}}),
            f"{FIRST}.backend",
            "Required value: port name or number is required",
        ),
        (
            INGRESSES,
            ingress(host="10.0.0.1"),
            "spec.rules[0].host",
            'Invalid value: "10.0.0.1": must be a DNS name, not an IP address',
        ),
        (
            CLASSES,
            {"metadata": {"name": "one"}, "spec": {"controller": "nginx"}},
            "spec.controller",
            'Invalid value: "nginx": must be a domain-prefixed path (such as "acme.io/foo")',
        ),
    ],
)
async def test_what_is_refused(make_api, path, obj, field, message):
    status, answer = await make_api().post(path, obj)
    assert status == 422, answer
    assert (field, message) in [(c["field"], c["message"]) for c in answer["details"]["causes"]]


async def test_a_policy_is_about_what_it_has_rules_for(make_api):
    api = make_api()
    made = await api.make(POLICIES, policy())
    assert made["spec"]["policyTypes"] == ["Ingress"]
    assert made["metadata"]["generation"] == 1
    made = await api.make(POLICIES, policy(egress=[{}]) | {"metadata": {"name": "two"}})
    assert made["spec"]["policyTypes"] == ["Ingress", "Egress"]
    ports = policy(ingress=[{"ports": [{"port": 80}]}]) | {"metadata": {"name": "three"}}
    made = await api.make(POLICIES, ports)
    assert made["spec"]["ingress"][0]["ports"] == [{"port": 80, "protocol": "TCP"}]


async def test_an_ingress_gets_the_default_class_and_names_only_one(make_api):
    api = make_api()
    annotations = {"ingressclass.kubernetes.io/is-default-class": "true"}
    meta = {"name": "nginx", "annotations": annotations}
    spec = {"controller": "k8s.io/ingress-nginx"}
    await api.make(CLASSES, {"metadata": meta, "spec": spec})
    made = await api.make(INGRESSES, ingress())
    assert made["spec"]["ingressClassName"] == "nginx"
    assert made["status"] == {"loadBalancer": {}}
    both = ingress(ingressClassName="nginx")
    both["metadata"] = {"name": "two", "annotations": {"kubernetes.io/ingress.class": "nginx"}}
    status, answer = await api.post(INGRESSES, both)
    assert status == 422
    assert "can not be set when the class field is also set" in answer["message"]
    status, answer = await api.patch(f"{CLASSES}/nginx", {"spec": {"controller": "a.b/c"}})
    assert "spec.controller: Invalid value" in answer["message"]
