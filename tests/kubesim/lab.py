"""A whole cluster on a stepped clock, to see what its kubelets and its network make of Pods."""

from contextlib import asynccontextmanager

from kubesim.apimachinery.objects import condition
from kubesim.apiserver.errors import StatusError
from kubesim.clock import Clock
from kubesim.cluster import Cluster


class Lab:
    """The cluster and short words for what tests do with it."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.api = cluster.client("admin", ("system:masters", "system:authenticated"))

    async def advance(self, seconds):
        await self.cluster.clock.advance(seconds)

    async def settle(self):
        await self.advance(0.1)

    async def create(self, resource, name, **content):
        made = {"metadata": {"name": name, "namespace": "default"}, **content}
        return await self.api.create(resource, made, "default")

    async def run(self, name="pod", *, labels=None, annotations=None, **spec):
        """Create a Pod and let it settle; `command` and the like are for its only container."""
        of_container = {"command", "args", "env", "envFrom", "volumeMounts", "livenessProbe"}
        of_container |= {"readinessProbe", "startupProbe", "lifecycle", "image", "workingDir"}
        of_container |= {"terminationMessagePolicy", "imagePullPolicy", "ports", "resources"}
        container = {"name": "c", "image": "busybox:1.36"}
        container |= {key: spec.pop(key) for key in of_container & spec.keys()}
        spec.setdefault("containers", [container])
        metadata = {"name": name, "namespace": "default", "labels": labels or {"app": name}}
        metadata["annotations"] = annotations or {}
        await self.api.create("pods", {"metadata": metadata, "spec": spec}, "default")
        await self.settle()
        return await self.pod(name)

    async def sh(self, script, name="pod", **spec):
        """Run a script as a Pod that is not restarted, to its end; return its log."""
        await self.run(name, command=["sh", "-c", script], restartPolicy="Never", **spec)
        await self.advance(15)
        return await self.log(name)

    async def pod(self, name="pod"):
        return await self.api.get("pods", name, "default")

    async def status(self, name="pod", container="c"):
        """The ContainerStatus of a container, init containers included."""
        status = (await self.pod(name))["status"]
        everybody = status.get("initContainerStatuses", []) + status["containerStatuses"]
        return next(each for each in everybody if each["name"] == container)

    async def phase(self, name="pod"):
        return (await self.pod(name))["status"]["phase"]

    async def condition(self, kind, name="pod"):
        return condition(await self.pod(name), kind)

    async def exists(self, name="pod"):
        try:
            await self.pod(name)
        except StatusError as error:
            assert error.code == 404
            return False
        return True

    async def server(self, name="pod"):
        node = (await self.pod(name))["spec"]["nodeName"]
        return self.cluster._kubelets[node].server

    async def log(self, name="pod", container="c", **options):
        stream = (await self.server(name)).logs("default", name, container, **options)
        return b"".join([chunk async for chunk in stream]).decode()

    async def exec(self, *command, name="pod", container="c"):
        """What a command writes to stdout, and its exit code."""
        session = await (await self.server(name)).exec("default", name, container, list(command))
        output = b"".join([chunk async for chunk in session.stdout]).decode()
        return output, await session.wait()

    async def exec_later(self, *command, name="pod", seconds=5):
        """What a command that takes a while writes to stdout."""
        session = await (await self.server(name)).exec("default", name, "c", list(command))
        await self.advance(seconds)
        return b"".join([chunk async for chunk in session.stdout]).decode()

    async def events(self, name="pod"):
        """(reason, message) of the Events about a Pod, oldest first."""
        await self.settle()
        found = (await self.api.list("events", "default"))["items"]
        found.sort(key=lambda event: int(event["metadata"]["name"].rpartition(".")[2], 16))
        return [
            (event["reason"], event["message"])
            for event in found
            if event["involvedObject"]["name"] == name
        ]

    async def reasons(self, name="pod"):
        return [reason for reason, _ in await self.events(name)]


@asynccontextmanager
async def started(cluster, seconds):
    """A cluster that has run for some seconds; it is stopped in the end."""
    await cluster.start()
    try:
        await cluster.clock.advance(seconds)
        yield cluster
    finally:
        await cluster.stop()


@asynccontextmanager
async def lab():
    async with started(Cluster("test", clock=Clock(speed=0)), 2) as cluster:
        yield Lab(cluster)
