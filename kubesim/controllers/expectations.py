"""What a controller has asked for and not yet seen in its cache.

A ReplicaSet that has just created three Pods must not count its Pods before the cache has heard of
them, or it would create three more. It *expects* three additions, and does nothing until they were
observed or five minutes have passed (kubernetes `pkg/controller/controller_utils.go`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from kubesim.clock import Clock

TIMEOUT = 5 * 60.0


@dataclass
class _Expected:
    since: float
    creations: int = 0
    deletions: set[str] = field(default_factory=set)


class Expectations:
    """Expected creations (counted) and deletions (by key) of each controller object."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._expected: dict[str, _Expected] = {}

    def satisfied(self, key: str) -> bool:
        """Whether everything expected was observed, or it is too long ago to go on waiting."""
        expected = self._expected.get(key)
        if expected is None:
            return True
        pending = expected.creations > 0 or expected.deletions
        return not pending or self._clock.monotonic() - expected.since > TIMEOUT

    def expect_creations(self, key: str, count: int) -> None:
        """Wait for that many additions."""
        self._expected[key] = _Expected(self._clock.monotonic(), creations=count)

    def expect_deletions(self, key: str, objects: Iterable[str]) -> None:
        """Wait for those objects to go."""
        self._expected[key] = _Expected(self._clock.monotonic(), deletions=set(objects))

    def expect(self, key: str, creations: int, deletions: Iterable[str]) -> None:
        """Wait for both."""
        self._expected[key] = _Expected(self._clock.monotonic(), creations, set(deletions))

    def creation_observed(self, key: str) -> None:
        """One addition less to wait for; also called when a creation failed."""
        if key in self._expected:
            self._expected[key].creations -= 1

    def deletion_observed(self, key: str, obj: str) -> None:
        """One deletion less to wait for; also called when a deletion failed."""
        if key in self._expected:
            self._expected[key].deletions.discard(obj)

    def forget(self, key: str) -> None:
        """The controller object is gone."""
        self._expected.pop(key, None)
