"""Where records are kept between two runs: the promise, and the one that keeps nothing."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from kubesim.etcd.record import Record


class UnavailableError(Exception):
    """The store cannot answer now; the message is etcd's own."""


class Backend(Protocol):
    """Where records are kept between two runs of the process.

    What cannot be kept raises UnavailableError, and then nothing of it is.
    """

    def load(self) -> tuple[int, list[Record], dict[int, float]]:
        """Return the compacted revision, every record by revision, and leases with their TTL."""

    def append(self, records: Sequence[Record]) -> None:
        """Keep the records of one transaction, all or none; durable on return."""

    def compact(self, revision: int, dead: Iterable[Record]) -> None:
        """Remember the compacted revision and drop the records that it made unreachable."""

    def save_lease(self, lease: int, ttl: float) -> None:
        """Keep a lease."""

    def drop_lease(self, lease: int) -> None:
        """Forget a lease."""

    def close(self) -> None:
        """Release what the backend holds."""


class MemoryBackend:
    """Keeps nothing: the store's own memory is all there is."""

    def load(self) -> tuple[int, list[Record], dict[int, float]]:
        """Return an empty store."""
        return 0, [], {}

    def append(self, records: Sequence[Record]) -> None:
        """Nothing to do."""

    def compact(self, revision: int, dead: Iterable[Record]) -> None:
        """Nothing to do."""

    def save_lease(self, lease: int, ttl: float) -> None:
        """Nothing to do."""

    def drop_lease(self, lease: int) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""
