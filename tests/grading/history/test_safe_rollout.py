"""Grades history/safe-rollout: three updates, and how many Pods are available all the while."""

import secrets
from collections.abc import Callable
from typing import Any

import pytest
from kubernetes import watch

from kubelab import describe
from kubelab.grading import Exercise

exercise = Exercise(
    title="A safe rollout",
    answer="yaml",
    hints=[
        "spec.strategy.rollingUpdate has two numbers: how many Pods there may be too many "
        "(maxSurge), and how many too few (maxUnavailable). The default of both is 25%.",
        "With maxUnavailable 0 no old Pod goes before a new one is available.",
        "A container without a readinessProbe counts as ready as soon as it runs. Ask nginx for "
        "a page: httpGet with path / and port 80.",
    ],
)
SHOP = "app=shop"
WANTED = 4
NO_IMAGE = {"ErrImagePull", "ImagePullBackOff"}


class Shop:
    """The learner's Deployment under observation."""

    def __init__(self, core: Any, apps: Any, namespace: str, template: Any) -> None:
        self.core, self.apps, self.namespace = core, apps, namespace
        self.template = template
        self.container = template.spec.containers[0].name

    def update(self, **change: Any) -> None:
        """Change the fields of the container, as a new release does."""
        container = {"name": self.container, **change}
        patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
        self.apps.patch_namespaced_deployment("shop", self.namespace, patch)

    def restore(self) -> None:
        """Put back the Pod template that the learner wrote."""
        template = self.apps.api_client.sanitize_for_serialization(self.template)
        patch = [{"op": "replace", "path": "/spec/template", "value": template}]
        self.apps.patch_namespaced_deployment("shop", self.namespace, patch)

    def pods(self) -> list[Any]:
        return describe.living_pods(self.core, self.namespace, SHOP)

    def new_pods(self) -> list[Any]:
        """Return the Pods of the latest template, which differ from the learner's own."""
        return [pod for pod in self.pods() if self._is_changed(pod.spec.containers[0])]

    def _is_changed(self, container: Any) -> bool:
        own = self.template.spec.containers[0]
        return (container.image, container.command) != (own.image, own.command)

    def lowest_since(self, start: Any) -> int:
        """Return the smallest number of available Pods since the list of Pods `start`.

        The API server replays what has happened since; a mark on a Pod tells where it ends.
        """
        pods = {pod.metadata.name: pod for pod in start.items}
        lowest = available(pods)
        marked = self._mark()
        changes = watch.Watch().stream(
            self.core.list_namespaced_pod,
            self.namespace,
            label_selector=SHOP,
            resource_version=start.metadata.resource_version,
            timeout_seconds=30,
        )
        for change in changes:
            pod = change["object"]
            pods[pod.metadata.name] = pod
            if change["type"] == "DELETED":
                del pods[pod.metadata.name]
            lowest = min(lowest, available(pods))
            if pod.metadata.resource_version == marked:
                break
        return lowest

    def _mark(self) -> str:
        name = self.pods()[0].metadata.name
        mark = {"metadata": {"annotations": {"graders-mark": secrets.token_hex(4)}}}
        marked = self.core.patch_namespaced_pod(name, self.namespace, mark)
        version: str = marked.metadata.resource_version
        return version


def available(pods: dict[str, Any]) -> int:
    """Count the Pods that are ready and not on their way out."""
    living = (pod for pod in pods.values() if not pod.metadata.deletion_timestamp)
    return sum(map(describe.is_ready, living))


@pytest.fixture(scope="module")
def original(submission: Any, check: Any) -> Any:
    """The learner's Deployment, once all its Pods are available."""
    check.exists("deployment", "shop")
    deployment = check.rolled_out(
        "shop", look="`kubectl describe pod`: what does the readiness probe find?"
    )
    check.equal(
        deployment.spec.replicas, WANTED, what="spec.replicas", look="the exercise asks for four"
    )
    return deployment


@pytest.fixture
def shop(original: Any, core: Any, apps: Any, namespace: str, check: Any) -> Any:
    """The learner's Deployment, put right again after the test."""
    under_test = Shop(core, apps, namespace, original.spec.template)
    yield under_test
    under_test.restore()
    check.rolled_out("shop", within=60)


def lowest_during(shop: Shop, update: Callable[[], None]) -> int:
    """Return the smallest number of available Pods while `update` goes on."""
    start = shop.core.list_namespaced_pod(shop.namespace, label_selector=SHOP)
    update()
    return shop.lowest_since(start)


def check_four(check: Any, lowest: int, look: str) -> None:
    check.that(
        lowest >= WANTED,
        observed=f"at one moment of the update {lowest} Pods were available",
        expected=f"{WANTED} or more, from the first moment to the last",
        look=look,
    )


def test_good_update(check: Any, shop: Shop) -> None:
    """A good update finishes, and four Pods are available all the while"""

    def to_next_version() -> None:
        shop.update(image="nginx:1.27")
        check.rolled_out("shop", within=60)

    lowest = lowest_during(shop, to_next_version)
    check_four(check, lowest, "spec.strategy: how many Pods may be missing during an update?")


def test_image_that_cannot_be_pulled(check: Any, shop: Shop) -> None:
    """An image that cannot be pulled leaves four Pods available"""

    def to_missing_image() -> None:
        shop.update(image="nginx:no-such-version")
        check.eventually(
            lambda: any(map(cannot_pull, shop.new_pods())),
            expected="a new Pod that waits for its image",
            look="`kubectl get pods` after a change of the image",
        )

    lowest = lowest_during(shop, to_missing_image)
    check_four(check, lowest, "spec.strategy: does an old Pod go before a new one is available?")


def cannot_pull(pod: Any) -> bool:
    states = [status.state.waiting for status in pod.status.container_statuses or []]
    return any(waiting and waiting.reason in NO_IMAGE for waiting in states)


def test_release_that_does_not_answer(check: Any, shop: Shop) -> None:
    """A release that runs but does not answer leaves four Pods available"""

    def to_mute_release() -> None:
        shop.update(image="nginx:1.27", command=["sleep", "3600"])
        check.eventually(
            lambda: any(is_found_out(shop, pod) for pod in shop.new_pods()),
            expected="the probe of a new Pod to fail, since nothing listens on port 80",
            look="readinessProbe: what does it ask, and on which port?",
            observed=lambda: describe.pods(shop.core, shop.namespace, SHOP),
        )
        check.that(
            not any(map(describe.is_ready, shop.new_pods())),
            observed="a Pod of a release that does not answer on port 80 counts as ready",
            expected="Pods that count as ready only when they answer on port 80",
            look="readinessProbe: without one, a container that runs is taken to be ready",
        )

    lowest = lowest_during(shop, to_mute_release)
    check_four(check, lowest, "readinessProbe: how can the cluster tell running from serving?")


def is_found_out(shop: Shop, pod: Any) -> bool:
    """Tell whether it is decided what the cluster thinks of a Pod: ready, or failing its probe."""
    if describe.is_ready(pod):
        return True
    about = f"involvedObject.name={pod.metadata.name},reason=Unhealthy"
    return bool(shop.core.list_namespaced_event(shop.namespace, field_selector=about).items)
