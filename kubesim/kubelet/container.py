"""One container of a Pod through all its runs: start, probe, restart with back-off.

The real kubelet's `pkg/kubelet/kuberuntime`, whose work is spread over every sync of the Pod; here
it is one task a container, told in the order in which it happens.
"""

import asyncio
import contextlib
from enum import Enum

from kubesim.apimachinery import quantity
from kubesim.apimachinery.objects import Object, object_reference, timestamp
from kubesim.kubelet import probes
from kubesim.kubelet.backoff import Backoff
from kubesim.kubelet.context import PodContext, described, grace_period
from kubesim.kubelet.environment import expand
from kubesim.kubelet.images import RETRY, ImagePuller, NotStartedError, Waiting
from kubesim.kubelet.prober import Action, Prober
from kubesim.kubelet.securitycontext import RootRefusedError, credentials, read_only_root
from kubesim.kubelet.sources import MissingSourceError
from kubesim.runtime.catalog.family import Image
from kubesim.runtime.container import Container, ContainerConfig, MountPoint, StartError
from kubesim.runtime.filesystem import File
from kubesim.runtime.signals import LINUX

MIN_GRACE = 2  # seconds for a container to end even if its preStop hook took all the time
HOOK_LATENCY = 0.05  # seconds between a container's start and its hook: the program is up by then
START_FAILED = 128
MAX_MESSAGE = 4096
LOG_TAIL = 2048
RUNC = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: "
    "runc create failed: unable to start container process: "
)


class Role(Enum):
    """What a container is for its Pod."""

    INIT = "init"
    SIDECAR = "sidecar"
    MAIN = "main"
    EPHEMERAL = "ephemeral"


GROUPS = {
    Role.INIT: "initContainers",
    Role.SIDECAR: "initContainers",
    Role.MAIN: "containers",
    Role.EPHEMERAL: "ephemeralContainers",
}


class NotAgainError(Exception):
    """A container that has ended could not be started, and its policy allows no other try."""


