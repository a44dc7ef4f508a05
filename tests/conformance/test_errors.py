"""What a request is refused with, to the letter."""

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
