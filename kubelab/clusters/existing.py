"""The existing engine: a cluster that somebody else made, named by a kubeconfig context.

Only that context is copied to the course's own kubeconfig; the cluster itself is never created,
stopped or deleted from here.
"""

import base64
import os
from pathlib import Path
from typing import Any, ClassVar, Self

import yaml

from kubelab.clusters.cluster import CAPABILITIES, Cluster, Plan
from kubelab.clusters.config import read_yaml
from kubelab.clusters.errors import ClusterError
from kubelab.clusters.state import ClusterDirectory, Record, write_private

_INLINED = ("certificate-authority", "client-certificate", "client-key")


class Existing(Cluster):
    """A cluster that the user named by a kubeconfig context."""

    engine = "existing"
    missing: ClassVar = dict.fromkeys(
        CAPABILITIES, "kubelab did not make this cluster and does not administer its machines"
    )

    @classmethod
    def start(cls, directory: ClusterDirectory, plan: Plan) -> Self:
        """Copy the context that the plan or else the record names, and see that it answers."""
        if plan.config:
            raise ClusterError(
                "The existing engine does not create clusters, so it takes no configuration.",
                "Leave the nodes and the configuration out, or use another engine.",
            )
        record = directory.load()
        context = plan.context or (record.details["context"] if record else "")
        flattened = flatten(_user_kubeconfigs(), context)
        directory.make()
        write_private(directory.kubeconfig, yaml.safe_dump(flattened))
        cluster = cls(directory)
        if not cluster.answers():
            if not record:
                directory.remove()
            server = flattened["clusters"][0]["cluster"].get("server")
            raise ClusterError(
                f"The cluster of context {context} does not answer at {server}.",
                f"Start it, or see what `kubectl --context {context} get nodes` says.",
            )
        directory.save(Record(cls.engine, complete=True, details={"context": context}))
        return cluster

    def alive(self) -> bool:
        """Tell whether the API server answers."""
        return self.answers()

    def _delete(self) -> None:
        """Forget the cluster: only the course's copy of its kubeconfig is removed."""
        self._directory.remove()


def _user_kubeconfigs() -> list[Path]:
    """Return the files that kubectl would read: those of KUBECONFIG, else ~/.kube/config."""
    listed = os.environ.get("KUBECONFIG") or "~/.kube/config"
    paths = [Path(part).expanduser() for part in listed.split(os.pathsep) if part]
    return [path for path in paths if path.exists()]


def flatten(paths: list[Path], context_name: str) -> dict[str, Any]:
    """Return a kubeconfig of one context, with the files it refers to taken in.

    As `kubectl config view --minify --flatten`: of several files, the first that has an entry
    of a name wins.
    """
    files = [(path.parent, read_yaml(path) or {}) for path in paths]
    contexts = [entry["name"] for _, file in files for entry in file.get("contexts") or []]
    if context_name not in contexts:
        problem = f"no context {context_name!r}" if context_name else "no context was named"
        raise ClusterError(
            f"The existing engine attaches to a kubeconfig context, but {problem}.",
            f"Set KUBELAB_CONTEXT to one of: {', '.join(contexts) or '(there is none)'}.",
        )
    context = _entry(files, "contexts", context_name)
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context_name,
        "contexts": [context],
        "clusters": [_entry(files, "clusters", context["context"]["cluster"])],
        "users": [_entry(files, "users", context["context"]["user"])],
    }


def _entry(files: list[tuple[Path, Any]], section: str, name: str) -> dict[str, Any]:
    for folder, file in files:
        for entry in file.get(section) or []:
            if entry["name"] == name:
                value = entry[section.removesuffix("s")]
                return {"name": name, section.removesuffix("s"): _inline(value, folder)}
    raise ClusterError(
        f"Your kubeconfig's context refers to {name!r}, which is not among its {section}.",
        "Repair the kubeconfig: `kubectl config view` shows it.",
    )


def _inline(value: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Replace file references by their content, as kubectl's --flatten does."""
    inlined = dict(value)
    for key in _INLINED:
        if key in inlined:
            content = _content(folder / inlined.pop(key))
            inlined[f"{key}-data"] = base64.b64encode(content).decode()
    return inlined


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ClusterError(
            f"Your kubeconfig refers to {path}, which cannot be read: {error.strerror}.",
            "Repair the kubeconfig, or bring the file back.",
        ) from None
