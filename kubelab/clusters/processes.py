"""Processes that kubelab starts: daemons that outlive it, commands that do not.

A daemon is found again without mistaking another process for it:
a process id alone is not an identity: the system gives it to another process later. Together
with the time that the process was started, it is.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from kubelab import waiting

_children: list[subprocess.Popen[bytes]] = []  # polled, so that a dead child does not linger


@dataclass(frozen=True)
class Daemon:
    """A process that was started: its id and the time the system says it started at."""

    pid: int
    started: str

    def alive(self) -> bool:
        """Tell whether this very process still runs."""
        for child in _children:
            child.poll()
        return bool(self.started) and _start_time(self.pid) == self.started

    def terminate(self, grace: float = 10) -> None:
        """Ask the process to end; kill it if it has not after `grace` seconds."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if not self.alive():
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
            with contextlib.suppress(waiting.WaitTimeout):
                waiting.until(lambda: not self.alive(), timeout=grace, what="the process to end")


def spawn(command: Sequence[str], log: Path) -> Daemon:
    """Start `command` in a session of its own, detached from the terminal, output to `log`."""
    with _private(log) as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _children.append(child)
    return Daemon(child.pid, _start_time(child.pid))


def run_logged(
    command: Sequence[str],
    log: Path,
    *,
    show: Callable[[str], None],
    cwd: Path,
    env: Mapping[str, str],
) -> int:
    """Run `command` to its end, its output to `log` and each line to `show`; return its exit code.

    When we are interrupted, it and what it started are ended before the interruption goes on.
    """
    with (
        _private(log) as output,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=env,
            start_new_session=True,
        ) as child,
    ):
        assert child.stdout
        try:
            for line in child.stdout:
                output.write(line)
                show(line.decode(errors="replace"))
        except BaseException:
            os.killpg(child.pid, signal.SIGTERM)
            output.write(child.stdout.read())  # ends when the last of them has ended
            raise
    return child.returncode


def _private(log: Path) -> BinaryIO:
    """Open a new file that only this user may read; the one before is kept as `.previous`."""
    with contextlib.suppress(FileNotFoundError):
        log.replace(log.with_name(f"{log.name}.previous"))
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    return os.fdopen(descriptor, "wb")


def _start_time(pid: int) -> str:
    """Return when the process started, "" where it does not run (a zombie does not)."""
    return _linux_start_time(pid) if sys.platform == "linux" else _ps_start_time(pid)


def _linux_start_time(pid: int) -> str:
    """Ticks since boot (proc_pid_stat(5), field 22), with the boot they count from."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()  # the command's name before it may hold anything
    state, ticks = fields[0], fields[19]
    return "" if state in "ZX" else f"{boot} {ticks}"


def _ps_start_time(pid: int) -> str:
    command = ["ps", "-o", "stat=", "-o", "lstart=", "-p", str(pid)]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    return "" if not listed or listed[0].startswith("Z") else " ".join(listed[1:])
