"""How long things take."""

import time
from collections.abc import Callable
from typing import Any


def timed(action: Callable[[], Any], runs: int) -> list[float]:
    """Run an action so many times and return each run's seconds."""
    durations = []
    for _ in range(runs):
        begin = time.perf_counter()
        action()
        durations.append(time.perf_counter() - begin)
    return durations
