"""What every cluster can do, whichever engine runs it."""

import json
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any, ClassVar, Self

from kubelab import durations, waiting
from kubelab.clusters.config import Config
from kubelab.clusters.errors import CapabilityMissing, ClusterError
from kubelab.clusters.faults import Faults
from kubelab.clusters.state import ClusterDirectory

CAPABILITIES = (
    "stop-node",
    "load-image",
    "advance-time",
    "inject-faults",
    "save",
    "create-cluster",
)


@dataclass(frozen=True)
class Plan:
    """What a cluster is to be, where it has to be made: its configuration, or its context."""

    config: Config | None = None
    context: str | None = None


class Cluster(ABC):
    """A cluster that runs. Use `api_client()` with the official client for everything else."""

    engine: ClassVar[str]
    missing: ClassVar[Mapping[str, str]] = {}  # capability -> why this engine lacks it

    def __init__(self, directory: ClusterDirectory) -> None:
        self._directory = directory
        self.name = directory.name

    @classmethod
    @abstractmethod
    def start(cls, directory: ClusterDirectory, plan: Plan) -> Self:
        """Reuse the directory's cluster, start it again, or make it as planned."""

    @abstractmethod
    def alive(self) -> bool:
        """Tell whether the cluster runs, without waiting for it."""

    @abstractmethod
    def _delete(self) -> None:
        """Delete the cluster, as far as it is there, and forget it."""

    def delete(self) -> None:
        """Delete the cluster and forget it; another process at work on it is waited for."""
        with self._directory.lock():
            self._delete()

    @property
    def kubeconfig(self) -> Path:
        """The course's own kubeconfig of this cluster (mode 0600)."""
        return self._directory.kubeconfig

    def api_client(self) -> Any:
        """Return a `kubernetes.client.ApiClient` with the administrator's credentials."""
        return self._api_client

    @cached_property
    def _api_client(self) -> Any:
        from kubernetes import config

        return config.new_client_from_config(config_file=str(self.kubeconfig))

    @cached_property
    def version(self) -> str:
        """The API server's version, e.g. "v1.37.0", without build metadata."""
        from kubernetes.client import VersionApi

        full: str = VersionApi(self.api_client()).get_code().git_version
        return full.partition("+")[0]

    def version_at_least(self, major: int, minor: int) -> bool:
        """Tell whether the API server is of Kubernetes `major`.`minor` or newer."""
        return kubernetes_version(self.version) >= (major, minor)

    def nodes(self) -> list[str]:
        """Return the names of the nodes, as kind orders them: control plane, worker, worker2."""
        names = [node.metadata.name for node in self._core().list_node().items]
        return sorted(names, key=_natural)

    def _core(self) -> Any:
        from kubernetes.client import CoreV1Api

        return CoreV1Api(self.api_client())

    @classmethod
    def can(cls, capability: str) -> bool:
        """Tell whether the engine has the capability, one of CAPABILITIES."""
        if capability not in CAPABILITIES:
            raise ValueError(f"{capability!r} is not one of {', '.join(CAPABILITIES)}")
        return capability not in cls.missing

    @classmethod
    def require(cls, capability: str) -> None:
        """Raise CapabilityMissing, with the reason, where the engine lacks the capability."""
        if not cls.can(capability):
            raise CapabilityMissing(
                f"The {cls.engine} engine cannot {capability}: {cls.missing[capability]}."
            )

    def stop_node(self, name: str) -> None:
        """Make a node fall silent, as if its power were cut. The control plane notices later.

        Raises ClusterError that names the nodes there are, where `name` is none of them.
        """
        self.require("stop-node")
        self._stop_node(name)

    def start_node(self, name: str) -> None:
        """Bring a stopped node back. Raises ClusterError as `stop_node` does."""
        self.require("stop-node")
        self._start_node(name)

    def load_image(self, image: str) -> None:
        """Put a container image on every node, so that Pods start without pulling it."""
        self.require("load-image")
        self._load_image(image)

    def advance(self, duration: float | str) -> None:
        """Move the cluster's clock forward by seconds, or by a duration such as "6m"."""
        self.require("advance-time")
        self._advance(durations.seconds(duration))

    def set_speed(self, speed: float) -> None:
        """Let the cluster's time pass at another pace: 60 is a minute a second, 0 a standstill."""
        self.require("advance-time")
        self._set_speed(speed)

    def clock(self) -> dict[str, Any]:
        """Return the cluster's time: `now` (ISO 8601), `speed`, and seconds `ahead` of ours."""
        self.require("advance-time")
        return self._clock()

    def wait(self, duration: float | str) -> None:
        """Let time pass for the cluster: its clock is moved where it can be, else we wait."""
        if self.can("advance-time"):
            self.advance(duration)
        else:
            time.sleep(durations.seconds(duration))

    # An engine implements those below for which it does not name a reason in `missing`.
    def _stop_node(self, name: str) -> None:
        raise NotImplementedError

    def _start_node(self, name: str) -> None:
        raise NotImplementedError

    def _load_image(self, image: str) -> None:
        raise NotImplementedError

    def _advance(self, seconds: float) -> None:
        raise NotImplementedError

    def _set_speed(self, speed: float) -> None:
        raise NotImplementedError

    def _clock(self) -> dict[str, Any]:
        raise NotImplementedError

    @property
    def faults(self) -> Faults:
        """What can be broken on command: `faults.inject("node-partitioned", "kubelab-worker")`."""
        self.require("inject-faults")
        return self._faults()

    def save(self, path: Path | str) -> None:
        """Save the whole cluster to a file; `clusters.load` makes it go on from there."""
        self.require("save")
        self._save(Path(path))

    def history(self) -> Iterator[dict[str, Any]]:
        """Yield what has happened: every revision of every object, then the audit events.

        Each is a dict whose "type" is "revision" (with revision, key, change, object) or "audit"
        (with event).
        """
        self.require("save")
        yield from map(json.loads, self._history().splitlines())

    def _save(self, path: Path) -> None:
        raise NotImplementedError

    def _history(self) -> str:
        raise NotImplementedError

    def _faults(self) -> Faults:
        raise NotImplementedError

    def fresh_namespace(self, name: str) -> str:
        """Return `name`, now an empty namespace with its default ServiceAccount.

        What an earlier namespace of that name held is deleted.
        """
        core = self._core()
        self._delete_namespace(name)
        core.create_namespace({"metadata": {"name": name}})
        self._wait_for_service_account(name)
        return name

    def _wait_for_service_account(self, namespace: str, timeout: float = 60) -> None:
        """Wait until Pods can be created: their default ServiceAccount is made a moment later.

        Before 1.24 they also need its token Secret, which yet another controller makes.
        """

        def usable() -> bool:
            account = self._core().read_namespaced_service_account("default", namespace)
            return bool(account.secrets) or self.version_at_least(1, 24)

        waiting.until(usable, timeout=timeout, what=f"the ServiceAccount {namespace}/default")

    def _delete_namespace(self, name: str) -> None:
        core = self._core()
        try:
            core.delete_namespace(name)
        except Exception as error:
            if not waiting.is_missing(error):
                raise
        waiting.gone(core.read_namespace, name, timeout=120)

    def answers(self) -> bool:
        """Tell whether the API server answers a request within a few seconds."""
        from kubernetes.client import ApiException, VersionApi
        from urllib3.exceptions import HTTPError

        try:
            VersionApi(self.api_client()).get_code(_request_timeout=3)
        except (ApiException, HTTPError, OSError):
            return False
        return True

    def _wait_until_ready(self, node_count: int = 0, timeout: float = 180) -> None:
        """Wait for the API server, `node_count` ready nodes and the default ServiceAccount."""
        try:
            self._wait_for_parts(node_count, timeout)
        except waiting.WaitTimeout as error:
            raise ClusterError(
                f"The cluster {self.name} does not become ready: {error}",
                f"See {self._directory.log} and `kubelab doctor`; to make it anew, "
                f"`kubelab down --name {self.name}` if it is still there, then `kubelab up`.",
            ) from None

    def _wait_for_parts(self, node_count: int, timeout: float) -> None:
        waiting.until(self.answers, timeout=timeout, what=f"the API server of {self.name}")
        if node_count:
            waiting.until(
                lambda: len(self._ready_nodes()) >= node_count,
                timeout=timeout,
                what=f"{node_count} ready nodes of {self.name}",
                last_seen=lambda: f"ready: {', '.join(self._ready_nodes()) or 'none'}",
            )
        self._wait_for_service_account("default", timeout)

    def _ready_nodes(self) -> list[str]:
        return [n.metadata.name for n in self._core().list_node().items if _is_ready(n)]

    def __str__(self) -> str:
        """The page's stamp: which cluster made the outputs, and when."""
        count = len(self.nodes())
        nodes = "1 node" if count == 1 else f"{count} nodes"
        return f"engine {self.engine} · Kubernetes {self.version} · {nodes} · {date.today()}"

    def __repr__(self) -> str:
        return f"<Cluster {self.name}, engine {self.engine}>"

    def _repr_html_(self) -> str:
        return f'<p class="kubelab-stamp">{escape(str(self))}</p>'


def kubernetes_version(text: str) -> tuple[int, int]:
    """Return (major, minor) from a version or an image tag such as "kindest/node:v1.37.0@…".

    (0, 0) where the text names none.
    """
    found = re.search(r"v(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _natural(name: str) -> list[str | int]:
    parts = re.split(r"(\d+)", name)
    return [int(part) if part.isdigit() else part for part in parts]


def _is_ready(node: Any) -> bool:
    conditions = node.status.conditions or []
    return any(c.type == "Ready" and c.status == "True" for c in conditions)
