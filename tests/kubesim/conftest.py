"""Asynchronous tests, and a control plane without real kubelets for them.

An `async def` test runs in an event loop of its own. Time stands still unless the test advances
it, so `await world.settle()` means: until everybody has done what there is to do now.
"""

import asyncio
import inspect
from collections.abc import Sequence
from contextlib import asynccontextmanager

import pytest

from kubesim.apimachinery.objects import is_being_deleted, micro_timestamp, timestamp
from kubesim.apiserver.errors import StatusError
from kubesim.apiserver.server import APIServer
from kubesim.clientgo.client import Client
from kubesim.clientgo.informer import Informer
from kubesim.clock import Clock
from kubesim.controllers.keys import Keys
from kubesim.controllers.manager import ControllerManager
from kubesim.etcd.store import Etcd
from kubesim.scheduler import server as scheduler_server
from tests.kubesim import sealing
from tests.kubesim.lab import lab

HOST = "control-plane"
ROOT_CA = "-----BEGIN CERTIFICATE-----\n"


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    asyncio.run(pyfuncitem.obj(**arguments))
    return True


@pytest.fixture(autouse=True)
def sealed_objects(monkeypatch):
    """Let a part that changes what the server shares with it fail."""
    sealing.seal(monkeypatch)


class World:
    """An API server, a stepped clock, and whatever else a test starts."""

    def __init__(self, start=None):
        self.clock = Clock(speed=0, start=start)
        self.server = APIServer(Etcd(clock=self.clock), self.clock)
        self.api = self.connect("kubernetes-admin", ("system:masters", "system:authenticated"))
        self.kubelets = {}
        self.tasks = {}

    def connect(self, user: str, groups: Sequence[str]) -> Client:
        return Client(self.server, user, groups)

    def start(self, name, work):
        self.tasks[name] = asyncio.create_task(work)

    def start_controllers(self, **keys):
        manager = ControllerManager(self.connect, self.clock, HOST, Keys(ROOT_CA, **keys))
        self.start("controllers", manager.run())

    def start_scheduler(self):
        self.start("scheduler", scheduler_server.run(self.connect, self.clock, HOST))

    async def stop(self, name):
        task = self.tasks.pop(name)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def stop_all(self):
        failed = [task for task in self.tasks.values() if task.done()]
        for name in [*self.tasks]:
            await self.stop(name)
        for task in failed:
            task.result()

    async def add_node(self, name, *, ready=True, **how):
        now = timestamp(self.clock.now())
        await self.api.create("nodes", node(name, now=now, **how))
        self.kubelets[name] = FakeKubelet(self, name, ready=ready)
        self.start(name, self.kubelets[name].run())
        await self.settle()

    async def settle(self):
        await self.clock.advance(0)

    async def advance(self, seconds):
        await self.clock.advance(seconds)

    async def create_namespaces(self, *names):
        for name in names:
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            await self.api.create("namespaces", namespace)

    async def create_deployment(self, name="web", image="nginx:1.26", **spec):
        return await self._create_workload("Deployment", name, {"app": name}, image, {}, spec)

    async def create_replica_set(self, name="web", labels=None, template=None, **spec):
        labels = labels or {"app": name}
        return await self._create_workload(
            "ReplicaSet", name, labels, "nginx:1.26", template or {}, spec
        )

    async def create_replication_controller(self, name="rc", **spec):
        containers = [{"name": "main", "image": "nginx:1.26"}]
        template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": containers}}
        controller = {
            "apiVersion": "v1",
            "kind": "ReplicationController",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"template": template, **spec},
        }
        return await self.api.create("replicationcontrollers", controller)

    async def create_daemon_set(self, name="agent", template=None, **spec):
        spec = {"replicas": None, **spec}
        return await self._create_workload(
            "DaemonSet", name, {"app": name}, "nginx:1.26", template or {}, spec
        )

    async def create_stateful_set(self, name="db", **spec):
        spec = {"serviceName": name, **spec}
        return await self._create_workload(
            "StatefulSet", name, {"app": name}, "nginx:1.26", {}, spec
        )

    async def create_job(self, name="work", template=None, **spec):
        job = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"template": {"spec": busybox_that_ends(template)}, **spec},
        }
        return await self.api.create("jobs.batch", job)

    async def create_cron_job(self, name="tick", schedule="* * * * *", **spec):
        template = {"spec": {"template": {"spec": busybox_that_ends()}}}
        cron_job = {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "schedule": schedule,
                "jobTemplate": template | {"metadata": {"labels": {"of": name}}},
                **spec,
            },
        }
        return await self.api.create("cronjobs.batch", cron_job)

    async def end_pod(self, pod, code=0):
        """Let the one container of a Pod exit."""
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        ended = {"exitCode": code, "finishedAt": timestamp(self.clock.now())}
        container = pod["spec"]["containers"][0]
        status = {
            "phase": "Failed" if code else "Succeeded",
            "containerStatuses": [
                {
                    "name": container["name"],
                    "image": container["image"],
                    "imageID": "",
                    "ready": False,
                    "restartCount": 0,
                    "state": {"terminated": ended},
                }
            ],
        }
        await self.api.patch("pods", name, {"status": status}, namespace, subresource="status")
        await self.settle()

    async def _create_workload(self, kind, name, labels, image, pod_spec, spec):
        containers = [{"name": "main", "image": image}]
        template = {"metadata": {"labels": labels}, "spec": {"containers": containers, **pod_spec}}
        workload = {
            "apiVersion": "apps/v1",
            "kind": kind,
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "replicas": 3,
                "selector": {"matchLabels": labels},
                "template": template,
                **spec,
            },
        }
        return await self.api.create(f"{kind.lower()}s.apps", workload)

    async def create_service(self, name="web", selector=None, ports=None, **spec):
        """A Service of the Pods app=web, unless told otherwise."""
        spec["selector"] = {"app": "web"} if selector is None else selector
        spec["ports"] = [{"port": 80}] if ports is None else ports
        meta = {"name": name, "namespace": "default", "labels": {"team": "a"}}
        service = {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}
        return await self.api.create("services", service)

    async def create_pod(self, name, *, requests=None, meta=None, namespace="default", **spec):
        resources = {"requests": requests} if requests else {}
        containers = [{"name": "main", "image": "nginx:1.26", "resources": resources}]
        return await self.api.create(
            "pods",
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "namespace": namespace, **(meta or {})},
                "spec": {"containers": containers, **spec},
            },
        )

    async def change(self, resource, name, patch, namespace="default"):
        """A strategic merge patch of an object's spec, and what comes of it."""
        await self.api.patch(resource, name, patch, namespace)
        await self.settle()

    async def get(self, resource, name, namespace="default"):
        return await self.api.get(resource, name, namespace)

    async def pod(self, name):
        return await self.get("pods", name)

    async def items(self, resource, namespace="default", **selectors):
        return (await self.api.list(resource, namespace, **selectors))["items"]

    async def exists(self, resource, name, namespace="default"):
        try:
            await self.api.get(resource, name, namespace)
        except StatusError as error:
            if error.code == 404:
                return False
            raise
        return True

    async def events(self, name_prefix, namespace="default"):
        """(reason, message) of the events about objects whose name begins so, oldest first."""
        found = await self.items("events", namespace)
        found.sort(key=lambda event: int(event["metadata"]["name"].rpartition(".")[2], 16))
        return [
            (event["reason"], event["message"])
            for event in found
            if event["involvedObject"]["name"].startswith(name_prefix)
        ]


