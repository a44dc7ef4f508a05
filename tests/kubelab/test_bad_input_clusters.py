"""What goes wrong with clusters gives one clear message with the next step, and leaves nothing."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
import yaml

from kubelab import cli, clusters, waiting
from kubelab.clusters import choosing, state

KUBEADM_LOG = (
    "Creating cluster ...\n"
    + " ✗ Starting control-plane 🕹️\n"
    + "".join(f"I0913 22:10:{n % 60:02}.0 136 loader.go:1] chatter {n}\n" for n in range(300))
    + "[kubelet-check] The kubelet is not healthy after 4m0s\n"
    + "".join(f"k8s.io/kubernetes/cmd/kubeadm.Run\n\t/go/app.go:{n} error\n" for n in range(30))
    + "error: write /var/lib/etcd: no space left on device\n"
)
HEAD = "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n"


class Refusal:
    """What a user saw of a command that failed."""

    def __init__(self, code: int, shown: str) -> None:
        self.code = code
        self.shown = shown
        self.problem, _, self.next_step = shown.partition("Next: ")


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a kubelab command that has to fail, and return what it says."""

    def run(*arguments: str) -> Refusal:
        capsys.readouterr()
        code = cli.main(arguments)
        refusal = Refusal(code, capsys.readouterr().err)
        assert refusal.code == 1, refusal.shown
        assert refusal.next_step.strip(), f"no next step in: {refusal.shown}"
        assert "Traceback" not in refusal.shown
        return refusal

    return run


def test_docker_is_installed_but_not_running(fakes, refused):
    fakes.docker_answers("{}", "Cannot connect to the Docker daemon at unix:///x.\n", code=1)
    refusal = refused("up")
    assert "daemon does not answer: Cannot connect" in refusal.problem
    assert "systemctl start docker" in refusal.next_step
    assert clusters.known() == []


def test_an_old_docker_reports_its_silent_daemon_with_exit_code_0(fakes, refused):
    fakes.docker_answers('{"ServerErrors": ["Cannot connect to the Docker daemon"]}')
    assert "daemon does not answer" in refused("up").problem


def test_docker_without_permission(fakes, refused):
    fakes.docker_answers(
        "{}", "permission denied while trying to connect to the Docker daemon socket", code=1
    )
    refusal = refused("up")
    assert "you may not use it" in refusal.problem
    assert "usermod -aG docker" in refusal.next_step


