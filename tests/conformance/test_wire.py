"""What goes over the wire: the forms in which a client sends, and is answered."""

import json

import pytest

CREATED = {
    "configmap": ("configmap", "x", "--from-literal=a=b"),
    "clusterrole": ("clusterrole", "x", "--verb=get", "--non-resource-url=/x", "--dry-run=server"),
    "deployment": ("deployment", "x", "--image=nginx:1.27", "--replicas=0", "--port=80"),
    "docker-registry": (
        *("secret", "docker-registry", "x", "--docker-username=a", "--docker-password=b"),
        "--docker-email=c@example.com",
    ),
    "externalname": ("service", "externalname", "x", "--external-name=example.com"),
    "job": ("job", "x", "--image=busybox:1.36", "--", "true"),
    "nodeport": ("service", "nodeport", "x", "--tcp=80:8080"),
    "priorityclass": ("priorityclass", "x", "--value=7", "--dry-run=server"),
    "quota": ("quota", "x", "--hard=pods=3,requests.cpu=1500m"),
    "role": ("role", "x", "--verb=get", "--resource=pods/log,deployments.apps"),
    "rolebinding": ("rolebinding", "x", "--clusterrole=view", "--user=jane", "--group=dev"),
    "serviceaccount": ("serviceaccount", "x"),
}


@pytest.mark.parametrize("what", CREATED)
def test_what_kubectl_creates_in_protobuf_arrives(kubectl, what):
    words = CREATED[what]
    at = words.index("--") if "--" in words else len(words)
    made = kubectl("create", *words[:at], "-o", "json", *words[at:])
    locally = [word for word in words[:at] if word != "--dry-run=server"]
    meant = kubectl("create", *locally, "--dry-run=client", "-o", "json", *words[at:])
    assert contains(json.loads(made), json.loads(meant))


def contains(whole, part):
    """Whether what was meant is in what was made, beside what the server filled in."""
    if isinstance(part, dict):
        return all(contains(whole.get(key), value) for key, value in part.items() if value)
    if isinstance(part, list):
        pairs = zip(whole, part, strict=True)
        return all(contains(*pair) for pair in pairs)
    return whole == part


@pytest.mark.since("1.21", "KEP-19: CronJob is batch/v1; policy/v1 PodDisruptionBudget")
def test_what_kubectl_creates_in_newer_groups_arrives(kubectl):
    kubectl("create", "cronjob", "x", "--image=busybox:1.36", "--schedule=0 1 * * *", "--", "true")
    made = json.loads(kubectl("get", "cronjob", "x", "-o", "json"))
    assert made["spec"]["schedule"] == "0 1 * * *"
    assert made["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["name"] == "x"
    kubectl("create", "pdb", "x", "--selector=a=b", "--min-available=50%")
    spec = json.loads(kubectl("get", "pdb", "x", "-o", "json"))["spec"]
    assert spec == {"minAvailable": "50%", "selector": {"matchLabels": {"a": "b"}}}


def test_an_ingress_of_kubectl_arrives(kubectl):
    kubectl("create", "ingress", "x", "--class=none", "--rule=example.com/bar*=svc:8080,tls=cert")
    spec = json.loads(kubectl("get", "ingress", "x", "-o", "json"))["spec"]
    backend = {"service": {"name": "svc", "port": {"number": 8080}}}
    paths = [{"path": "/bar", "pathType": "Prefix", "backend": backend}]
    assert spec == {
        "ingressClassName": "none",
        "rules": [{"host": "example.com", "http": {"paths": paths}}],
        "tls": [{"hosts": ["example.com"], "secretName": "cert"}],
    }


@pytest.mark.since("1.28", "KEP-3325: SelfSubjectReview")
def test_whoami(kubectl):
    head, *rows = kubectl("auth", "whoami").splitlines()
    assert head.split() == ["ATTRIBUTE", "VALUE"]
    assert any(row.startswith("Groups") and "system:authenticated" in row for row in rows)
