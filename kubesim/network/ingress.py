"""The ingress controller: HTTP by host and path to the Pods behind Services (ingress-nginx's part).

It runs as the process of a Pod on its node's network and answers at port 80 of the node, as the
real one does that kind documents. TLS is not terminated: an Ingress with a `tls` section is served
over plain HTTP, without the redirect to HTTPS of the real one. Of the annotations it knows
`rewrite-target`.
"""

import asyncio
import contextlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kubesim.apimachinery.endpointslices import SLICES, service_of
from kubesim.apimachinery.objects import Object, annotations_of, key
from kubesim.clientgo import klog
from kubesim.clientgo.client import Client
from kubesim.clientgo.events import EventRecorder
from kubesim.clientgo.informer import Change, InformerFactory
from kubesim.clientgo.workqueue import WorkQueue
from kubesim.clock import Clock
from kubesim.network.fabric import Address, Connection, NetworkNamespace
from kubesim.network.proxy import backends
from kubesim.runtime import http

INGRESSES = "ingresses.networking.k8s.io"
CLASSES = "ingressclasses.networking.k8s.io"
CONTROLLER = "k8s.io/ingress-nginx"
CLASS_ANNOTATION = "kubernetes.io/ingress.class"
REWRITE = "nginx.ingress.kubernetes.io/rewrite-target"
NAME = "nginx-ingress-controller"
CONNECT_TIMEOUT = 5.0  # proxy_connect_timeout
HOP_BY_HOP = ("connection", "host", "keep-alive", "proxy-connection", "upgrade")


@dataclass(frozen=True)
class Route:
    """Where requests for one path of one host go."""

    host: str
    path: str
    exact: bool
    backend: Object
    ingress: Object

    @property
    def rewrite(self) -> str:
        """What the path is rewritten to, if it is."""
        annotations = annotations_of(self.ingress)
        return str(annotations.get(REWRITE, ""))

    def takes(self, path: str) -> bool:
        """Whether a path is this route's: a prefix ends where an element of the path does."""
        if self.rewrite:
            return re.match(self.path, path) is not None
        if self.exact:
            return path == self.path
        prefix = self.path.rstrip("/")
        return path == prefix or path.startswith(f"{prefix}/")

    def target(self, target: str) -> str:
        """What the backend is asked for."""
        if not self.rewrite:
            return target
        path, mark, query = target.partition("?")
        goal = re.sub(r"\$(\d)", r"\\\1", self.rewrite)
        return re.sub(f"{self.path}.*", goal, path, count=1) + mark + query


def routes(ingresses: Iterable[Object]) -> list[Route]:
    """Every route, the one to ask first first: exact paths, then the longest."""
    found = [route for ingress in ingresses for route in _routes_of(ingress)]
    return sorted(found, key=lambda each: (not each.exact, -len(each.path)))


def _routes_of(ingress: Object) -> Iterator[Route]:
    spec = ingress["spec"]
    for rule in spec.get("rules") or ():
        for entry in (rule.get("http") or {}).get("paths") or ():
            exact, path = entry["pathType"] == "Exact", entry.get("path") or "/"
            yield Route(rule.get("host", ""), path, exact, entry["backend"], ingress)
    if "defaultBackend" in spec:
        yield Route("", "/", False, spec["defaultBackend"], ingress)


def find_route(table: Iterable[Route], host: str, path: str) -> Route | None:
    """The route of a request: of its very host, else of a wildcard, else of any host."""
    table = [*table]
    for name in (host, f"*.{host.partition('.')[2]}", ""):
        for route in table:
            if route.host == name and route.takes(path):
                return route
        if name and any(route.host == name for route in table):
            return None  # the host has paths, and this is none of them
    return None


