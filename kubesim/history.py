"""What has happened in a cluster, as JSON lines: every revision, Events among them, and the audit.

A line is one object; keys are sorted, so that equal histories are equal bytes.

    {"type": "revision", "revision": 7, "change": "PUT", "key": "/registry/pods/default/web",
     "object": {…}}                                           "DELETE" has no object
    {"type": "audit", "event": {…}}                           an audit.k8s.io/v1 Event

Revisions come first, oldest first, as far back as the store still knows them: what is compacted
away is gone. Audit events follow in the order of the answers, as many as are kept. Kubernetes'
Events are objects as all others: their keys begin with /registry/events/.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from kubesim.etcd.record import Record
from kubesim.etcd.store import Etcd


def lines(store: Etcd, audit: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of a history, without their ends."""
    for event in store.since("", store.compacted):
        yield _line(_revision(event.record))
    for each in audit:
        yield _line({"type": "audit", "event": each})


def _revision(record: Record) -> dict[str, Any]:
    line: dict[str, Any] = {"type": "revision", "revision": record.revision, "key": record.key}
    if record.value is None:
        return line | {"change": "DELETE"}
    return line | {"change": "PUT", "object": json.loads(record.value)}


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
