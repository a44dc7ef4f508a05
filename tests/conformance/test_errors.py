"""What a request is refused with, to the letter."""

import base64
import json

import pytest

NOWHERE = "the server could not find the requested resource"


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/pod",
        "/api/v1/namespaces/default/nothings",
        "/api/v1/namespaces/default/pods/x/nothing",
        "/api/v1/namespaces/default/nodes",
        "/apis/apps/v1/nothings",
        "/apis/apps/v1beta9/deployments",
        "/apis/apps/v1beta9",
        "/api/v9/pods",
    ],
)
def test_an_unknown_resource_is_a_status_without_a_guess(ask, path):
    status, _, body = ask("GET", path)
    assert status == 404
    assert json.loads(body) == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": NOWHERE,
        "reason": "NotFound",
        "details": {},
        "code": 404,
    }


@pytest.mark.parametrize("path", ["/apis/foo.example/v1/things", "/apis/foo.example/v1"])
def test_an_unknown_group_is_no_page(ask, path):
    status, headers, body = ask("GET", path)
    assert (status, body) == (404, "404 page not found\n")
    assert headers["content-type"].startswith("text/plain")


def test_an_unknown_path_is_answered_with_those_that_there_are(ask):
    status, _, body = ask("GET", "/nothing/here")
    assert status == 404
    assert "/healthz" in json.loads(body)["paths"]


def test_kubectl_tells_an_unknown_path_from_a_missing_object(kubectl):
    told = kubectl("get", "--raw", "/api/v1/pod", fails=True)
    assert told == f"Error from server (NotFound): {NOWHERE}\n"


@pytest.fixture
def config_maps(namespace):
    return f"/api/v1/namespaces/{namespace}/configmaps"


def refused(answer):
    """The code and the sentence of a refusal."""
    status, _, body = answer
    told = json.loads(body)
    assert told["kind"] == "Status"
    assert told["code"] == status
    return status, told["message"]


UNRECOGNIZED = "the object provided is unrecognized (must be of type ConfigMap): "


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("{bad", "invalid character 'b' looking for beginning of object key string ({bad)"),
        ("", "unexpected end of JSON input (<empty>)"),
        ("{} x", "invalid character 'x' after top-level value ({} x)"),
        (
            "text of some length, beyond thirty characters",
            "invalid character 'e' in literal true (expecting 'r') "
            "(74657874206f6620736f6d65206c656e6774682c206265796f6e64207468 ...)",
        ),
        ('{"kind":5}', "json: cannot unmarshal number into Go struct field .kind of type string"),
        ("[]", "json: cannot unmarshal array into Go value of type struct { APIVersion string"),
    ],
)
def test_a_body_that_is_no_json(ask, config_maps, body, told):
    code, message = refused(ask("POST", config_maps, body))
    assert code == 400
    assert message.startswith(f"{UNRECOGNIZED}couldn't get version/kind; json parse error: {told}")


def test_a_body_that_is_no_yaml(ask, config_maps):
    answer = ask("POST", config_maps, "a: [", content_type="application/yaml")
    told = "yaml: line 1: did not find expected node content (613a205b)"
    assert refused(answer) == (400, UNRECOGNIZED + told)


def test_a_body_of_another_kind(ask, config_maps):
    code, message = refused(ask("POST", config_maps, {"apiVersion": "v1", "kind": "Secret"}))
    assert code == 400
    assert message == (
        'Secret in version "v1" cannot be handled as a ConfigMap: '
        "converting (v1.Secret) to (core.ConfigMap): unknown conversion"
    )


def test_a_body_of_an_unknown_kind(ask, config_maps):
    code, message = refused(ask("POST", config_maps, {"apiVersion": "v1", "kind": "Nothing"}))
    assert code == 400
    assert message.startswith(
        'Nothing in version "v1" cannot be handled as a ConfigMap: '
        'no kind "Nothing" is registered for version "v1" in scheme '
    )


def test_a_body_for_another_namespace(ask, config_maps):
    body = {"metadata": {"name": "x", "namespace": "elsewhere"}}
    assert refused(ask("POST", config_maps, body)) == (
        400,
        "the namespace of the provided object does not match the namespace sent on the request",
    )


def test_a_replacement_under_another_name(ask, config_maps):
    answer = ask("PUT", f"{config_maps}/x", {"metadata": {"name": "y"}})
    told = "the name of the object (y) does not match the name on the URL (x)"
    assert refused(answer) == (400, told)


def test_a_replacement_without_a_name(ask, config_maps):
    assert refused(ask("PUT", f"{config_maps}/x", {})) == (
        400,
        "the name of the object (x based on URL) was undeterminable: name must be provided",
    )


