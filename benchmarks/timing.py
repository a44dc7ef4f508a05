"""How long things take."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def timed(action: Callable[[], Any], runs: int) -> list[float]:
    """Run an action so many times and return each run's seconds."""
    durations = []
    for _ in range(runs):
        begin = time.perf_counter()
        action()
        durations.append(time.perf_counter() - begin)
    return durations


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has had: what a busy machine hardly changes."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
