"""A process that has imported everything, and forks a ready child for each job.

Importing the official client and pytest takes two seconds; forking takes a few milliseconds. The
server listens on a Unix socket in a private directory. One connection is one job: the client
sends the job and two file descriptors, hears when it starts, and gets its exit code. A client
that hangs up (or dies) has its job killed, and the server ends with the process that started it.
Whoever forks must be alone in its process, so the server is one thread that waits for events.
"""

import contextlib
import gc
import importlib
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from kubelab.grading.jobs import Job, Running, kill_group

PRELOADED = (
    "kubelab.clusters.cluster",
    "kubelab.clusters.embedded",
    "kubelab.grading.fixtures",
    "kubelab.grading.plugin",
    "kubelab.grading.script",
    "kubernetes.client",
    "kubernetes.config",
    "kubernetes.stream",
    "kubernetes.watch",
    "pytest",
)
# Each of these modules is imported only when its name is first looked up.
LAZY = ("CoreV1Api", "AppsV1Api", "RbacAuthorizationV1Api", "AuthorizationV1Api", "VersionApi")
LARGEST_JOB = 1 << 20
STARTED = b"."
SOCKET_VARIABLE = "KUBELAB_FORKSERVER"


class ForkServer:
    """Launches jobs through a server process, started with the first of them.

    A process that is itself a job uses the server that it came from.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._directory = ""
        self._jobs: list[_Connection] = []
        self.address = os.environ.get(SOCKET_VARIABLE, "")

    def start(self) -> None:
        """Start the server, if it is not running; it imports while the caller goes on."""
        if self.address and (self._process is None or self._process.poll() is None):
            return
        self.close()
        self._directory = tempfile.mkdtemp(prefix="kubelab-")  # mode 0700
        self.address = str(Path(self._directory, "socket"))
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(self.address)
        listener.listen()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, str(listener.fileno())],
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )
        listener.close()

    def launch(self, job: Job, stdout: int, stderr: int) -> Running:
        """Start the job (see jobs.Launcher)."""
        self.start()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(self.address)
        socket.send_fds(connection, [job.dumps().encode() + b"\n"], [stdout, stderr])
        running = _Connection(connection)
        running.wait_for_start()
        self._jobs = [*(job for job in self._jobs if job.wait(0) is None), running]
        return running

    def close(self) -> None:
        """Stop every job that is left, and the server."""
        while self._jobs:
            self._jobs.pop().stop()
        if self._process is not None:
            assert self._process.stdin
            self._process.stdin.close()
            self._process.wait()
            shutil.rmtree(self._directory, ignore_errors=True)
            self._process, self.address = None, ""


class _Connection:
    """The client's end of a job."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._code: int | None = None

    def wait_for_start(self) -> None:
        """Wait for the server, which may still be importing; no deadline runs before this."""
        with contextlib.suppress(ConnectionError):
            self._connection.recv(len(STARTED))

    def wait(self, timeout: float | None = None) -> int | None:
        if self._code is None:
            self._connection.settimeout(timeout)
            try:
                answer = self._connection.recv(64)
            except (TimeoutError, BlockingIOError):
                return None
            except ConnectionError:
                answer = b""  # the server died, and with it the hope of an exit code
            self._code = int(answer or -signal.SIGKILL)
            self._connection.close()
        return self._code

    def stop(self) -> None:
        if self._code is None:
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_WR)
            self.wait()


class _Server:
    """The server's loop. `serve` returns in each forked child with its job."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._selector = selectors.DefaultSelector()
        self._jobs: dict[int, socket.socket] = {}  # process id -> connection
        self._wakeup, self._wakeup_end = socket.socketpair()
        for end in (self._wakeup, self._wakeup_end):
            end.setblocking(False)

    def serve(self) -> Job | None:
        """Serve until standard input is closed; return None then, and in a child its job."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wakeup_end.fileno())
        for source in (sys.stdin.buffer, self._listener, self._wakeup):
            self._selector.register(source, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    if job := self._accept():
                        return job
                elif key.fileobj is self._wakeup:
                    self._reap()
                elif key.fileobj is sys.stdin.buffer:
                    self._end()
                    return None
                elif key.data in self._jobs:
                    kill_group(key.data)  # the client hung up; _reap answers
                    self._selector.unregister(key.fileobj)

    def _accept(self) -> Job | None:
        """Fork a child for a new connection; return its job in the child, None in the server."""
        connection, _ = self._listener.accept()
        data, descriptors = _receive(connection)
        if len(descriptors) != 2:
            connection.close()
            return None
        process = os.fork()
        if process == 0:
            self._become_child(connection, descriptors)
            return Job.loads(data.decode())
        with contextlib.suppress(OSError):
            os.setpgid(process, process)  # the child does so too: who comes first is not known
        for descriptor in descriptors:
            os.close(descriptor)
        with contextlib.suppress(OSError):
            connection.sendall(STARTED)
        self._jobs[process] = connection
        self._selector.register(connection, selectors.EVENT_READ, process)
        return None

    def _become_child(self, connection: socket.socket, descriptors: list[int]) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setpgid(0, 0)
        self._selector.close()
        for end in (self._listener, self._wakeup, self._wakeup_end, connection):
            end.close()
        for other in self._jobs.values():
            other.close()
        empty = os.open(os.devnull, os.O_RDONLY)
        for source, target in zip([empty, *descriptors], range(3), strict=True):
            os.dup2(source, target)
            os.close(source)
        # The inherited objects know the server's files, not these.
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", 1, encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", 1, encoding="utf-8", closefd=False)  # noqa: SIM115

    def _reap(self) -> None:
        """Answer for each child that ended, and kill what it left in its group."""
        with contextlib.suppress(BlockingIOError):
            self._wakeup.recv(4096)
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                process, status = ended
                kill_group(process)
                connection = self._jobs.pop(process)
                with contextlib.suppress(KeyError):
                    self._selector.unregister(connection)
                with contextlib.suppress(OSError):
                    connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
                connection.close()

    def _end(self) -> None:
        for process in self._jobs:
            kill_group(process)


def _receive(connection: socket.socket) -> tuple[bytes, list[int]]:
    """Read one line, and the file descriptors that came with it."""
    data, descriptors = b"", []
    while not data.endswith(b"\n"):
        part, received, _, _ = socket.recv_fds(connection, 65536, 2)
        if not part or len(data) > LARGEST_JOB:
            break
        data += part
        descriptors += received
    return data, descriptors


def preload() -> None:
    """Import what jobs need, and exempt it from garbage collection, so that children share it."""
    for module in PRELOADED:
        importlib.import_module(module)
    client = importlib.import_module("kubernetes.client")
    for name in LAZY:
        getattr(client, name)
    gc.freeze()


def main() -> None:
    """Serve jobs on the listening socket whose file descriptor is the first argument."""
    preload()
    job = _Server(socket.socket(fileno=int(sys.argv[1]))).serve()
    if job:
        job.run()


if __name__ == "__main__":
    main()
