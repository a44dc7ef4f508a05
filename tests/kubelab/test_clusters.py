"""What `kubelab.clusters` promises, on whichever engine the session runs."""

import os
import re
import stat
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from kubernetes.client import AppsV1Api, CoreV1Api

from kubelab import clusters, waiting
from kubelab.clusters import CapabilityMissing, Cluster, ClusterError


@pytest.fixture
def core(cluster: Cluster) -> CoreV1Api:
    return CoreV1Api(cluster.api_client())


def test_start_returns_the_cluster_that_runs(cluster):
    again = clusters.start()
    assert again.nodes() == cluster.nodes()
    assert again.kubeconfig == cluster.kubeconfig


def test_another_number_of_nodes_does_not_replace_a_running_cluster(cluster, capsys):
    clusters.start(nodes=2)
    assert "it has 3 nodes, not 2" in capsys.readouterr().err
    assert len(cluster.nodes()) == 3


def test_nodes_are_named_as_kind_names_them(cluster):
    names = [f"{cluster.name}-{role}" for role in ("control-plane", "worker", "worker2")]
    assert cluster.nodes() == names


def test_the_stamp_names_engine_version_nodes_and_date(cluster):
    stamp = str(cluster)
    engine, version = re.escape(cluster.engine), re.escape(cluster.version)
    assert re.fullmatch(
        rf"engine {engine} · Kubernetes {version} · 3 nodes · {date.today()}", stamp
    )
    assert stamp in cluster._repr_html_()


def test_versions_are_compared_as_numbers(cluster):
    major, minor = map(int, cluster.version.removeprefix("v").split(".")[:2])
    assert cluster.version_at_least(major, minor)
    assert cluster.version_at_least(major, 9)
    assert not cluster.version_at_least(major, minor + 1)
    assert not cluster.version_at_least(major + 1, 0)


def test_the_kubeconfig_is_for_this_user_only(cluster):
    assert stat.S_IMODE(cluster.kubeconfig.stat().st_mode) == 0o600
    assert stat.S_IMODE(cluster.kubeconfig.parent.stat().st_mode) == 0o700


def test_the_kubeconfig_works_in_another_process(cluster):
    program = (
        "from kubernetes import client, config; config.load_kube_config();"
        "print(len(client.CoreV1Api().list_node().items))"
    )
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
    answer = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "3"


def test_a_fresh_namespace_is_empty_again(cluster, core, namespace):
    core.create_namespaced_config_map(namespace, {"metadata": {"name": "left-over"}})
    assert cluster.fresh_namespace(namespace) == namespace
    names = [item.metadata.name for item in core.list_namespaced_config_map(namespace).items]
    assert "left-over" not in names
    assert core.read_namespaced_service_account("default", namespace)


def test_a_stopped_node_falls_silent_and_comes_back(cluster, core):
    """Also when somebody attaches meanwhile: a node that was stopped on purpose stays stopped."""
    worker = cluster.nodes()[-1]

    def is_ready(expected: str) -> bool:
        cluster.wait(2)
        conditions = core.read_node(worker).status.conditions
        return expected == next(c.status for c in conditions if c.type == "Ready")

    cluster.stop_node(worker)
    try:
        clusters.start()
        # The node lifecycle controller gives a node 40 s (1.20) or 50 s (1.32) to send a heartbeat.
        waiting.until(lambda: is_ready("Unknown"), what=f"{worker} to be Unknown", timeout=120)
    finally:
        cluster.start_node(worker)
    waiting.until(lambda: is_ready("True"), what=f"{worker} to be Ready", timeout=120)


def test_a_node_that_does_not_exist_cannot_be_stopped(cluster):
    with pytest.raises(ClusterError, match="nobody") as refused:
        cluster.stop_node("nobody")
    assert cluster.nodes()[0] in str(refused.value)


def test_a_deployment_runs(cluster, namespace):
    apps = AppsV1Api(cluster.api_client())
    labels = {"app": "web"}
    pod = {"containers": [{"name": "web", "image": "nginx:1.27"}]}
    body = {
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    apps.create_namespaced_deployment(namespace, body)
    waiting.deployment_ready(apps, "web", namespace)


def test_asking_for_an_unknown_capability_is_a_mistake(cluster):
    with pytest.raises(ValueError, match="'fly' is not one of"):
        cluster.can("fly")


@pytest.mark.kind
def test_the_clock_of_a_real_cluster_cannot_be_moved(cluster):
    assert not cluster.can("advance-time")
    with pytest.raises(CapabilityMissing, match="cannot advance-time: the clock of a real"):
        cluster.advance(10)


@pytest.mark.kind
def test_images_are_loaded_from_this_machine(cluster):
    cluster.load_image("busybox:1.36")
    with pytest.raises(ClusterError, match="is not on this machine") as refused:
        cluster.load_image("nobody/nothing:0")
    assert refused.value.next_step == "docker pull nobody/nothing:0"


@pytest.mark.kind
def test_a_lost_kubeconfig_is_written_again(cluster):
    cluster.kubeconfig.write_text("not a kubeconfig")
    assert clusters.start().answers()
    assert stat.S_IMODE(cluster.kubeconfig.stat().st_mode) == 0o600


@pytest.mark.kind
def test_the_users_own_kubeconfig_is_not_touched(cluster):
    for path in (Path("~/.kube/config").expanduser(), *map(Path, _listed_in_kubeconfig())):
        assert not path.exists() or cluster.name not in path.read_text()


def _listed_in_kubeconfig() -> list[str]:
    return [path for path in os.environ.get("KUBECONFIG", "").split(os.pathsep) if path]
