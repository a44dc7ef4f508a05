"""One cluster served over HTTPS from a data directory, until it is told to stop.

The directory holds all there is of a cluster, so that the same command continues it:

    cluster.json  what it was made with        pki/        its certificate authority and keys
    etcd.db       its state                    kubeconfig  how its administrator reaches it
    audit.log     who asked for what           lock        held while it is served
    disks.json    the nodes' disks, as they were when it was stopped in order
"""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from kubesim.apiserver.audit import Audit
from kubesim.apiserver.errors import StatusError
from kubesim.apiserver.hosttime import HostTime
from kubesim.clock import Clock
from kubesim.cluster import Cluster, NodeSpec, control_planes, default_nodes
from kubesim.control import only_control
from kubesim.etcd.backends import UnavailableError
from kubesim.etcd.replicated import store_of
from kubesim.etcd.sqlite import SqliteBackend
from kubesim.etcd.store import Etcd
from kubesim.http import HOST, HTTPServer, PortTakenError, server_tls
from kubesim.kubeadm import certs, pki
from kubesim.kubeadm.bootstrap import SERVICE_IP
from kubesim.kubeadm.config import ClusterConfig

FORMAT = 1
LEASES = "/registry/leases/"
FIRST_FILES = ("lock", "cluster.json.new")  # what a start that was cut short can leave behind
DEFAULT_NAME = "kubesim"


