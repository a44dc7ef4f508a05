"""The four kinds of patch, and how a patch that does not work is refused."""

import json

import pytest

JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


@pytest.fixture
def patch(ask, core, namespace):
    """Patches a ConfigMap; returns the status code and the answer."""
    core.create_namespaced_config_map(namespace, {"metadata": {"name": "x"}, "data": {"a": "1"}})

    def send(body, content_type, query=""):
        path = f"/api/v1/namespaces/{namespace}/configmaps/x{query}"
        status, _, answer = ask("PATCH", path, body, content_type=content_type)
        return status, json.loads(answer)

    return send


@pytest.fixture
def patch_deployment(ask, apps, namespace):
    """The same of a Deployment without replicas."""
    template = {
        "metadata": {"labels": {"app": "x"}},
        "spec": {"containers": [{"name": "c", "image": "nginx:1.27"}]},
    }
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "x"}}, "template": template}
    apps.create_namespaced_deployment(namespace, {"metadata": {"name": "x"}, "spec": spec})

    def send(body, content_type=STRATEGIC):
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/x"
        status, _, answer = ask("PATCH", path, body, content_type=content_type)
        return status, json.loads(answer)

    return send


def test_a_json_patch_does_one_thing_after_another(patch):
    operations = [
        {"op": "add", "path": "/data/b", "value": "2"},
        {"op": "copy", "from": "/data/b", "path": "/data/c"},
        {"op": "move", "from": "/data/a", "path": "/data/d"},
        {"op": "test", "path": "/data/d", "value": "1"},
        {"op": "replace", "path": "/data/c", "value": "3"},
        {"op": "remove", "path": "/data/b"},
    ]
    status, obj = patch(operations, JSON_PATCH)
    assert (status, obj["data"]) == (200, {"c": "3", "d": "1"})


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "sing", "path": "/data"},
        {"op": "add"},
        {"op": "remove", "path": "/data/none"},
        {"op": "test", "path": "/data/a", "value": "2"},
        {"op": "add", "path": "/none/a", "value": "1"},
    ],
)
def test_an_operation_that_fails_fails_the_patch(patch, operation):
    status, answer = patch([operation], JSON_PATCH)
    assert status == 422
    assert (answer["reason"], answer["details"]) == ("Invalid", {})
    assert answer["message"] == "the server rejected our request due to an error in our request"


def test_a_merge_patch_deletes_by_null_and_replaces_lists(patch):
    body = {"data": {"a": None, "b": "2"}, "metadata": {"finalizers": ["example.com/x"]}}
    status, obj = patch(body, MERGE)
    assert (status, obj["data"]) == (200, {"b": "2"})
    obj = patch({"metadata": {"finalizers": []}}, MERGE)[1]
    assert "finalizers" not in obj["metadata"]


def test_malformed_strategic_patches(patch):
    status, answer = patch("{bad", STRATEGIC)
    assert (status, answer["reason"]) == (400, "BadRequest")
    told = "invalid character 'b' looking for beginning of object key string"
    assert answer["message"] == told
    status, answer = patch("[]", STRATEGIC)
    assert (status, answer["message"]) == (
        400,
        "json: cannot unmarshal array into Go value of type map[string]interface {}",
    )


@pytest.mark.since("1.25", "handlers/patch.go decodes strictly before it patches")
@pytest.mark.parametrize(
    ("body", "content_type", "told"),
    [
        ("{bad", MERGE, "invalid character 'b' looking for beginning of object key string"),
        ("[]", MERGE, "json: cannot unmarshal array into Go value of type map[string]interface {}"),
        ("{}", JSON_PATCH, "json: cannot unmarshal object into Go value of type"),
    ],
)
def test_malformed_patches(patch, body, content_type, told):
    status, answer = patch(body, content_type)
    assert (status, answer["reason"]) == (400, "BadRequest")
    assert answer["message"].startswith(f"error decoding patch: {told}")


def test_a_kind_of_patch_that_there_is_not(patch):
    status, answer = patch("{}", "application/json")
    assert (status, answer["reason"]) == (415, "UnsupportedMediaType")
    assert answer["message"].startswith("415: Unsupported Media Type")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"replicas": "3"}, '"map[spec:map[replicas:3]]": unrecognized type: int32'),
        ({"paused": "x"}, '"map[spec:map[paused:x]]": unrecognized type: bool'),
        ("x", '"map[spec:x]": cannot restore struct from: string'),
        (
            {"template": {"spec": {"containers": {}}}},
            '"map[spec:map[template:map[spec:map[containers:map[]]]]]": '
            "cannot restore slice from map",
        ),
        (
            {"template": {"metadata": {"labels": {"a": 1}}}},
            '"map[spec:map[template:map[metadata:map[labels:map[a:1]]]]]": '
            "cannot convert int64 to string",
        ),
    ],
)
def test_a_strategic_patch_with_a_wrong_type(patch_deployment, change, told):
    status, answer = patch_deployment({"spec": change})
    assert (status, answer["reason"]) == (422, "Invalid")
    assert answer["message"] == f' "" is invalid: patch: Invalid value: {told}'
    assert answer["details"]["causes"][0]["field"] == "patch"


