"""One Pod on this node, from its arrival to its end.

The real kubelet's `pkg/kubelet/pod_workers.go` and the SyncPod of `kubelet.go`.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from kubesim.apimachinery.objects import (
    Object,
    condition,
    is_being_deleted,
    object_reference,
    pod_is_finished,
    timestamp,
)
from kubesim.apiserver.errors import StatusError
from kubesim.kubelet import mounts, status
from kubesim.kubelet.container import ContainerRunner, Role
from kubesim.kubelet.context import NodeContext, grace_period
from kubesim.kubelet.diskvolumes import KINDS, DiskVolume
from kubesim.kubelet.environment import environment
from kubesim.kubelet.images import Waiting
from kubesim.kubelet.securitycontext import give_to_fs_group
from kubesim.kubelet.sources import MissingSourceError, Sources
from kubesim.kubelet.volumes import (
    REFRESH,
    MountError,
    PodVolume,
    Volume,
    VolumeRefusedError,
)
from kubesim.runtime.container import MountPoint, Sandbox, make_sandbox
from kubesim.runtime.process import ProcessTable
from kubesim.storage.disk import PODS, HostPathError

MOUNT_RETRY = 0.5
MAX_MOUNT_RETRY = 122.0
SYNC_PERIOD = 10.0  # seconds between two looks of the status manager at all Pods (syncBatch)
HOUSEKEEPING = 10.0  # seconds between looks at how full volumes are
EVICTION_GRACE = 1.0
FORCED_GRACE = 1.0  # seconds that processes get when their Pod has been removed already
SANDBOX_MESSAGE = "Pod sandbox changed, it will be killed and re-created."
DEADLINE_MESSAGE = "Pod was active on the node longer than the specified deadline"

log = logging.getLogger(__name__)


class PodWorker:
    """Does everything that happens to one Pod; never two things to one container at once."""

    def __init__(self, node: NodeContext, pod: Object) -> None:
        self.node = node
        self.pod = pod
        self.uid: str = pod["metadata"]["uid"]
        self.namespace: str = pod["metadata"]["namespace"]
        self.name: str = pod["metadata"]["name"]
        self._sources = Sources(node.client, self.namespace)
        self.ip = ""
        self._sandbox: Sandbox | None = None
        self._volumes: dict[str, PodVolume] = {}
        self._etc: list[MountPoint] = []
        self._deleting = asyncio.Event()
        self._removed = False
        self._publishing = asyncio.Lock()
        self._verdict: Object = {}
        self._evicted = asyncio.Event()
        self._eviction = ""
        self._launching = False
        self._published: Object = {}
        self._repairing: asyncio.Task[None] | None = None
        self._started_at = (pod.get("status") or {}).get("startTime") or timestamp(node.clock.now())
        self.init = self._runners("initContainers", Role.INIT)
        self.main = self._runners("containers", Role.MAIN)
        self.ephemeral = self._runners("ephemeralContainers", Role.EPHEMERAL)
        self._debugging: set[asyncio.Task[None]] = set()
        self.update(pod)

    def _runners(self, group: str, role: Role) -> list[ContainerRunner]:
        statuses = (self.pod.get("status") or {}).get(f"{_singular(group)}Statuses") or []
        known = {each["name"]: each for each in statuses}
        return [
            ContainerRunner(
                self,
                spec,
                Role.SIDECAR
                if role is Role.INIT and spec.get("restartPolicy") == "Always"
                else role,
                known.get(spec["name"]),
            )
            for spec in self.pod["spec"].get(group) or []
        ]

    # What others need to know

    @property
    def sandbox(self) -> Sandbox:
        """What the containers share; there once the Pod has been prepared."""
        assert self._sandbox is not None
        return self._sandbox

    @property
    def running(self) -> bool:
        """Whether a container runs."""
        return any(each.running for each in self.runners)

    def runner(self, name: str) -> ContainerRunner | None:
        """Return the container of that name."""
        return next((each for each in self.runners if each.name == name), None)

    @property
    def runners(self) -> list[ContainerRunner]:
        """All its containers."""
        return [*self.init, *self.main, *self.ephemeral]

    def processes_of(self, container: str) -> ProcessTable | None:
        """Return the processes of another container, which an ephemeral one shares."""
        runner = self.runner(container) if container else None
        return runner.current.world.processes if runner and runner.current else None

    def is_shown_by(self, stored: Object) -> bool:
        """Tell whether a Pod of the API is this one, and not another of the same name."""
        return bool(stored["metadata"]["uid"] == self.uid)

    async def surroundings(self, container: Object) -> tuple[dict[str, str], list[MountPoint]]:
        """Return a container's environment and mounts. Raises MissingSourceError."""
        variables = await environment(
            self._sources, self._current_pod(), container, self._services()
        )
        now = self.node.clock.now()
        chosen = mounts.volume_mounts(container, self._volumes, variables, now)
        taken = {each.path for each in chosen}
        return variables, [each for each in self._etc if each.path not in taken] + chosen

    def _current_pod(self) -> Object:
        """Return the Pod with the addresses that its containers may ask for."""
        config = self.node.config
        addresses = {
            "podIP": self.ip,
            "podIPs": [{"ip": self.ip}],
            "hostIP": config.ip,
            "hostIPs": [{"ip": config.ip}],
        }
        return self.pod | {"status": (self.pod.get("status") or {}) | addresses}

    def _services(self) -> list[Object]:
        """Return the Services that the containers get variables for."""
        own = self.node.services(self.namespace)
        if not self.pod["spec"].get("enableServiceLinks", True):
            own = []
        masters = self.node.services("default") if self.namespace != "default" else []
        return own + [each for each in masters if each["metadata"]["name"] == "kubernetes"]

    def _event(self, kind: str, reason: str, message: str) -> None:
        self.node.recorder.event(object_reference(self.pod), kind, reason, message)

    # What the API server says

    def update(self, pod: Object) -> None:
        """Take a newer state of the Pod."""
        self.pod = pod
        if is_being_deleted(pod):
            self._deleting.set()
        self._look_at_status(pod.get("status") or {})
        specs = {each["name"]: each for each in pod["spec"]["containers"]}
        for runner in self.main:
            runner.take_spec(specs[runner.name])
        known = {each.name for each in self.ephemeral}
        for spec in pod["spec"].get("ephemeralContainers") or []:
            if spec["name"] not in known:
                self.ephemeral.append(ContainerRunner(self, spec, Role.EPHEMERAL, None))
                self._debug()

    def _debug(self) -> None:
        """Start the ephemeral containers that have not been, once the Pod is prepared."""
        for runner in self.ephemeral if self._sandbox else []:
            if runner.current is None and runner.exit_code is None and not runner.launching:
                runner.launching = True
                task = asyncio.ensure_future(runner.run())
                self._debugging.add(task)
                task.add_done_callback(self._debugging.discard)

    def _look_at_status(self, stored: Object) -> None:
        """Have a status that somebody else has written put right by the next look at all Pods."""
        if not self._repairing and _differs(self._published, stored):
            self._repairing = asyncio.ensure_future(self._repair())

    async def _repair(self) -> None:
        clock = self.node.clock
        await clock.sleep(SYNC_PERIOD - clock.monotonic() % SYNC_PERIOD)
        self._repairing = None
        await self.publish()

    def remove(self) -> None:
        """Hear that the Pod is gone from the API server."""
        self._removed = True
        self._deleting.set()

    # Life

    async def run(self) -> None:
        """Run the Pod until it is deleted; cancelled, its containers die with the node."""
        try:
            if self._lost_its_node():
                await self._give_up()
            elif not pod_is_finished(self.pod):
                await self._until_deleted()
            await self._deleting.wait()
            await self._delete()
            self.node.disk.remove(f"{PODS}/{self.uid}")
        finally:
            self._release()

    def _lost_its_node(self) -> bool:
        """Tell whether the Pod has run here before and must not be run again."""
        never = self.pod["spec"].get("restartPolicy") == "Never"
        ran = any(each.exit_code is not None for each in [*self.init, *self.main])
        return never and ran and not pod_is_finished(self.pod)

    async def _give_up(self) -> None:
        codes = [each.exit_code for each in [*self.init, *self.main]]
        self._verdict = {"phase": "Failed" if any(codes) else "Succeeded"}
        await self.publish()

    async def _until_deleted(self) -> None:
        living = asyncio.ensure_future(self._live())
        deleting = asyncio.ensure_future(self._deleting.wait())
        try:
            await asyncio.wait({living, deleting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            deleting.cancel()
            living.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await living

    async def _live(self) -> None:
        await self._prepare()
        refreshing = asyncio.ensure_future(self._refresh_volumes())
        try:
            async with self.node.clock.timeout(self._seconds_left()):
                excess = await self._run_within_limits()
            if excess:
                self._event("Warning", "Evicted", excess)
                await self._fail("Evicted", excess, EVICTION_GRACE)
        except TimeoutError:
            self._event("Normal", "DeadlineExceeded", DEADLINE_MESSAGE)
            await self._fail("DeadlineExceeded", DEADLINE_MESSAGE, grace_period(self.pod))
        finally:
            refreshing.cancel()
        await self.publish()
        self._release()

    async def _fail(self, reason: str, message: str, grace: float) -> None:
        """End the Pod as failed, whatever its containers say."""
        self._verdict = {"phase": "Failed", "reason": reason, "message": message}
        await self._stop_containers(grace)
        self._settle()

    def evict(self, message: str) -> None:
        """End the Pod because its node is short of something."""
        self._eviction = message
        self._evicted.set()

    async def _run_within_limits(self) -> str:
        """Run the containers; return at once why the Pod has to go, if it has to.

        A volume may hold too much, or the node be short of something.
        """
        volumes = [each for each in self._volumes.values() if isinstance(each, DiskVolume)]
        limited = [each for each in volumes if each.is_limited]
        running = asyncio.ensure_future(self._run_containers())
        evicting = asyncio.ensure_future(self._evicted.wait())
        try:
            while not running.done():
                excess = self._eviction or "".join(each.excess for each in limited)
                if excess:
                    return excess
                period = HOUSEKEEPING if limited else None
                with contextlib.suppress(TimeoutError):
                    async with self.node.clock.timeout(period):
                        await asyncio.wait({running, evicting}, return_when=asyncio.FIRST_COMPLETED)
            await running
        finally:
            evicting.cancel()
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
        return ""

    def _seconds_left(self) -> float | None:
        limit = self.pod["spec"].get("activeDeadlineSeconds")
        if limit is None:
            return None
        active = self.node.clock.now() - datetime.fromisoformat(self._started_at)
        return max(0.0, float(limit) - active.total_seconds())

    async def _prepare(self) -> None:
        """Mount volumes and make the sandbox."""
        initializing = Waiting("PodInitializing")
        for runner in [*self.init, *self.main]:
            if runner.exit_code is None:
                runner.waiting = initializing if self.init else Waiting("ContainerCreating")
        await self.publish()
        await self._mount()
        if any(each.ran_before for each in [*self.init, *self.main]):
            self._event("Normal", "SandboxChanged", SANDBOX_MESSAGE)
        spec = self.pod["spec"]
        host_network = spec.get("hostNetwork", False)
        self._sandbox = make_sandbox(
            self.node.clock,
            self.node.network,
            self.node.config.name,
            mounts.hostname(self.pod),
            host_network,
            spec.get("shareProcessNamespace", False) or spec.get("hostPID", False),
            self.uid,
        )
        self.ip = self._sandbox.network.ip
        self._etc = mounts.etc_files(self.pod, self.ip, self.node.clock.now())
        self._debug()

    async def _mount(self) -> None:
        for spec in self.pod["spec"].get("volumes") or []:
            volume = self._volume(spec)
            delay = MOUNT_RETRY
            while not await self._fill(volume):
                await self.node.clock.sleep(delay)
                delay = min(delay * 2, MAX_MOUNT_RETRY)
            self._volumes[volume.name] = volume

    def _volume(self, spec: Object) -> PodVolume:
        if any(kind in spec for kind in KINDS):
            return DiskVolume(spec, self.pod, self.node.disk, self.node.client)
        return Volume(spec, self.pod, self._sources, self.node.clock.now)

    async def _fill(self, volume: PodVolume) -> bool:
        try:
            await volume.fill(self._current_pod())
            give_to_fs_group(self.pod, volume)
        except MountError as error:
            self._event("Warning", "FailedMount", str(error))
            return False
        except (MissingSourceError, HostPathError, VolumeRefusedError, StatusError) as error:
            message = f'MountVolume.SetUp failed for volume "{volume.name}" : {error}'
            self._event("Warning", "FailedMount", message)
            return False
        return True

    async def _refresh_volumes(self) -> None:
        """Bring files up to date that come from objects; a lost source leaves them as they are."""
        changing = [each for each in self._volumes.values() if each.changes]
        while changing:
            await self.node.clock.sleep(REFRESH)
            for volume in changing:
                await self._fill(volume)

    async def _run_containers(self) -> None:
        """Run init containers one after the other, then the others; sidecars stay beside them."""
        sidecars: list[asyncio.Task[None]] = []
        try:
            if await self._run_init(sidecars):
                await self._run_main()
        finally:
            for task in sidecars:
                task.cancel()
            await asyncio.gather(*sidecars, return_exceptions=True)
        await self._stop_sidecars(grace_period(self.pod))

    async def _run_init(self, sidecars: list[asyncio.Task[None]]) -> bool:
        for runner in self.init:
            if runner.role is Role.SIDECAR:
                sidecars.append(asyncio.ensure_future(runner.run()))
                await runner.started.wait()
                continue
            await runner.run()
            if runner.exit_code:
                return False
        return True

    async def _run_main(self) -> None:
        """Start the containers in order, as one step for those who watch, and await their end."""
        async with asyncio.TaskGroup() as tasks:
            self._launching = True
            try:
                for runner in self.main:
                    tasks.create_task(runner.run())
                    await runner.launched.wait()
            finally:
                self._launching = False
            await self.publish()

    # The end

    async def _stop_containers(self, grace: float) -> None:
        regular = [each for each in self.runners if each.role is not Role.SIDECAR]
        deadline = self.node.clock.monotonic() + grace
        await asyncio.gather(
            *(each.stop(f"Stopping container {each.name}", grace) for each in regular)
        )
        await self._stop_sidecars(max(0.0, deadline - self.node.clock.monotonic()))

    async def _stop_sidecars(self, grace: float) -> None:
        for runner in reversed(self.init):
            if runner.role is Role.SIDECAR:
                await runner.stop(f"Stopping container {runner.name}", grace)

    def _settle(self) -> None:
        for runner in self.runners:
            runner.settle()

    async def _delete(self) -> None:
        """End the containers, report their end, and let the API server forget the Pod."""
        await self._stop_containers(FORCED_GRACE if self._removed else grace_period(self.pod))
        self._settle()
        if self._removed:
            return
        await self.publish()
        with contextlib.suppress(StatusError):
            await self.node.client.delete(
                "pods", self.name, self.namespace, grace_period=0, uid=self.uid
            )

    def _release(self) -> None:
        """Free what the Pod holds; what still runs dies."""
        if self._repairing:
            self._repairing.cancel()
        for task in self._debugging:
            task.cancel()
        for runner in self.runners:
            if runner.current:
                runner.current.kill()
        if self._sandbox and not self.pod["spec"].get("hostNetwork"):
            self.node.network.remove_pod(self._sandbox.network)

    # Status

    async def publish(self) -> None:
        """Write the Pod's status to the API server if it differs from what is there."""
        if self._launching or not self.node.active.is_set():
            return
        async with self._publishing:
            try:
                stored = await self.node.client.get("pods", self.name, self.namespace)
                if not self.is_shown_by(stored):
                    return
                wanted = self._published = self._status(stored)
                if _differs(wanted, stored.get("status") or {}):
                    await self.node.client.patch(
                        "pods",
                        self.name,
                        {"metadata": {"uid": stored["metadata"]["uid"]}, "status": wanted},
                        self.namespace,
                        subresource="status",
                        kind="merge",
                    )
            except StatusError as error:
                if error.code != 404:
                    log.warning("status of pod %s/%s: %s", self.namespace, self.name, error)

    def _status(self, pod: Object) -> Object:
        init = [each.status() for each in self.init]
        main = sorted((each.status() for each in self.main), key=lambda each: str(each["name"]))
        phase = self._verdict.get("phase") or self._phase(pod, init, main)
        if phase in ("Succeeded", "Failed") and self.running:
            # What still runs, such as a sidecar, holds the end back (status manager).
            phase = (pod.get("status") or {}).get("phase", "Running")
        config = self.node.config
        result: Object = {
            "conditions": status.conditions(
                pod, init, main, phase, bool(self.ip), self.node.clock.now()
            )
            + self._disruption(pod),
            "hostIP": config.ip,
            "hostIPs": [{"ip": config.ip}],
            "startTime": self._started_at,
            "qosClass": status.qos_class(pod),
            "containerStatuses": main,
            **self._verdict,
            "phase": phase,
        }
        if init:
            result["initContainerStatuses"] = init
        if self.ephemeral:
            result["ephemeralContainerStatuses"] = [each.status() for each in self.ephemeral]
        if self.ip:
            result |= {"podIP": self.ip, "podIPs": [{"ip": self.ip}]}
        if "generation" in pod["metadata"]:
            result["observedGeneration"] = pod["metadata"]["generation"]
        return result

    def _disruption(self, pod: Object) -> list[Object]:
        """Return the condition that an evicted Pod gets, if it has it not yet."""
        if self._verdict.get("reason") != "Evicted" or condition(pod, "DisruptionTarget"):
            return []
        made = {"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet"}
        now = timestamp(self.node.clock.now())
        return [made | {"message": self._verdict["message"], "lastTransitionTime": now}]

    def _phase(self, pod: Object, init: Sequence[Object], main: Sequence[Object]) -> str:
        if self._deleting.is_set() and all("running" not in each["state"] for each in main):
            ended = [each["state"].get("terminated") for each in main]
            if all(ended):
                codes = [each["exitCode"] for each in ended if each]
                return "Failed" if any(codes) else "Succeeded"
        return status.phase(pod, init, main)


def _differs(wanted: Any, stored: Any) -> bool:
    """Tell whether a merge patch with `wanted` would change `stored`."""
    if isinstance(wanted, dict) and isinstance(stored, dict):
        return any(_differs(value, stored.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(stored, list):
        pairs = zip(wanted, stored, strict=False)
        return len(wanted) != len(stored) or any(_differs(*pair) for pair in pairs)
    return bool(wanted != stored)


def _singular(group: str) -> str:
    return group.removesuffix("s")
