"""A Deployment of three, from its creation until all are ready."""

from typing import Any

LABELS = {"app": "web"}


def roll_out(core: Any, apps: Any, namespace: str) -> None:
    """Create a Deployment of three and wait, by a watch, until the last Pod is ready."""
    from kubernetes import watch

    pod = {"containers": [{"name": "web", "image": "nginx:1.27"}]}
    spec = {
        "replicas": 3,
        "selector": {"matchLabels": LABELS},
        "template": {"metadata": {"labels": LABELS}, "spec": pod},
    }
    apps.create_namespaced_deployment(namespace, {"metadata": {"name": "web"}, "spec": spec})
    watching = watch.Watch()
    for event in watching.stream(apps.list_namespaced_deployment, namespace, timeout_seconds=120):
        if event["object"].status.ready_replicas == 3:
            watching.stop()