@pytest.mark.parametrize("content_type", [MERGE, JSON_PATCH])
def test_a_patch_with_a_wrong_type_is_shown_with_its_result(patch_deployment, content_type):
    operation = {"op": "replace", "path": "/spec/replicas", "value": "3"}
    body = [operation] if content_type == JSON_PATCH else {"spec": {"replicas": "3"}}
    status, answer = patch_deployment(body, content_type)
    assert status == 422
    assert answer["message"].startswith(' "" is invalid: patch: Invalid value: "{')
    assert r"\"replicas\":\"3\"" in answer["message"]


def test_a_list_item_without_the_key_by_which_it_merges(patch_deployment):
    body = {"spec": {"template": {"spec": {"containers": [{"image": "x"}]}}}}
    status, answer = patch_deployment(body)
    told = "map: map[image:x] does not contain declared merge key: name"
    assert (status, answer["message"]) == (500, told)


def test_a_patch_of_another_kind(patch):
    status, answer = patch({"kind": "Nothing"}, MERGE)
    assert status == 422
    assert 'no kind "Nothing" is registered for version "v1" in scheme' in answer["message"]


def test_a_patch_of_the_name(patch):
    status, answer = patch({"metadata": {"name": "y"}}, MERGE)
    told = "the name of the object (y) does not match the name on the URL (x)"
    assert (status, answer["message"]) == (400, told)


def test_a_patch_of_the_uid(patch):
    status, answer = patch({"metadata": {"uid": "y"}}, MERGE)
    assert status == 422
    told = 'ConfigMap "x" is invalid: metadata.uid: Invalid value: "y": field is immutable'
    assert answer["message"] == told


def test_a_patch_of_an_older_version(patch):
    status, answer = patch({"metadata": {"resourceVersion": "1"}}, MERGE)
    assert status == 409
    assert answer["message"].endswith(
        "the object has been modified; please apply your changes to the latest version "
        "and try again"
    )


def test_a_json_patch_can_insist_on_a_version(patch):
    operations = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "1"},
        {"op": "add", "path": "/data/b", "value": "2"},
    ]
    assert patch(operations, JSON_PATCH)[0] == 422


def test_kubectl_shows_what_a_patch_gets_wrong(kubectl):
    kubectl("create", "configmap", "x")
    told = kubectl("patch", "configmap", "x", "-p", "{bad", fails=True)
    assert told == (
        "Error from server (BadRequest): "
        "invalid character 'b' looking for beginning of object key string\n"
    )
    operations = '[{"op":"remove","path":"/data/none"}]'
    told = kubectl("patch", "configmap", "x", "--type=json", "-p", operations, fails=True)
    assert told == (
        "The request is invalid: the server rejected our request due to an error in our request\n"
    )


def test_an_apply_without_a_manager(patch):
    status, answer = patch("{}", APPLY)
    assert status == 422
    assert answer["message"] == (
        'PatchOptions.meta.k8s.io "" is invalid: '
        "fieldManager: Required value: is required for apply patch"
    )


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (
            "a: [",
            "error decoding YAML: error converting YAML to JSON: "
            "yaml: line 1: did not find expected node content",
        ),
        (
            "[]",
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: "
            "json: cannot unmarshal array into Go value of type map[string]interface {}",
        ),
        (
            '{"metadata":{"name":"x"}}',
            "Incorrect version specified in apply patch. Specified patch version: , expected: v1",
        ),
        (
            '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"managedFields":[{}]}}',
            "metadata.managedFields must be nil",
        ),
        (
            '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"y"}}',
            "the name of the object (y) does not match the name on the URL (x)",
        ),
    ],
)
def test_an_apply_that_cannot_be_read(patch, body, told):
    status, answer = patch(body, APPLY, "?fieldManager=m")
    assert (status, answer["message"]) == (400, told)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"unknown": 1}, ".unknown: field not declared in schema"),
        ({"data": {"a": 1}}, ".data.a: expected string, got &value.valueUnstructured{Value:1}"),
        ({"data": []}, ".data: expected map, got &{[]}"),
    ],
)
def test_an_apply_that_does_not_fit_the_schema(patch, fields, problem):
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, **fields}
    answer = patch(body, APPLY, "?fieldManager=m")[1]
    assert answer["message"].startswith("failed to create typed patch object")
    assert answer["message"].endswith(f": {problem}")


def test_an_apply_with_an_item_twice(patch_deployment, ask, namespace):
    containers = [{"name": "c", "image": "nginx:1.27"}] * 2
    spec = {"template": {"spec": {"containers": containers}}}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}, "spec": spec}
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/x?fieldManager=m"
    answer = json.loads(ask("PATCH", path, body, content_type=APPLY)[2])
    told = '.spec.template.spec.containers: duplicate entries for key [name="c"]'
    assert answer["message"].endswith(told)
