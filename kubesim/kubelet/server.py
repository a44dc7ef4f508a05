"""What the API server asks of a kubelet: logs, commands, connections (the real port 10250)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from datetime import datetime, timedelta
from typing import Protocol

from kubesim.apimachinery.objects import Object
from kubesim.apiserver import errors
from kubesim.clock import Clock
from kubesim.kubelet.container import ContainerRunner
from kubesim.kubelet.node import NodeConfig
from kubesim.kubelet.pages import Page, page
from kubesim.kubelet.pod_worker import PodWorker
from kubesim.kubelet.stats import summary
from kubesim.network.fabric import Connection
from kubesim.runtime.attachment import Attachment
from kubesim.runtime.container import Execution, Sandbox, StartError
from kubesim.runtime.logs import ContainerLog, Entry
from kubesim.runtime.process import reason

LOCALHOST = "127.0.0.1"


class ForwardError(Exception):
    """A port of a Pod can't be reached; the message is containerd's."""


class RefusedError(Exception):
    """The kubelet does not do what it was asked to; it answers 500 with this text."""


Forwarder = Callable[[int], Awaitable[Connection]]


class Session(Protocol):
    """A command that runs in a container, and the ends of its standard streams."""

    @property
    def stdout(self) -> AsyncIterator[bytes]:
        """What the command writes; ends when the command is done with it."""

    @property
    def stderr(self) -> AsyncIterator[bytes]:
        """Likewise for standard error; empty on a terminal."""

    async def write_stdin(self, data: bytes) -> None:
        """Send input."""

    async def close_stdin(self) -> None:
        """Let the command see the end of its input."""

    async def resize(self, columns: int, rows: int) -> None:
        """Tell the terminal, if there is one, its size."""

    async def wait(self) -> int:
        """Wait for the end and return the exit code."""

    def hang_up(self) -> None:
        """Hear that the client is gone: a command ends, a container runs on."""


class KubeletServer(Protocol):
    """The part of a kubelet that the API server connects to."""

    def logs(  # noqa: PLR0913 - the options of the API
        self,
        namespace: str,
        pod: str,
        container: str,
        *,
        follow: bool,
        tail_lines: int | None,
        since_seconds: int | None,
        since_time: datetime | None,
        timestamps: bool,
        previous: bool,
        limit_bytes: int | None,
    ) -> AsyncIterator[bytes]:
        """Stream a container's log; raises StatusError before the first byte if there is none."""

    async def exec(
        self,
        namespace: str,
        pod: str,
        container: str,
        command: list[str],
        *,
        stdin: bool,
        tty: bool,
    ) -> Session:
        """Start a command in a container.

        Raises RefusedError if the container does not run, StatusError if the command can't.
        """

    def attach(self, namespace: str, pod: str, container: str, *, stdin: bool) -> Session:
        """Join a container's own streams; raises RefusedError if the container does not run."""

    def forwarder(self, namespace: str, pod: str) -> Forwarder:
        """Return what connects to ports inside a Pod, or raises ForwardError.

        Raises RefusedError if the Pod does not run.
        """

    @property
    def answers(self) -> bool:
        """Whether the node has power and the kubelet's process runs."""

    def page(self, path: str) -> Page | None:
        """Return a page of the kubelet's own, such as /healthz; None if there is none."""


class Pods(Protocol):
    """Where the server finds what it serves."""

    @property
    def running(self) -> bool:
        """Whether the node has power."""

    @property
    def active(self) -> asyncio.Event:
        """Set while the kubelet's process runs."""

    @property
    def workers(self) -> Collection[PodWorker]:
        """The workers of all Pods."""

    def worker(self, namespace: str, name: str) -> PodWorker | None:
        """Return the worker of a Pod."""