def test_no_container_engine_is_installed(fakes, refused, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    refusal = refused("up")
    assert "No container engine is installed" in refusal.problem
    assert "--engine embedded" in refusal.next_step


def test_cgroup_v1_with_an_image_that_refuses_it(fakes, refused):
    fakes.docker_answers('{"ServerVersion": "20.10", "CgroupVersion": "1"}')
    refusal = refused("up")
    assert "cgroup v1" in refusal.problem
    assert "KIND_NODE_IMAGE=kindest/node:v1.34" in refusal.next_step
    assert "kind create" not in fakes.read("calls")


def test_pytest_kind_is_not_installed(fakes, refused, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert refused("up").next_step.strip() == "pip install pytest-kind==22.11.1"


def test_a_creation_that_fails_half_way_cleans_up_and_shows_why(fakes, refused):
    fakes.create_fails(KUBEADM_LOG)
    refusal = refused("up")
    assert "no space left on device" in refusal.problem
    assert "The kubelet is not healthy" in refusal.problem
    assert "chatter" not in refusal.problem and "app.go" not in refusal.problem
    assert len(refusal.shown.splitlines()) < 20
    assert "docker system df" in refusal.next_step
    assert fakes.nodes == []
    assert clusters.known() == []
    log = state.ClusterDirectory(clusters.default_name()).log
    assert "chatter 299" in log.read_text(), "the whole log is kept"


@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "terminated"]
)
def test_an_interrupted_creation_cleans_up(fakes, own_home, sent, code):
    fakes.create_hangs()
    command = [sys.executable, "-m", "kubelab", "up", "--engine", "kind"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as up:
        waiting.until(lambda: fakes.nodes, what="kind to have made containers")
        creators = psutil.Process(up.pid).children(recursive=True)
        up.send_signal(sent)
        assert up.wait(60) == code
    assert creators
    assert not [process for process in creators if _runs(process)]
    assert fakes.nodes == []
    assert clusters.known() == []


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_foreign_cluster_of_the_same_name_is_left_alone(fakes, refused):
    name = clusters.default_name()
    fakes.write("nodes", f"{name}-control-plane 123 running\n")
    refusal = refused("up")
    assert "kubelab did not create it" in refusal.problem
    assert f"kind delete cluster --name {name}" in refusal.next_step
    assert "There is no cluster" in refused("down").problem
    assert fakes.nodes == [f"{name}-control-plane"]
    assert clusters.known() == []


def test_a_foreign_cluster_in_place_of_ours_is_left_alone(fakes, refused, cluster):
    fakes.create_works(cluster.kubeconfig)
    clusters.start(nodes=2)
    name = clusters.default_name()
    fakes.write("nodes", f"{name}-control-plane not-ours running\n")
    assert "kubelab did not create it" in refused("up").problem
    assert "kubelab did not create it" in refused("down").problem
    assert fakes.nodes == [f"{name}-control-plane"]
    fakes.write("nodes", "")


def test_a_half_created_cluster_is_created_anew(fakes, cluster):
    """As after a power cut during creation: a record that is not complete, and some containers."""
    name = clusters.default_name()
    state.ClusterDirectory(name).save(state.Record("kind"))
    fakes.write("nodes", f"{name}-control-plane half running\n")
    fakes.create_works(cluster.kubeconfig)
    assert clusters.start(nodes=2).answers()
    calls = fakes.read("calls")
    assert calls.index("kind delete") < calls.index("kind create")
    assert "half" not in fakes.read("nodes")


def test_a_stale_kubeconfig_is_repaired(fakes, cluster):
    """As after a restart of Docker, which gives the API server another port."""
    fakes.create_works(cluster.kubeconfig)
    started = clusters.start(nodes=2)
    stale = yaml.safe_load(started.kubeconfig.read_text())
    stale["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    started.kubeconfig.write_text(yaml.safe_dump(stale))
    assert clusters.start().answers()
    assert fakes.read("calls").count("kind create") == 1


def test_the_cluster_is_woken_after_a_reboot(fakes, cluster):
    fakes.create_works(cluster.kubeconfig)
    clusters.start(nodes=2)
    fakes.write("nodes", fakes.read("nodes").replace("running", "exited"))
    assert not clusters.find().alive()
    clusters.start()
    assert "exited" not in fakes.read("nodes")


def test_a_docker_that_breaks_down_is_not_taken_for_a_cluster_that_is_gone(fakes, refused):
    state.ClusterDirectory(clusters.default_name()).save(
        state.Record("kind", True, {"nodes": {"some": "id"}})
    )
    (fakes.folder / "nodes").unlink()
    assert "docker cannot list containers" in refused("down").problem
    assert "docker cannot list containers" in refused("up").problem
    assert len(clusters.known()) == 1
    fakes.write("nodes", "")


def test_podman_serves_where_docker_does_not_answer(fakes):
    (fakes.folder / "docker").rename(fakes.folder / "podman")
    fakes.docker_answers('{"host": {"cgroupVersion": "v2"}, "version": {"Version": "5.6.0"}}')
    docker = fakes.folder / "docker"
    docker.write_text("#!/bin/sh\necho Cannot connect >&2\nexit 1\n")
    docker.chmod(0o755)
    fakes.create_fails("ERROR: enough seen")
    assert cli.main(["up"]) == 1
    assert "by podman" in fakes.read("calls")


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("engine", ["kind", "embedded"])
def test_the_api_port_is_taken(fakes, refused, tmp_path, taken_port, engine):
    config = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {"apiServerPort": taken_port},
    }
    path = tmp_path / "cluster.yaml"
    path.write_text(yaml.safe_dump(config))
    refusal = refused("up", "--engine", engine, "--config", str(path))
    assert f"port {taken_port} is taken" in refusal.problem
    assert clusters.known() == []
    assert "kind create" not in fakes.read("calls")


def test_auto_says_why_it_does_not_take_kind(fakes, monkeypatch):
    monkeypatch.setenv("KUBELAB_ENGINE", "auto")
    directory = state.ClusterDirectory(clusters.default_name())
    assert choosing.choose(None, directory).engine == "kind"
    fakes.write("image.code", "1")
    choice = choosing.choose(None, directory)
    assert choice.engine == "embedded"
    assert "kindest/node:v1.37.0 is not here and cannot be pulled: no such manifest" in choice.why
    fakes.docker_answers("{}", "permission denied", code=1)
    assert "you may not use it" in choosing.choose(None, directory).why


def test_a_cluster_keeps_its_engine(fakes, refused):
    state.ClusterDirectory(clusters.default_name()).save(state.Record("kind"))
    refusal = refused("up", "--engine", "embedded")
    assert "runs on the kind engine, not on embedded" in refusal.problem
    assert "kubelab down" in refusal.next_step


def test_a_recycled_process_id_is_never_killed(own_home):
    with subprocess.Popen(["sleep", "600"]) as bystander:
        record = state.Record("embedded", True, {"pid": bystander.pid, "started": "long ago"})
        state.ClusterDirectory(clusters.default_name()).save(record)
        found = clusters.find()
        assert not found.alive()
        found.delete()
        assert bystander.poll() is None
        bystander.kill()


def test_a_damaged_record_is_not_guessed_at(own_home, refused):
    directory = state.ClusterDirectory(clusters.default_name())
    directory.save(state.Record("embedded"))
    record = directory.path / "cluster.json"
    record.write_text('{"engine": "embed')
    assert str(record) in refused("up").problem
    record.unlink()


@pytest.mark.parametrize("name", ["", "Upper", "under_score", "-x", "x" * 41, "../x"])
def test_names_that_no_node_can_bear(own_home, refused, name):
    assert "cannot name a cluster" in refused("kubeconfig", f"--name={name or ' '}").problem


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", "is not YAML"),
        ("kind: Pod\napiVersion: v1\n", "Not a kind Cluster configuration"),
        ("kind: Cluster\napiVersion: kind.x-k8s.io/v2\n", "is 'kind.x-k8s.io/v2'"),
        (HEAD + "nodes: [worker]\n", "`nodes` in"),
        (HEAD + "networking: 6443\n", "`networking` in"),
        (HEAD + "networking: {apiServerPort: https}\n", "`networking.apiServerPort` in"),
        (None, "Cannot read "),
    ],
)
def test_configurations_that_are_none(own_home, refused, tmp_path, text, problem):
    path = tmp_path / "cluster.yaml"
    if text is not None:
        path.write_text(text)
    assert problem in refused("up", "--config", str(path)).problem
    assert clusters.known() == []


