"""Clusters for labs and graders: one small interface, three engines.

    cluster = clusters.start()
    core = kubernetes.client.CoreV1Api(cluster.api_client())

`kind` runs a real cluster in containers, `embedded` a simulated one in a process of its own, and
`existing` attaches to one that a kubeconfig context names.
"""

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kubelab.clusters import config as _config
from kubelab.clusters.choosing import ENGINES, choose
from kubelab.clusters.cluster import CAPABILITIES, Cluster, Plan
from kubelab.clusters.errors import CapabilityMissing, ClusterError
from kubelab.clusters.progress import say
from kubelab.clusters.state import ClusterDirectory, all_directories

__all__ = [
    "CAPABILITIES",
    "ENGINES",
    "CapabilityMissing",
    "Cluster",
    "ClusterError",
    "create",
    "default_name",
    "find",
    "known",
    "load",
    "start",
]


def default_name() -> str:
    """Return the name of the cluster that labs use: KUBELAB_CLUSTER, else "kubelab"."""
    return os.environ.get("KUBELAB_CLUSTER") or "kubelab"


def start(
    engine: str | None = None,
    name: str | None = None,
    nodes: int | None = None,
    *,
    config: Path | Mapping[str, Any] | None = None,
    context: str | None = None,
) -> Cluster:
    """Return a running cluster: the one of that name if there is one, else a new one.

    `engine` is one of ENGINES (default: KUBELAB_ENGINE, else auto). A new cluster has `nodes`
    nodes, one of them the control plane (default 3), or what `config` says, a kind Cluster
    configuration. `context` (default: KUBELAB_CONTEXT) is for the existing engine.
    Says on stderr in one line which engine and why. Raises ClusterError with the next step.
    """
    directory = ClusterDirectory(name or default_name())
    plan = Plan(_planned(directory.name, nodes, config), context or os.getenv("KUBELAB_CONTEXT"))
    with directory.lock():
        choice = choose(engine, directory)
        say(f"cluster {directory.name}: engine {choice.engine} ({choice.why})")
        cluster = _engine(choice.engine).start(directory, plan)
    _tell_of_difference(cluster, plan)
    return cluster


def create(name: str, config: Path | Mapping[str, Any], engine: str | None = None) -> Cluster:
    """Create a new cluster from a kind Cluster configuration, on the engine that labs use.

    Raises ClusterError if there is one of that name, CapabilityMissing on the existing engine.
    """
    directory = ClusterDirectory(name)
    if (record := directory.load()) and record.complete:
        raise ClusterError(
            f"There is a cluster {name} already.",
            f"Take another name, or delete it first: `kubelab down --name {name}`.",
        )
    chosen = engine or choose(None, ClusterDirectory(default_name())).engine
    _engine(chosen).require("create-cluster")
    return start(chosen, name, config=config)


def load(path: Path | str) -> Cluster:
    """Return a cluster that `Cluster.save` wrote to a file, running on from where it was.

    It has the name that it had. Raises ClusterError if there is one of that name.
    """
    from kubelab.clusters import saving
    from kubelab.clusters.embedded import Embedded

    directory = ClusterDirectory(saving.saved_name(Path(path)))
    with directory.lock():
        if directory.load():
            raise ClusterError(
                f"There is a cluster {directory.name} already.",
                f"Save it if you need it, then delete it: `kubelab down --name {directory.name}`.",
            )
        return Embedded.load(directory, Path(path))


def find(name: str | None = None) -> Cluster | None:
    """Return the cluster of that name as it is, running or not, or None; starts nothing."""
    directory = ClusterDirectory(name or default_name())
    record = directory.load()
    return _engine(record.engine)(directory) if record else None


def known() -> list[Cluster]:
    """Return all clusters that kubelab remembers, running or not."""
    return [cluster for d in all_directories() if (cluster := find(d.name))]


def _planned(
    name: str, nodes: int | None, config: Path | Mapping[str, Any] | None
) -> dict[str, Any] | None:
    if config is not None:
        if nodes is not None:
            raise ClusterError("Give nodes or a configuration, not both.", "Leave one of them out.")
        return _config.load(name, config)
    return None if nodes is None else _config.for_nodes(name, nodes)


def _engine(name: str) -> type[Cluster]:
    """Import an engine when it is needed: the official client alone takes a second."""
    module = importlib.import_module(f"kubelab.clusters.{name}")
    engine: type[Cluster] = getattr(module, name.capitalize())
    return engine


def _tell_of_difference(cluster: Cluster, plan: Plan) -> None:
    wanted = len(plan.config["nodes"]) if plan.config else 0
    if wanted and (found := len(cluster.nodes())) != wanted:
        say(
            f"cluster {cluster.name}: it has {found} nodes, not {wanted}; to change that, delete "
            f"it first: `kubelab down --name {cluster.name}`"
        )