class ContainerServer:
    """Serves the containers of one kubelet."""

    def __init__(self, config: NodeConfig, clock: Clock, pods: Pods) -> None:
        self._config = config
        self._clock = clock
        self._pods = pods
        self._started = clock.now()

    @property
    def answers(self) -> bool:
        """Whether the node has power and the kubelet's process runs."""
        return self._pods.running and self._pods.active.is_set()

    def page(self, path: str) -> Page | None:
        """Return a page of the kubelet's own; see KubeletServer.page."""
        return page(path, self._pods.workers, self.summary)

    def summary(self) -> Object:
        """Return what the node and its containers use, as /stats/summary tells."""
        now = self._clock.now()
        return summary(self._config.name, self._started, self._pods.workers, now)

    def logs(  # noqa: PLR0913 - the options of the API
        self,
        namespace: str,
        pod: str,
        container: str,
        *,
        follow: bool = False,
        tail_lines: int | None = None,
        since_seconds: int | None = None,
        since_time: datetime | None = None,
        timestamps: bool = False,
        previous: bool = False,
        limit_bytes: int | None = None,
    ) -> AsyncIterator[bytes]:
        """Stream a container's log; see KubeletServer.logs."""
        log = self._log(namespace, pod, container, previous)
        if since_seconds is not None:
            since_time = self._clock.now() - timedelta(seconds=since_seconds)
        return _stream(log, follow, tail_lines, since_time, timestamps, limit_bytes)

    def _log(self, namespace: str, pod: str, container: str, previous: bool) -> ContainerLog:
        runner = self._runner("containerLogs", namespace, pod, container)
        run = runner.previous if previous else runner.current
        if previous and runner.waiting and runner.finished:
            run = runner.current
        if run:
            return run.log
        if previous:
            raise errors.bad_request(
                f'previous terminated container "{container}" in pod "{pod}" not found'
            )
        reason = runner.waiting.reason if runner.waiting else "ContainerCreating"
        if reason in ("ErrImagePull", "ImagePullBackOff"):
            reason = "trying and failing to pull image"
        raise errors.bad_request(
            f'container "{container}" in pod "{pod}" is waiting to start: {reason}'
        )

    def _worker(self, what: str, *path: str) -> PodWorker | None:
        """Return a Pod's worker. Raises StatusError 500 when nobody answers at the node."""
        if not self._pods.active.is_set() or not self._pods.running:
            ip = self._config.ip
            why = "connection refused" if self._pods.running else "no route to host"
            raise errors.internal(
                f'Get "https://{ip}:10250/{"/".join((what, *path))}": '
                f"dial tcp {ip}:10250: connect: {why}"
            )
        return self._pods.worker(*path[:2])

    def _runner(self, what: str, namespace: str, pod: str, container: str) -> ContainerRunner:
        worker = self._worker(what, namespace, pod, container)
        runner = worker.runner(container) if worker else None
        if runner is None:
            raise errors.not_found("pods", pod)
        return runner

    async def exec(
        self,
        namespace: str,
        pod: str,
        container: str,
        command: list[str],
        *,
        stdin: bool = False,
        tty: bool = False,
    ) -> Execution:
        """Start a command in a container; see KubeletServer.exec."""
        current = self._runner("exec", namespace, pod, container).current
        if current is None or not current.running:
            raise RefusedError(f'container not found ("{container}")')
        try:
            return current.execute(command, stdin, tty)
        except StartError as error:
            raise errors.internal(
                f"error executing command in container: failed to exec in "
                f'container: failed to start exec "{current.id}": OCI runtime exec failed: '
                f"exec failed: unable to start container process: {error}"
            ) from error

    def attach(self, namespace: str, pod: str, container: str, *, stdin: bool) -> Attachment:
        """Join a container's own streams; see KubeletServer.attach."""
        current = self._runner("attach", namespace, pod, container).current
        if current is None or not current.running:
            raise RefusedError(f"container {container} not found in pod {pod}_{namespace}")
        return current.attach(stdin=stdin)

    def forwarder(self, namespace: str, pod: str) -> Forwarder:
        """Return what connects to ports inside a Pod, as its own containers would."""
        worker = self._worker("portForward", namespace, pod)
        if worker is None or not worker.running:
            raise RefusedError(f'pod not found ("{pod}_{namespace}")')
        sandbox = worker.sandbox

        async def connect(port: int) -> Connection:
            try:
                return await sandbox.network.connect(LOCALHOST, port)
            except OSError as error:
                raise ForwardError(_unreachable(sandbox, port, reason(error).lower())) from error

        return connect


def _unreachable(sandbox: Sandbox, port: int, why: str) -> str:
    """Return containerd's words for a port that can't be forwarded."""
    return (
        f"error forwarding port {port} to pod {sandbox.id}, uid : failed to execute portforward in "
        f'network namespace "/var/run/netns/cni-{sandbox.id[:8]}": failed to connect to '
        f'localhost:{port} inside namespace "{sandbox.id}", IPv4: dial tcp4 {LOCALHOST}:{port}: '
        f"connect: {why} IPv6 dial tcp6 [::1]:{port}: connect: {why} "
    )


async def _stream(
    log: ContainerLog,
    follow: bool,
    tail_lines: int | None,
    since: datetime | None,
    timestamps: bool,
    limit: int | None,
) -> AsyncIterator[bytes]:
    entries = [each for each in log.entries() if since is None or each.time >= since]
    kept = (
        entries if tail_lines is None else entries[len(entries) - min(tail_lines, len(entries)) :]
    )
    skipped = len(log.entries()) - len(kept)
    left = limit
    async for entry in log.follow(skipped) if follow else _each(kept):
        data = entry.data
        if timestamps:
            data = f"{entry.time:%Y-%m-%dT%H:%M:%S.%f}000Z ".encode() + data
        if left is not None:
            data = data[:left]
            left -= len(data)
        yield data
        if left == 0:
            return


async def _each(entries: list[Entry]) -> AsyncIterator[Entry]:
    for entry in entries:
        yield entry
