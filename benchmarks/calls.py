"""Single requests through the official client, answers read but not decoded."""

import itertools
from collections.abc import Iterator
from typing import Any

from benchmarks.table import Row
from benchmarks.timing import timed

CALLS = 300
LISTED = 500
LISTS = 20


class Requests:
    """One cluster's requests, each measured when it is asked for."""

    def __init__(self, core: Any, namespace: str) -> None:
        self._core = core
        self._namespace = namespace
        self._fresh = (f"c{number}" for number in itertools.count())
        self._doomed = (f"c{number}" for number in itertools.count(LISTED))

    def create(self) -> None:
        """Create a ConfigMap."""
        body = {"metadata": {"name": next(self._fresh)}, "data": {"key": "value"}}
        self._read(self._core.create_namespaced_config_map, self._namespace, body)

    def get(self) -> None:
        """Get one."""
        self._read(self._core.read_namespaced_config_map, "c0", self._namespace)

    def patch(self) -> None:
        """Patch it; every other time to another value."""
        body = {"data": {"key": next(self._values)}}
        self._read(self._core.patch_namespaced_config_map, "c0", self._namespace, body)

    def delete(self) -> None:
        """Delete one."""
        self._read(self._core.delete_namespaced_config_map, next(self._doomed), self._namespace)

    def list_all(self) -> None:
        """List all that are left."""
        self._read(self._core.list_namespaced_config_map, self._namespace)

    _values: Iterator[str] = map(str, itertools.count())

    @staticmethod
    def _read(call: Any, *arguments: Any) -> None:
        # an answer that is not read to its end keeps its connection from being used again
        call(*arguments, _preload_content=False).read()


def measure(embedded: Requests, real: Requests | None) -> Iterator[Row]:
    """Ask both clusters in turn, so that what else the machine does disturbs both alike."""
    for name, runs, goal in (
        ("create", LISTED + CALLS, "≤ 0.33"),
        ("get", CALLS, "≤ 0.33"),
        ("patch", CALLS, "≤ 0.33"),
        ("delete", CALLS, "≤ 0.33"),
        ("list_all", LISTS, "≤ 0.15"),
    ):
        what = f"list of {LISTED}, raw" if name == "list_all" else f"{name} a ConfigMap"
        times: dict[Any, list[float]] = {each: [] for each in (embedded, real) if each}
        for each in itertools.chain.from_iterable(itertools.repeat((*times,), runs)):
            times[each] += timed(getattr(each, name), 1)
        yield Row(what, goal, times[embedded], times.get(real), "ms")