class IngressController:
    """Follows Ingresses and serves them at one address."""

    def __init__(self, client: Client, clock: Clock, network: NetworkNamespace) -> None:
        self._client = client
        self._clock = clock
        self._network = network
        self._informers = InformerFactory(client, clock)
        self._recorder = EventRecorder(client, clock, NAME)
        self._queue = WorkQueue(clock, NAME)
        self._table: list[Route] = []
        watched = {
            name: self._informers.informer(name)
            for name in (INGRESSES, CLASSES, "services", SLICES)
        }
        self._ingresses, self._classes = watched[INGRESSES].cache, watched[CLASSES].cache
        self._services, self._slices = watched["services"].cache, watched[SLICES].cache
        self._slices.add_index("service", service_of)
        watched[INGRESSES].add_handler(self._ingress_changed)
        watched[CLASSES].add_handler(lambda _: self._rebuild())

    async def run(self) -> None:
        """Keep the routes and tell where they are served, until cancelled."""
        klog.info(self._clock.now(), "nginx.go:273", "Starting NGINX Ingress controller")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._recorder.run())
            tasks.create_task(self._informers.run())
            await self._informers.wait_synced()
            self._rebuild()
            tasks.create_task(self._queue.run(self._publish))

    def _ingress_changed(self, change: Change) -> None:
        before, after = ((each or {}).get("spec") for each in (change.old, change.new))
        if before != after and change.new is not None and self._is_ours(change.new):
            self._recorder.event(change.new, "Normal", "Sync", "Scheduled for sync")
        self._rebuild()

    def _rebuild(self) -> None:
        ours = [each for each in self._ingresses.list() if self._is_ours(each)]
        self._table = routes(ours)
        for each in ours:
            self._queue.add(key(each))

    def _is_ours(self, ingress: Object) -> bool:
        """Whether an Ingress is of a class that names this controller."""
        annotations = annotations_of(ingress)
        name = ingress["spec"].get("ingressClassName") or annotations.get(CLASS_ANNOTATION, "")
        found = self._classes.get(name)
        return found is not None and found["spec"].get("controller") == CONTROLLER

    async def _publish(self, name: str) -> None:
        """Write into an Ingress' status where it is served."""
        namespace, _, own = name.partition("/")
        ingress = self._ingresses.get(own, namespace)
        status = {"loadBalancer": {"ingress": [{"ip": self._network.ip}]}}
        if ingress is not None and ingress.get("status") != status:
            changed = ingress | {"status": status}
            await self._client.update(INGRESSES, changed, subresource="status")

    # Requests

    async def answer(self, connection: Connection) -> None:
        """Pass one request on, and its answer back."""
        request = await http.read_head(connection)
        if request is None:
            return
        host = request.headers.get("host", "").partition(":")[0].lower()
        route = find_route(self._table, host, request.target.partition("?")[0])
        if route is None:
            await _say(connection, 404)
            return
        places = self._places(route)
        if not places:
            await _say(connection, 503)
            return
        try:
            async with self._clock.timeout(CONNECT_TIMEOUT):
                there = await self._network.connect(*self._clock.random.choice(places))
        except TimeoutError:
            await _say(connection, 504)
        except OSError:
            await _say(connection, 502)
        else:
            await self._relay(connection, there, request, route)

    def _places(self, route: Route) -> list[Address]:
        """The Pods behind a route's Service."""
        namespace = route.ingress["metadata"]["namespace"]
        wanted = route.backend.get("service") or {}
        service = self._services.get(wanted.get("name", ""), namespace)
        if service is None:
            return []
        number, name = wanted["port"].get("number"), wanted["port"].get("name")
        slices = self._slices.by_index("service", key(service))
        return [
            each.address
            for port in service["spec"].get("ports") or ()
            if (port["port"] == number if number else port.get("name") == name)
            for each in backends(slices, port.get("name") or "")
            if each.ready
        ]

    async def _relay(
        self, here: Connection, there: Connection, request: http.Message, route: Route
    ) -> None:
        host, client = request.headers.get("host", ""), here.remote[0]
        kept = {n: text for n, text in request.headers.items() if n not in HOP_BY_HOP}
        forwarded = {
            "Host": host,
            "X-Real-IP": client,
            "X-Forwarded-For": client,
            "X-Forwarded-Host": host,
            "X-Forwarded-Port": "80",
            "X-Forwarded-Proto": "http",
            "X-Forwarded-Scheme": "http",
            "X-Scheme": "http",
            "Connection": "close",
        }
        body = await http.read_body(here, request)
        lines = [f"{request.method} {route.target(request.target)} HTTP/1.1"]
        lines += [f"{name}: {text}" for name, text in {**forwarded, **kept}.items()]
        with contextlib.closing(there):
            await there.write(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
            while chunk := await there.read():
                await here.write(chunk)


async def _say(connection: Connection, status: int) -> None:
    """Answer as nginx does when nobody else can."""
    words = "Service Temporarily Unavailable" if status == 503 else http.phrase(status)
    title = f"{status} {words}"
    lines = [
        *("<html>", f"<head><title>{title}</title></head>", "<body>"),
        *(f"<center><h1>{title}</h1></center>", "<hr><center>nginx</center>"),
        *("</body>", "</html>", ""),
    ]
    body = "\r\n".join(lines).encode()
    headers = {"Content-Type": "text/html", "Content-Length": str(len(body))}
    await connection.write(http.head(status, headers | {"Connection": "close"}, words) + body)
