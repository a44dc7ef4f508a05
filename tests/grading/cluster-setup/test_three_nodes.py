"""Grades cluster-setup/three-nodes: a cluster is made from the configuration and looked at."""

from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes.client import CoreV1Api

from kubelab import clusters, waiting
from kubelab.grading import AnswerError, Exercise

exercise = Exercise(
    title="Three nodes",
    answer="yaml",
    capabilities=("create-cluster",),
    hints=[
        "`nodes` is a list with one entry for each node; the first lab cell has one to start from.",
        "`labels` stands beside `role` in the entry of a node, and is a mapping.",
        "A node may have several labels: one line each, with the same indentation.",
    ],
)
CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
SELECTED = {"east": {"zone": "east", "disk": "fast"}, "west": {"zone": "west"}}


@pytest.fixture(scope="module")
def made(answer: Any, cluster: Any) -> Iterator[Any]:
    """The cluster that the answer describes."""
    name = f"{cluster.name}-answer"
    try:
        created = clusters.create(name, answer.documents()[0])
    except clusters.ClusterError as error:
        raise AnswerError(f"no cluster could be made of this configuration: {error}") from None
    yield created
    created.delete()


@pytest.fixture(scope="module")
def nodes(made: Any) -> list[Any]:
    """Its nodes."""
    found: list[Any] = CoreV1Api(made.api_client()).list_node().items
    return found


def is_control_plane(node: Any) -> bool:
    return any(label in node.metadata.labels for label in CONTROL_PLANE)


def zones(nodes: list[Any]) -> list[str]:
    return sorted(node.metadata.labels.get("zone", "none") for node in nodes)


def test_roles(check: Any, nodes: list[Any]) -> None:
    """There are one control plane and two workers"""
    control_planes = sum(map(is_control_plane, nodes))
    check.equal(
        (control_planes, len(nodes) - control_planes),
        (1, 2),
        what="the number of control planes and of workers",
        look="`nodes`: an entry with a role for each",
    )


def test_zones_of_workers(check: Any, nodes: list[Any]) -> None:
    """One worker is in the zone east, the other in the zone west"""
    check.equal(
        zones([node for node in nodes if not is_control_plane(node)]),
        ["east", "west"],
        what="the label zone of the workers",
        look="`labels` of each worker",
    )


def test_zone_of_control_plane(check: Any, nodes: list[Any]) -> None:
    """The control plane is in no zone"""
    check.equal(
        zones([node for node in nodes if is_control_plane(node)]),
        ["none"],
        what="the label zone of the control plane",
        look="`labels` of the entry with the role control-plane",
    )


def test_disk(check: Any, nodes: list[Any]) -> None:
    """Only the worker in the east has a fast disk"""
    fast = [node for node in nodes if node.metadata.labels.get("disk") == "fast"]
    check.equal(
        zones(fast),
        ["east"],
        what="the label zone of the nodes with the label disk: fast",
        look="`labels` of the worker in the east",
    )


@pytest.fixture(scope="module")
def placed(made: Any) -> dict[str, Any]:
    """A Pod for each selection, by name: ready, or found unplaceable."""
    core = CoreV1Api(made.api_client())
    for name, labels in SELECTED.items():
        core.create_namespaced_pod("default", pod(name, labels))
    return {name: settled(core, name) for name in SELECTED}


def pod(name: str, labels: dict[str, str]) -> dict[str, Any]:
    container = {"name": "main", "image": "nginx:1.27"}
    return {"metadata": {"name": name}, "spec": {"nodeSelector": labels, "containers": [container]}}


def settled(core: Any, name: str) -> Any:
    """Return a Pod when it is ready or the scheduler has given it up."""

    def decided() -> Any:
        found = core.read_namespaced_pod(name, "default")
        conditions = {c.type: c.status for c in found.status.conditions or []}
        hopeless = conditions.get("PodScheduled") == "False"
        return found if hopeless or conditions.get("Ready") == "True" else None

    return waiting.until(decided, what=f"Pod {name} to be ready")


def test_labels_can_be_selected(check: Any, placed: dict[str, Any]) -> None:
    """Pods that select these labels run"""
    homeless = sorted(name for name, found in placed.items() if not found.spec.node_name)
    check.that(
        not homeless,
        observed=f"no node for a Pod that selects {', '.join(map(told, homeless))}",
        expected="a worker for each of the selections",
        look="the labels of the workers",
    )


def told(name: str) -> str:
    return " and ".join(f"{key}: {value}" for key, value in SELECTED[name].items())
