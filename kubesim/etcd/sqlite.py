"""Records on disk, in one SQLite file."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kubesim.etcd.backends import UnavailableError
from kubesim.etcd.record import Record

NO_SPACE = "etcdserver: no space"


class SqliteBackend:
    """Keeps the records in an SQLite file that survives the death of the process.

    The write-ahead log makes every transaction whole or absent, whenever the process is killed.
    """

    SCHEMA = """
        CREATE TABLE IF NOT EXISTS records (
            revision INTEGER, key TEXT, value BLOB, create_revision INTEGER, version INTEGER,
            lease INTEGER, PRIMARY KEY (revision, key)) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS compacted (revision INTEGER);
        CREATE TABLE IF NOT EXISTS leases (id INTEGER PRIMARY KEY, ttl REAL);
    """

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)
        self._database = sqlite3.connect(path)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.executescript(self.SCHEMA)

    def load(self) -> tuple[int, list[Record], dict[int, float]]:
        """Read everything back."""
        compacted = self._database.execute("SELECT max(revision) FROM compacted").fetchone()[0]
        rows = self._database.execute(
            "SELECT key, value, revision, create_revision, version, lease FROM records "
            "ORDER BY revision, key"
        )
        records = [Record(*row) for row in rows]
        leases = dict(self._database.execute("SELECT id, ttl FROM leases").fetchall())
        return compacted or 0, records, leases

    def append(self, records: Sequence[Record]) -> None:
        """Insert the records in one SQLite transaction."""
        with self._transaction():
            self._database.executemany(
                "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (r.revision, r.key, r.value, r.create_revision, r.version, r.lease)
                    for r in records
                ],
            )

    def compact(self, revision: int, dead: Iterable[Record]) -> None:
        """Delete the records in one SQLite transaction."""
        with self._transaction():
            self._database.execute("DELETE FROM compacted")
            self._database.execute("INSERT INTO compacted VALUES (?)", (revision,))
            self._database.executemany(
                "DELETE FROM records WHERE revision = ? AND key = ?",
                [(record.revision, record.key) for record in dead],
            )

    def save_lease(self, lease: int, ttl: float) -> None:
        """Insert the lease."""
        with self._transaction():
            self._database.execute("INSERT INTO leases VALUES (?, ?)", (lease, ttl))

    def drop_lease(self, lease: int) -> None:
        """Delete the lease."""
        with self._transaction():
            self._database.execute("DELETE FROM leases WHERE id = ?", (lease,))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Write all or nothing. Raises UnavailableError when there is no room."""
        try:
            with self._database:
                yield
        except sqlite3.OperationalError as error:
            raise UnavailableError(NO_SPACE if "full" in str(error) else f"etcd: {error}") from None

    def close(self) -> None:
        """Close the file."""
        self._database.close()
