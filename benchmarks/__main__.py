"""Measures the embedded cluster and, if one is at hand, a real one beside it.

`--real CONTEXT` names a context of KUBECONFIG (default: KUBELAB_CONTEXT); namespaces `bench-*` are
made there and deleted again. `--full` adds what takes minutes, `--write` puts the table into
README.md.
"""

import argparse
import contextlib
import os
import tempfile
import uuid
from collections.abc import Iterator
from typing import Any

from benchmarks import calls, grading, idling, rollouts, scaling, starting, watches
from benchmarks.table import Row, show, write
from benchmarks.timing import timed

ROLLOUTS = 7


class Subject:
    """A cluster that is measured, in namespaces of its own."""

    def __init__(self, connect: Any) -> None:
        from kubernetes import client

        self.connect = lambda: client.CoreV1Api(connect())
        self.core = self.connect()
        self.apps = client.AppsV1Api(connect())
        self._namespaces: list[str] = []

    def namespace(self) -> str:
        """Make a namespace and return its name."""
        name = f"bench-{uuid.uuid4().hex[:8]}"
        self._namespaces.append(name)
        self.core.create_namespace({"metadata": {"name": name}})
        return name

    def roll_out(self) -> None:
        """Roll out a Deployment in a namespace that is made beforehand."""
        rollouts.roll_out(self.core, self.apps, self._namespaces[-1])

    def version(self) -> str:
        """The server's version."""
        from kubernetes import client

        return str(client.VersionApi(self.core.api_client).get_code().git_version)

    def clean(self) -> None:
        """Delete the namespaces."""
        for name in self._namespaces:
            self.core.delete_namespace(name)


def measure(embedded: Subject, real: Subject | None, full: bool) -> Iterator[Row]:
    """Measure one promise after the other."""
    yield from starting.measure()
    yield Row(
        "Deployment of 3, created to ready",
        "< 0.15 s",
        _rollouts(embedded),
        _rollouts(real) if real else None,
    )
    both = [each and calls.Requests(each.core, each.namespace()) for each in (embedded, real)]
    assert both[0]
    yield from calls.measure(both[0], both[1])
    heard = [
        each and watches.deliveries(each.core, each.connect, each.namespace())
        for each in (embedded, real)
    ]
    assert heard[0]
    yield watches.measure(heard[0], heard[1])
    yield from scaling.measure(full)
    yield idling.measure()
    yield from grading.measure()


def _rollouts(subject: Subject) -> list[float]:
    durations = []
    for _ in range(ROLLOUTS):
        subject.namespace()
        durations += timed(subject.roll_out, 1)
    return durations


@contextlib.contextmanager
def subjects(context: str | None) -> Iterator[tuple[Subject, Subject | None]]:
    """Start an embedded cluster, and connect to the real one."""
    from kubernetes import config

    from kubelab import clusters

    real = Subject(lambda: config.new_client_from_config(context=context)) if context else None
    cluster = clusters.start("embedded")  # the one that grading uses too
    try:
        embedded = Subject(cluster.api_client)
        yield embedded, real
    finally:
        if real:
            real.clean()
        cluster.delete()


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--real", metavar="CONTEXT", default=os.environ.get("KUBELAB_CONTEXT"))
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"KUBELAB_HOME": home, "KUBELAB_ENGINE": "embedded"}
        with subjects(options.real) as (embedded, real):
            version = real and real.version()
            for row in measure(embedded, real, options.full):
                show(row)
                rows.append(row)
    if options.write:
        write(rows, f"real: {version}" if version else "no real cluster at hand")


if __name__ == "__main__":
    main()
