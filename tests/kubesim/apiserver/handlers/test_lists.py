"""Lists: whole, selected, in chunks, and of the past."""

import pytest

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"


async def names(api, target):
    status, found = await api.get(target)
    assert status == 200, found
    return [item["metadata"]["name"] for item in found["items"]]


async def make_some(api, count=5):
    for number in range(count):
        labels = {"number": str(number), "parity": "odd" if number % 2 else "even"}
        await api.make(CONFIG_MAPS, {"metadata": {"name": f"c{number}", "labels": labels}})


async def test_a_list_has_the_stores_revision_and_items_without_kind(api):
    await make_some(api, 2)
    status, found = await api.get(CONFIG_MAPS)
    assert (status, found["kind"], found["apiVersion"]) == (200, "ConfigMapList", "v1")
    assert found["metadata"] == {"resourceVersion": str(api.store.revision)}
    assert [sorted(item) for item in found["items"]] == [["metadata"], ["metadata"]]


async def test_an_empty_list_has_no_items(api):
    assert (await api.get(CONFIG_MAPS))[1]["items"] == []


async def test_a_list_is_of_one_namespace_or_of_all(api):
    await api.make(CONFIG_MAPS, {"metadata": {"name": "a"}})
    await api.make("/api/v1/namespaces/kube-system/configmaps", {"metadata": {"name": "b"}})
    assert await names(api, CONFIG_MAPS) == ["a"]
    assert await names(api, "/api/v1/configmaps") == ["a", "b"]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("parity=odd", ["c1", "c3"]),
        ("parity==odd", ["c1", "c3"]),
        ("parity!=odd", ["c0", "c2", "c4"]),
        ("number in (1,2), parity=even", ["c2"]),
        ("number notin (1,2,3)", ["c0", "c4"]),
        ("number", ["c0", "c1", "c2", "c3", "c4"]),
        ("!number", []),
        ("!missing", ["c0", "c1", "c2", "c3", "c4"]),
        ("missing!=x", ["c0", "c1", "c2", "c3", "c4"]),
        ("number>2", ["c3", "c4"]),
        ("number<1", ["c0"]),
        ("parity=", []),
        ("", ["c0", "c1", "c2", "c3", "c4"]),
    ],
)
async def test_label_selectors(api, selector, expected):
    await make_some(api)
    query = selector.replace(" ", "%20").replace("!", "%21").replace(">", "%3E").replace("<", "%3C")
    assert await names(api, f"{CONFIG_MAPS}?labelSelector={query}") == expected


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("a%20in", "unable to parse requirement: found '' expected: '('"),
        ("a%3D%3D%3Db", "unable to parse requirement: found '=', expected: identifier"),
        ("a,b,", "found '', expected: identifier after ','"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("a%20in%20(", "unable to parse requirement: found '', expected: ',', ')' or identifier"),
        ("a%20b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
    ],
)
async def test_selectors_that_cannot_be_read(api, selector, message):
    status, answer = await api.get(f"{CONFIG_MAPS}?labelSelector={selector}")
    assert (status, answer["message"]) == (400, message)


async def test_field_selectors_know_the_fields_of_their_kind(api, make_pod):
    await api.make(PODS, make_pod("a", nodeName="node-1"))
    await api.make(PODS, make_pod("b"))
    assert await names(api, f"{PODS}?fieldSelector=spec.nodeName=node-1") == ["a"]
    assert await names(api, f"{PODS}?fieldSelector=spec.nodeName=") == ["b"]
    assert await names(api, f"{PODS}?fieldSelector=metadata.name!=a,status.phase=Pending") == ["b"]
    status, answer = await api.get(f"{PODS}?fieldSelector=spec.image=x")
    assert (status, answer["message"]) == (400, "field label not supported: spec.image")
    status, answer = await api.get(f"{CONFIG_MAPS}?fieldSelector=data=x")
    assert answer["message"] == (
        '"data" is not a known field selector: only "metadata.name", "metadata.namespace"'
    )


async def test_a_long_list_comes_in_chunks_of_one_moment(api):
    await make_some(api)
    _, first = await api.get(f"{CONFIG_MAPS}?limit=2")
    assert [item["metadata"]["name"] for item in first["items"]] == ["c0", "c1"]
    assert first["metadata"]["remainingItemCount"] == 3
    await api.delete(f"{CONFIG_MAPS}/c3")
    await api.make(CONFIG_MAPS, {"metadata": {"name": "c9"}})
    found, token = [], first["metadata"]["continue"]
    while token:
        _status, chunk = await api.get(f"{CONFIG_MAPS}?limit=2&continue={token}")
        assert chunk["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
        found += [item["metadata"]["name"] for item in chunk["items"]]
        token = chunk["metadata"].get("continue")
    assert found == ["c2", "c3", "c4"]


async def test_chunks_work_across_namespaces_and_with_selectors(api):
    await make_some(api)
    await api.make("/api/v1/namespaces/kube-system/configmaps", {"metadata": {"name": "z"}})
    _, first = await api.get("/api/v1/configmaps?limit=5")
    token = first["metadata"]["continue"]
    assert await names(api, f"/api/v1/configmaps?limit=5&continue={token}") == ["z"]
    _status, first = await api.get(f"{CONFIG_MAPS}?limit=1&labelSelector=parity=odd")
    assert "remainingItemCount" not in first["metadata"]
    token = first["metadata"]["continue"]
    rest = f"{CONFIG_MAPS}?limit=9&labelSelector=parity=odd&continue={token}"
    assert await names(api, rest) == ["c3"]


async def test_a_token_of_a_forgotten_moment_says_how_to_go_on(make_api):
    api = make_api(history=5)
    await make_some(api)
    status, first = await api.get(f"{CONFIG_MAPS}?limit=2")
    api.store.compact(api.store.revision)
    await api.make(CONFIG_MAPS, {"metadata": {"name": "later"}})
    api.store.compact(api.store.revision)
    status, answer = await api.get(
        f"{CONFIG_MAPS}?limit=2&continue={first['metadata']['continue']}"
    )
    assert (status, answer["reason"]) == (410, "Expired")
    token = answer["metadata"]["continue"]
    assert await names(api, f"{CONFIG_MAPS}?continue={token}") == ["c2", "c3", "c4", "later"]


async def test_the_past_can_be_listed_until_it_is_compacted(api):
    await make_some(api, 2)
    then = api.store.revision
    await api.delete(f"{CONFIG_MAPS}/c0")
    exact = f"{CONFIG_MAPS}?resourceVersion={then}&resourceVersionMatch=Exact"
    assert await names(api, exact) == ["c0", "c1"]
    not_older = f"{CONFIG_MAPS}?resourceVersion={then}&resourceVersionMatch=NotOlderThan"
    assert await names(api, not_older) == ["c1"]
    api.store.compact(api.store.revision)
    status, answer = await api.get(exact)
    assert (status, answer["message"]) == (
        410,
        "The resourceVersion for the provided list is too old.",
    )


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=x", 400),
        ("continue=abc", 400),
        ("resourceVersion=abc", 400),
        ("resourceVersion=99999", 504),
        ("resourceVersionMatch=Exact", 422),
        ("resourceVersionMatch=Newest&resourceVersion=1", 422),
        ("resourceVersionMatch=Exact&resourceVersion=0", 422),
    ],
)
async def test_impossible_lists(api, query, code):
    status, answer = await api.get(f"{CONFIG_MAPS}?{query}")
    assert (status, answer["kind"]) == (code, "Status")
