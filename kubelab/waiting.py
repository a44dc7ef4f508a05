"""Waiting for a cluster to reach a state: by looking again, never by sleeping and hoping.

Each function returns what it waited for, and says on time-out what the cluster looked like last.
`core` and `apps` are the official client's `CoreV1Api` and `AppsV1Api`; times are in seconds.
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from kubelab import describe

T = TypeVar("T")

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 0.5


class WaitTimeout(TimeoutError):  # noqa: N818 - named as TimeoutError is
    """The awaited state did not come in time; the message says what was there instead."""


def until(
    check: Callable[[], T],
    *,
    timeout: float = 60,
    what: str = "the condition",
    last_seen: Callable[[], str] | None = None,
) -> T:
    """Call `check` until it returns something true, and return that.

    An API answer 404 counts as "not yet"; every other error of `check` goes to the caller.
    The WaitTimeout says `what` was awaited, and `last_seen()` or else the last result of `check`.
    """
    deadline = time.monotonic() + timeout
    pause = FIRST_PAUSE
    while True:
        observed, missing = _look(check)
        if observed:
            return observed
        if time.monotonic() >= deadline:
            break
        time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
        pause = min(pause * 1.5, LONGEST_PAUSE)
    if last_seen and not missing:
        missing = last_seen()
    raise WaitTimeout(f"waited {timeout:g} s for {what}.\nLast seen: {missing or repr(observed)}")


def _look(check: Callable[[], T]) -> tuple[T | None, str]:
    """Return the check's result, or None and a sentence when the object does not exist."""
    try:
        return check(), ""
    except Exception as error:
        if not is_missing(error):
            raise
        return None, "it does not exist (404)"


def is_missing(error: Exception) -> bool:
    """Tell whether `error` is the official client's ApiException for 404, without importing it."""
    return getattr(error, "status", None) == 404


def pod_ready(core: Any, name: str, namespace: str, timeout: float = 60) -> Any:
    """Wait until the Pod's condition Ready is True; return the V1Pod."""
    return _pod(core, name, namespace, describe.is_ready, f"Pod {name} to be ready", timeout)


def pod_phase(core: Any, name: str, namespace: str, *phases: str, timeout: float = 60) -> Any:
    """Wait until the Pod's phase is one of `phases`, e.g. "Succeeded"; return the V1Pod."""
    what = f"Pod {name} to be {' or '.join(phases)}"
    return _pod(core, name, namespace, lambda pod: pod.status.phase in phases, what, timeout)


def _pod(
    core: Any,
    name: str,
    namespace: str,
    accept: Callable[[Any], bool],
    what: str,
    timeout: float,
) -> Any:
    def accepted() -> Any:
        pod = core.read_namespaced_pod(name, namespace)
        return pod if accept(pod) else None

    return until(
        accepted,
        timeout=timeout,
        what=what,
        last_seen=lambda: describe.pod(core, core.read_namespaced_pod(name, namespace)),
    )


def pods_ready(
    core: Any, namespace: str, selector: str, count: int, timeout: float = 60
) -> list[Any]:
    """Wait until `count` Pods match the label `selector`, all of them ready; return the V1Pods.

    Pods that are being deleted do not count.
    """

    def ready() -> list[Any] | None:
        pods = describe.living_pods(core, namespace, selector)
        return pods if len(pods) == count and all(map(describe.is_ready, pods)) else None

    found = until(
        ready,
        timeout=timeout,
        what=f"{count} ready Pods matching {selector}",
        last_seen=lambda: describe.pods(core, namespace, selector),
    )
    return found or []


def deployment_ready(apps: Any, name: str, namespace: str, timeout: float = 60) -> Any:
    """Wait for what `kubectl rollout status` waits for; return the V1Deployment."""

    def rolled_out() -> Any:
        deployment = apps.read_namespaced_deployment(name, namespace)
        return deployment if describe.is_rolled_out(deployment) else None

    return until(
        rolled_out,
        timeout=timeout,
        what=f"Deployment {name} to roll out",
        last_seen=lambda: describe.deployment(apps, name, namespace),
    )


def gone(read: Callable[..., Any], *args: Any, timeout: float = 60) -> None:
    """Wait until `read(*args)` answers 404, e.g. `gone(core.read_namespaced_pod, "web", ns)`."""

    def missing() -> bool:
        try:
            read(*args)
        except Exception as error:
            if not is_missing(error):
                raise
            return True
        return False

    what = f"{' '.join(map(str, args))} to be gone"
    until(missing, timeout=timeout, what=what, last_seen=lambda: "it still exists")
