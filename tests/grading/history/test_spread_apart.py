"""Grades history/spread-apart: replicas that never share a node, and can still be updated."""

from collections import Counter
from typing import Any

import pytest

from kubelab import describe
from kubelab.grading import Exercise

exercise = Exercise(
    title="Spread apart",
    answer="yaml",
    hints=[
        "A rule about other Pods stands in spec.template.spec.affinity. You want anti-affinity, "
        "and `required…`: `preferred…` is only a wish.",
        "The rule names the other Pods by their labels, which are the labels of this very "
        "Deployment, and the topologyKey that tells one node from another is "
        "kubernetes.io/hostname.",
        "By default a Deployment makes a new Pod before it takes away an old one. If all workers "
        "are taken, the new Pod cannot go anywhere. maxSurge and maxUnavailable change the order.",
    ],
)
WEB = "app=web"


@pytest.fixture(scope="module")
def workers(core: Any) -> set[str]:
    """The nodes that take Pods."""
    names = {node.metadata.name for node in core.list_node().items if takes_pods(node)}
    if len(names) < 2:
        pytest.skip("needs a cluster with two workers")
    return names


def takes_pods(node: Any) -> bool:
    return not any(t.effect in {"NoSchedule", "NoExecute"} for t in node.spec.taints or [])


@pytest.fixture(scope="module")
def crowd(
    submission: Any, check: Any, core: Any, apps: Any, namespace: str, workers: set[str]
) -> list[Any]:
    """The Pods when there is one replica more than workers, each placed or found unplaceable."""
    check.exists("deployment", "web")
    wanted = len(workers) + 1
    scale(apps, namespace, wanted)

    def settled() -> list[Any] | None:
        pods = describe.living_pods(core, namespace, WEB)
        return pods if len(pods) == wanted and all(map(is_decided, pods)) else None

    pods = check.eventually(
        settled,
        expected=f"{wanted} Pods with the label {WEB} when the Deployment is scaled to {wanted}",
        look="spec.selector and the labels of the Pod template",
        observed=lambda: describe.pods(core, namespace, WEB),
    )
    scale(apps, namespace, 2)
    return pods


def scale(apps: Any, namespace: str, replicas: int) -> None:
    apps.patch_namespaced_deployment_scale("web", namespace, {"spec": {"replicas": replicas}})


def is_decided(pod: Any) -> bool:
    """Tell whether the scheduler has placed a Pod, or has said that it cannot."""
    return any(c.type == "PodScheduled" for c in pod.status.conditions or [])


def nodes_of(pods: list[Any]) -> list[str]:
    return [pod.spec.node_name for pod in pods if pod.spec.node_name]


@pytest.fixture(scope="module")
def pair(submission: Any, check: Any, workers: set[str]) -> list[Any]:
    """The two Pods that the exercise asks for, once they are ready."""
    check.exists("deployment", "web")
    look = "`kubectl describe pod`: where does the anti-affinity leave room?"
    found: list[Any] = check.pods(WEB, 2, look=look)
    return found


@pytest.mark.usefixtures("pair")
def test_two_replicas_run() -> None:
    """Two replicas run"""


def test_no_node_is_shared(check: Any, crowd: list[Any], workers: set[str]) -> None:
    """With more replicas than workers, no two share a node"""
    counts = Counter(nodes_of(crowd))
    shared = {node: count for node, count in counts.items() if count > 1}
    check.that(
        not shared,
        observed=f"scaled to {len(crowd)} replicas on {len(workers)} workers, Pods share a node: "
        + ", ".join(f"{count} on {node}" for node, count in sorted(shared.items())),
        expected="one Pod a node at most, the surplus Pod Pending",
        look="is the anti-affinity required, and do its labels match the Pods' own?",
    )


def test_control_plane_is_left_alone(check: Any, crowd: list[Any], workers: set[str]) -> None:
    """With more replicas than workers, none runs on the control plane"""
    elsewhere = sorted(set(nodes_of(crowd)) - workers)
    check.that(
        not elsewhere,
        observed=f"a Pod runs on {', '.join(elsewhere)}, which has a taint against it",
        expected="Pods on the workers only",
        look="spec.tolerations of the Pod template",
    )


@pytest.mark.usefixtures("pair", "crowd")
def test_update_finishes(check: Any, core: Any, apps: Any, namespace: str) -> None:
    """An update comes to its end"""
    check.pods(WEB, 2)
    name = apps.read_namespaced_deployment("web", namespace).spec.template.spec.containers[0].name
    container = {"name": name, "image": "nginx:1.27"}
    change = {"spec": {"template": {"spec": {"containers": [container]}}}}
    apps.patch_namespaced_deployment("web", namespace, change)
    check.eventually(
        lambda: is_finished(apps, namespace) or is_stuck(core, namespace),
        within=180,
        expected="an update that finishes",
        look="`kubectl describe pod`: what is the new Pod waiting for?",
        observed=lambda: describe.deployment(apps, "web", namespace),
    )
    check.rolled_out(
        "web",
        within=3,
        look="the Events of the Pod that is Pending: which node is there for a new Pod, as long as "
        "every worker still has an old one?",
    )


def is_finished(apps: Any, namespace: str) -> bool:
    return describe.is_rolled_out(apps.read_namespaced_deployment("web", namespace))


def is_stuck(core: Any, namespace: str) -> bool:
    """Tell whether a Pod cannot be placed while all old ones stay: waiting would be in vain."""
    pods = core.list_namespaced_pod(namespace, label_selector=WEB).items
    ready = [pod for pod in pods if describe.is_ready(pod) and not pod.metadata.deletion_timestamp]
    unplaced = [pod for pod in pods if is_decided(pod) and not pod.spec.node_name]
    return bool(unplaced) and len(ready) == 2 and len(pods) == len(ready) + len(unplaced)
