"""Lists in chunks, of the past and of the present; watches, their bookmarks and their end."""

import base64
import json

import pytest


@pytest.fixture
def path(namespace):
    return f"/api/v1/namespaces/{namespace}/configmaps"


@pytest.fixture
def made(core, namespace):
    """Three ConfigMaps a, b, c, with a label of their own; returns what was created."""

    def make(name):
        body = {"metadata": {"name": name, "labels": {"made": "here"}}, "data": {"of": name}}
        return core.create_namespaced_config_map(namespace, body)

    return [make(name) for name in "abc"]


@pytest.fixture
def listed(ask, path):
    """Lists what the test made; returns (names, metadata of the list)."""

    def get(query="", code=200):
        status, _, body = ask("GET", f"{path}?labelSelector=made%3Dhere&{query}")
        assert status == code, body
        answer = json.loads(body)
        return [item["metadata"]["name"] for item in answer["items"]], answer["metadata"]

    return get


@pytest.fixture
def events(ask, path):
    """Watches for a second; returns the events' types and names."""

    def watch(query):
        body = ask("GET", f"{path}?watch=1&timeoutSeconds=1&labelSelector=made%3Dhere&{query}")[2]
        return [json.loads(line) for line in body.splitlines()]

    return watch


def told(events):
    return [(event["type"], event["object"]["metadata"].get("name")) for event in events]


def test_chunks_go_on_where_the_last_one_ended(listed, made):
    names, metadata = listed("limit=2")
    assert names == ["a", "b"]
    names, rest = listed(f"limit=2&continue={metadata['continue']}")
    assert names == ["c"]
    assert not rest.get("continue")


def test_chunks_are_of_one_moment(listed, made, core, namespace):
    _, first = listed("limit=1")
    core.delete_namespaced_config_map("b", namespace)
    core.create_namespaced_config_map(namespace, {"metadata": {"name": "bb"}})
    names, rest = listed(f"continue={first['continue']}")
    assert names == ["b", "c"]
    assert rest["resourceVersion"] == first["resourceVersion"]


def test_how_many_are_left_is_told_without_a_selector(ask, path, made):
    metadata = json.loads(ask("GET", f"{path}?limit=1")[2])["metadata"]
    everything = json.loads(ask("GET", path)[2])["items"]
    assert metadata["remainingItemCount"] == len(everything) - 1


def test_how_many_are_left_is_not_told_with_a_selector(listed, made):
    assert "remainingItemCount" not in listed("limit=1")[1]


def test_a_token_is_a_revision_and_a_key(listed, made):
    _, metadata = listed("limit=1")
    text = metadata["continue"]
    token = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    assert token["v"] == "meta.k8s.io/v1"
    assert str(token["rv"]) == metadata["resourceVersion"]
    assert "a" in token["start"] or "b" in token["start"]


def test_a_list_of_any_version_comes_whole(listed, made):
    assert sorted(listed("limit=1&resourceVersion=0")[0]) == ["a", "b", "c"]


def test_a_list_of_the_past(listed, made, core, namespace):
    then = made[1].metadata.resource_version
    assert listed(f"resourceVersion={then}&resourceVersionMatch=Exact")[0] == ["a", "b"]
    names, metadata = listed(f"resourceVersion={then}&resourceVersionMatch=Exact&limit=1")
    assert names == ["a"]
    assert metadata["resourceVersion"] == then


def test_a_list_not_older_than_some_version_is_of_now(listed, made):
    query = f"resourceVersion={made[0].metadata.resource_version}"
    assert sorted(listed(query)[0]) == ["a", "b", "c"]
    assert sorted(listed(f"{query}&resourceVersionMatch=NotOlderThan")[0]) == ["a", "b", "c"]


def test_a_limited_list_of_a_version_is_of_that_version(listed, made):
    assert listed(f"resourceVersion={made[0].metadata.resource_version}&limit=5")[0] == ["a"]


def test_a_version_with_a_token_is_refused(ask, path, listed, made):
    token = listed("limit=1")[1]["continue"]
    status, _, body = ask("GET", f"{path}?continue={token}&resourceVersion=5")
    assert status == 400
    assert "specifying resource version is not allowed when using continue" in body


@pytest.mark.parametrize(
    ("query", "why"),
    [
        (
            "resourceVersionMatch=Exact",
            "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
        ),
        (
            "resourceVersionMatch=Some&resourceVersion=1",
            'Unsupported value: "Some": supported values: "Exact", "NotOlderThan", ""',
        ),
        (
            "resourceVersionMatch=Exact&resourceVersion=0",
            'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
        ),
        (
            "resourceVersionMatch=Exact&resourceVersion=1&continue=abc",
            "Forbidden: resourceVersionMatch is forbidden when continue is provided",
        ),
    ],
)
def test_versions_that_contradict_their_match(ask, path, query, why):
    status, _, body = ask("GET", f"{path}?{query}")
    answer = json.loads(body)
    assert (status, answer["details"]["kind"]) == (422, "ListOptions")
    assert answer["details"]["causes"] == [
        {
            "reason": f"FieldValue{'NotSupported' if 'Unsupported' in why else 'Forbidden'}",
            "message": why,
            "field": "resourceVersionMatch",
        }
    ]


