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


META = "application/json;as={};v=v1;g=meta.k8s.io"


def test_metadata_only_of_one_object(ask):
    accept = META.format("PartialObjectMetadata")
    status, headers, body = ask("GET", "/api/v1/namespaces/default", accept=accept)
    assert (status, headers["content-type"]) == (200, "application/json")
    obj = json.loads(body)
    assert (obj["kind"], obj["apiVersion"]) == ("PartialObjectMetadata", "meta.k8s.io/v1")
    assert obj["metadata"]["name"] == "default"
    assert set(obj) == {"kind", "apiVersion", "metadata"}


def test_metadata_only_of_a_list(ask):
    accept = META.format("PartialObjectMetadataList")
    obj = json.loads(ask("GET", "/api/v1/nodes", accept=accept)[2])
    assert (obj["kind"], obj["apiVersion"]) == ("PartialObjectMetadataList", "meta.k8s.io/v1")
    assert all(set(item) == {"kind", "apiVersion", "metadata"} for item in obj["items"])
    assert {item["kind"] for item in obj["items"]} == {"PartialObjectMetadata"}


def test_metadata_only_in_a_watch(ask):
    path = "/api/v1/namespaces?watch=1&timeoutSeconds=1&fieldSelector=metadata.name=default"
    body = ask("GET", path, accept=META.format("PartialObjectMetadata"))[2]
    event = json.loads(body.splitlines()[0])
    assert event["type"] == "ADDED"
    assert set(event["object"]) == {"kind", "apiVersion", "metadata"}


@pytest.mark.parametrize(
    ("kind", "path", "why"),
    [
        ("PartialObjectMetadata", "/api/v1/namespaces", "the requested object is a list"),
        (
            "PartialObjectMetadataList",
            "/api/v1/namespaces/default",
            "the requested object is not a list",
        ),
    ],
)
def test_one_where_there_are_many_is_not_acceptable(ask, kind, path, why):
    status, _, body = ask("GET", path, accept=META.format(kind))
    assert status == 406
    answer = json.loads(body)
    assert answer["message"].startswith(f"you requested {kind}, but {why}")
    assert answer["reason"] == "NotAcceptable"


def test_a_table_for_who_prefers_it(ask):
    accept = META.format("Table") + ",application/json"
    obj = json.loads(ask("GET", "/api/v1/namespaces/default", accept=accept)[2])
    assert (obj["kind"], obj["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert obj["rows"][0]["cells"][:2] == ["default", "Active"]
    assert obj["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


@pytest.mark.parametrize("include", ["None", "Object"])
def test_how_much_of_an_object_a_row_carries(ask, include):
    path = f"/api/v1/namespaces/default?includeObject={include}"
    row = json.loads(ask("GET", path, accept=META.format("Table"))[2])["rows"][0]
    kind = (row.get("object") or {}).get("kind")
    assert kind == {"None": None, "Object": "Namespace"}[include]


def test_an_unknown_amount_is_refused(ask):
    path = "/api/v1/namespaces?includeObject=Some"
    status, _, body = ask("GET", path, accept=META.format("Table"))
    assert status == 400
    assert json.loads(body)["message"] == (
        'Unable to convert to Table as requested: includeObject: Invalid value: "Some": '
        "must be 'Metadata', 'Object', 'None', or empty"
    )


def test_a_table_of_an_older_version_of_meta(ask):
    accept = "application/json;as=Table;v=v1beta1;g=meta.k8s.io"
    obj = json.loads(ask("GET", "/api/v1/nodes", accept=accept)[2])
    assert obj["apiVersion"] == "meta.k8s.io/v1beta1"


def test_an_object_in_yaml(ask):
    status, headers, body = ask("GET", "/api/v1/namespaces/default", accept="application/yaml")
    assert (status, headers["content-type"]) == (200, "application/yaml")
    assert body.startswith('apiVersion: v1\nkind: Namespace\nmetadata:\n  creationTimestamp: "20')
    assert body.endswith("spec:\n  finalizers:\n  - kubernetes\nstatus:\n  phase: Active\n")


def test_a_status_in_yaml(ask):
    status, _, body = ask("GET", "/api/v1/namespaces/none", accept="application/yaml")
    assert status == 404
    assert body == (
        "apiVersion: v1\ncode: 404\ndetails:\n  kind: namespaces\n  name: none\nkind: Status\n"
        'message: namespaces "none" not found\nmetadata: {}\nreason: NotFound\nstatus: Failure\n'
    )


def test_a_body_in_yaml(ask, namespace):
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    body = "metadata: {name: x}\ndata:\n  a: b\n"
    body = "apiVersion: v1\nkind: ConfigMap\n" + body
    status, _, answer = ask("POST", path, body, content_type="application/yaml")
    assert status == 201
    assert json.loads(answer)["data"] == {"a": "b"}


def test_no_form_that_is_spoken(ask):
    status, headers, body = ask("GET", "/api/v1/namespaces", accept="text/html")
    assert (status, headers["content-type"]) == (406, "application/json")
    assert json.loads(body)["message"].startswith("406: Not Acceptable")


def test_a_person_reads_a_refusal_in_lines(ask):
    _, _, body = ask("GET", "/api/v1/namespaces", accept="text/html", user_agent="curl/8.0")
    assert body.startswith('{\n  "kind": "Status",\n')


def test_no_kind_that_is_known(ask):
    status, _, body = ask("GET", "/api/v1/namespaces", accept=META.format("Sketch"))
    assert status == 406
    assert json.loads(body)["message"] == (
        "only the following media types are accepted: "
        "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    )


def test_no_watch_in_yaml(ask):
    path = "/api/v1/namespaces?watch=1&timeoutSeconds=1"
    assert ask("GET", path, accept="application/yaml")[0] == 406


def test_a_body_of_a_form_that_is_not_spoken(ask, namespace):
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    status, _, body = ask("POST", path, "{}", content_type="text/plain")
    answer = json.loads(body)
    assert (status, answer["reason"]) == (415, "UnsupportedMediaType")
    assert answer["message"] == (
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    )


def test_people_get_indented_json(ask):
    for options in ({"user-agent": "curl/8.0"}, {}):
        path = "/api/v1/namespaces/default" + ("" if options else "?pretty=true")
        body = ask("GET", path, **options)[2]
        assert body.startswith('{\n  "kind": "Namespace",\n  "apiVersion": "v1",\n')


def test_a_large_list_comes_in_gzip(ask, namespace, core):
    for name in ("x", "y"):
        obj = {"metadata": {"name": name}, "data": {"a": "b" * 90_000}}
        core.create_namespaced_config_map(namespace, obj)
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    _, headers, body = ask("GET", path, accept_encoding="gzip")
    assert headers["content-encoding"] == "gzip"
    assert headers["vary"] == "Accept-Encoding"
    assert len(json.loads(body)["items"]) >= 2
    assert "content-encoding" not in ask("GET", f"{path}/x", accept_encoding="gzip")[1]
