"""Who did what when: one audit.k8s.io/v1 Event a request, at level Metadata.

See https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/.
"""

import contextlib
import json
import os
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO

from kubesim.apimachinery import rand
from kubesim.apimachinery.objects import micro_timestamp
from kubesim.apiserver.auth.authentication import user_object
from kubesim.apiserver.request import Request, RequestInfo, UserInfo
from kubesim.clock import Clock

Object = dict[str, Any]

MAX_EVENTS = 2000
MAX_BYTES = 8 << 20
PATCH_TYPE = "kubesim.dev/patch-type"


class Audit:
    """Keeps the last events in memory and, given a path, writes them to a file as JSON lines.

    Requests of this process's own components are left out of the file: they would drown what
    people did. A full file is kept once as `<path>.1`, as the real server's log rotation does.
    """

    def __init__(self, clock: Clock, path: Path | None = None) -> None:
        self._clock = clock
        self._path = path
        self._file: TextIO | None = None
        self._entries: deque[_Entry] = deque(maxlen=MAX_EVENTS)

    def record(self, request: Request, user: UserInfo, info: RequestInfo, code: int) -> None:
        """Note one request and the code that it is answered with."""
        clock = self._clock
        entry = _Entry(request, user, info, code, clock.now(), rand.uid(clock.random))
        self._entries.append(entry)
        if self._path and request.user is None:
            with contextlib.suppress(OSError):  # a full disk must not keep requests from answers
                self._write(json.dumps(entry.event, separators=(",", ":")))

    @property
    def events(self) -> list[Object]:
        """The last events, oldest first."""
        return [entry.event for entry in self._entries]

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()
            self._file = None

    def _write(self, line: str) -> None:
        assert self._path
        if self._file is None:
            self._file = os.fdopen(
                os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a"
            )
        self._file.write(line + "\n")
        self._file.flush()
        if self._file.tell() > MAX_BYTES:
            self.close()
            self._path.replace(self._path.with_name(self._path.name + ".1"))


@dataclass(frozen=True)
class _Entry:
    """What was asked; put into an event's words when somebody reads it."""

    request: Request
    user: UserInfo
    info: RequestInfo
    code: int
    moment: datetime
    identity: str

    @cached_property
    def event(self) -> Object:
        moment = micro_timestamp(self.moment)
        content_type = self.request.headers.get("content-type", "")
        event: Object = {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": "Metadata",
            "auditID": self.identity,
            "stage": "ResponseStarted" if self.info.verb == "watch" else "ResponseComplete",
            "requestURI": _uri(self.request),
            "verb": self.info.verb,
            "user": user_object(self.user),
            "sourceIPs": [self.request.remote],
            "userAgent": self.request.headers.get("user-agent", ""),
            "responseStatus": {"metadata": {}, "code": self.code},
            "requestReceivedTimestamp": moment,
            "stageTimestamp": moment,
        }
        if self.info.is_resource:
            event["objectRef"] = _reference(self.info)
        annotations = dict(self.request.annotations)
        if self.info.verb == "patch":
            annotations[PATCH_TYPE] = content_type
        if annotations:
            event["annotations"] = annotations
        return event


def _uri(request: Request) -> str:
    query = "&".join(f"{key}={value}" for key, values in request.query.items() for value in values)
    return f"{request.path}?{query}" if query else request.path


def _reference(info: RequestInfo) -> Object:
    reference = {
        "resource": info.resource,
        "namespace": info.namespace,
        "name": info.name,
        "apiGroup": info.group,
        "apiVersion": info.version,
        "subresource": info.subresource,
    }
    return {key: value for key, value in reference.items() if value}