def test_a_home_that_cannot_be_written(own_home, refused, monkeypatch, tmp_path):
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("KUBELAB_HOME", str(file / "home"))
    assert "Cannot keep clusters in" in refused("up").problem


def test_an_engine_that_does_not_exist(own_home, refused, monkeypatch):
    monkeypatch.setenv("KUBELAB_ENGINE", "minikube")
    assert "There is no engine 'minikube'" in refused("up").problem


def test_no_nodes(own_home, refused):
    assert "0 nodes" in refused("up", "--nodes", "0").problem


def test_kubeconfig_of_a_cluster_that_is_not_there_names_those_that_are(own_home, refused):
    state.ClusterDirectory("other").save(state.Record("existing", True, {"context": "x"}))
    assert "these exist: other" in refused("kubeconfig").next_step


def test_a_kind_that_cannot_delete_names_what_is_left(fakes, refused, cluster):
    fakes.create_works(cluster.kubeconfig)
    clusters.start(nodes=2)
    (fakes.folder / "kind").write_text("#!/bin/sh\necho 'ERROR: failed to delete' >&2; exit 1\n")
    refusal = refused("down")
    assert "ERROR: failed to delete" in refusal.problem
    assert "docker rm --force --volumes" in refusal.next_step
    assert json.loads((clusters.find().kubeconfig.parent / "cluster.json").read_text())
    fakes.write("nodes", "")
