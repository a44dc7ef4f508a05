"""Fields that there are not, fields given twice, and what else a client is warned of."""

import json

import pytest

pytestmark = pytest.mark.since("1.27", "KEP-2885: server-side field validation is GA")
TWICE = '{"metadata":{"name":"x"},"data":{"a":"1","a":"2"},"datas":{}}'


@pytest.fixture
def create(ask, namespace):
    """Makes a dry run of a creation; returns (status, the warnings, the answer)."""

    def send(body, collection="/api/v1/namespaces/{}/configmaps", validation=""):
        query = f"?dryRun=All&fieldValidation={validation}"
        status, headers, answer = ask("POST", collection.format(namespace) + query, body)
        return status, headers.get("warning", ""), json.loads(answer)

    return send


def test_by_default_a_client_is_warned(create):
    status, warning, obj = create(TWICE)
    assert status == 201
    assert warning.split(", 299") == [
        r'299 - "unknown field \"datas\""',
        r' - "duplicate field \"data.a\""',
    ] or warning.split(", 299") == [
        r'299 - "duplicate field \"data.a\""',
        r' - "unknown field \"datas\""',
    ]
    assert obj["data"] == {"a": "2"}


def test_strict_refuses(create):
    status, _, answer = create('{"metadata":{"name":"x"},"datas":{}}', validation="Strict")
    assert (status, answer["message"]) == (
        400,
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: '
        'strict decoding error: unknown field "datas"',
    )


def test_ignore_says_nothing(create):
    status, warning, _ = create(TWICE, validation="Ignore")
    assert (status, warning) == (201, "")


def test_another_way_of_validating_is_none(create):
    status, _, answer = create(TWICE, validation="Maybe")
    assert status == 422
    assert answer["details"]["causes"][0]["field"] == "fieldValidation"


def test_a_place_in_a_list_is_told(create):
    containers = [{"name": "c", "image": "x", "comand": ["x"]}]
    body = {"metadata": {"name": "x"}, "spec": {"containers": containers}}
    warning = create(body, "/api/v1/namespaces/{}/pods")[1]
    assert warning == r'299 - "unknown field \"spec.containers[0].comand\""'


@pytest.mark.parametrize("content_type", ["merge-patch+json", "strategic-merge-patch+json"])
def test_an_unknown_field_in_a_patch(ask, core, namespace, content_type):
    core.create_namespaced_config_map(namespace, {"metadata": {"name": "x"}})
    path = f"/api/v1/namespaces/{namespace}/configmaps/x"
    patch = {"content_type": f"application/{content_type}"}
    status, headers, _ = ask("PATCH", path, '{"datas":{}}', **patch)
    assert (status, headers["warning"]) == (200, r'299 - "unknown field \"datas\""')
    status, _, body = ask("PATCH", f"{path}?fieldValidation=Strict", '{"datas":{}}', **patch)
    assert status == 422
    assert json.loads(body)["message"].endswith('strict decoding error: unknown field "datas"')


def test_a_key_twice_in_a_patch(ask, core, namespace):
    core.create_namespaced_config_map(namespace, {"metadata": {"name": "x"}})
    path = f"/api/v1/namespaces/{namespace}/configmaps/x"
    body = '{"data":{"a":"1","a":"2"}}'
    _, headers, _ = ask("PATCH", path, body, content_type="application/merge-patch+json")
    assert headers["warning"] == r'299 - "duplicate field \"data.a\""'


def pod(container, **spec):
    containers = [{"name": "c", "image": "x", **container}]
    return {"metadata": {"name": "p"}, "spec": {"containers": containers, **spec}}


C = "spec.containers[0]"
WARNED = {
    "a variable twice": (
        pod({"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}),
        rf"{C}.env[1]: hides previous definition of \"A\", which may be dropped when using apply",
    ),
    "a port twice": (
        pod({"ports": [{"containerPort": 80}, {"containerPort": 80}]}),
        f"{C}.ports[1]: duplicate port definition with {C}.ports[0]",
    ),
    "an old label": (
        pod({}, nodeSelector={"beta.kubernetes.io/os": "linux"}),
        r"spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; "
        r"use \"kubernetes.io/os\" instead",
    ),
    "a part of a byte": (
        pod({"resources": {"limits": {"memory": "100m"}}}),
        rf"{C}.resources.requests[memory]: fractional byte value \"100m\" is invalid, "
        "must be an integer",
    ),
    "no name of a Secret": (
        pod({}, imagePullSecrets=[{"name": ""}]),
        r"spec.imagePullSecrets[0].name: invalid empty name \"\"",
    ),
}


@pytest.mark.parametrize("what", WARNED)
def test_what_a_pod_may_not_have_meant(create, what):
    body, expected = WARNED[what]
    status, warning, _ = create(body, "/api/v1/namespaces/{}/pods")
    assert status == 201
    assert f'299 - "{expected}"' in warning


def test_a_template_is_looked_at_as_well(create):
    labels = {"a": "b"}
    template = pod({"ports": [{"containerPort": 80}] * 2}) | {"metadata": {"labels": labels}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    body = {"metadata": {"name": "d.d"}, "spec": spec}
    warning = create(body, "/apis/apps/v1/namespaces/{}/deployments")[1]
    assert "spec.template.spec.containers[0].ports[1]: duplicate port definition" in warning
    assert "metadata.name: this is used in Pod names and hostnames" in warning
