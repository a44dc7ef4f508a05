"""How long to wait before the next try (client-go's flowcontrol.Backoff)."""

from kubesim.clock import Clock

FIRST = 10.0
LONGEST = 300.0


class Backoff:
    """Ten seconds, doubled by each try up to five minutes.

    A failure that comes longer than twice the maximum after the last try counts as the first.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.current = 0.0
        self._updated = 0.0

    def remaining(self, since: float) -> float:
        """Return how many seconds to wait still after a failure at the moment `since`."""
        if not self.current or self._forgotten(since):
            return 0.0
        return max(0.0, since + self.current - self._clock.monotonic())

    def _forgotten(self, since: float) -> bool:
        return since - self._updated > 2 * LONGEST

    def next(self, since: float) -> None:
        """Count a try after a failure at the moment `since`."""
        fresh = not self.current or self._forgotten(since)
        self.current = FIRST if fresh else min(self.current * 2, LONGEST)
        self._updated = self._clock.monotonic()
