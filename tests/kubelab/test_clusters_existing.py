"""The existing engine attaches to what a kubeconfig context names, and owns none of it."""

import base64
import stat

import pytest
import yaml

from kubelab import cli, clusters
from kubelab.clusters import CapabilityMissing, ClusterError
from kubelab.clusters.existing import flatten


@pytest.fixture
def users(own_home, monkeypatch, tmp_path):
    """A user's kubeconfig of two contexts, one of them the session's cluster."""
    monkeypatch.setenv("KUBELAB_ENGINE", "existing")
    path = tmp_path / "users.kubeconfig"
    monkeypatch.setenv("KUBECONFIG", str(path))

    def write(real: dict | None = None) -> None:
        merged = {
            "clusters": [{"name": "gone", "cluster": {"server": "https://127.0.0.1:1"}}],
            "users": [{"name": "me", "user": {"token": "t"}}],
            "contexts": [{"name": "gone", "context": {"cluster": "gone", "user": "me"}}],
        }
        for section, entries in (real or {}).items():
            if isinstance(entries, list):
                merged[section] += entries
        path.write_text(yaml.safe_dump(merged))

    write()
    return write


def test_the_named_context_is_attached_and_nothing_else_copied(users, cluster, monkeypatch):
    real = yaml.safe_load(cluster.kubeconfig.read_text())
    users(real)
    monkeypatch.setenv("KUBELAB_CONTEXT", real["current-context"])
    attached = clusters.start()
    assert attached.engine == "existing"
    assert attached.nodes() == cluster.nodes()
    assert "gone" not in attached.kubeconfig.read_text()
    assert stat.S_IMODE(attached.kubeconfig.stat().st_mode) == 0o600
    monkeypatch.delenv("KUBELAB_CONTEXT")
    assert clusters.start().answers(), "the context is remembered"
    attached.delete()
    assert cluster.answers()
    assert clusters.known() == []


def test_it_can_do_nothing_to_machines_that_are_not_ours(users, cluster, monkeypatch):
    real = yaml.safe_load(cluster.kubeconfig.read_text())
    users(real)
    attached = clusters.start(context=real["current-context"])
    assert not any(attached.can(capability) for capability in clusters.CAPABILITIES)
    with pytest.raises(CapabilityMissing, match="cannot stop-node: kubelab did not make"):
        attached.stop_node(attached.nodes()[0])
    with pytest.raises(CapabilityMissing, match="cannot create-cluster"):
        clusters.create("new", {"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4"})


def test_without_a_context_it_names_those_there_are(users, capsys):
    assert cli.main(["up"]) == 1
    shown = capsys.readouterr().err
    assert "no context was named" in shown
    assert "Set KUBELAB_CONTEXT to one of: gone" in shown


def test_a_context_that_does_not_exist_is_named(users):
    with pytest.raises(ClusterError, match="no context 'nope'"):
        clusters.start(context="nope")


def test_a_cluster_that_does_not_answer_is_not_remembered(users):
    with pytest.raises(ClusterError, match=r"does not answer at https://127\.0\.0\.1:1"):
        clusters.start(context="gone")
    assert clusters.known() == []


def test_it_creates_nothing(users):
    with pytest.raises(ClusterError, match="does not create clusters"):
        clusters.start(context="gone", nodes=3)


def test_flatten_takes_files_in_and_lets_the_first_entry_win(tmp_path):
    for number, folder in enumerate(("one", "two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "ca.crt").write_text(f"certificate {number}")
        config = {
            "clusters": [{"name": "c", "cluster": {"certificate-authority": "ca.crt"}}],
            "users": [{"name": "u", "user": {"token": folder}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        }
        (tmp_path / folder / "config").write_text(yaml.safe_dump(config))
    flat = flatten([tmp_path / "one" / "config", tmp_path / "two" / "config"], "x")
    authority = flat["clusters"][0]["cluster"]["certificate-authority-data"]
    assert base64.b64decode(authority) == b"certificate 0"
    assert flat["users"] == [{"name": "u", "user": {"token": "one"}}]
    assert flat["current-context"] == "x"


def test_a_file_that_the_kubeconfig_refers_to_and_that_is_gone_is_named(tmp_path):
    path = tmp_path / "config"
    config = {
        "clusters": [{"name": "c", "cluster": {"certificate-authority": "gone.crt"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
    }
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(ClusterError, match=r"refers to .*gone\.crt, which cannot be read"):
        flatten([path], "x")


def test_a_kubeconfig_that_is_not_yaml_is_named(tmp_path):
    path = tmp_path / "config"
    path.write_text("contexts: [")
    with pytest.raises(ClusterError, match="config is not YAML"):
        flatten([path], "x")


def test_a_context_that_refers_to_nothing_says_so(tmp_path):
    path = tmp_path / "config"
    path.write_text(
        yaml.safe_dump({"contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}]})
    )
    with pytest.raises(ClusterError, match="refers to 'c', which is not among its clusters"):
        flatten([path], "x")
