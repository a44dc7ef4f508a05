"""Grades pod/two-questions: a readiness and a liveness probe, each with its own consequence."""

from typing import Any

import pytest

from kubelab import describe
from kubelab.grading import Exercise

exercise = Exercise(
    title="Two questions",
    answer="yaml",
    hints=[
        "Who must not be restarted although its page is missing? That container's probe is a "
        "readinessProbe: httpGet asks for a path on a port.",
        "Whether a file exists can be asked with exec: command [test, -e, /tmp/working]. It is "
        "run inside the container that has the probe.",
        "periodSeconds: 1 and failureThreshold: 1 make a probe quick to decide. A container "
        "needs a moment to start: initialDelaySeconds gives the liveness probe patience.",
    ],
)
pytestmark = pytest.mark.usefixtures("submission")
PAGE, SIGN = "/site/index.html", "/tmp/working"
QUICK = 15


class Shop:
    """The learner's Pod: what it says of itself, and what the grader does to it."""

    def __init__(self, check: Any, core: Any, namespace: str) -> None:
        self._check, self._core, self._namespace = check, core, namespace

    def _pod(self) -> Any:
        return self._core.read_namespaced_pod("shop", self._namespace)

    def is_ready(self) -> bool:
        return describe.is_ready(self._pod())

    def restarts(self) -> dict[str, int]:
        """Return how often each container was restarted."""
        return {
            status.name: status.restart_count for status in self._pod().status.container_statuses
        }

    def describe(self) -> str:
        return describe.pod(self._core, self._pod())

    def run(self, command: str) -> None:
        """Run a shell command in the writer."""
        self._check.exec("shop", "writer", ["sh", "-c", command])


@pytest.fixture(scope="module")
def shop(submission: Any, check: Any, core: Any, namespace: str) -> Shop:
    """The learner's Pod, once it is ready."""
    check.ready("shop", within=QUICK, look="do the probes ask the right container?")
    return Shop(check, core, namespace)


@pytest.fixture(scope="module")
def calm(shop: Shop, cluster: Any) -> dict[str, int]:
    """The restarts after a while in which nothing was done to the Pod."""
    before = shop.restarts()
    pass_time(cluster)
    return {name: count - before[name] for name, count in shop.restarts().items()}


def pass_time(cluster: Any) -> None:
    """Let probes be asked a few times (without waiting, where the clock can be moved)."""
    cluster.wait(5)


def test_nothing_happens_without_cause(check: Any, calm: dict[str, int]) -> None:
    """As long as nothing is wrong, nothing is restarted"""
    check.that(
        not any(calm.values()),
        observed=f"restarts although page and file are there: {told(calm)}",
        expected="no restart",
        look="`kubectl describe pod shop`: which probe fails, and why?",
    )


def told(restarts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count} times" for name, count in sorted(restarts.items()) if count)


@pytest.mark.usefixtures("calm")
def test_page_decides_on_readiness(check: Any, shop: Shop, cluster: Any) -> None:
    """Without the page the Pod is not Ready, and nothing is restarted"""
    before = shop.restarts()
    shop.run(f"rm {PAGE}")
    pass_time(cluster)
    try:
        check.eventually(
            lambda: not shop.is_ready() or shop.restarts() != before,
            within=QUICK,
            expected="a Pod that is not Ready",
            look="a server can listen on its port and have nothing to serve: what does the "
            "readiness probe ask for?",
            observed=lambda: f"the page is gone: {shop.describe()}",
        )
        restarted = {name: n - before[name] for name, n in shop.restarts().items()}
        check.that(
            not any(restarted.values()),
            observed=f"the page is gone, and restarted was: {told(restarted)}",
            expected="no restart: a restart does not bring the page back",
            look="which sort of probe restarts a container?",
        )
    finally:
        shop.run(f"echo open > {PAGE}")


@pytest.mark.usefixtures("calm")
def test_page_brings_readiness_back(check: Any, shop: Shop, cluster: Any) -> None:
    """With the page the Pod is Ready again"""
    shop.run(f"echo open > {PAGE}")
    pass_time(cluster)
    check.ready("shop", within=QUICK)


@pytest.mark.usefixtures("calm")
def test_sign_of_work_decides_on_life(check: Any, shop: Shop, cluster: Any) -> None:
    """Without /tmp/working the writer is restarted, and only the writer"""
    before = shop.restarts()
    shop.run(f"rm {SIGN}")
    pass_time(cluster)
    check.eventually(
        lambda: shop.restarts()["writer"] > before["writer"],
        within=QUICK,
        expected="that the writer is restarted",
        look="which sort of probe restarts a container, and does it look into the writer's files?",
        observed=lambda: f"{SIGN} is gone: {shop.describe()}",
    )
    check.ready("shop", within=QUICK)
    after = {name: count - before[name] for name, count in shop.restarts().items()}
    check.equal(
        after,
        {"writer": 1, "server": 0},
        what="the number of restarts",
        look="which container does each probe belong to?",
    )
