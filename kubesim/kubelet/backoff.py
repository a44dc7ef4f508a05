"""How long to wait before the next try (client-go's flowcontrol.Backoff)."""

from kubesim.clock import Clock

FIRST = 10.0
LONGEST = 300.0


class Backoff:
    """Ten seconds, doubled after each failure up to five minutes.

    A failure longer than twice the maximum after the last one counts as the first.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.current = 0.0
        self._updated = 0.0

    def delay(self) -> float:
        """Return how many seconds to wait now, after a failure; 0 for the first one."""
        if self._clock.monotonic() - self._updated > 2 * LONGEST:
            self.current = 0.0
        return self.current

    def next(self) -> None:
        """Count a try."""
        self.current = min(self.current * 2, LONGEST) if self.current else FIRST
        self._updated = self._clock.monotonic()
