"""Which engine a cluster runs on."""

import os
from dataclasses import dataclass

from kubelab.clusters import kind_tools
from kubelab.clusters.errors import ClusterError
from kubelab.clusters.state import ClusterDirectory

ENGINES = ("auto", "kind", "embedded", "existing")


@dataclass(frozen=True)
class Choice:
    """An engine, and why it."""

    engine: str
    why: str


def choose(argument: str | None, directory: ClusterDirectory) -> Choice:
    """Choose by argument, else KUBELAB_ENGINE, else auto; a cluster that exists keeps its engine.

    Raises ClusterError when another engine is asked for than the one the cluster runs on.
    """
    asked, source = _asked(argument)
    if asked not in ENGINES:
        raise ClusterError(f"There is no engine {asked!r}.", f"Use one of {', '.join(ENGINES)}.")
    record = directory.load()
    if record and asked not in ("auto", record.engine):
        raise ClusterError(
            f"The cluster {directory.name} exists and runs on the {record.engine} engine, "
            f"not on {asked}.",
            f"Take another name (KUBELAB_CLUSTER, --name), or delete it first: "
            f"`kubelab down --name {directory.name}`.",
        )
    if record:
        return Choice(record.engine, "it exists already")
    return Choice(asked, source) if asked != "auto" else _automatic()


def _asked(argument: str | None) -> tuple[str, str]:
    if argument:
        return argument, "as asked for"
    if variable := os.environ.get("KUBELAB_ENGINE"):
        return variable, f"KUBELAB_ENGINE={variable}"
    return "auto", ""


def _automatic() -> Choice:
    if reason := kind_tools.why_unavailable():
        return Choice("embedded", reason)
    return Choice("kind", "a container engine answers and the node image can be had")
