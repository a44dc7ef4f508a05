"""What the store keeps of one change of one key."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """One change of one key: what etcd keeps per key and revision."""

    key: str
    value: bytes | None  # None is a tombstone: the key was deleted
    revision: int
    create_revision: int = 0
    version: int = 0
    lease: int = 0

    @property
    def deleted(self) -> bool:
        """Whether this change deleted the key."""
        return self.value is None
