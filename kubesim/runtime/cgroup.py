"""What a container uses and may use: memory and CPU time, accounted as a cgroup (v2) does.

Nothing is measured on the host. A process holds the memory that its program is known to need and
what it has read or computed since; every step that a simulated process takes costs the same CPU
time, so the figures follow from what runs, deterministically in simulated time.
"""

from dataclasses import dataclass, field

from kubesim.clock import Clock

MIB = 1024 * 1024
NODE_MEMORY = 8 * 1024 * MIB
PROGRAM_MEMORY = {
    "nginx": 4 * MIB,
    "httpd": 2 * MIB,
    "redis-server": 6 * MIB,
    "python": 12 * MIB,
    "hpa-example": 10 * MIB,
}
SMALL_PROGRAM = 832 * 1024  # a busybox applet
WINDOW = 15.0  # seconds over which the use of CPU is averaged, as metrics-server's resolution


@dataclass
class Cgroup:
    """The limits and the account of one container; a limit of None is the node's."""

    clock: Clock
    memory_limit: int | None = None
    cpu_limit: float | None = None  # cores
    cpu_seconds: float = 0.0
    out_of_memory: bool = False
    _windows: dict[int, float] = field(default_factory=dict)  # CPU seconds by number of window

    @property
    def share(self) -> float:
        """The part of a core that its processes may use together; no program uses several."""
        return 1.0 if self.cpu_limit is None else max(0.001, min(1.0, self.cpu_limit))

    def fits(self, memory: int) -> bool:
        """Tell whether the container may use that much memory."""
        return memory <= (NODE_MEMORY if self.memory_limit is None else self.memory_limit)

    def charge(self, seconds: float) -> None:
        """Account for CPU time."""
        self.cpu_seconds += seconds
        now = self._window()
        if now not in self._windows:
            self._windows = {now - 1: self._windows.get(now - 1, 0.0), now: 0.0}
        self._windows[now] += seconds

    def cores(self) -> float:
        """Return how many cores were in use, on average over the last whole window."""
        return self._windows.get(self._window() - 1, 0.0) / WINDOW

    def _window(self) -> int:
        return int(self.clock.monotonic() // WINDOW)


def program_memory(name: str) -> int:
    """Return what a program needs by itself."""
    return PROGRAM_MEMORY.get(name, SMALL_PROGRAM)
