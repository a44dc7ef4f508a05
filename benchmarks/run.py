"""Times what the course promises: the embedded cluster's start, its API, a rollout, a grading.

Prints the minimum, median and maximum of several runs. Timings belong here and not into tests,
since they depend on the machine and on what else it is doing.
"""

import os
import signal
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RUNS = 5
CALLS = 200


def report(name: str, seconds: list[float], unit: str = "s") -> None:
    """Prints one row: minimum, median and maximum of the measured seconds, in s or ms."""
    scale = 1000 if unit == "ms" else 1
    low, middle, high = (f(seconds) * scale for f in (min, statistics.median, max))
    print(f"{name:<48}{low:9.2f}{middle:9.2f}{high:9.2f} {unit}", flush=True)


def timed(action: Callable[[], Any], runs: int) -> list[float]:
    """Runs the action so many times and returns each run's seconds."""
    durations = []
    for _ in range(runs):
        begin = time.perf_counter()
        action()
        durations.append(time.perf_counter() - begin)
    return durations


def first_answer() -> None:
    """Starts kubesim on an empty directory, waits for its first answer and stops it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "kubesim", "serve", "--data", folder, "--port", "0"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        address = process.stdout.readline().split()[3].rstrip(",")
        context = ssl._create_unverified_context()
        urllib.request.urlopen(f"{address}/version", context=context).read()
        process.send_signal(signal.SIGKILL)
        process.wait()


def api_calls(core: Any, namespace: str) -> None:
    """Times single requests through the official client, answers read but not decoded."""
    config = {"metadata": {"name": "x", "namespace": namespace}, "data": {"key": "value"}}
    change = {"data": {"key": "other"}}
    fresh = (config | {"metadata": {"name": f"c{number}"}} for number in range(500))
    doomed = (f"c{number}" for number in range(500))

    def bench(name: str, runs: int, call: Callable[[], Any]) -> None:
        # an answer that is not read to its end keeps its connection from being used again
        report(name, timed(lambda: call().read(), runs), "ms")

    raw = {"_preload_content": False}
    create = partial(core.create_namespaced_config_map, namespace, **raw)
    bench("create a ConfigMap", 500, lambda: create(next(fresh)))
    bench("get it", CALLS, partial(core.read_namespaced_config_map, "c0", namespace, **raw))
    bench("list 500", 20, partial(core.list_namespaced_config_map, namespace, **raw))
    patch = core.patch_namespaced_config_map
    bench("patch it", CALLS, partial(patch, "c0", namespace, change, **raw))
    delete = core.delete_namespaced_config_map
    bench("delete it", CALLS, lambda: delete(next(doomed), namespace, **raw))


def rollout(core: Any, apps: Any, cluster: Any) -> None:
    """Creates a Deployment of three and waits until its Pods are ready."""
    from kubelab import waiting

    namespace = cluster.fresh_namespace("bench-rollout")
    labels = {"app": "web"}
    pod = {"containers": [{"name": "web", "image": "nginx:1.27"}]}
    spec = {
        "replicas": 3,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    apps.create_namespaced_deployment(namespace, {"metadata": {"name": "web"}, "spec": spec})
    waiting.pods_ready(core, namespace, "app=web", 3)


def grading() -> None:
    """Grades one reference answer several times, as a notebook does: the first time is cold."""
    from kubelab.course import Course
    from kubelab.grading.runner import Runner

    def grade() -> None:
        verdict = runner.grade("pod/shared-volume", ROOT / "solutions")
        assert verdict.state == "passed", verdict

    with Runner(Course(ROOT)) as runner:
        report("grade an answer, first time", timed(grade, 1))
        report("grade it again", timed(grade, RUNS))


def main() -> None:
    """Runs every benchmark on an embedded cluster of its own."""
    print(f"{'':<48}{'min':>9}{'median':>9}{'max':>9}")
    report("kubesim: process start to first answer", timed(first_answer, RUNS))
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"KUBELAB_HOME": home, "KUBELAB_ENGINE": "embedded"}
        from kubernetes import client

        from kubelab import clusters

        cluster = clusters.start()
        try:
            core = client.CoreV1Api(cluster.api_client())
            apps = client.AppsV1Api(cluster.api_client())
            api_calls(core, cluster.fresh_namespace("bench"))
            report("Deployment of 3, ready", timed(lambda: rollout(core, apps, cluster), RUNS))
            grading()
        finally:
            cluster.delete()


if __name__ == "__main__":
    main()
