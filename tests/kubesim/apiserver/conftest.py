"""An API server on its own, asked through its front door."""

import json
from urllib.parse import parse_qs

import pytest

from kubesim.apiserver.request import Request, UserInfo
from kubesim.apiserver.server import APIServer
from kubesim.clientgo.client import Client
from kubesim.clock import Clock
from kubesim.etcd.store import Etcd

ADMIN = UserInfo("admin", groups=("system:masters",))
CONTENT_TYPES = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


class API:
    """Asks in HTTP's words. `await api.post(path, body)` returns (status code, answer)."""

    def __init__(self, **options):
        self.clock = Clock(speed=0)
        self.store = Etcd(clock=self.clock, history=options.pop("history", 10_000))
        self.server = APIServer(self.store, self.clock, **options)
        self.client = Client(self.server, "tester")

    async def respond(
        self, method, target, body=None, content_type="application/json", **more_headers
    ):
        path, _, query = target.partition("?")
        data = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        )
        headers = {"content-type": content_type, "user-agent": "tester/1.0"}
        headers |= {name.replace("_", "-"): value for name, value in more_headers.items()}
        request = Request(
            method, path, parse_qs(query, keep_blank_values=True), headers, data, ADMIN
        )
        return await self.server.handle(request)

    async def ask(self, *args, **kwargs):
        response = await self.respond(*args, **kwargs)
        return response.status, json.loads(response.body)

    async def get(self, target):
        return await self.ask("GET", target)

    async def post(self, target, body, **kwargs):
        return await self.ask("POST", target, body, **kwargs)

    async def put(self, target, body):
        return await self.ask("PUT", target, body)

    async def patch(self, target, body, kind="merge"):
        return await self.ask("PATCH", target, body, CONTENT_TYPES[kind])

    async def delete(self, target, body=None):
        return await self.ask("DELETE", target, body)

    async def make(self, target, body):
        """Create, and insist that it works."""
        status, answer = await self.post(target, body)
        assert status == 201, answer
        return answer

    async def watch(self, target, **headers):
        """Start a watch; return a function that waits for its next events."""
        response = await self.respond("GET", target, **headers)
        chunks = aiter(response.body)
        waiting = []

        async def following():
            if not waiting:
                waiting.extend(json.loads(line) for line in (await anext(chunks)).splitlines())
            return waiting.pop(0)

        following.close = chunks.aclose
        return following


@pytest.fixture
def api():
    return API(disable_admission=("ServiceAccount", "TaintNodesByCondition"))


@pytest.fixture
def make_api():
    return API


def pod(name="web", labels=None, **spec):
    metadata = {"name": name} | ({"labels": labels} if labels else {})
    return {
        "metadata": metadata,
        "spec": {"containers": [{"name": "main", "image": "nginx"}]} | spec,
    }


def deployment(name="web", **spec):
    template = {"metadata": {"labels": {"app": name}}, "spec": pod()["spec"]}
    chosen = {"selector": {"matchLabels": {"app": name}}, "template": template}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": chosen | spec,
    }


@pytest.fixture
def make_pod():
    return pod


@pytest.fixture
def make_deployment():
    return deployment
