"""Processes of a container: tasks with a pid, arguments, descriptors and signals."""

import asyncio
import contextlib
import errno
import logging
import os
import posixpath
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from kubesim.clock import Clock
from kubesim.network.fabric import NetworkNamespace
from kubesim.runtime.cgroup import Cgroup, program_memory
from kubesim.runtime.filesystem import (
    READ,
    ROOT,
    Binary,
    Credentials,
    Device,
    Directory,
    File,
    FileSystem,
    Node,
    failure,
)
from kubesim.runtime.signals import LINUX
from kubesim.runtime.streams import Null, OpenDirectory, OpenFile, Pipe, Regular

logger = logging.getLogger(__name__)

Program = Callable[["Process"], Awaitable[int]]
MAX_PROCESSES = 256
SLICE = 200  # steps that a container's processes may take before others get their turn
MAX_CAPTURE = 4 * 1024 * 1024  # bytes
PAUSE = 0.004  # seconds that they then wait, so that a busy loop leaves half of a core
STEP = PAUSE / SLICE  # CPU seconds that a step counts for: a busy loop uses one core
IGNORED_BY_DEFAULT = {LINUX[name] for name in ("CHLD", "CONT", "URG", "WINCH")}
SIGKILL, SIGSEGV, SIGPIPE = LINUX["KILL"], LINUX["SEGV"], LINUX["PIPE"]


class Exited(Exception):  # noqa: N818 - it is not an error
    """Raised by a program to end its process with `status` from any depth."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass
class World:
    """What all processes of a container share."""

    files: FileSystem
    clock: Clock
    network: NetworkNamespace
    programs: Mapping[str, Program]
    processes: "ProcessTable"
    cgroup: Cgroup
    credentials: Credentials = ROOT
    steps: int = 0
    busy_until: float = 0.0

    def program(self, node: Node) -> Program | None:
        """Return the program that the executable `node` stands for."""
        return self.programs.get(node.program) if isinstance(node, Binary) else None

    def memory(self) -> int:
        """Return how many bytes the container's processes hold."""
        everybody = self.processes.by_pid.values()
        return sum(each.memory for each in everybody if each.world is self)

    def run_out_of_memory(self) -> None:
        """Kill the whole container, as the kernel does for the kubelet (memory.oom.group)."""
        self.cgroup.out_of_memory = True
        self.kill_all()

    def kill_all(self) -> None:
        """Kill every process of the container."""
        for process in list(self.processes.by_pid.values()):
            if process.world is self:
                process.signal(SIGKILL)


@dataclass
class ProcessTable:
    """A PID namespace."""

    by_pid: dict[int, "Process"] = field(default_factory=dict)
    last_pid: int = 0

    def add(self, process: "Process") -> int:
        """Give `process` the next pid."""
        if len(self.by_pid) >= MAX_PROCESSES:
            raise failure(errno.EAGAIN, "")
        self.last_pid += 1
        self.by_pid[self.last_pid] = process
        return self.last_pid

    def remove(self, process: "Process") -> None:
        """Forget a dead process."""
        self.by_pid.pop(process.pid, None)


