"""Jobs: functions that run in a process group of their own and leave nothing behind.

However a job is launched (`kubelab.grading.launchers`), a stopped job's whole process group is
killed, and jobs do not outlive the process that launched them.
"""

import contextlib
import importlib
import json
import os
import signal
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


def kill_group(leader: int) -> None:
    """Kill every process of the group that `leader` leads, or led."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


if __name__ == "__main__":
    Job.loads(sys.argv[1]).run()
