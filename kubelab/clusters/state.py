"""What is remembered about clusters between processes: one directory a cluster.

`$KUBELAB_HOME/clusters/<name>/` holds `cluster.json` (the record), `kubeconfig` and whatever the
engine keeps; `$KUBELAB_HOME/logs/<name>.log` holds what the engine printed, and outlives a
creation that failed. Directories are mode 0700, files 0600: they hold keys.
"""

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kubelab.clusters.errors import ClusterError
from kubelab.clusters.progress import say

LONGEST_NAME = 40  # "<name>-control-plane" has to be a host name of at most 63 characters


def home() -> Path:
    """Return the directory of everything kubelab keeps (KUBELAB_HOME)."""
    return Path(os.environ.get("KUBELAB_HOME") or "~/.local/share/kubelab").expanduser()


def cache() -> Path:
    """Return the directory of what can be downloaded again (KUBELAB_CACHE)."""
    return Path(os.environ.get("KUBELAB_CACHE") or "~/.cache/kubelab").expanduser()


@dataclass
class Record:
    """What `cluster.json` says: the engine, whether creation was completed, engine details."""

    engine: str
    complete: bool = False
    details: dict[str, Any] = field(default_factory=dict)


class ClusterDirectory:
    """The files of the cluster called `name`. Making one touches nothing on disk."""

    def __init__(self, name: str) -> None:
        if not re.fullmatch(rf"[a-z0-9]([a-z0-9-]{{0,{LONGEST_NAME - 2}}}[a-z0-9])?", name):
            raise ClusterError(
                f"{name!r} cannot name a cluster: nodes are called after it.",
                f"Use 1 to {LONGEST_NAME} lower-case letters, digits and inner hyphens.",
            )
        self.name = name
        self.path = home() / "clusters" / name
        self.kubeconfig = self.path / "kubeconfig"
        self.config = self.path / "config.yaml"
        self.log = home() / "logs" / f"{name}.log"
        self._record = self.path / "cluster.json"

    def load(self) -> Record | None:
        """Return the record, or None where there is no such cluster.

        A record that cannot be read is an error: guessing could clobber a cluster.
        """
        try:
            return Record(**json.loads(self._record.read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise ClusterError(
                f"The record of cluster {self.name} is damaged: {self._record} ({error}).",
                f"Remove {self.path} and create the cluster again.",
            ) from None

    def save(self, record: Record) -> None:
        """Write the record so that a reader sees the old one or the new one, never half."""
        self.make()
        write_private(self._record, json.dumps(asdict(record), indent=2) + "\n")

    def make(self) -> None:
        """Create the directories, for this user only."""
        for path in (self.path.parent, self.path, self.log.parent):
            _make_private(path)

    def remove(self) -> None:
        """Forget the cluster. Its log stays."""
        shutil.rmtree(self.path, ignore_errors=True)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from starting or deleting this cluster at the same time."""
        locks = home() / "locks"
        _make_private(locks)
        with (locks / self.name).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"cluster {self.name}: waiting for another process that is at work on it")
                fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _make_private(path: Path) -> None:
    """Make a directory below home(), and home() itself, for this user only."""
    try:
        home().mkdir(mode=0o700, parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ClusterError(
            f"Cannot keep clusters in {home()}: {error.strerror}.",
            "Set KUBELAB_HOME to a directory that you may write to.",
        ) from None


def write_private(path: Path, text: str) -> None:
    """Replace the file's content at once; only this user may read it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    temporary.replace(path)


def all_directories() -> list[ClusterDirectory]:
    """Return the directories of the clusters that have a record, by name."""
    records = sorted((home() / "clusters").glob("*/cluster.json"))
    return [ClusterDirectory(record.parent.name) for record in records]