class DataError(Exception):
    """The data directory cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Settings:
    """What a cluster was made with, and the port it last had; kept in cluster.json."""

    name: str
    nodes: tuple[NodeSpec, ...]
    port: int = 0
    control_port: int = 0  # of the simulation's own knobs, open also while no API server runs
    seed: int | None = None
    cluster: ClusterConfig | None = None
    format: int = FORMAT

    @classmethod
    def load(cls, path: Path) -> "Settings":
        """Read settings. Raises DataError when the file is not ours."""
        try:
            fields = json.loads(path.read_text())
            if fields["format"] != FORMAT:
                raise DataError(
                    f"{path.parent} was written by another version of kubesim (format "
                    f"{fields['format']}, this one reads {FORMAT}); go on with that version, or "
                    "choose another directory with --data to start a new cluster"
                )
            fields["nodes"] = tuple(NodeSpec(**node) for node in fields["nodes"])
            if fields.get("cluster"):
                fields["cluster"] = ClusterConfig.read(fields["cluster"])
            return cls(**fields)
        except (ValueError, KeyError, TypeError) as error:
            raise _damaged(path, error) from None

    def save(self, path: Path) -> None:
        """Write the settings."""
        pki.write_private(path, json.dumps(asdict(self), indent=1).encode())


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold a data directory for this process. Raises DataError when another one holds it."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise DataError(f"{directory} cannot be used: {error.strerror}") from None
    with os.fdopen(descriptor, "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = file.read().strip()
            raise DataError(
                f"{directory} is being served by process {holder}; stop that one first "
                f"(kill {holder}), or choose another directory with --data"
            ) from None
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield


def settings_of(
    directory: Path,
    name: str | None = None,
    nodes: Sequence[NodeSpec] | None = None,
    seed: int | None = None,
    cluster: ClusterConfig | None = None,
) -> Settings:
    """The settings of the cluster in a directory; new ones, with these wishes, if it is empty.

    Raises DataError for somebody else's directory and for wishes that a cluster there contradicts.
    """
    path = directory / "cluster.json"
    if not path.exists():
        strangers = sorted(e.name for e in directory.iterdir() if e.name not in FIRST_FILES)
        if strangers:
            raise DataError(
                f"{directory} is not a data directory of kubesim: it holds {strangers[0]} but no "
                "cluster.json; choose an empty or a new directory with --data"
            )
        name = name or DEFAULT_NAME
        return Settings(name, tuple(nodes or default_nodes(name)), seed=seed, cluster=cluster)
    settings = Settings.load(path)
    if name not in (None, settings.name):
        raise DataError(f"{directory} holds cluster {settings.name!r}, not {name!r}")
    if nodes and tuple(nodes) != settings.nodes:
        held = ", ".join(node.name for node in settings.nodes)
        raise DataError(
            f"{directory} holds a cluster with other nodes ({held}); leave out --nodes and "
            "--config to continue it, or choose another directory with --data"
        )
    if cluster and cluster != (settings.cluster or ClusterConfig(settings.name)):
        raise DataError(
            f"{directory} holds a cluster that was made with another configuration; leave out "
            "--config to continue it, or choose another directory with --data"
        )
    return settings


async def serve(directory: Path, settings: Settings, port: int, speed: float) -> None:
    """Serve the cluster of a directory that this process has locked, until SIGTERM or SIGINT.

    port: 0 for the last one, or any if that is taken. Raises DataError and PortTakenError.
    """
    stopped = _stop_signal()
    settings.save(directory / "cluster.json")
    keys = _keys(directory)
    clock = Clock(speed, seed=settings.seed)
    store = _store(directory / "etcd.db", control_planes(settings.nodes), clock)
    clock.catch_up(last_moment(store))
    if settings.seed is not None:  # what was drawn before this start is not drawn again
        clock.random.seed(f"{settings.seed}/{store.revision}")
    cluster = Cluster(
        settings.name,
        settings.nodes,
        clock,
        store,
        signer=keys.tokens,
        certificates=keys,
        root_ca=keys.ca_pem.decode(),
        audit=Audit(clock, directory / "audit.log"),
        config=settings.cluster,
    )
    _load_disks(directory / "disks.json", cluster)
    tls = server_tls(keys.path("apiserver.crt"), keys.path("apiserver.key"), keys.path("ca.crt"))
    https = HTTPServer(HostTime(cluster.handle, clock), tls)
    _listen(https, port, settings.port)
    knobs = HTTPServer(only_control(cluster.handle), tls)
    knobs.listen(0)
    settings = replace(settings, port=https.port, control_port=knobs.port)
    settings.save(directory / "cluster.json")
    cluster.endpoint.on_change(lambda: https.open(cluster.endpoint.is_open))
    url = f"https://{HOST}:{https.port}"
    cluster.server.address = f"{HOST}:{https.port}"
    try:
        https.start()
        knobs.start()
        await cluster.start(_cluster_info(url, keys.ca_pem))
        _write_kubeconfig(directory / "kubeconfig", settings.name, url, keys)
        print(f"kubesim: serving on {url}, kubeconfig {directory / 'kubeconfig'}", flush=True)
        await _write_credentials(cluster, keys)
        await stopped.wait()
    except StatusError as error:  # the cluster's first objects could not be kept
        raise _unwritable(directory, str(error)) from None
    finally:
        await cluster.stop()
        _save_disks(directory / "disks.json", cluster)
        await https.stop()
        await knobs.stop()


def _load_disks(path: Path, cluster: Cluster) -> None:
    """Give the nodes back what was on their disks."""
    if not path.exists():
        return
    try:
        for name, data in json.loads(path.read_text()).items():
            cluster.disks[name].restore(data)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(path, error) from None


def _save_disks(path: Path, cluster: Cluster) -> None:
    contents = {name: disk.dump() for name, disk in cluster.disks.items()}
    try:
        pki.write_private(path, json.dumps(contents).encode())
    except OSError as error:
        raise _unwritable(path.parent, str(error.strerror)) from None


def _stop_signal() -> asyncio.Event:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    return stopped


def _keys(directory: Path) -> pki.PKI:
    try:
        return pki.PKI(directory / "pki", SERVICE_IP)
    except ValueError as error:
        raise _damaged(directory / "pki", error) from None


def _store(path: Path, members: Sequence[str], clock: Clock) -> Etcd:
    try:
        return store_of(members, clock, SqliteBackend(path))
    except (sqlite3.OperationalError, UnavailableError) as error:
        raise _unwritable(path, str(error)) from None
    except (sqlite3.DatabaseError, ValueError, TypeError) as error:
        raise _damaged(path, error) from None


def _listen(https: HTTPServer, port: int, last_port: int) -> None:
    """Take the port asked for; without a wish the last one, or any when it is taken by now."""
    if port or not last_port:
        https.listen(port)
        return
    try:
        https.listen(last_port)
    except PortTakenError:
        https.listen(0)


def last_moment(store: Etcd) -> datetime:
    """Return the latest simulated time that a store knows of: when a lease was last renewed.

    A cluster whose clock was moved goes on from there, not from the host's time: its past must
    not lie in its future.
    """
    leases = (json.loads(record.value or b"") for record in store.range(LEASES).records)
    renewals = [text for lease in leases if (text := lease["spec"].get("renewTime"))]
    return datetime.fromisoformat(max(renewals, default="1970-01-01T00:00:00Z"))


def _write_kubeconfig(path: Path, name: str, url: str, keys: pki.PKI) -> None:
    certificate, key = keys.client_certificate(pki.ADMIN_USER, [pki.ADMIN_GROUP])
    config = pki.kubeconfig(name, url, keys.ca_pem, certificate, key)
    pki.write_private(path, yaml.safe_dump(config, sort_keys=False).encode())


async def _write_credentials(cluster: Cluster, keys: pki.PKI) -> None:
    """Put on every node's disk what kubeadm puts there, one file after the other."""
    masters = control_planes(cluster.nodes.values())
    server = f"https://{cluster.kubelet(masters[0]).config.ip}:6443"
    for node, disk in cluster.disks.items():
        for path, content in certs.files(keys, cluster.config.name, node, server, node in masters):
            disk.tree.write(path, content, 0o600)
            await asyncio.sleep(0)  # requests are answered meanwhile


def _cluster_info(url: str, ca_pem: bytes) -> str:
    """The kubeconfig without a user that kube-public publishes."""
    config: dict[str, Any] = pki.kubeconfig("", url, ca_pem, b"", b"")
    return str(yaml.safe_dump(config | {"users": None, "contexts": None, "current-context": ""}))


def _unwritable(path: Path, why: str) -> DataError:
    return DataError(
        f"{path} cannot be written ({why}); make room or make it writable, or choose another "
        "directory with --data"
    )


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path} is damaged ({error}); restore it from a copy, or choose another directory "
        "with --data to start a new cluster"
    )
