"""The Node object and its Lease: registration, status, heartbeats."""

import asyncio
import contextlib
import hashlib
import logging
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from kubesim.apimachinery import rand
from kubesim.apimachinery.objects import Object, condition, micro_timestamp, timestamp
from kubesim.apiserver.errors import StatusError
from kubesim.clientgo.client import Client
from kubesim.clientgo.events import EventRecorder
from kubesim.clock import Clock
from kubesim.runtime.images import ImageStore

CRI_SOCKET = "unix:///run/containerd/containerd.sock"  # kubeadm tells it to who upgrades a node
LEASE_DURATION = 40  # seconds
LEASE_PERIOD = 10.0  # nodeLeaseRenewInterval: a quarter of the duration
STATUS_PERIOD = 300.0  # nodeStatusReportFrequency, while nothing changes
RETRY = 0.2
MAX_RETRY = 7.0
CAPACITY = {
    "cpu": "4",
    "memory": "8Gi",
    "ephemeral-storage": "100Gi",
    "hugepages-1Gi": "0",
    "hugepages-2Mi": "0",
    "pods": "110",
}
CONDITIONS = (  # type, healthy status, reason, message
    (
        "MemoryPressure",
        "False",
        "KubeletHasSufficientMemory",
        "kubelet has sufficient memory available",
    ),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)
PRESSED = (
    (
        "MemoryPressure",
        "True",
        "KubeletHasInsufficientMemory",
        "kubelet has insufficient memory available",
    ),
    ("DiskPressure", "True", "KubeletHasDiskPressure", "kubelet has disk pressure"),
)
PRESSURE_EVENTS = (  # when it goes, when it comes
    ("MemoryPressure", "NodeHasSufficientMemory", "NodeHasInsufficientMemory"),
    ("DiskPressure", "NodeHasNoDiskPressure", "NodeHasDiskPressure"),
)
EVENTS = ("NodeHasSufficientMemory", "NodeHasNoDiskPressure", "NodeHasSufficientPID", "NodeReady")
DEFAULT_VERSION = "v1.37.0"
RUNTIME_VERSION = "containerd://2.2.0+kubesim"

Action = Callable[[], Awaitable[None]]
log = logging.getLogger(__name__)


@dataclass
class NodeConfig:
    """What a node is told about itself; an upgrade changes its version."""

    name: str
    ip: str
    pod_cidr: str
    labels: dict[str, str] = field(default_factory=dict)
    taints: list[Object] = field(default_factory=list)
    version: str = DEFAULT_VERSION
    cluster: str = "kubesim"


