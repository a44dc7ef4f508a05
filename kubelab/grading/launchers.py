"""Ways to launch jobs.

Where processes can fork, they are forked from a server that has imported the slow modules already
(`kubelab.grading.forkserver`), so that a job starts in milliseconds; otherwise each is a fresh
interpreter.
"""

import os
import subprocess
import sys

from kubelab.grading import jobs
from kubelab.grading.forkserver import ForkServer


def launcher() -> jobs.Launcher:
    """Return the fastest launcher that this system allows. The caller closes it."""
    return ForkServer() if hasattr(os, "fork") else Subprocesses()


class Subprocesses:
    """Launches each job as a new Python interpreter."""

    def __init__(self) -> None:
        self._launched: list[_Subprocess] = []

    def launch(self, job: jobs.Job, stdout: int, stderr: int) -> jobs.Running:
        """Start the job (see Launcher)."""
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", jobs.__name__, job.dumps()],
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
        jobs.kill_group(self._process.pid)
        return code

    def stop(self) -> None:
        jobs.kill_group(self._process.pid)
        self._process.wait()
