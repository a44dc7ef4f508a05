"""Sandboxes and containers, the objects of a container runtime (CRI)."""

import asyncio
import hashlib
import posixpath
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from kubesim.clock import Clock
from kubesim.network.fabric import Network, NetworkNamespace
from kubesim.runtime import procfs
from kubesim.runtime.attachment import Attachment, StandardStreams
from kubesim.runtime.catalog.family import Image
from kubesim.runtime.cgroup import Cgroup
from kubesim.runtime.commands import find_program
from kubesim.runtime.filesystem import (
    ROOT,
    Credentials,
    Directory,
    FileSystem,
    Node,
    copied,
)
from kubesim.runtime.logs import ContainerLog
from kubesim.runtime.process import Process, ProcessTable, Program, World
from kubesim.runtime.signals import LINUX
from kubesim.runtime.streams import Null, OpenFile, Pipe
from kubesim.runtime.terminal import Terminal
from kubesim.runtime.users import home

PAUSE_PID = 1  # in a shared process namespace the sandbox's own process is number 1


class StartError(Exception):
    """The container's or exec's command can't be started; the message is runc's."""


TERMINAL = {"TERM": "xterm"}  # what containerd tells a process that gets a terminal


@dataclass(frozen=True)
class MountPoint:
    """A tree to mount."""

    path: str
    node: Node
    read_only: bool = False


@dataclass
class ContainerConfig:
    """What a container is to be."""

    name: str
    image: Image
    command: list[str]
    arguments: list[str]
    environment: Mapping[str, str]
    mounts: list[MountPoint] = field(default_factory=list)
    directory: str = ""
    stdin: bool = False
    stdin_once: bool = False
    terminal: bool = False
    credentials: Credentials = ROOT
    read_only_root: bool = False
    memory_limit: int | None = None
    cpu_limit: float | None = None

    @property
    def argv(self) -> list[str]:
        """The command line: a command replaces the image's, arguments alone its last part."""
        if self.command:
            return self.command + self.arguments
        return [*self.image.entrypoint, *(self.arguments or self.image.command)]


class Sandbox:
    """What the containers of a Pod share: network, hostname, perhaps processes."""

    def __init__(
        self,
        clock: Clock,
        network: NetworkNamespace,
        hostname: str,
        share_processes: bool = False,
        identity: str = "",
    ) -> None:
        self.id = hashlib.sha256(identity.encode()).hexdigest()
        self.clock = clock
        self.network = network
        self.hostname = hostname
        self.processes = ProcessTable(last_pid=PAUSE_PID) if share_processes else None


class Container:
    """One run of a container: created, started, ended, never started again."""

    def __init__(
        self,
        sandbox: Sandbox,
        config: ContainerConfig,
        identity: str,
        processes: ProcessTable | None = None,
    ) -> None:
        clock = sandbox.clock
        self.config = config
        self.id = hashlib.sha256(identity.encode()).hexdigest()
        self.log = ContainerLog(clock.now)
        self.started_at: datetime | None = None
        self.finished_at: datetime | None = None
        self.ended_at = 0.0  # the same by the monotonic clock
        self.exit_code: int | None = None
        self.failure = ""
        self.ended = asyncio.Event()
        files = FileSystem(_layer(config.image, clock), clock.now)
        self.world = World(
            files,
            clock,
            sandbox.network,
            config.image.programs,
            processes or sandbox.processes or ProcessTable(),
            Cgroup(clock, config.memory_limit, config.cpu_limit),
            config.credentials,
        )
        self.environment = {
            **config.image.environment,
            **(TERMINAL if config.terminal else {}),
            "HOSTNAME": sandbox.hostname,
            "HOME": home(files, config.credentials.uid),
            **config.environment,
        }
        self._process: Process | None = None
        files.mount("/proc", procfs.proc(self.world), read_only=True)
        self._streams = StandardStreams(
            self.log,
            stdin=config.stdin,
            once=config.stdin_once,
            terminal=config.terminal,
            interrupt=lambda streams: self.interrupt(streams.terminal),
        )
        for mount in sorted(config.mounts, key=lambda each: each.path):
            files.mount(mount.path, mount.node, mount.read_only)
        directory = posixpath.join(config.image.directory, config.directory)
        self._directory = posixpath.normpath(directory)
        files.make_directories(self._directory)
        if config.read_only_root:
            files.mount("/", files.root, read_only=True)

    @property
    def files(self) -> FileSystem:
        """What the container sees below /."""
        return self.world.files

    @property
    def running(self) -> bool:
        """Whether process 1 runs."""
        return self.started_at is not None and self.finished_at is None

    def start(self) -> None:
        """Start process 1; StartError if there is no such program."""
        argv = self.config.argv
        program = self._find(argv)
        self._process = Process(
            self.world, program, argv, self.environment, self._streams.files, self._directory
        )
        self.started_at = self.world.clock.now()
        self._process.at_exit.append(self._ended)

    def _find(self, argv: list[str]) -> Program:
        if not argv:
            raise StartError("no command specified")
        found = find_program(self.world, self._directory, argv[0], self.environment)
        if found.program is not None:
            return found.program
        if found.status == 126:
            raise StartError(f'exec: "{argv[0]}": permission denied: unknown')
        if "/" in argv[0]:
            raise StartError(
                f'exec: "{argv[0]}": stat {argv[0]}: no such file or directory: unknown'
            )
        raise StartError(f'exec: "{argv[0]}": executable file not found in $PATH: unknown')

    def _ended(self) -> None:
        assert self._process is not None
        self.exit_code = self._process.status
        self.finished_at = self.world.clock.now()
        self.ended_at = self.world.clock.monotonic()
        self.world.kill_all()
        self._streams.close()
        self.log.close()
        self.ended.set()

    def fail(self, exit_code: int) -> None:
        """Mark a container that could not be started as ended."""
        self.exit_code = exit_code
        self.finished_at = self.world.clock.now()
        self.ended_at = self.world.clock.monotonic()
        self.log.close()
        self.ended.set()

    def signal(self, number: int) -> None:
        """Send a signal to process 1."""
        if self._process:
            self._process.signal(number)

    def kill(self) -> None:
        """Kill all processes at once."""
        self.signal(LINUX["KILL"])

    def execute(
        self, command: list[str], stdin: bool = False, terminal: bool = False
    ) -> "Execution":
        """Run a command in the container; StartError if there is no such program."""
        return Execution(self, self._find(command), command, stdin, terminal)

    def attach(self, *, stdin: bool) -> Attachment:
        """Join the streams of process 1."""
        return self._streams.attach(self.ended, stdin=stdin)

    def interrupt(self, terminal: Terminal | None) -> None:
        """Send INT to what runs on a terminal."""
        for process in list(self.world.processes.by_pid.values()):
            if terminal in process.descriptors.values():
                process.signal(LINUX["INT"])


