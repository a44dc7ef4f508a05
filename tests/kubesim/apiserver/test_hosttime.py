"""Ages are right for who has only the host's clock."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from kubesim.apiserver.hosttime import HostTime, moved
from kubesim.apiserver.request import Request, UserInfo
from kubesim.apiserver.server import APIServer
from kubesim.clock import Clock
from kubesim.etcd.store import Etcd

ADMIN = UserInfo("admin", groups=("system:masters",))
PATH = "/api/v1/namespaces/default/configmaps"


class Outside:
    """A client that sees the cluster through the host's time."""

    def __init__(self):
        self.clock = Clock(speed=1)
        self.server = APIServer(Etcd(clock=self.clock), self.clock)
        self.handle = HostTime(self.server.handle, self.clock)

    async def ask(self, method, path, body=None, query=None):
        content = b"" if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        return await self.handle(
            Request(method, path, query or {}, headers, content, user=ADMIN, remote="10.0.0.1")
        )

    async def object(self, *arguments):
        response = await self.ask(*arguments)
        assert response.status < 300, response.body
        return json.loads(response.body)


def age(obj):
    created = datetime.fromisoformat(obj["metadata"]["creationTimestamp"])
    return (datetime.now(UTC) - created).total_seconds()


async def test_what_is_created_is_new_and_grows_old_as_the_clock_is_advanced():
    api = Outside()
    made = await api.object("POST", PATH, {"metadata": {"name": "old"}})
    await api.clock.advance(360)
    old = await api.object("GET", f"{PATH}/old")
    new = await api.object("POST", PATH, {"metadata": {"name": "new"}})
    assert 359 <= age(old) <= 370
    assert -1 <= age(new) <= 10
    assert old["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_a_watch_tells_the_same_times_as_a_list():
    api = Outside()
    await api.clock.advance(360)
    made = await api.object("POST", PATH, {"metadata": {"name": "one"}})
    watch = await api.ask("GET", PATH, None, {"watch": ["true"], "resourceVersion": ["1"]})
    event = json.loads((await anext(watch.body)).splitlines()[0])
    assert event["object"]["metadata"]["creationTimestamp"] == made["metadata"]["creationTimestamp"]
    await watch.body.aclose()


async def test_an_object_that_is_sent_back_as_it_came_is_not_changed():
    api = Outside()
    lease = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
    spec = {"holderIdentity": "me", "renewTime": "2026-01-01T00:00:00.123456Z"}
    await api.clock.advance(3600)
    made = await api.object("POST", lease, {"metadata": {"name": "one"}, "spec": spec})
    assert made["spec"]["renewTime"] == spec["renewTime"]
    again = await api.object("PUT", f"{lease}/one", made)
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'{"startTime":"2026-01-01T00:00:00Z"}', b'{"startTime":"2026-01-01T00:06:00Z"}'),
        (b'{"time": "2026-01-01T00:00:00.5Z"}', b'{"time": "2026-01-01T00:06:00.5Z"}'),
        (b'{"deletionTimestamp":null}', b'{"deletionTimestamp":null}'),
        (b'{"note":"2026-01-01T00:00:00Z"}', b'{"note":"2026-01-01T00:00:00Z"}'),
        (
            b'"{\\"time\\":\\"2026-01-01T00:00:00Z\\"}"',
            b'"{\\"time\\":\\"2026-01-01T00:00:00Z\\"}"',
        ),
    ],
)
def test_only_the_times_of_objects_are_moved(before, after):
    assert moved(before, timedelta(minutes=6)) == after
