"""Events of the group events.k8s.io are those of the core group, under other names."""

import json

import pytest

MOMENT = "2026-01-01T00:00:00.000000Z"


@pytest.fixture
def core_event(core, namespace):
    """An Event as the old recorders make it."""
    about = {"kind": "Pod", "name": "p", "namespace": namespace, "apiVersion": "v1"}
    body = {
        "metadata": {"name": "x"},
        "involvedObject": about,
        "reason": "Tested",
        "message": "as the test says",
        "type": "Normal",
        "source": {"component": "tester"},
        "count": 2,
    }
    core.create_namespaced_event(namespace, body)
    return body


def path(namespace, name=""):
    return f"/apis/events.k8s.io/v1/namespaces/{namespace}/events{name}"


def test_an_event_of_the_core_group_is_seen(ask, namespace, core_event):
    status, _, body = ask("GET", path(namespace, "/x"))
    obj = json.loads(body)
    assert (status, obj["apiVersion"], obj["kind"]) == (200, "events.k8s.io/v1", "Event")
    assert obj["regarding"] == core_event["involvedObject"]
    assert obj["note"] == "as the test says"
    assert obj["deprecatedSource"] == {"component": "tester"}
    assert obj["deprecatedCount"] == 2


def test_an_event_of_the_new_group_is_seen_in_the_core_group(ask, core, namespace):
    body = {
        "metadata": {"name": "y"},
        "eventTime": MOMENT,
        "regarding": {"kind": "Pod", "name": "p", "namespace": namespace},
        "reason": "Tested",
        "action": "Testing",
        "note": "as the test says",
        "type": "Warning",
        "reportingController": "example.com/tester",
        "reportingInstance": "tester-1",
    }
    assert ask("POST", path(namespace), body)[0] == 201
    event = core.read_namespaced_event("y", namespace)
    assert (event.message, event.reporting_component) == ("as the test says", "example.com/tester")
    assert event.involved_object.name == "p"


def test_what_an_event_of_the_new_group_needs(ask, namespace):
    body = {"metadata": {"name": "z"}, "eventTime": MOMENT, "regarding": {"namespace": namespace}}
    status, _, answer = ask("POST", path(namespace), body)
    assert status == 422
    needed = {cause["field"] for cause in json.loads(answer)["details"]["causes"]}
    assert {"reportingController", "reportingInstance", "action", "reason"} <= needed


def test_an_event_goes_from_both(ask, core, namespace, core_event):
    assert ask("DELETE", path(namespace, "/x"))[0] == 200
    assert ask("GET", f"/api/v1/namespaces/{namespace}/events/x")[0] == 404


def test_kubectl_prints_both_alike(kubectl, core_event):
    old, new = (kubectl("get", what) for what in ("events", "events.events.k8s.io"))
    assert old.splitlines()[0] == new.splitlines()[0]
    assert "pod/p" in new
    assert "as the test says" in new
