"""The embedded engine: a daemon that outlives its starter, and whose state outlives the daemon."""

import os
import re
import signal
import socket
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import psutil
import pytest
from kubernetes.client import CoreV1Api

from kubelab import cli, clusters, waiting
from kubelab.clusters import ClusterError

CONFIG = {"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4"}


@pytest.fixture
def embedded(own_home, monkeypatch):
    """A home of its own where clusters are embedded ones."""
    monkeypatch.setenv("KUBELAB_ENGINE", "embedded")
    return own_home


def daemons(home) -> list[int]:
    """The processes that serve a cluster of this home."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline", "status"])
        if process.info["status"] != psutil.STATUS_ZOMBIE
        and any(str(home) in word for word in process.info["cmdline"] or [])
    ]


def test_it_outlives_the_process_that_started_it_and_ends_when_deleted(embedded):
    up = subprocess.run(
        [sys.executable, "-m", "kubelab", "up", "--nodes", "1"], capture_output=True, check=False
    )
    assert up.returncode == 0, up.stderr
    assert len(daemons(embedded)) == 1
    found = clusters.find()
    assert found.answers()
    assert cli.main(["down"]) == 0
    assert daemons(embedded) == []
    assert clusters.known() == []


def test_a_killed_daemon_is_started_again_with_all_that_was_in_it(embedded):
    started = clusters.start(nodes=1)
    core = CoreV1Api(started.api_client())
    core.create_namespaced_config_map("default", {"metadata": {"name": "kept"}})
    [daemon] = daemons(embedded)
    os.kill(daemon, signal.SIGKILL)
    waiting.until(lambda: not started.alive(), what="the daemon to be gone")
    again = clusters.start()
    core = CoreV1Api(again.api_client())
    assert core.read_namespaced_config_map("kept", "default")
    assert daemons(embedded) not in ([], [daemon])


def test_a_port_that_was_taken_meanwhile_is_said_and_nothing_is_lost(embedded):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    started = clusters.start(config={**CONFIG, "networking": {"apiServerPort": port}})
    CoreV1Api(started.api_client()).create_namespace({"metadata": {"name": "kept"}})
    [daemon] = daemons(embedded)
    os.kill(daemon, signal.SIGKILL)
    waiting.until(lambda: not started.alive(), what="the daemon to be gone")
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(ClusterError, match=f"{port}"),
    ):
        clusters.start()
    assert daemons(embedded) == []
    assert CoreV1Api(clusters.start().api_client()).read_namespace("kept")


def test_a_stale_kubeconfig_is_repaired(embedded):
    started = clusters.start(nodes=1)
    started.kubeconfig.write_text("not a kubeconfig")
    again = clusters.start()
    assert again.answers()
    assert stat.S_IMODE(again.kubeconfig.stat().st_mode) == 0o600
    assert len(daemons(embedded)) == 1


def test_a_cluster_is_created_from_a_configuration(embedded):
    nodes = [{"role": "control-plane"}, {"role": "worker", "labels": {"disk": "ssd"}}]
    created = clusters.create("by-config", {**CONFIG, "nodes": nodes})
    assert created.nodes() == ["by-config-control-plane", "by-config-worker"]
    worker = CoreV1Api(created.api_client()).read_node("by-config-worker")
    assert worker.metadata.labels["disk"] == "ssd"
    with pytest.raises(ClusterError, match="There is a cluster by-config already"):
        clusters.create("by-config", CONFIG)


def test_what_is_wrong_in_a_configuration_is_said_and_nothing_is_left(embedded):
    wrong = {**CONFIG, "networking": {"kubeProxyMode": "magic"}}
    with pytest.raises(ClusterError, match="kubeProxyMode"):
        clusters.create("wrong", wrong)
    assert daemons(embedded) == []
    assert clusters.known() == []


def test_an_interrupted_creation_leaves_no_process(embedded, tmp_path, monkeypatch):
    slow = tmp_path / "slow" / "kubesim"
    slow.mkdir(parents=True)
    (slow / "__init__.py").touch()
    (slow / "__main__.py").write_text("import time; print('slow', flush=True); time.sleep(600)")
    monkeypatch.setenv("PYTHONPATH", str(slow.parent))
    with subprocess.Popen([sys.executable, "-m", "kubelab", "up"]) as up:
        waiting.until(lambda: len(daemons(embedded)) == 1, what="the daemon to run")
        up.send_signal(signal.SIGINT)
        assert up.wait(60) == 130
    assert daemons(embedded) == []
    assert clusters.known() == []


@pytest.mark.embedded
def test_time_is_moved(cluster, namespace):
    core = CoreV1Api(cluster.api_client())
    for name, duration in (("before", 600), ("after", 0)):
        core.create_namespaced_config_map(namespace, {"metadata": {"name": name}})
        if duration:
            cluster.advance(duration)
    before, after = (
        core.read_namespaced_config_map(name, namespace).metadata.creation_timestamp
        for name in ("before", "after")
    )
    assert 600 <= (after - before).total_seconds() < 700
    assert after <= datetime.now(UTC) + timedelta(seconds=1)


@pytest.mark.embedded
def test_an_image_that_cannot_be_simulated_is_refused(cluster):
    with pytest.raises(ClusterError, match="postgres"):
        cluster.load_image("postgres:17")
    cluster.load_image("busybox:1.36")


def test_the_clock_is_read_advanced_and_paused_on_the_command_line(embedded, capsys):
    cluster = clusters.start(nodes=1)
    core = CoreV1Api(cluster.api_client())
    core.create_namespaced_config_map("default", {"metadata": {"name": "old"}})
    assert cli.main(["clock", "pause"]) == 0
    assert cli.main(["clock", "advance", "6m"]) == 0
    assert re.search(r"speed 0, 0:0[56]:\d\d ahead of this machine", capsys.readouterr().out)
    made = core.read_namespaced_config_map("old", "default").metadata.creation_timestamp
    assert timedelta(minutes=5) < datetime.now(UTC) - made < timedelta(minutes=7)
    assert cli.main(["clock", "resume"]) == 0
    assert cluster.clock()["speed"] == 1
    assert cli.main(["clock", "advance", "6 minutes"]) == 1
    assert "is no duration" in capsys.readouterr().err
    cluster.delete()


def test_faults_are_injected_listed_and_undone_on_the_command_line(embedded, capsys):
    cluster = clusters.start(nodes=2)
    node = f"{cluster.name}-worker"
    assert cli.main(["fault", "inject", "node-slow", node, "--for", "2s"]) == 0
    assert capsys.readouterr().out == f"node-slow-{node}\n"
    assert cli.main(["fault", "list"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:3] == [
        f"node-slow-{node}",
        "node-slow",
        node,
    ]
    assert cli.main(["fault", "inject", "node-slow", "nowhere"]) == 1
    assert f"there are {cluster.name}-control-plane, {node}" in capsys.readouterr().err
    assert cli.main(["fault", "undo", f"node-slow-{node}"]) == 0
    assert cluster.faults.active() == []
    cluster.delete()


def test_an_api_server_that_is_down_answers_nobody_and_comes_back(embedded):
    cluster = clusters.start(nodes=1)
    cluster.faults.inject("component-down", "kube-apiserver")
    waiting.until(lambda: not cluster.answers(), timeout=60, what="the API server to end")
    cluster.faults.undo_all()
    waiting.until(cluster.answers, timeout=60, what="the API server to run")
    cluster.delete()


def test_a_cluster_is_saved_to_a_file_and_goes_on_from_it(embedded, tmp_path, capsys):
    cluster = clusters.start(nodes=1)
    core = CoreV1Api(cluster.api_client())
    made = core.create_namespaced_config_map("default", {"metadata": {"name": "kept"}})
    saved = tmp_path / "cluster.tgz"
    assert cli.main(["save", str(saved)]) == 0
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    core.create_namespaced_config_map("default", {"metadata": {"name": "later"}})
    assert cli.main(["load", str(saved)]) == 1
    assert f"There is a cluster {cluster.name} already" in capsys.readouterr().err
    cluster.delete()
    loaded = clusters.load(saved)
    core = CoreV1Api(loaded.api_client())
    kept = core.read_namespaced_config_map("kept", "default")
    assert kept.metadata.uid == made.metadata.uid
    names = [each.metadata.name for each in core.list_namespaced_config_map("default").items]
    assert "later" not in names
    history = list(loaded.history())
    [line] = [each for each in history if each.get("key") == "/registry/configmaps/default/kept"]
    assert line["change"] == "PUT"
    assert line["object"]["metadata"]["uid"] == made.metadata.uid
    assert {each["type"] for each in history} == {"revision", "audit"}
    loaded.delete()


def test_a_file_that_is_no_saved_cluster_is_refused(embedded, tmp_path):
    other = tmp_path / "other"
    with pytest.raises(ClusterError, match="cannot be read: No such file"):
        clusters.load(other)
    other.write_text("mine")
    with pytest.raises(ClusterError, match="is not a saved cluster"):
        clusters.load(other)
    assert clusters.known() == []