class Process:
    """One process; it starts running when it is made."""

    def __init__(
        self,
        world: World,
        program: Program,
        argv: list[str],
        environment: Mapping[str, str],
        descriptors: Mapping[int, OpenFile],
        directory: str = "/",
        parent: "Process | None" = None,
    ) -> None:
        self.world = world
        self.files = world.files.seen_by(world.credentials)
        self.clock = world.clock
        self.network = world.network
        self.argv = argv
        self.environment = dict(environment)
        self.directory = directory
        self.name = program_name(argv)
        self.handlers: dict[int, Callable[[], None] | None] = _ignored(parent)
        self.killed: int | None = None
        self.parent = parent.pid if parent else 0
        self.shell_line: list[str] = []  # of the shell that runs this program, if one does
        self.table: ProcessTable = parent.table if parent else world.processes
        self.pid: int = self.table.add(self)
        self.started = world.clock.now()
        self.descriptors = {number: file.acquire() for number, file in descriptors.items()}
        self.at_exit: list[Callable[[], None]] = []
        self.status: int | None = None
        self._held = 0
        self._ended = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run(program))
        self._task.add_done_callback(self._finish)

    async def _run(self, program: Program) -> int:
        try:
            return await program(self)
        except Exited as exited:
            return exited.status
        except BrokenPipeError:
            return 128 + SIGPIPE
        except OSError as error:
            await self._last_words(error)
            return 1
        except RecursionError:
            return 128 + SIGSEGV
        except MemoryError:
            self.world.run_out_of_memory()
            return 128 + SIGKILL

    async def _last_words(self, error: OSError) -> None:
        with contextlib.suppress(OSError):
            where = f"{error.filename}: " if error.filename else ""
            await self.complain(where + reason(error))

    async def execute(
        self, program: Program, argv: list[str], environment: Mapping[str, str]
    ) -> int:
        """Go on as another program (execve) and return its exit status."""
        self.argv = argv
        self.name = program_name(argv)
        self.environment = dict(environment)
        self.handlers = _ignored(self)
        return await program(self)

    def _finish(self, task: asyncio.Task[int]) -> None:
        if task.cancelled():
            self.status = 128 + (self.killed or SIGKILL)
        elif task.exception():
            logger.error("program %s failed", self.argv, exc_info=task.exception())
            self.status = 128 + SIGSEGV
        else:
            self.status = task.result()
        for action in self.at_exit:
            action()
        for file in self.descriptors.values():
            file.release()
        self.descriptors.clear()
        self._ended.set()
        self.table.remove(self)

    async def wait(self) -> int:
        """Wait for the end and return the exit status."""
        await self._ended.wait()
        assert self.status is not None
        return self.status

    def spawn(
        self,
        program: Program,
        argv: list[str],
        environment: Mapping[str, str] | None = None,
        descriptors: Mapping[int, OpenFile] | None = None,
    ) -> "Process":
        """Start a child that inherits what is not given."""
        return Process(
            self.world,
            program,
            argv,
            self.environment if environment is None else environment,
            self.descriptors if descriptors is None else descriptors,
            self.directory,
            self,
        )

    def signal(self, number: int) -> None:
        """Deliver a signal; as on Linux, process 1 only gets those it handles, and SIGKILL."""
        if self.status is not None or self.killed is not None:
            return
        if number == SIGKILL:
            self._terminate(number)
        elif number in self.handlers:
            handler = self.handlers[number]
            if handler:
                handler()
        elif self.pid != 1 and number not in IGNORED_BY_DEFAULT:
            self._terminate(number)

    def _terminate(self, number: int) -> None:
        self.killed = number
        self._task.cancel()

    @property
    def memory(self) -> int:
        """How many bytes it holds."""
        return program_memory(self.name) + self._held

    def allocate(self, size: int) -> None:
        """Hold `size` more bytes, or less if it is negative.

        Raises MemoryError, which ends the container, when that is more than the container may.
        """
        self._held = max(0, self._held + size)
        if size > 0 and not self.world.cgroup.fits(self.world.memory()):
            raise MemoryError

    async def checkpoint(self) -> None:
        """Take a step; the container's processes share its CPU time and wait when it is used up."""
        world = self.world
        world.steps += 1
        world.cgroup.charge(STEP)
        if world.steps % SLICE == 0:
            world.busy_until = self.clock.monotonic() + PAUSE / world.cgroup.share
        left = world.busy_until - self.clock.monotonic()
        if left > 0:  # and not while: who has waited once takes its step, or would starve
            await self.clock.sleep(left)

    # Files

    def path(self, name: str) -> str:
        """Return `name` as an absolute path."""
        path = posixpath.normpath(posixpath.join(self.directory, name)) if name else ""
        if path.startswith("/proc/self"):
            return f"/proc/{self.pid}" + path.removeprefix("/proc/self")
        return path

    def open(self, name: str, mode: str = "r") -> OpenFile:
        """Open `name` to read ("r"), replace ("w"), append ("a") or read and write ("r+")."""
        path = self.path(name)
        special = self._special(path)
        if special:
            return special
        if not name:
            raise failure(errno.ENOENT, name)
        node = self.files.resolve(path)[1]
        if isinstance(node, Device):
            return self._device(node.kind, name)
        if mode == "r" and isinstance(node, Directory):
            return OpenDirectory()
        if mode == "r":
            node = self.files.lookup(path)
            self.files.check(node, READ, name)
        else:
            node = self.files.create(path)
        assert isinstance(node, File)
        if mode == "w":
            node.data.clear()
            self._touch(node)
        return Regular(node, self._touch, mode != "r", append=mode == "a")

    def _special(self, path: str) -> OpenFile | None:
        parts = path.split("/")
        if parts[1:3] == ["dev", "fd"]:
            return self._descriptor(int(parts[-1])) if parts[-1].isdigit() else None
        if parts[1:2] == ["proc"] and parts[3:4] == ["fd"] and parts[2].isdigit():
            other = self.table.by_pid.get(int(parts[2]))
            return other._descriptor(int(parts[4])) if other and parts[4].isdigit() else None
        return None

    def _descriptor(self, number: int) -> OpenFile:
        if number not in self.descriptors:
            raise failure(errno.ENOENT, f"/proc/self/fd/{number}")
        return self.descriptors[number]

    def _device(self, kind: str, name: str) -> OpenFile:
        if kind in ("stdin", "stdout", "stderr"):
            return self._descriptor(("stdin", "stdout", "stderr").index(kind))
        if kind == "tty" and not self.descriptors[0].is_terminal:
            raise failure(errno.ENXIO, name)
        return self.descriptors[0] if kind == "tty" else Null(b"\0" if kind == "zero" else b"")

    def _touch(self, file: File) -> None:
        file.modified = self.clock.now()

    def replace_descriptor(self, number: int, file: OpenFile | None) -> None:
        """Make descriptor `number` point to `file`, or close it."""
        old = self.descriptors.pop(number, None)
        if file:
            self.descriptors[number] = file.acquire()
        if old:
            old.release()

    @property
    def stdin(self) -> OpenFile:
        """Descriptor 0."""
        return self.descriptors.get(0) or OpenFile()

    async def write(self, data: bytes | str, descriptor: int = 1) -> None:
        """Write to a descriptor, standard output unless told."""
        await self.checkpoint()
        file = self.descriptors.get(descriptor)
        if file is None:
            raise failure(errno.EBADF, "")
        await file.write(data.encode(errors="surrogateescape") if isinstance(data, str) else data)

    async def print(self, *lines: str) -> None:
        """Write lines to standard output."""
        for line in lines:
            await self.write(line + "\n")

    async def complain(self, message: str) -> None:
        """Write `message` to standard error under the program's name."""
        await self.write(f"{self.name}: {message}\n", 2)

    async def read_all(self, name: str = "-") -> bytes:
        """Return all of a file, or of standard input for "-"."""
        file = self.stdin if name == "-" else self.open(name)
        data = bytearray()
        while chunk := await file.read():
            self.allocate(len(chunk))
            await self.checkpoint()
            data += chunk
            if len(data) > 4 * MAX_CAPTURE:
                raise failure(errno.ENOMEM, name)
        self.allocate(-len(data))
        return bytes(data)


def program_name(argv: list[str]) -> str:
    """Return the name under which a program complains."""
    return posixpath.basename(argv[0]) if argv else ""


def _ignored(process: Process | None) -> dict[int, Callable[[], None] | None]:
    """Return the signal dispositions that survive execve: what is ignored."""
    handlers = process.handlers if process else {}
    return {number: None for number, handler in handlers.items() if handler is None}


def reason(error: OSError) -> str:
    """Return what strerror(3) says for `error`."""
    return error.strerror or os.strerror(error.errno or errno.EIO)


async def capture(process: Process, program: Program) -> tuple[bytes, int]:
    """Run `program` as a child of `process` and return its standard output and status."""
    pipe = Pipe()
    pipe.reader.acquire()
    child = process.spawn(program, process.argv, None, process.descriptors | {1: pipe.writer})
    data = bytearray()
    while chunk := await pipe.reader.read():
        data += chunk
        if len(data) > MAX_CAPTURE:
            child.signal(SIGKILL)
            break
    pipe.reader.release()
    return bytes(data), await child.wait()
