"""How long to leave something alone after it has failed (client-go's `util/flowcontrol`)."""

from collections.abc import Hashable

from kubesim.clock import Clock


class Backoff:
    """A delay for each key, doubled by every failure.

    A failure longer than twice the longest delay after the last one counts as the first.
    """

    def __init__(self, clock: Clock, first: float, longest: float) -> None:
        self._clock = clock
        self._first = first
        self._longest = longest
        self._entries: dict[Hashable, tuple[float, float]] = {}  # delay, and since when

    def remaining(self, key: Hashable) -> float:
        """How many seconds a key is still to be left alone; 0 when it is not."""
        delay, since = self._entries.get(key, (0.0, 0.0))
        return max(0.0, since + delay - self._clock.monotonic())

    def next(self, key: Hashable) -> None:
        """Count a failure."""
        now = self._clock.monotonic()
        delay, since = self._entries.get(key, (0.0, now))
        forgotten = not delay or now - since > 2 * self._longest
        self._entries[key] = (self._first if forgotten else min(2 * delay, self._longest), now)

    def collect(self) -> None:
        """Forget the keys whose failures are so long ago that they count no more."""
        oldest = self._clock.monotonic() - 2 * self._longest
        self._entries = {k: entry for k, entry in self._entries.items() if entry[1] >= oldest}
