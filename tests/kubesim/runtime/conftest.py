"""Containers on a node of their own, without a cluster around them; time is stepped."""

import pytest

from kubesim.clock import Clock
from kubesim.network.fabric import Network
from kubesim.runtime.container import Container, ContainerConfig, MountPoint, make_sandbox
from kubesim.runtime.filesystem import File
from kubesim.runtime.images import ImageStore

NODE = "node"


class Machine:
    """One node on which a test starts containers."""

    def __init__(self):
        self.clock = Clock(speed=0)
        self.network = Network(self.clock)
        self.network.add_node(NODE, "172.18.0.2").pod_cidr = "10.244.1.0/24"
        self.network.follow_rules(NODE)
        self.images = ImageStore()

    def sandbox(self, hostname="pod"):
        return make_sandbox(self.clock, self.network, NODE, hostname, False, False)

    def start(self, *argv, image="busybox:1.36", sandbox=None, mounts=(), **environment):
        hosts = File(0o644, self.clock.now(), bytearray(b"127.0.0.1\tlocalhost\n"))
        mounts = [MountPoint("/etc/hosts", hosts), *mounts]
        config = ContainerConfig("c", self.images.find(image), list(argv), [], environment, mounts)
        container = Container(sandbox or self.sandbox(), config, f"{argv}")
        container.start()
        return container

    async def finish(self, container, seconds=60):
        for _ in range(seconds):
            await self.clock.advance(1)
            if not container.running:
                break
        assert not container.running, "it still runs"
        return container.exit_code

    async def sh(self, script, **how):
        """What a script writes to stdout and stderr, and its exit status."""
        container = self.start("sh", "-c", script, **how)
        status = await self.finish(container)
        return output(container, "stdout"), output(container, "stderr"), status


def output(container, stream="stdout"):
    data = b"".join(entry.data for entry in container.log.entries() if entry.stream == stream)
    return data.decode()


@pytest.fixture
def make_machine():
    return Machine