class ContainerRunner:
    """Runs one container of a Pod, and knows its status."""

    def __init__(self, pod: PodContext, spec: Object, role: Role, old: Object | None) -> None:
        self.spec = spec
        self.role = role
        self.name = spec["name"]
        self.waiting: Waiting | None = Waiting("ContainerCreating")
        self.current: Container | None = None
        self.previous: Container | None = None
        self.restart_count = 0
        self.started = asyncio.Event()
        self.launched = asyncio.Event()
        self.ready = False
        self.ran_before = False
        self.launching = False
        self._pod = pod
        self._clock = pod.node.clock
        self._forget_failures()
        self._respecified = asyncio.Event()
        self._last_state: Object = {}
        self._image_status = (spec["image"], "")
        self._final: Object | None = None
        self._changed = False
        self._killed = False
        self._changing: asyncio.Task[None] | None = None
        if old:
            self._take_over(old)

    def _take_over(self, old: Object) -> None:
        """Go on after the kubelet's own restart: what ran has died with the node."""
        state = old.get("state") or {}
        self._last_state = old.get("lastState") or {}
        self.restart_count = old.get("restartCount", 0)
        ended = state.get("terminated")
        if "running" in state:
            ended = self._lost(old, state["running"])
        if ended and not self._runs_again(ended["exitCode"]):
            self._final = ended
            self.waiting = None
            self.ready = self.role is Role.INIT and not ended["exitCode"]
            return
        if ended:
            self._last_state = {"terminated": ended}
        self.ran_before = bool(old.get("containerID"))
        self.restart_count += self.ran_before

    def _runs_again(self, exit_code: int) -> bool:
        """Tell whether a container is run again in the new sandbox that a restart makes."""
        policy = self._pod.pod["spec"].get("restartPolicy", "Always")
        if self.role is Role.EPHEMERAL:
            return False
        if policy == "OnFailure" and self.role is Role.MAIN:
            return exit_code != 0
        return bool(policy != "Never")

    def _lost(self, old: Object, running: Object) -> Object:
        return {
            "exitCode": 255,
            "reason": "Unknown",
            "startedAt": running.get("startedAt"),
            "finishedAt": timestamp(self._clock.now()),
            "containerID": old.get("containerID", ""),
        }

    def take_spec(self, spec: Object) -> None:
        """Take a newer spec; another image means another run."""
        changed = spec["image"] != self.spec["image"]
        self.spec = spec
        if changed:
            self._forget_failures()
            self._respecified.set()
        if changed and self.current and self.current.running:
            self._changed = self._killed = True
            message = f"Container {self.name} definition changed, will be restarted"
            self._changing = asyncio.ensure_future(self.stop(message, grace_period(self._pod.pod)))

    def _forget_failures(self) -> None:
        node = self._pod.node
        self._backoff = Backoff(self._clock)
        self._puller = ImagePuller(node.images, self._clock, self._event, self._wait_for)

    async def _pause(self, seconds: float) -> None:
        """Wait before the next try, but not when the spec has changed."""
        self._respecified.clear()
        with contextlib.suppress(TimeoutError):
            async with self._clock.timeout(seconds):
                await self._respecified.wait()

    def settle(self) -> None:
        """Stop waiting for another run, because there will be none."""
        if self.finished:
            self.waiting = None
        self.ready = False
        self.started.clear()

    # Status

    def status(self) -> Object:
        """Return the container's ContainerStatus."""
        current = self.current
        image, image_id = self._image_status
        counts = self.role is Role.INIT or not self.finished
        result: Object = {
            "name": self.name,
            "state": self._state(),
            "lastState": self._last(),
            "ready": self.ready and counts,
            "restartCount": self.restart_count,
            "image": image,
            "imageID": image_id,
            "started": self.started.is_set() and not self.finished,
        }
        if current:
            result["containerID"] = f"containerd://{current.id}"
        return result

    def _state(self) -> Object:
        if self.waiting:
            message = {"message": self.waiting.message} if self.waiting.message else {}
            return {"waiting": {"reason": self.waiting.reason, **message}}
        if self._final:
            return {"terminated": self._final}
        assert self.current is not None
        if self.current.started_at and self.current.running:
            return {"running": {"startedAt": timestamp(self.current.started_at)}}
        return {"terminated": self._terminated(self.current)}

    def _last(self) -> Object:
        if self.waiting and self.current and self.current.finished_at:
            return {"terminated": self._terminated(self.current)}
        if self.previous:
            return {"terminated": self._terminated(self.previous)}
        return self._last_state

    def _terminated(self, container: Container) -> Object:
        code = container.exit_code or 0
        reason = "Completed" if code == 0 else "Error"
        reason = "OOMKilled" if container.world.cgroup.out_of_memory else reason
        started, finished = container.started_at, container.finished_at
        assert finished is not None
        result: Object = {
            "exitCode": code,
            "reason": reason if started else "StartError",
            "startedAt": timestamp(started) if started else "1970-01-01T00:00:00Z",
            "finishedAt": timestamp(finished),
            "containerID": f"containerd://{container.id}",
        }
        message = self._message(container)
        if message:
            result["message"] = message
        return result

    def _message(self, container: Container) -> str:
        """Return what the container left in its termination log, or the end of its log."""
        if not container.started_at:
            return container.failure
        log = next(each for each in container.config.mounts if each.path == self._message_path)
        assert isinstance(log.node, File)
        text = bytes(log.node.data[:MAX_MESSAGE])
        policy = self.spec.get("terminationMessagePolicy", "File")
        if not text and policy == "FallbackToLogsOnError" and container.exit_code:
            text = container.log.tail(LOG_TAIL)
        return text.decode(errors="replace")

    @property
    def _message_path(self) -> str:
        return str(self.spec.get("terminationMessagePath") or "/dev/termination-log")

    @property
    def exit_code(self) -> int | None:
        """The exit code of the last run, if it has ended."""
        if self._final:
            return int(self._final["exitCode"])
        return self.current.exit_code if self.current else None

    @property
    def running(self) -> bool:
        """Whether it runs now."""
        return self.current is not None and self.current.running

    @property
    def finished(self) -> bool:
        """Whether the container's last run has ended."""
        return self.current is not None and self.current.finished_at is not None

    # Running

    async def run(self) -> None:
        """Run the container, again and again as its restart policy says."""
        while not self._final:
            try:
                await self._start()
            except NotAgainError:
                self.waiting = None
                self.restart_count -= 1
                return
            self.launched.set()
            await self._watch_over()
            await self._pod.node.active.wait()
            await self._pod.publish()
            if not self.restarts():
                return
            await self._back_off()
            self.restart_count += 1
        self.launched.set()

    def restarts(self) -> bool:
        """Tell whether the container is to run again after its end."""
        if self._changed:
            self._changed = False
            return True
        if self.role is Role.SIDECAR:
            return True
        if self.role is Role.EPHEMERAL:
            return False
        policy = self._pod.pod["spec"].get("restartPolicy", "Always")
        if self.role is Role.INIT or self.spec.get("restartPolicy"):
            policy = self.spec.get("restartPolicy", "OnFailure" if policy == "Always" else policy)
        failed = self.current is None or self.current.exit_code != 0
        return policy == "Always" or (policy == "OnFailure" and failed)

    async def _back_off(self) -> None:
        """Wait as long as the crashes so far deserve (kuberuntime's doBackOff).

        It is counted from when an exited run ended. A run that the kubelet has just killed was
        not seen to have exited yet, so then it is the run before that counts, if there was one.
        """
        assert self.current is not None
        exited = self.previous if self._killed else self.current
        self._killed = False
        if exited is None:
            return
        if self._backoff.remaining(exited.ended_at):
            await self._wait_for_backoff()
            while left := self._backoff.remaining(self.current.ended_at):
                await self._pause(left)
        self._backoff.next(self.current.ended_at)

    async def _wait_for_backoff(self) -> None:
        where = described(self._pod.pod)
        self.waiting = Waiting(
            "CrashLoopBackOff",
            f"back-off {_duration(self._backoff.current)} restarting failed "
            f"container={self.name} pod={where}",
        )
        message = f"Back-off restarting failed container {self.name} in pod {where}"
        self._event("Warning", "BackOff", message)
        await self._pod.publish()

    async def _start(self) -> None:
        """Start the container, waiting for what it needs."""
        while True:
            try:
                config = await self._configure(await self._puller.pull(self.spec))
                break
            except NotStartedError as error:
                await self._wait_for(error.waiting)
                await self._pause(error.delay)
        processes = self._pod.processes_of(self.spec.get("targetContainerName", ""))
        self._keep(Container(self._pod.sandbox, config, self._identity(), processes))
        assert self.current is not None
        self._event("Normal", "Created", "Container created")
        try:
            self.current.start()
        except StartError as error:
            self._start_failed(str(error))
            await self._pod.publish()
            return
        self._event("Normal", "Started", "Container started")
        await self._post_start(self.current)

    async def _wait_for(self, waiting: Waiting) -> None:
        """Show why there is no start yet. Raises NotAgainError if there will be none.

        A changed container is started whatever its restart policy, but only once: if that fails,
        it is one that has ended (kubecontainer's ShouldContainerBeRestarted).
        """
        if self.finished and not self.restarts():
            raise NotAgainError
        self.waiting = waiting
        self.launched.set()
        await self._pod.publish()

    def _keep(self, container: Container) -> None:
        if self.current:
            self.previous = self.current
        self.current = container

    def _identity(self) -> str:
        uid = self._pod.pod["metadata"]["uid"]
        return f"{uid}/{self.name}/{self.restart_count}/{self._clock.now()}"

    def _start_failed(self, message: str) -> None:
        assert self.current is not None
        self.current.failure = RUNC + message
        self.current.fail(START_FAILED)
        if self.restarts():
            self.waiting = Waiting("RunContainerError", self.current.failure)
        else:
            self.waiting = None
        self._event("Warning", "Failed", f"Error: {self.current.failure}")

    async def _configure(self, image: Image) -> ContainerConfig:
        self._image_status = (image.reference, image.id)
        try:
            variables, mounts = await self._pod.surroundings(self.spec)
            who = credentials(self._pod.pod, self.spec, image)
        except (MissingSourceError, RootRefusedError) as error:
            self._event("Warning", "Failed", f"Error: {error}")
            raise NotStartedError(
                Waiting("CreateContainerConfigError", str(error)), RETRY
            ) from None
        return ContainerConfig(
            self.name,
            image,
            [expand(text, variables) for text in self.spec.get("command") or []],
            [expand(text, variables) for text in self.spec.get("args") or []],
            variables,
            self._with_message_file(mounts),
            self.spec.get("workingDir") or "",
            self.spec.get("stdin", False),
            self.spec.get("stdinOnce", False),
            self.spec.get("tty", False),
            who,
            read_only_root(self.spec),
            *_limits(self.spec),
        )

    def _with_message_file(self, mounts: list[MountPoint]) -> list[MountPoint]:
        if any(each.path == self._message_path for each in mounts):
            return mounts
        return [*mounts, MountPoint(self._message_path, File(0o666, self._clock.now()))]

    # Hooks and probes

    def _target(self) -> probes.Target:
        assert self.current is not None
        pod = self._pod
        ip = pod.sandbox.network.ip
        return probes.Target(self.current, self.spec, ip, pod.node.namespace, self._clock)

    async def _post_start(self, container: Container) -> None:
        hook = (self.spec.get("lifecycle") or {}).get("postStart")
        if hook:
            await self._clock.sleep(HOOK_LATENCY)
            result = await probes.handle(self._target(), hook)
            if not result.success:
                await self._post_start_failed(hook, result)
                return
        self.waiting = None
        if not self.spec.get("startupProbe"):
            self._count_as_started()
        await self._pod.publish()

    async def _post_start_failed(self, hook: Object, result: probes.Result) -> None:
        self._event("Warning", "FailedPostStartHook", "PostStartHook failed")
        await self.stop("FailedPostStartHook", grace_period(self._pod.pod))
        where = described(self._pod.pod)
        message = probes.hook_failure(hook, result, self.name, where)
        self.waiting = Waiting("PostStartHookError", message)
        await self._pod.publish()

    async def _watch_over(self) -> None:
        """Probe the container until it ends."""
        assert self.current is not None
        watching = asyncio.ensure_future(self._probe_all())
        try:
            await self.current.ended.wait()
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
        self.started.clear()
        self.ready = self.role is Role.INIT and self.current.exit_code == 0

    async def _probe_all(self) -> None:
        prober = Prober(self._target, self._clock, self._event, self._pod.node.active)
        startup = self.spec.get("startupProbe")
        if startup:
            await prober.run(startup, "startup", self._mark_started, self._kill_for("startup"))
        async with asyncio.TaskGroup() as tasks:
            for kind, good, bad in (
                ("readiness", self._mark_ready, self._mark_unready),
                ("liveness", _nothing, self._kill_for("liveness")),
            ):
                spec = self.spec.get(f"{kind}Probe")
                if spec:
                    tasks.create_task(prober.run(spec, kind, good, bad))

    async def _mark_started(self) -> None:
        self._count_as_started()
        await self._pod.publish()

    def _count_as_started(self) -> None:
        self.started.set()
        self.ready = self.role is not Role.INIT and not self.spec.get("readinessProbe")

    async def _mark_ready(self) -> None:
        if not self.ready:
            self.ready = True
            await self._pod.publish()

    async def _mark_unready(self) -> None:
        if self.ready:
            self.ready = False
            await self._pod.publish()

    def _kill_for(self, kind: str) -> Action:
        async def kill() -> None:
            message = f"Container {self.name} failed {kind} probe, will be restarted"
            spec = self.spec[f"{kind}Probe"]
            grace = spec.get("terminationGracePeriodSeconds", grace_period(self._pod.pod))
            self._killed = True
            await self.stop(message, grace)

        return kill

    # Stopping

    async def stop(self, message: str, grace: float) -> None:
        """End the container: preStop hook, the image's stop signal, and KILL after `grace` s."""
        container = self.current
        if container is None or not container.running:
            return
        self._event("Normal", "Killing", message)
        deadline = self._clock.monotonic() + grace
        await self._pre_stop(grace)
        container.signal(self._stop_signal(container))
        left = max(deadline - self._clock.monotonic(), MIN_GRACE if grace else 0)
        try:
            async with self._clock.timeout(left):
                await container.ended.wait()
        except TimeoutError:
            container.kill()
            await container.ended.wait()

    def _stop_signal(self, container: Container) -> int:
        name = (self.spec.get("lifecycle") or {}).get("stopSignal")
        return LINUX[name.removeprefix("SIG")] if name else container.config.image.stop_signal

    async def _pre_stop(self, grace: float) -> None:
        hook = (self.spec.get("lifecycle") or {}).get("preStop")
        if not hook or not grace:
            return
        try:
            async with self._clock.timeout(grace):
                result = await probes.handle(self._target(), hook)
        except TimeoutError:
            result = probes.Result(False)
        if not result.success:
            self._event("Warning", "FailedPreStopHook", "PreStopHook failed")

    def _event(self, kind: str, reason: str, message: str) -> None:
        about = object_reference(self._pod.pod)
        about["fieldPath"] = f"spec.{GROUPS[self.role]}{{{self.name}}}"
        self._pod.node.recorder.event(about, kind, reason, message)


async def _nothing() -> None:
    return


def _limits(container: Object) -> tuple[int | None, float | None]:
    """Return how much memory and how many cores a container may use."""
    limits = (container.get("resources") or {}).get("limits") or {}
    memory, cpu = limits.get("memory"), limits.get("cpu")
    return (
        int(quantity.parse(memory)) if memory else None,
        float(quantity.parse(cpu)) if cpu else None,
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
