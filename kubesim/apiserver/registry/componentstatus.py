"""ComponentStatus: asked for anew at each request, and deprecated since 1.19.

As pkg/registry/core/componentstatus: the API server looks at each component's health endpoint.
"""

from collections.abc import Callable
from typing import Any

Object = dict[str, Any]
COMPONENTS = {
    "scheduler": ("kube-scheduler", 10259),
    "controller-manager": ("kube-controller-manager", 10257),
    "etcd-0": ("etcd", 2379),
}


def statuses(is_running: Callable[[str], bool]) -> list[Object]:
    """Return the status of each component; `is_running` is asked about each by its program."""
    return [
        _status(name, is_running(program), port) for name, (program, port) in COMPONENTS.items()
    ]


def _status(name: str, running: bool, port: int) -> Object:
    url, address = f"https://127.0.0.1:{port}/healthz", f"127.0.0.1:{port}"
    message = "ok" if running else f'Get "{url}": dial tcp {address}: connect: connection refused'
    return {
        "kind": "ComponentStatus",
        "apiVersion": "v1",
        "metadata": {"name": name, "creationTimestamp": None},
        "conditions": [{"type": "Healthy", "status": str(running), "message": message}],
    }
