"""Grades architecture/be-the-scheduler: Pods bound by a script to nodes that may have them."""

from collections import Counter
from typing import Any

import pytest

from kubelab.grading import Exercise

exercise = Exercise(
    title="Be the scheduler",
    answer="py",
    hints=[
        "core.list_namespaced_pod gives you the Pods. A Pod waits for you if spec.scheduler_name "
        "is by-hand and spec.node_name is still empty.",
        "core.list_node gives you the nodes: look for the condition Ready with the status True, "
        "and at the effect of each of spec.taints.",
        "Count how many Pods you have given to each node, and take the one with the smallest "
        "count every time.",
    ],
)
pytestmark = pytest.mark.usefixtures("submission")
PASSENGERS = 4


@pytest.fixture(scope="module")
def scene(core: Any, namespace: str) -> dict[str, str]:
    """Pods that wait for the script, and one that waits for somebody else; their UIDs by name."""
    waiting = {f"passenger-{number}": "by-hand" for number in range(PASSENGERS)}
    created = [
        core.create_namespaced_pod(namespace, pod(name, scheduler))
        for name, scheduler in {**waiting, "stranger": "somebody-else"}.items()
    ]
    return {one.metadata.name: one.metadata.uid for one in created}


def pod(name: str, scheduler: str) -> dict[str, Any]:
    spec = {"schedulerName": scheduler, "containers": [{"name": "main", "image": "nginx:1.27"}]}
    return {"metadata": {"name": name}, "spec": spec}


@pytest.fixture(scope="module")
def bound(submission: Any, scene: dict[str, str], core: Any, namespace: str) -> dict[str, str]:
    """The node of each Pod of the scene that has one; a Pod made anew under its name counts not."""
    return {
        one.metadata.name: one.spec.node_name
        for one in core.list_namespaced_pod(namespace).items
        if one.spec.node_name and scene.get(one.metadata.name) == one.metadata.uid
    }


@pytest.fixture(scope="module")
def workers(core: Any) -> set[str]:
    """The nodes that are Ready and have no taint against Pods."""
    return {node.metadata.name for node in core.list_node().items if accepts_pods(node)}


def accepts_pods(node: Any) -> bool:
    ready = any(c.type == "Ready" and c.status == "True" for c in node.status.conditions)
    repels = any(t.effect in {"NoSchedule", "NoExecute"} for t in node.spec.taints or [])
    return ready and not repels


@pytest.fixture(scope="module")
def passengers(check: Any, bound: dict[str, str]) -> dict[str, str]:
    """The nodes of those Pods that were the script's to place."""
    placed = {name: node for name, node in bound.items() if name != "stranger"}
    check.that(
        placed,
        observed="none of the Pods with schedulerName by-hand has a node",
        expected="each of them bound to a node",
        look="which Pods does your script find, and does it create a Binding for each of them?",
    )
    return placed


def test_all_are_bound(check: Any, passengers: dict[str, str]) -> None:
    """Every Pod that waits for by-hand is bound"""
    check.that(
        len(passengers) == PASSENGERS,
        observed=f"{len(passengers)} of {PASSENGERS} Pods with schedulerName by-hand have a node",
        expected="all of them, and the same Pods as before",
        look="which Pods does your script find? print their names",
    )


def test_nodes_are_fit(check: Any, passengers: dict[str, str], workers: set[str]) -> None:
    """Only nodes that are Ready and have no taint against Pods are used"""
    unfit = sorted(set(passengers.values()) - workers)
    check.that(
        not unfit,
        observed=f"Pods are bound to {', '.join(unfit)}, which has a taint or is not Ready",
        expected=f"nodes out of {', '.join(sorted(workers))}",
        look="a Binding is obeyed even against a taint; spec.taints of the nodes",
    )


def test_dealt_out_evenly(check: Any, passengers: dict[str, str], workers: set[str]) -> None:
    """The Pods are dealt out evenly"""
    counts = Counter(dict.fromkeys(workers, 0))
    counts.update(passengers.values())
    check.that(
        max(counts.values()) - min(counts[node] for node in workers) <= 1,
        observed=", ".join(f"{count} on {node}" for node, count in sorted(counts.items())),
        expected="no node has two more than another",
        look="how does your script choose among the nodes?",
    )


def test_others_are_left_alone(check: Any, bound: dict[str, str]) -> None:
    """A Pod that waits for another scheduler is left alone"""
    check.that(
        "stranger" not in bound,
        observed=f"the Pod stranger (schedulerName somebody-else) was bound to "
        f"{bound.get('stranger')}",
        expected="a Pod that still waits",
        look="spec.scheduler_name of the Pods that you bind",
    )


def test_kubelets_run_them(check: Any, passengers: dict[str, str]) -> None:
    """The kubelets run the Pods"""
    for name in passengers:
        check.running(name)
