"""What a kubelet's own web server shows beside containers: health, Pods and figures."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from kubesim.apimachinery.objects import Object
from kubesim.kubelet.node import DEFAULT_VERSION
from kubesim.kubelet.pod_worker import PodWorker


@dataclass(frozen=True)
class Page:
    """An answer with status 200."""

    content_type: str
    body: bytes


def page(path: str, workers: Iterable[PodWorker], summary: Callable[[], Object]) -> Page | None:
    """Return the page at a path, None if there is none."""
    match path.rstrip("/"):
        case "/healthz":
            return Page("text/plain; charset=utf-8", b"ok")
        case "/pods" | "/runningpods":
            pods = [worker.pod for worker in workers]
            return _json({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": pods})
        case "/stats/summary":
            return _json(summary())
        case "/metrics":
            body = "".join(line + "\n" for line in _metrics([*workers], summary()))
            return Page("text/plain; version=0.0.4; charset=utf-8", body.encode())
    return None


def _json(value: Object) -> Page:
    return Page("application/json", json.dumps(value, separators=(",", ":")).encode())


def _metrics(workers: list[PodWorker], summary: Object) -> Iterator[str]:
    """Yield figures in Prometheus' text format, under the real kubelet's names."""
    runners = [each for worker in workers for each in worker.runners]
    running = [each for each in runners if each.running]
    figures = (
        ("kubelet_running_pods", "gauge", "", sum(each.running for each in workers)),
        (
            "kubelet_running_containers",
            "gauge",
            '{container_state="running"}',
            len(running),
        ),
        (
            "process_resident_memory_bytes",
            "gauge",
            "",
            summary["node"]["memory"]["rssBytes"],
        ),
        ("kubernetes_build_info", "gauge", f'{{git_version="{DEFAULT_VERSION}"}}', 1),
    )
    for name, kind, labels, value in figures:
        yield f"# TYPE {name} {kind}"
        yield f"{name}{labels} {value}"