class Execution:
    """A command that was started in a running container, with its streams."""

    def __init__(
        self,
        container: Container,
        program: Program,
        command: list[str],
        stdin: bool,
        terminal: bool,
    ) -> None:
        self._output, self._errors, self._input = Pipe(), Pipe(), Pipe()
        self._terminal: Terminal | None = None
        files: dict[int, OpenFile]
        if terminal:
            self._terminal = Terminal(
                self._output.writer, lambda: container.interrupt(self._terminal)
            )
            self._errors.writer.close()
            files = dict.fromkeys(range(3), self._terminal)
        else:
            source: OpenFile = self._input.reader if stdin else Null()
            files = {0: source, 1: self._output.writer, 2: self._errors.writer}
        environment = container.environment | (TERMINAL if terminal else {})
        self._process = Process(
            container.world,
            program,
            command,
            environment,
            files,
            container._directory,
        )

    @property
    def stdout(self) -> AsyncIterator[bytes]:
        """What the command writes to standard output."""
        return _chunks(self._output)

    @property
    def stderr(self) -> AsyncIterator[bytes]:
        """What the command writes to standard error."""
        return _chunks(self._errors)

    async def write_stdin(self, data: bytes) -> None:
        """Send input."""
        if self._terminal:
            await self._terminal.feed(data)
        else:
            await self._input.put(data)

    async def close_stdin(self) -> None:
        """End the input."""
        if self._terminal:
            self._terminal.hang_up()
        self._input.writer.close()

    async def resize(self, columns: int, rows: int) -> None:
        """Tell the terminal its size."""
        if self._terminal:
            await self._terminal.resize(columns, rows)

    async def wait(self) -> int:
        """Wait for the end and return the exit code."""
        return await self._process.wait()

    def kill(self) -> None:
        """End the command."""
        self._process.signal(LINUX["KILL"])

    def hang_up(self) -> None:
        """End the command, because whoever started it is gone."""
        self.kill()


async def _chunks(pipe: Pipe) -> AsyncIterator[bytes]:
    while chunk := await pipe.reader.read():
        yield chunk


def make_sandbox(
    clock: Clock,
    network: Network,
    node: str,
    hostname: str,
    host_network: bool,
    share: bool,
    identity: str = "",
) -> Sandbox:
    """Make the sandbox of a Pod on a node."""
    if host_network:
        return Sandbox(clock, network.nodes[node].namespace, node, share, identity)
    return Sandbox(clock, network.add_pod(node, hostname), hostname, share, identity)


_BUILT: dict[str, Directory] = {}


def _layer(image: Image, clock: Clock) -> Directory:
    """The container's own copy of an image, which is built once."""
    if image.id not in _BUILT:
        _BUILT[image.id] = image.build(clock.now).root
    return copied(_BUILT[image.id], clock.now())
