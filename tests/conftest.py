"""Fixtures for tests that need a cluster, and the promise that nothing is left running after them.

`KUBELAB_ENGINE` chooses the engine (default embedded). Each test process has a cluster and a
`KUBELAB_HOME` of its own, which code under test and child processes find through the environment.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import count

import psutil
import pytest

from kubelab import clusters

pytest_plugins = ["kubelab.grading.plugin"]

NAME_PREFIX = "kubelab-test"
_numbers = count(1)


def pytest_configure(config: pytest.Config) -> None:
    home = tempfile.mkdtemp(prefix=f"{NAME_PREFIX}-")
    config.add_cleanup(lambda: shutil.rmtree(home, ignore_errors=True))
    os.environ["KUBELAB_HOME"] = home
    os.environ["KUBELAB_CLUSTER"] = f"{NAME_PREFIX}-{os.getpid()}"
    os.environ.setdefault("KUBELAB_ENGINE", "embedded")


@pytest.hookimpl(tryfirst=True)  # before `-m` deselects by the markers given here
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    engine = os.environ["KUBELAB_ENGINE"]
    for item in items:
        if "cluster" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.cluster)
        for only in ("kind", "embedded"):
            if item.get_closest_marker(only) and engine != only:
                item.add_marker(pytest.mark.skip(reason=f"needs KUBELAB_ENGINE={only}"))


@pytest.fixture(scope="session")
def cluster() -> Iterator[clusters.Cluster]:
    """The session's cluster: one control plane and two workers."""
    started = clusters.start()  # three nodes
    yield started
    started.delete()


@pytest.fixture
def namespace(cluster: clusters.Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of this test's own; what the test leaves in it is deleted with it."""
    from kubernetes.client import CoreV1Api

    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:40].strip("-")
    name = cluster.fresh_namespace(f"{words}-{next(_numbers)}")
    yield name
    CoreV1Api(cluster.api_client()).delete_namespace(name)


@pytest.hookimpl(trylast=True)  # after the session's fixtures were torn down, also on Ctrl-C
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the session if a test left a process or a container of ours behind."""
    if left := [*_processes_left(), *_containers_left()]:
        print("\nleft behind by the tests: " + ", ".join(left))
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _processes_left() -> list[str]:
    """Name the processes that serve a cluster below this session's KUBELAB_HOME."""
    home = os.environ["KUBELAB_HOME"]
    processes = psutil.process_iter(["pid", "cmdline"])
    return [
        f"process {process.pid}"
        for process in processes
        if any(home in word for word in process.info["cmdline"] or [])
    ]


def _containers_left() -> list[str]:
    """Name the kind nodes of clusters that this session started."""
    if not shutil.which("docker"):
        return []
    label = "io.x-k8s.kind.cluster"
    command = ["docker", "ps", "--all", "--filter", f"label={label}"]
    command += ["--format", f'{{{{.Names}}}} {{{{.Label "{label}"}}}}']
    listed = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    rows = [line.split() for line in listed.stdout.splitlines()]
    return [name for name, cluster in rows if cluster.startswith(os.environ["KUBELAB_CLUSTER"])]
