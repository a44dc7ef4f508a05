"""The log lines of Kubernetes' components (k8s.io/klog), for `kubectl logs`.

A component writes them without knowing where it runs: the container that its task was started in
has said where they go. Outside of a container nobody reads them, and nothing is written.
"""

import json
from collections.abc import Callable
from contextvars import ContextVar
from datetime import datetime
from typing import Any

Output = Callable[[str], None]
OUTPUT: ContextVar[Output | None] = ContextVar("klog output", default=None)


def info(now: datetime, source: str, message: str, **values: Any) -> None:
    """Write a line of severity Info; source: the file and line that write it in the real one."""
    _write("I", now, source, message, values)


def warning(now: datetime, source: str, message: str, **values: Any) -> None:
    """Write a line of severity Warning."""
    _write("W", now, source, message, values)


def error(now: datetime, source: str, message: str, **values: Any) -> None:
    """Write a line of severity Error."""
    _write("E", now, source, message, values)


def _write(severity: str, now: datetime, source: str, message: str, values: dict[str, Any]) -> None:
    write = OUTPUT.get()
    if write is None:
        return
    stamp = f"{severity}{now:%m%d %H:%M:%S.%f}"
    pairs = "".join(f" {key}={json.dumps(value)}" for key, value in values.items())
    text = json.dumps(message) + pairs if values else message
    write(f"{stamp}       1 {source}] {text}\n")
