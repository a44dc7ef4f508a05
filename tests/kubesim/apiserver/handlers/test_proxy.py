"""What is passed on to Pods, Services and kubelets, in a whole cluster on a stepped clock."""

import pytest

from kubesim.apiserver.request import Request, UserInfo
from kubesim.clock import Clock
from kubesim.cluster import Cluster

ADMIN = UserInfo("admin", groups=("system:masters",))
PAGE = '<a href="/next">next</a><a href="https://x/">x</a>'
SERVE = f"mkdir /w; echo '{PAGE}' > /w/index.html; echo plain > /w/a.txt; httpd -f -p 8080 -h /w"


class Site:
    """A cluster with a web server, and a way to ask for it through the API server."""

    def __init__(self):
        self.cluster = Cluster("test", clock=Clock(speed=0))
        self.api = self.cluster.client("admin", ("system:masters", "system:authenticated"))

    async def __aenter__(self):
        await self.cluster.start()
        await self.cluster.clock.advance(2)
        await self.make("pods", spec={"containers": [self.container]}, labels={"app": "web"})
        ports = [{"name": "http", "port": 80, "targetPort": 8080}, {"name": "b", "port": 81}]
        await self.make("services", spec={"selector": {"app": "web"}, "ports": ports})
        await self.cluster.clock.advance(3)
        return self

    @property
    def container(self):
        command = ["sh", "-c", SERVE]
        ports = [{"containerPort": 8080}]
        return {"name": "c", "image": "busybox:1.36", "command": command, "ports": ports}

    async def __aexit__(self, *problem):
        await self.cluster.stop()

    async def make(self, resource, name="web", labels=None, **content):
        metadata = {"name": name, "namespace": "default", "labels": labels or {}}
        await self.api.create(resource, {"metadata": metadata, **content}, "default")

    async def get(self, path, method="GET", query=None):
        request = Request(method, f"/api/v1/{path}", query or {}, {}, user=ADMIN)
        answer = await self.cluster.server.handle(request)
        if isinstance(answer.body, bytes):
            return answer.status, answer.headers, answer.body.decode()
        body = b"".join([chunk async for chunk in answer.body])
        return answer.status, answer.headers, body.decode()


POD, SERVICE = "namespaces/default/pods/web", "namespaces/default/services/web"


@pytest.mark.parametrize(
    "name",
    [
        POD,
        f"{POD}:8080",
        POD.replace("web", "http:web:8080"),
        f"{SERVICE}:80",
        f"{SERVICE}:http",
        SERVICE.replace("web", "http:web:80"),
    ],
)
async def test_names_lead_to_a_port(name):
    async with Site() as site:
        assert (await site.get(f"{name}/proxy/a.txt"))[::2] == (200, "plain\n")


async def test_links_lead_through_the_proxy_again():
    async with Site() as site:
        _, _, body = await site.get(f"{POD}/proxy/")
        assert f'<a href="/api/v1/{POD}/proxy/next">' in body
        assert '<a href="https://x/">' in body


async def test_a_proxy_is_a_directory():
    async with Site() as site:
        status, headers, _ = await site.get(f"{POD}/proxy", query={"a": ["b c"]})
        assert (status, headers["location"]) == (301, f"/api/v1/{POD}/proxy/?a=b+c")


async def test_the_method_and_the_status_are_passed_on():
    async with Site() as site:
        assert (await site.get(f"{POD}/proxy/none"))[0] == 404
        assert (await site.get(f"{POD}/proxy/", "POST"))[0] == 501


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        (f"{SERVICE}:99/proxy/", 503, 'no service port 99 found for service \\"web\\"'),
        (f"{SERVICE}:b/proxy/", 503, "error trying to reach service: dial tcp IP:81: connect: "),
        (f"{POD}:81/proxy/", 503, "dial tcp IP:81: connect: connection refused"),
        (f"{POD}x/proxy/", 404, 'pods \\"webx\\" not found'),
        (f"{POD}:1:2:3/proxy/", 400, 'invalid pod request \\"web:1:2:3\\"'),
        ("nodes/nope/proxy/healthz", 404, 'nodes \\"nope\\" not found'),
        ("nodes/test-worker/proxy/nope", 404, "404 page not found"),
    ],
)
async def test_what_cannot_be_reached(path, code, message):
    async with Site() as site:
        pod = await site.api.get("pods", "web", "default")
        status, _, body = await site.get(path)
        assert status == code
        assert message.replace("IP", pod["status"]["podIP"]) in body


async def test_a_service_without_ready_pods():
    async with Site() as site:
        await site.make("services", "empty", spec={"selector": {"a": "b"}, "ports": [{"port": 80}]})
        await site.cluster.clock.advance(1)
        _, _, body = await site.get("namespaces/default/services/empty:80/proxy/")
        assert 'no endpoints available for service \\"empty\\"' in body


async def test_the_pages_of_a_kubelet():
    async with Site() as site:
        node = (await site.api.get("pods", "web", "default"))["spec"]["nodeName"]
        pages = {}
        for page in ("healthz", "pods", "stats/summary", "metrics"):
            _, _, pages[page] = await site.get(f"nodes/{node}/proxy/{page}")
        assert pages["healthz"] == "ok"
        assert '"kind":"PodList"' in pages["pods"]
        assert f'"nodeName":"{node}"' in pages["stats/summary"]
        assert "kubelet_running_pods " in pages["metrics"]
        await site.cluster.stop_node(node)
        status, _, body = await site.get(f"nodes/{node}/proxy/healthz")
        assert (status, "no route to host" in body) == (503, True)
