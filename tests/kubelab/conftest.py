"""A home of its own for a test that makes clusters, and container tools that misbehave."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes import client

from kubelab import clusters

# `docker` and `kind` that keep their containers in a file, one "name id state" a line.
DOCKER = """\
#!/bin/sh
cd {folder}
echo "docker $*" >> calls
case "$1 $2" in
  "info --format") cat info; cat info.stderr >&2; exit $(cat info.code) ;;
  "image inspect") exit $(cat image.code) ;;
  "manifest inspect") echo "no such manifest: $3" >&2; exit 1 ;;
  "ps --all") cat nodes || exit 1 ;;
  "start "*) sed -i "s/^$2 \\(.*\\) .*/$2 \\1 running/" nodes ;;
  "stop "*) sed -i "s/^$2 \\(.*\\) .*/$2 \\1 exited/" nodes ;;
  *) echo "not faked: docker $*" >&2; exit 99 ;;
esac
"""
DOCKER_INFO = '{"ServerVersion": "29.1", "CgroupVersion": "2", "MemTotal": 8589934592}'
KIND = """\
#!/bin/sh
cd {folder}
echo "kind $* by $KIND_EXPERIMENTAL_PROVIDER" >> calls
for word in "$@"; do case $word in --kubeconfig=*) kubeconfig=${{word#--kubeconfig=}} ;; esac; done
case "$1 $2" in
  "version ") cat kind.version ;;
  "get clusters") sed -n 's/-control-plane .*//p' nodes ;;
  "create cluster") . ./create ;;
  "export kubeconfig") cp good.kubeconfig "$kubeconfig" ;;
  "delete cluster") : > nodes ;;
  *) echo "not faked: kind $*" >&2; exit 99 ;;
esac
"""
MAKE_NODES = 'printf "%s-control-plane $$ running\\n%s-worker $$w running\\n" {0} {0} > nodes\n'


class Fakes:
    """Programs called docker and kind on PATH, and what they are to do."""

    def __init__(self, folder: Path, cluster: str) -> None:
        self.folder = folder
        self._cluster = cluster
        self._program("docker", DOCKER)
        self._program("kind", KIND)
        self.docker_answers(DOCKER_INFO)
        self.write("image.code", "0")
        self.write("kind.version", "kind v0.33.0 go1.26 linux/amd64")
        self.write("nodes", "")
        self.write("calls", "")

    def _program(self, name: str, script: str) -> None:
        path = self.folder / name
        path.write_text(script.format(folder=self.folder))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()

    def docker_answers(self, stdout: str, stderr: str = "", code: int = 0) -> None:
        self.write("info", stdout)
        self.write("info.stderr", stderr)
        self.write("info.code", str(code))

    def create_fails(self, stderr: str) -> None:
        """Let `kind create` make the containers and fail then, as on a kubeadm error."""
        self.write("create.log", stderr)
        self.write("create", MAKE_NODES.format(self._cluster) + "cat create.log >&2; exit 1\n")

    def create_hangs(self) -> None:
        self.write("create", MAKE_NODES.format(self._cluster) + "exec sleep 600\n")

    def create_works(self, kubeconfig: Path) -> None:
        """Let `kind create` succeed; the API server behind it is that of `kubeconfig`."""
        self.write("good.kubeconfig", kubeconfig.read_text())
        copy = 'cp good.kubeconfig "$kubeconfig"\n'
        self.write("create", MAKE_NODES.format(self._cluster) + copy)

    @property
    def nodes(self) -> list[str]:
        return [line.split()[0] for line in self.read("nodes").splitlines()]


@pytest.fixture
def core(cluster):
    return client.CoreV1Api(cluster.api_client())


@pytest.fixture
def apps(cluster):
    return client.AppsV1Api(cluster.api_client())


@pytest.fixture
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A KUBELAB_HOME without clusters, below the session's; what is left in it is deleted."""
    home = Path(os.environ["KUBELAB_HOME"]) / "homes" / tmp_path.name
    monkeypatch.setenv("KUBELAB_HOME", str(home))
    monkeypatch.setenv("KUBELAB_CLUSTER", f"{os.environ['KUBELAB_CLUSTER']}-own")
    monkeypatch.setenv("KUBELAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBELAB_CONTEXT", raising=False)
    yield home
    for cluster in clusters.known():
        cluster.delete()


@pytest.fixture
def fakes(own_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Fakes:
    """Docker and kind that work, until the test says otherwise; KUBELAB_ENGINE is kind."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("KUBELAB_ENGINE", "kind")
    for name in ("KIND_NODE_IMAGE", "KIND_EXPERIMENTAL_PROVIDER", "KIND_DOWNLOAD_URL"):
        monkeypatch.delenv(name, raising=False)
    return Fakes(folder, clusters.default_name())