def test_an_object_without_a_name(ask, config_maps):
    assert refused(ask("POST", config_maps, {})) == (
        422,
        'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
    )


@pytest.mark.parametrize(("data", "at"), [("not base64!", 3), ("abc", 0)])
def test_data_that_is_no_base64(ask, namespace, data, at):
    body = {"metadata": {"name": "x"}, "data": {"a": data}}
    code, message = refused(ask("POST", f"/api/v1/namespaces/{namespace}/secrets", body))
    assert code == 400
    assert message.startswith('Secret in version "v1" cannot be handled as a Secret: ')
    assert f"illegal base64 data at input byte {at}" in message


@pytest.mark.since("1.22", "sigs.k8s.io/json instead of json-iterator")
def test_a_field_of_another_type(ask, namespace):
    body = {"metadata": {"name": "x"}, "data": {"a": 1}}
    code, message = refused(ask("POST", f"/api/v1/namespaces/{namespace}/configmaps", body))
    assert code == 400
    assert message == (
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: '
        "json: cannot unmarshal number into Go struct field ConfigMap.data of type string"
    )


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("abc", "invalid character 'i' looking for beginning of value"),
        ("***", "illegal base64 data at input byte 0"),
        ({"v": "v9"}, 'server does not recognize this encoded version "v9"'),
        ({"v": "meta.k8s.io/v1", "start": "a"}, "incorrect encoded start resourceVersion"),
        ({"v": "meta.k8s.io/v1", "rv": 5}, "encoded start key empty (version meta.k8s.io/v1)"),
    ],
)
def test_a_continue_token_that_is_none(ask, config_maps, token, why):
    if isinstance(token, dict):
        token = base64.urlsafe_b64encode(json.dumps(token).encode()).decode().rstrip("=")
    code, message = refused(ask("GET", f"{config_maps}?limit=1&continue={token}"))
    assert code == 400
    assert message.startswith(f"invalid continue token: continue key is not valid: {why}")


@pytest.mark.parametrize("option", ["limit", "timeoutSeconds"])
def test_a_number_that_is_none(ask, config_maps, option):
    told = 'strconv.ParseInt: parsing "abc": invalid syntax'
    assert refused(ask("GET", f"{config_maps}?{option}=abc")) == (400, told)


def test_an_unknown_dry_run(ask, config_maps):
    assert refused(ask("POST", f"{config_maps}?dryRun=Some", {"metadata": {"name": "x"}})) == (
        422,
        'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: '
        '[]string{"Some"}: supported values: "All"',
    )


def test_an_unknown_propagation_policy(ask, config_maps):
    assert refused(ask("DELETE", f"{config_maps}/x?propagationPolicy=Some")) == (
        422,
        'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: '
        '"Some": supported values: "Foreground", "Background", "Orphan", "nil"',
    )


def test_two_propagation_policies(ask, config_maps):
    answer = ask("DELETE", f"{config_maps}/x?propagationPolicy=Orphan&orphanDependents=true")
    code, message = refused(answer)
    assert code == 422
    assert message.endswith("orphanDependents and deletionPropagation cannot be both set")


def test_too_long_a_field_manager(ask, config_maps):
    path = f"{config_maps}?fieldManager={'x' * 129}"
    code, message = refused(ask("POST", path, {"metadata": {"name": "x"}}))
    assert code == 422
    assert 'CreateOptions.meta.k8s.io "" is invalid: fieldManager: Too long:' in message


def test_a_name_whose_object_is_being_deleted(core, namespace, refusal):
    body = {"metadata": {"name": "x", "finalizers": ["example.com/wait"]}}
    core.create_namespaced_config_map(namespace, body)
    core.delete_namespaced_config_map("x", namespace)
    status = refusal(core.create_namespaced_config_map, namespace, body)
    core.patch_namespaced_config_map("x", namespace, {"metadata": {"finalizers": None}})
    assert (status["code"], status["reason"]) == (409, "AlreadyExists")
    assert status["message"] == 'object is being deleted: configmaps "x" already exists'


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_verb_that_a_collection_does_not_have(ask, config_maps, method):
    content_type = "application/merge-patch+json" if method == "PATCH" else "application/json"
    status, _, body = ask(method, config_maps, "{}", content_type=content_type)
    answer = json.loads(body)
    assert (status, answer["reason"]) == (405, "MethodNotAllowed")
    told = "the server does not allow this method on the requested resource"
    assert (answer["message"], answer["details"]) == (told, {})
