"""`kubelab` as a user types it."""

import os
import shlex
import subprocess
import sys

import pytest

from kubelab import cli, clusters, waiting
from kubelab.clusters import state


def kubelab(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kubelab", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_up_finds_the_running_cluster_and_prints_only_what_a_shell_can_evaluate(cluster):
    up = kubelab("up")
    assert up.returncode == 0, up.stderr
    assert shlex.split(up.stdout) == ["export", f"KUBECONFIG={cluster.kubeconfig}"]
    assert f"engine {cluster.engine}" in up.stderr
    assert cluster.version in up.stderr


def test_status_lists_the_cluster_as_running(cluster, capsys):
    assert cli.main(["status"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == ["NAME", "ENGINE", "STATE", "KUBECONFIG"]
    assert [cluster.name, cluster.engine, "running", str(cluster.kubeconfig)] in rows


def test_kubeconfig_prints_the_path_alone(cluster, capsys):
    assert cli.main(["kubeconfig"]) == 0
    assert capsys.readouterr().out == f"{cluster.kubeconfig}\n"


def test_kubectl_is_run_on_the_cluster(cluster, tmp_path, monkeypatch):
    program = tmp_path / "kubectl"
    program.write_text('#!/bin/sh\necho "$KUBECONFIG $*"\nexit 7\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    ran = kubelab("kubectl", "get", "pods", "--all-namespaces")
    assert ran.stdout == f"{cluster.kubeconfig} get pods --all-namespaces\n"
    assert ran.returncode == 7


def test_down_deletes_the_cluster(fakes, cluster, capsys):
    fakes.create_works(cluster.kubeconfig)
    clusters.start(nodes=2)
    assert cli.main(["down"]) == 0
    assert "deleted" in capsys.readouterr().err
    assert fakes.nodes == []
    assert cli.main(["down"]) == 1


def test_down_all_goes_on_after_a_cluster_that_cannot_be_deleted(fakes, capsys):
    for name in ("first", "second"):
        state.ClusterDirectory(name).save(state.Record("existing", True, {"context": name}))
    state.ClusterDirectory("broken").save(state.Record("kind"))
    fakes.docker_answers("{}", "permission denied", code=1)
    assert cli.main(["down", "--all"]) == 1
    assert [cluster.name for cluster in clusters.known()] == ["broken"]
    fakes.docker_answers('{"ServerVersion": "29.1"}')


def test_two_processes_do_not_create_the_same_cluster_at_once(fakes):
    fakes.create_hangs()
    command = [sys.executable, "-m", "kubelab", "up"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as first:
        waiting.until(lambda: fakes.nodes, what="the first to create")
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as second:
            assert second.stderr
            assert "waiting for another process" in second.stderr.readline()
            second.kill()
        first.terminate()
    assert fakes.read("calls").count("kind create") == 1


def test_doctor_names_what_mends_each_lack_and_passes_while_something_can_run(fakes, capsys):
    fakes.docker_answers("{}", "permission denied while trying to connect", code=1)
    assert cli.main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert "usermod -aG docker" in shown
    assert "engine embedded: can run" in shown
    assert "engine kind: cannot run here" in shown


def test_doctor_tells_cgroup_image_memory_disk_ports_and_versions(fakes, capsys):
    fakes.docker_answers('{"ServerVersion": "29.1", "CgroupVersion": "1", "MemTotal": 8589934592}')
    fakes.write("image.code", "1")
    assert cli.main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    told = {line[2:].split("  ")[0]: line for line in lines if line[:1] in "✓!✗"}
    assert "docker 29.1 answers, with 8 GiB" in told["container engine"]
    assert told["cgroup"].startswith("✗") and "v1" in told["cgroup"]
    assert "cannot be pulled: no such manifest" in told["node image"]
    assert "kind v0.33.0" in told["kind"]
    assert "GiB" in told["memory"] and "GiB" in told["free disk"]
    assert told["ports"].startswith("✓")


def test_doctor_notices_a_kind_too_old_for_the_image(fakes, capsys, monkeypatch):
    fakes.write("kind.version", "kind v0.27.0 go1.24 linux/amd64")
    cli.main(["doctor"])
    assert "Install kind v0.33.0." in capsys.readouterr().out
    monkeypatch.setenv("KIND_NODE_IMAGE", "kindest/node:v1.36.4")
    cli.main(["doctor"])
    assert "Install kind" not in capsys.readouterr().out


def test_doctor_fails_when_nothing_can_run(fakes, capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert cli.main(["doctor"]) == 1
    assert "engine embedded: cannot run here" in capsys.readouterr().out


def test_doctor_finds_a_machine_that_lacks_nothing(fakes, capsys):
    assert cli.main(["doctor"]) == 0
    assert "engine kind: can run" in capsys.readouterr().out


def test_a_command_that_does_not_exist_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["fly"])
    assert stopped.value.code == 2
    assert "invalid choice" in capsys.readouterr().err


def test_importing_kubelab_does_not_import_the_official_client():
    program = "import sys, kubelab.cli; print('kubernetes' in sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "False"