def test_a_version_that_has_not_happened_yet(ask, path):
    status, _, body = ask("GET", f"{path}?resourceVersion=999999999&limit=0")
    answer = json.loads(body)
    assert (status, answer["reason"]) == (504, "Timeout")
    assert "Too large resource version: 999999999" in answer["message"]
    assert answer["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


def test_a_watch_tells_what_happened_since(events, made, core, namespace):
    core.patch_namespaced_config_map("b", namespace, {"data": {"x": "y"}})
    core.delete_namespaced_config_map("a", namespace)
    seen = told(events(f"resourceVersion={made[0].metadata.resource_version}"))
    assert seen == [("ADDED", "b"), ("ADDED", "c"), ("MODIFIED", "b"), ("DELETED", "a")]


@pytest.mark.parametrize("query", ["", "resourceVersion=0"])
def test_a_watch_without_a_version_tells_what_there_is_first(events, made, query):
    assert sorted(told(events(query))) == [("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c")]


def test_an_object_that_leaves_a_selector_is_gone_for_its_watch(events, made, core, namespace):
    core.patch_namespaced_config_map("b", namespace, {"metadata": {"labels": {"made": None}}})
    core.patch_namespaced_config_map("b", namespace, {"metadata": {"labels": {"made": "here"}}})
    seen = told(events(f"resourceVersion={made[2].metadata.resource_version}"))
    assert seen == [("DELETED", "b"), ("ADDED", "b")]


def test_a_deleted_object_is_told_as_it_last_was_but_with_a_version_of_its_own(
    events, made, core, namespace
):
    core.delete_namespaced_config_map("c", namespace)
    event = events(f"resourceVersion={made[2].metadata.resource_version}")[0]
    assert event["type"] == "DELETED"
    assert event["object"]["data"] == {"of": "c"}
    version = int(event["object"]["metadata"]["resourceVersion"])
    assert version > int(made[2].metadata.resource_version)


@pytest.mark.since("1.27", "KEP-3157: watch list")
def test_a_watch_can_begin_with_a_list_and_say_where_it_ends(events, made):
    query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    *initial, end = events(query)[:4]
    assert told(initial) == [("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c")]
    assert end["type"] == "BOOKMARK"
    assert end["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert set(end["object"]) >= {"kind", "apiVersion", "metadata"}


@pytest.mark.since("1.27", "KEP-3157: watch list")
@pytest.mark.parametrize(
    ("query", "why"),
    [
        (
            "watch=1&sendInitialEvents=true",
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ),
        (
            "watch=1&resourceVersionMatch=NotOlderThan",
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        ),
        ("sendInitialEvents=true", "sendInitialEvents is forbidden for list"),
    ],
)
def test_initial_events_that_are_not_to_be_had(ask, path, query, why):
    status, _, body = ask("GET", f"{path}?{query}")
    assert status == 422
    assert json.loads(body)["details"]["causes"][0]["message"] == f"Forbidden: {why}"


def test_a_watch_of_one_object(ask, path, made):
    body = ask("GET", f"{path}?watch=1&timeoutSeconds=1&fieldSelector=metadata.name=b")[2]
    assert told(json.loads(line) for line in body.splitlines()) == [("ADDED", "b")]


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("of=b", ["b"]),
        ("of!=b", ["a", "c"]),
        ("of+in+(a,b)", ["a", "b"]),
        ("of+notin+(a,b)", ["c"]),
        ("of", ["a", "b", "c"]),
        ("!of", []),
        ("of,of!=c", ["a", "b"]),
    ],
)
def test_label_selectors(ask, path, core, namespace, selector, names):
    for name in "abc":
        core.create_namespaced_config_map(
            namespace, {"metadata": {"name": name, "labels": {"of": name, "made": "here"}}}
        )
    body = ask("GET", f"{path}?labelSelector=made,{selector}")[2]
    assert [item["metadata"]["name"] for item in json.loads(body)["items"]] == names


@pytest.mark.parametrize(
    ("selector", "why"),
    [
        ("a+in+(", "unable to parse requirement: found '', expected: ',', ')' or identifier"),
        ("a===b", "unable to parse requirement: found '=', expected: identifier"),
        ("a,,b", "found ',', expected: identifier after ','"),
        ("a+in+b", "unable to parse requirement: found 'b' expected: '('"),
    ],
)
def test_label_selectors_that_are_none(ask, path, selector, why):
    status, _, body = ask("GET", f"{path}?labelSelector={selector}")
    assert (status, json.loads(body)["message"]) == (400, why)


@pytest.mark.parametrize(
    ("selector", "why"),
    [
        ("x", "invalid selector: 'x'; can't understand 'x'"),
        (
            "x=y",
            '"x" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
    ],
)
def test_field_selectors_that_are_none(ask, path, selector, why):
    status, _, body = ask("GET", f"{path}?fieldSelector={selector}")
    assert (status, json.loads(body)["message"]) == (400, why)


def test_a_field_of_pods_that_nobody_can_select_by(ask, namespace):
    status, _, body = ask("GET", f"/api/v1/namespaces/{namespace}/pods?fieldSelector=spec.x=y")
    assert (status, json.loads(body)["message"]) == (400, "field label not supported: spec.x")
