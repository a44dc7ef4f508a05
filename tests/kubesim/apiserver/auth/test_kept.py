"""What authorization keeps between requests: it is never older than the last write."""

from kubesim.apiserver.auth.node_authorizer import Graph
from kubesim.apiserver.registry.lookup import Lookup

PODS = "/api/v1/namespaces/default/pods"


def pod(name, secret, node="n1"):
    containers = [{"name": "main", "image": "nginx", "envFrom": [{"secretRef": {"name": secret}}]}]
    return {"metadata": {"name": name}, "spec": {"nodeName": node, "containers": containers}}


async def test_a_node_needs_what_its_pods_use_as_long_as_one_does(api):
    graph = Graph(Lookup(api.server.storage))

    def needs(name, node="n1"):
        return graph.connects(node, "secrets", "default", name)

    await api.make(PODS, pod("one", "key"))
    assert needs("key")
    assert not needs("key", "n2")
    await api.make(PODS, pod("two", "key"))
    await api.delete(f"{PODS}/one?gracePeriodSeconds=0")
    assert needs("key")
    await api.delete(f"{PODS}/two?gracePeriodSeconds=0")
    assert not needs("key")


async def test_a_feed_tells_each_change_once_and_begins_with_everything(api):
    await api.make(PODS, pod("one", "key"))
    feed = Lookup(api.server.storage).feed("pods")
    anew, everything = feed.take()
    assert (anew, [*everything]) == (True, ["/registry/pods/default/one"])
    assert feed.take() == (False, {})
    await api.make(PODS, pod("two", "key"))
    await api.delete(f"{PODS}/one?gracePeriodSeconds=0")
    anew, changed = feed.take()
    assert not anew
    assert changed["/registry/pods/default/one"] is None
    assert changed["/registry/pods/default/two"]["metadata"]["name"] == "two"


async def test_whoever_does_not_ask_for_too_long_begins_anew(api, monkeypatch):
    monkeypatch.setattr("kubesim.etcd.store.SLOW_WATCHER", 3)
    feed = Lookup(api.server.storage).feed("pods")
    feed.take()
    for number in range(5):
        await api.make(PODS, pod(f"p{number}", "key"))
    anew, everything = feed.take()
    assert anew
    assert len(everything) == 5