class FakeKubelet:
    """Makes Pods of one node run at once, ready or not, and reports that the node is well."""

    def __init__(self, world, name, *, ready=True):
        self.world = world
        self.name = name
        self.ready = ready
        self.client = world.connect(f"system:node:{name}", ("system:nodes", "system:authenticated"))
        self.pods = Informer(
            self.client, "pods", world.clock, field_selector=f"spec.nodeName={name}"
        )
        self.pods.add_handler(lambda change: self.changes.put_nowait(change.new))
        self.changes = asyncio.Queue()

    async def run(self):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.pods.run())
            tasks.create_task(self.serve())
            tasks.create_task(self.beat())

    async def serve(self):
        while True:
            pod = await self.changes.get()
            if pod is None:
                continue
            name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
            try:
                if is_being_deleted(pod):
                    await self.client.delete("pods", name, namespace, grace_period=0)
                elif (pod.get("status") or {}).get("phase", "Pending") == "Pending":
                    await self.report(pod, ready=self.ready)
            except StatusError as error:
                if error.code != 404:
                    raise

    async def report(self, pod, *, ready):
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        now = timestamp(self.world.clock.now())
        made = {
            "type": "Ready",
            "status": str(ready),
            "lastTransitionTime": now,
            "lastProbeTime": None,
        }
        address = f"10.244.0.{len(self.pods.cache.keys())}"
        status = {
            "phase": "Running",
            "conditions": [made],
            "podIP": address,
            "podIPs": [{"ip": address}],
        }
        patch = {"status": status}
        await self.client.patch("pods", name, patch, namespace, subresource="status")

    async def beat(self):
        """Say that the node is well, then renew its lease every 10 s."""
        now = timestamp(self.world.clock.now())
        status = {"conditions": node_conditions(now)}
        await self.client.patch("nodes", self.name, {"status": status}, subresource="status")
        while True:
            await self.renew()
            await self.world.clock.sleep(10)

    async def renew(self):
        now = micro_timestamp(self.world.clock.now())
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.name, "namespace": "kube-node-lease"},
            "spec": {"holderIdentity": self.name, "renewTime": now, "leaseDurationSeconds": 40},
        }
        leases = "leases.coordination.k8s.io"
        if await self.world.exists(leases, self.name, "kube-node-lease"):
            await self.client.patch(leases, self.name, lease, "kube-node-lease", kind="merge")
        else:
            await self.client.create(leases, lease)


def busybox_that_ends(changed=None):
    """The spec of a Pod that is not restarted."""
    containers = [{"name": "main", "image": "busybox:1.36"}]
    return {"restartPolicy": "Never", "containers": containers, **(changed or {})}


def node(name, *, labels=None, taints=(), cpu="4", memory="8Gi", pods="110", now=""):
    capacity = {"cpu": cpu, "memory": memory, "pods": pods}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/hostname": name, **(labels or {})},
        },
        "spec": {"taints": list(taints)} if taints else {},
        "status": {
            "capacity": capacity,
            "allocatable": capacity,
            "conditions": node_conditions(now) if now else [],
        },
    }


def node_conditions(now):
    listed = {"MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False"}
    return [
        {
            "type": kind,
            "status": status,
            "reason": "Kubelet",
            "message": "",
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
        }
        for kind, status in {**listed, "Ready": "True"}.items()
    ]


@pytest.fixture
def make_lab():
    """`async with make_lab() as lab`."""
    return lab


@pytest.fixture
def make_world():
    """`async with make_world(nodes=2, controllers=True, scheduler=True) as world`."""

    @asynccontextmanager
    async def make(*, nodes=0, controllers=True, scheduler=True, ready=True, start=None):
        world = World(start)
        for number in range(1, nodes + 1):
            await world.add_node(f"node-{number}", ready=ready)
        if controllers:
            world.start_controllers()
        if scheduler:
            world.start_scheduler()
        try:
            await world.settle()
            yield world
        finally:
            await world.stop_all()

    return make
