"""The tools of the kind engine: a container engine, kind, and a node image that fit together."""

import importlib.util
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from kubelab.clusters import binaries, containers, pins
from kubelab.clusters.cluster import kubernetes_version
from kubelab.clusters.containers import ContainerEngine
from kubelab.clusters.errors import ClusterError
from kubelab.clusters.logs import useful_lines

CLUSTER_LABEL = "io.x-k8s.kind.cluster"  # kind puts it on the containers of its nodes


def node_image() -> str:
    """Return the image of new nodes: KIND_NODE_IMAGE, else the pinned one."""
    return os.environ.get("KIND_NODE_IMAGE") or pins.NODE_IMAGE


def why_unavailable() -> str:
    """Return in a line why no kind cluster can be made here, "" if one can."""
    image = node_image()
    try:
        return why_image_missing(Tools.find(image).engine, image)
    except ClusterError as error:
        return error.problem


def why_image_missing(engine: ContainerEngine, image: str) -> str:
    """Return in a line why the node image cannot be had, "" if it is here or can be pulled."""
    if engine.has_image(image):
        return ""
    reason = engine.why_not_pullable(image)
    short = image.partition("@")[0]
    return reason and f"the node image {short} is not here and cannot be pulled: {reason}"


def check_cgroup(engine: ContainerEngine, image: str) -> None:
    """Raise ClusterError where the machine's cgroup version stops the image's kubelet."""
    if engine.cgroup == 1 and kubernetes_version(image) >= pins.FIRST_WITHOUT_CGROUP_V1:
        raise ClusterError(
            f"This machine runs cgroup v1, which the kubelet of {image.partition('@')[0]} refuses.",
            "Boot with `systemd.unified_cgroup_hierarchy=1` for cgroup v2, or take an older node "
            f"image, `export KIND_NODE_IMAGE={pins.CGROUP_V1_NODE_IMAGE}`, "
            "or use the embedded engine: `kubelab up --engine embedded`.",
        )


@dataclass(frozen=True)
class Node:
    """A container that is a kind node."""

    name: str
    id: str
    running: bool


def nodes_of(engine: ContainerEngine, cluster: str) -> list[Node]:
    """Return the node containers of a kind cluster, stopped ones too."""
    listed = engine.run(
        *("ps", "--all", "--no-trunc", "--filter", f"label={CLUSTER_LABEL}={cluster}"),
        *("--format", "{{.Names}} {{.ID}} {{.State}}"),
    )
    if listed.returncode != 0:  # an empty list would pass for a cluster that is gone
        raise ClusterError(
            f"{engine.program} cannot list containers:\n{useful_lines(listed.stderr)}",
            f"See what `{engine.program} ps` says.",
        )
    rows = [line.split() for line in listed.stdout.splitlines()]
    return [Node(name, identity, state == "running") for name, identity, state in rows]


@dataclass(frozen=True)
class Tools:
    """A container engine that answers, and a kind to go with it."""

    engine: ContainerEngine
    kind: Path

    @classmethod
    def find(cls, image: str = "") -> Self:
        """Find the tools, downloading kind if need be; with `image`, those that can create it.

        Raises ClusterError that names what is missing and how to get it.
        """
        if importlib.util.find_spec("pytest_kind") is None:
            raise ClusterError(
                "The kind engine needs the package pytest-kind, which is not installed.",
                f"pip install {pins.PYTEST_KIND}",
            )
        engine = containers.find()
        check_cgroup(engine, image)
        return cls(engine, binaries.kind(at_least=kind_for(image)))

    def run_kind(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run kind and return what it did, whatever its exit code."""
        return subprocess.run(
            [self.kind, *args], env=self.environment(), capture_output=True, text=True, check=False
        )

    def environment(self) -> dict[str, str]:
        """Return the environment in which kind uses the container engine that was found."""
        return {**os.environ, "KIND_EXPERIMENTAL_PROVIDER": self.engine.program}

    def delete(self, cluster: str, kubeconfig: Path) -> None:
        """Delete the containers of a kind cluster; there may be none."""
        deleted = self.run_kind(
            "delete", "cluster", f"--name={cluster}", f"--kubeconfig={kubeconfig}"
        )
        if left := nodes_of(self.engine, cluster):
            names = " ".join(node.name for node in left)
            raise ClusterError(
                f"kind could not delete the cluster {cluster}:\n{useful_lines(deleted.stderr)}",
                f"{self.engine.program} rm --force --volumes {names}",
            )


def kind_for(image: str) -> tuple[int, int] | None:
    """Return the first kind release that can create nodes of the image, None for any."""
    needs_new_kind = kubernetes_version(image) >= pins.FIRST_WITHOUT_KUBEADM_V1BETA3
    return pins.FIRST_KIND_WITH_KUBEADM_V1BETA4 if needs_new_kind else None