class NodeAgent:
    """Keeps the API server informed about one node."""

    def __init__(
        self,
        config: NodeConfig,
        client: Client,
        clock: Clock,
        images: ImageStore,
        recorder: EventRecorder,
    ) -> None:
        self._config = config
        self._client = client
        self._clock = clock
        self._images = images
        self._recorder = recorder
        self._boot_id = rand.uid(clock.random)
        self._pressures: set[str] = set()
        self._pressed = asyncio.Event()
        self.uid = ""
        self.registered = asyncio.Event()

    async def run(self) -> None:
        """Register, then report until cancelled."""
        await self._persist(self._register)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._beat())
            tasks.create_task(self._report())

    async def _beat(self) -> None:
        """Renew the Lease; who could not has been taken for dead by now and says how it is."""
        while True:
            if not await self._persist(self._renew_lease):
                await self._persist(self._update_status)
            await self._clock.sleep(LEASE_PERIOD)

    async def _report(self) -> None:
        """Report at once when a pressure comes or goes, else every five minutes."""
        while True:
            self._pressed.clear()
            await self._persist(self._update_status)
            with contextlib.suppress(TimeoutError):
                async with self._clock.timeout(STATUS_PERIOD):
                    await self._pressed.wait()

    def report_pressure(self, condition: str, pressed: bool) -> None:
        """Say that "MemoryPressure" or "DiskPressure" has come or gone."""
        (self._pressures.add if pressed else self._pressures.discard)(condition)
        reason = next(each[pressed] for kind, *each in PRESSURE_EVENTS if kind == condition)
        self._event(reason, f"Node {self._config.name} status is now: {reason}")
        self._pressed.set()

    def _conditions(self) -> list[tuple[str, str, str, str]]:
        pressed = {each[0]: each for each in PRESSED}
        return [pressed[each[0]] if each[0] in self._pressures else each for each in CONDITIONS]

    async def _persist(self, action: Action) -> bool:
        """Do `action`, again and again while it is not taken; return whether it was at once."""
        delay, at_once = RETRY, True
        while True:
            try:
                await action()
            except StatusError as error:
                log.warning("node %s: %s", self._config.name, error)
                await self._clock.sleep(delay)
                delay, at_once = min(delay * 2, MAX_RETRY), False
            else:
                return at_once

    async def _register(self) -> None:
        name = self._config.name
        try:
            node = await self._client.create("nodes", self._new_node())
        except StatusError as error:
            if error.reason != "AlreadyExists":
                raise
            node = await self._client.get("nodes", name)
        self.uid = node["metadata"]["uid"]
        self.registered.set()
        self._event("Starting", "Starting kubelet.")

    def _event(self, reason: str, message: str) -> None:
        self._tell("Normal", reason, message)

    def warn(self, reason: str, message: str) -> None:
        """Record a Warning about the node."""
        self._tell("Warning", reason, message)

    def _tell(self, kind: str, reason: str, message: str) -> None:
        about = {"kind": "Node", "name": self._config.name, "uid": self._config.name}
        self._recorder.event(about, kind, reason, message)

    def _new_node(self) -> Object:
        config = self._config
        arch = {"arch": "amd64", "os": "linux"}
        labels = {f"beta.kubernetes.io/{key}": value for key, value in arch.items()}
        labels |= {f"kubernetes.io/{key}": value for key, value in arch.items()}
        labels |= {"kubernetes.io/hostname": config.name, **config.labels}
        annotations = {
            "kubeadm.alpha.kubernetes.io/cri-socket": CRI_SOCKET,
            "node.alpha.kubernetes.io/ttl": "0",
            "volumes.kubernetes.io/controller-managed-attach-detach": "true",
        }
        spec: Object = {
            "podCIDR": config.pod_cidr,
            "podCIDRs": [config.pod_cidr],
            "providerID": f"kind://docker/{config.cluster}/{config.name}",
        }
        if config.taints:
            spec["taints"] = config.taints
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": config.name, "labels": labels, "annotations": annotations},
            "spec": spec,
            "status": self._facts(),
        }

    async def _update_status(self) -> None:
        node = await self._client.get("nodes", self._config.name)
        before = condition(node, "Ready")
        now = self._clock.now()
        conditions = [_condition(node, *each, now) for each in self._conditions()]
        patch = {"status": self._facts() | {"conditions": conditions}}
        await self._client.patch("nodes", self._config.name, patch, subresource="status")
        if before is None or before["status"] != "True":
            for reason in EVENTS:
                self._event(reason, f"Node {self._config.name} status is now: {reason}")

    def _facts(self) -> Object:
        return {
            "addresses": [
                {"type": "InternalIP", "address": self._config.ip},
                {"type": "Hostname", "address": self._config.name},
            ],
            "capacity": CAPACITY,
            "allocatable": CAPACITY,
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "nodeInfo": self._info(),
            "images": [
                {"names": [image.id, image.reference], "sizeBytes": image.size}
                for image in self._images.all()
            ],
        }

    def _info(self) -> Object:
        machine = hashlib.sha256(self._config.name.encode()).hexdigest()
        return {
            "architecture": "amd64",
            "bootID": self._boot_id,
            "containerRuntimeVersion": RUNTIME_VERSION,
            "kernelVersion": "6.12.0-kubesim",
            "kubeProxyVersion": "",
            "kubeletVersion": self._config.version,
            "machineID": machine[:32],
            "operatingSystem": "linux",
            "osImage": "kubesim (simulated)",
            "systemUUID": str(uuid.UUID(machine[32:])),
        }

    async def _renew_lease(self) -> None:
        spec = {
            "holderIdentity": self._config.name,
            "leaseDurationSeconds": LEASE_DURATION,
            "renewTime": micro_timestamp(self._clock.now()),
        }
        resource, namespace = "leases.coordination.k8s.io", "kube-node-lease"
        try:
            await self._client.patch(
                resource, self._config.name, {"spec": spec}, namespace, kind="merge"
            )
        except StatusError as error:
            if error.code != 404:
                raise
            owner = {
                "apiVersion": "v1",
                "kind": "Node",
                "name": self._config.name,
                "uid": self.uid,
            }
            lease = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {
                    "name": self._config.name,
                    "namespace": namespace,
                    "ownerReferences": [owner],
                },
                "spec": spec,
            }
            await self._client.create(resource, lease)


def _condition(
    node: Object, kind: str, status: str, reason: str, message: str, now: datetime
) -> Object:
    old = condition(node, kind)
    changed = old is None or old["status"] != status
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastHeartbeatTime": timestamp(now),
        "lastTransitionTime": timestamp(now)
        if changed or old is None
        else old["lastTransitionTime"],
    }
