"""Jobs: functions that run in a process group of their own and leave nothing behind.

Where processes can fork, they are forked from a server that has imported the slow modules
already (`kubelab.grading.forkserver`), so that a job starts in milliseconds; otherwise each is a
fresh interpreter. Either way a stopped job's whole process group is killed, and jobs do not
outlive the process that launched them.
"""

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Job:
    """A function to call as `target(*arguments)`, and the surroundings to call it in.

    `target` reads "package.module:function"; `environment` is complete, nothing is inherited.
    """

    target: str
    arguments: Sequence[str]
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def dumps(self) -> str:
        """Return the job as JSON."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def loads(cls, text: str) -> "Job":
        """Return the job that `dumps` wrote."""
        found = json.loads(text)
        return cls(**{**found, "directory": Path(found["directory"])})

    def run(self) -> None:
        """Enter the surroundings and call the function, in this process."""
        os.chdir(self.directory)
        os.environ.clear()
        os.environ.update(self.environment)
        module, _, function = self.target.partition(":")
        target: Callable[..., None] = getattr(importlib.import_module(module), function)
        target(*self.arguments)


class Running(Protocol):
    """A job that was launched."""

    def wait(self, timeout: float | None = None) -> int | None:
        """Return the exit code (negative: killed by that signal), or None after `timeout` s."""

    def stop(self) -> None:
        """Kill the job and every process of its group, and wait until it is dead."""


class Launcher(Protocol):
    """Something that launches jobs."""

    def launch(self, job: Job, stdout: int, stderr: int) -> Running:
        """Start the job with these file descriptors as its output; its input is empty."""

    def close(self) -> None:
        """Stop every job that is left."""


class Subprocesses:
    """Launches each job as a new Python interpreter."""

    def __init__(self) -> None:
        self._launched: list[_Subprocess] = []

    def launch(self, job: Job, stdout: int, stderr: int) -> Running:
        """Start the job (see Launcher)."""
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, job.dumps()],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env={**job.environment},
            start_new_session=True,
        )
        self._launched.append(_Subprocess(process))
        return self._launched[-1]

    def close(self) -> None:
        """Stop every job that is left."""
        while self._launched:
            self._launched.pop().stop()


class _Subprocess:
    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def wait(self, timeout: float | None = None) -> int | None:
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        kill_group(self._process.pid)
        return code

    def stop(self) -> None:
        kill_group(self._process.pid)
        self._process.wait()


def kill_group(leader: int) -> None:
    """Kill every process of the group that `leader` leads, or led."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def launcher() -> Launcher:
    """Return the fastest launcher that this system allows. The caller closes it."""
    if not hasattr(os, "fork"):
        return Subprocesses()
    from kubelab.grading.forkserver import ForkServer

    return ForkServer()


if __name__ == "__main__":
    Job.loads(sys.argv[1]).run()
