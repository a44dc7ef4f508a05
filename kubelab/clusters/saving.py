"""A whole embedded cluster in one file: its state, keys and settings, to go on from elsewhere.

The file is a gzipped tar of what `python -m kubesim serve` needs. It holds the cluster's private
keys, so only its owner may read it, and only a file from somebody you trust should be loaded.
"""

import contextlib
import io
import json
import os
import sqlite3
import tarfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from kubelab.clusters.errors import ClusterError

STATE = "etcd.db"
SETTINGS = "cluster.json"
KEYS = "pki"
CONFIG = "config.yaml"


def save(data: Path, config: Path, target: Path) -> None:
    """Write the cluster of a data directory to a file, as it is at one moment; it may be served."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as tar:
            with _copied(data / STATE) as copy:
                tar.add(copy, STATE)
            tar.add(data / SETTINGS, SETTINGS)
            tar.add(data / KEYS, KEYS)
            tar.add(config, CONFIG)
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ClusterError(
            f"The cluster cannot be saved to {target}: {error.strerror}.",
            "Choose a file in a directory that you may write to.",
        ) from None


@contextlib.contextmanager
def _copied(database: Path) -> Iterator[Path]:
    """Copy a database that another process may be writing: SQLite sees to one moment."""
    with TemporaryDirectory() as directory:
        copy = Path(directory) / STATE
        source, target = sqlite3.connect(database), sqlite3.connect(copy)
        with contextlib.closing(source), contextlib.closing(target):
            source.backup(target)
        yield copy


def saved_name(source: Path) -> str:
    """Return the name of the cluster in a file. Raises ClusterError when it holds none."""
    with _opened(source) as tar:
        settings = tar.extractfile(SETTINGS)
        assert settings
        return str(json.load(io.TextIOWrapper(settings))["name"])


def unpack(source: Path, data: Path, config: Path) -> None:
    """Write a saved cluster to a data directory. Raises ClusterError when the file is none."""
    with _opened(source) as tar:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        tar.extractall(data, filter="data")
    (data / CONFIG).replace(config)


@contextlib.contextmanager
def _opened(source: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(source) as tar:
            names = {name.split("/")[0] for name in tar.getnames()}
            if names != {STATE, SETTINGS, KEYS, CONFIG}:
                raise ValueError("it holds something else")
            yield tar
    except OSError as error:
        raise ClusterError(f"{source} cannot be read: {error.strerror}.") from None
    except (tarfile.TarError, ValueError, KeyError, EOFError) as error:
        raise ClusterError(
            f"{source} is not a saved cluster ({error}).", "`kubelab save FILE` makes one."
        ) from None
