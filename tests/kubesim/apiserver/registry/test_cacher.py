"""What a change costs: it is decoded once, and heard by those that it concerns."""

import pytest

from kubesim.apiserver.registry import cacher
from kubesim.apiserver.registry.cacher import CacheWatch, Change

PODS = "/api/v1/namespaces/default/pods"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
WATCHES = 100


@pytest.fixture
def heard(monkeypatch):
    """Where the watches are filed that a change was handed to."""
    places = []
    hear = CacheWatch.hear

    def hear_and_note(self, change):
        places.append(self.scope.place)
        hear(self, change)

    monkeypatch.setattr(CacheWatch, "hear", hear_and_note)
    return places


async def watches(api, target):
    since = api.store.revision
    return [
        await api.watch(f"{target.format(number)}&watch=true&resourceVersion={since}")
        for number in range(WATCHES)
    ]


async def test_a_pod_is_heard_of_by_its_own_node_only(api, heard):
    following = await watches(api, "/api/v1/pods?fieldSelector=spec.nodeName%3Dn{}")
    containers = [{"name": "main", "image": "nginx"}]
    pod = {"metadata": {"name": "web"}, "spec": {"nodeName": "n7", "containers": containers}}
    await api.make(PODS, pod)
    assert (await following[7]())["type"] == "ADDED"
    assert heard == [("spec.nodeName", "n7")]


async def test_an_object_is_heard_of_in_its_namespace_and_by_its_name(api, heard):
    await watches(api, "/api/v1/namespaces/n{}/configmaps?x")
    named = await watches(
        api, "/api/v1/namespaces/default/configmaps?fieldSelector=metadata.name%3Dc{}"
    )
    await api.make("/api/v1/namespaces/default/configmaps", {"metadata": {"name": "c3"}})
    assert (await named[3]())["object"]["metadata"]["name"] == "c3"
    assert heard == [("metadata.name", "c3")]


async def test_a_change_is_decoded_once_for_all_who_watch(api, monkeypatch):
    following = await watches(api, "/api/v1/configmaps?x")
    changes = []
    monkeypatch.setattr(cacher, "Change", lambda *event: changes.append(1) or Change(*event))
    await api.make(CONFIG_MAPS, {"metadata": {"name": "a"}})
    for each in following:
        assert (await each())["object"]["metadata"]["name"] == "a"
    assert len(changes) == 1
