"""Watches: everything after a revision, once, in order, as selected."""

import asyncio
import json

import pytest

from kubesim.apiserver.errors import StatusError

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


async def make(api, name, **labels):
    return await api.make(CONFIG_MAPS, {"metadata": {"name": name, "labels": labels}})


async def label(api, name, **labels):
    status, answer = await api.patch(f"{CONFIG_MAPS}/{name}", {"metadata": {"labels": labels}})
    assert status == 200, answer
    return answer


def brief(event):
    return event["type"], event["object"]["metadata"].get("name")


async def test_a_watch_starts_exactly_after_its_revision(api):
    first = await make(api, "a")
    await label(api, "a", x="1")
    await api.delete(f"{CONFIG_MAPS}/a")
    since = first["metadata"]["resourceVersion"]
    following = await api.watch(f"{CONFIG_MAPS}?watch=true&resourceVersion={since}")
    modified, deleted = await following(), await following()
    assert (brief(modified), brief(deleted)) == (("MODIFIED", "a"), ("DELETED", "a"))
    assert deleted["object"]["metadata"]["resourceVersion"] == str(api.store.revision)
    assert deleted["object"]["metadata"]["labels"] == {"x": "1"}
    assert (modified["object"]["kind"], modified["object"]["apiVersion"]) == ("ConfigMap", "v1")


async def test_without_a_revision_it_starts_with_what_is_there(api):
    await make(api, "a")
    for query in ("watch=1", "watch=True&resourceVersion=0"):
        following = await api.watch(f"{CONFIG_MAPS}?{query}")
        assert brief(await following()) == ("ADDED", "a")
    await make(api, "b")
    assert brief(await following()) == ("ADDED", "b")


async def test_a_watch_of_one_object_sees_only_that(api):
    await make(api, "a")
    following = await api.watch(f"{CONFIG_MAPS}/b?watch=1&resourceVersion={api.store.revision}")
    await label(api, "a", x="1")
    await make(api, "b")
    assert brief(await following()) == ("ADDED", "b")


async def test_other_namespaces_and_kinds_are_not_seen(api):
    following = await api.watch(f"{CONFIG_MAPS}?watch=1&resourceVersion={api.store.revision}")
    await api.make("/api/v1/namespaces/kube-system/configmaps", {"metadata": {"name": "x"}})
    await api.make("/api/v1/namespaces/default/secrets", {"metadata": {"name": "x"}})
    await make(api, "mine")
    assert brief(await following()) == ("ADDED", "mine")


async def test_entering_a_selector_is_added_and_leaving_it_deleted(api):
    await make(api, "a", tier="web")
    since = api.store.revision
    following = await api.watch(
        f"{CONFIG_MAPS}?watch=1&resourceVersion={since}&labelSelector=tier%3Dweb"
    )
    await make(api, "b", tier="db")
    await label(api, "a", extra="x")
    left = await label(api, "a", tier="db")
    await label(api, "b", tier="web")
    await api.delete(f"{CONFIG_MAPS}/a")
    await api.delete(f"{CONFIG_MAPS}/b")
    events = [await following() for _ in range(4)]
    assert [brief(event) for event in events] == [
        ("MODIFIED", "a"),
        ("DELETED", "a"),
        ("ADDED", "b"),
        ("DELETED", "b"),
    ]
    gone = events[1]["object"]["metadata"]
    assert gone["resourceVersion"] == left["metadata"]["resourceVersion"]
    assert gone["labels"]["tier"] == "web"


async def test_a_forgotten_revision_is_an_error_event(api):
    await make(api, "a")
    await make(api, "b")
    api.store.compact(api.store.revision)
    response = await api.respond("GET", f"{CONFIG_MAPS}?watch=1&resourceVersion=3")
    assert response.status == 200
    event = json.loads(response.body)
    assert event["type"] == "ERROR"
    assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")
    assert event["object"]["message"].startswith("too old resource version: 3 (")


async def test_a_watch_ends_when_its_time_is_up(api):
    target = f"{CONFIG_MAPS}?watch=1&resourceVersion={api.store.revision}&timeoutSeconds=30"
    following = await api.watch(target)
    waiting = asyncio.create_task(following())
    await api.clock.advance(29)
    assert not waiting.done()
    await api.clock.advance(1)
    with pytest.raises(StopAsyncIteration):
        await waiting


async def test_bookmarks_tell_a_quiet_watch_how_far_it_is(api):
    target = f"{CONFIG_MAPS}?watch=1&resourceVersion={api.store.revision}&allowWatchBookmarks=true"
    following = await api.watch(target)
    waiting = asyncio.create_task(following())
    await api.clock.advance(30)
    await api.make("/api/v1/namespaces/default/secrets", {"metadata": {"name": "s"}})
    await api.clock.advance(31)
    event = await waiting
    assert event["type"] == "BOOKMARK"
    assert event["object"]["kind"] == "ConfigMap"
    assert event["object"]["metadata"]["resourceVersion"] == str(api.store.revision)


async def test_initial_events_end_with_a_marked_bookmark(api):
    await make(api, "a")
    query = (
        "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    )
    following = await api.watch(f"{CONFIG_MAPS}?{query}")
    assert brief(await following()) == ("ADDED", "a")
    end = await following()
    assert end["type"] == "BOOKMARK"
    assert end["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    status, _answer = await api.get(f"{CONFIG_MAPS}?watch=1&sendInitialEvents=true")
    assert status == 422


async def test_a_closed_watch_is_taken_out_of_the_store(api):
    following = await api.watch(f"{CONFIG_MAPS}?watch=1&resourceVersion={api.store.revision}")
    await make(api, "a")
    await following()
    assert [len(found) for found in api.store._watches.values()] == [1]
    await following.close()
    assert not any(api.store._watches.values())


async def test_the_client_raises_what_a_watch_reports(api):
    await make(api, "a")
    await make(api, "b")
    api.store.compact(api.store.revision)
    with pytest.raises(StatusError, match="too old resource version") as raised:
        await anext(api.client.watch("configmaps", resource_version="2"))
    assert raised.value.code == 410
