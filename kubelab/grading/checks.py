"""Checks: questions to the cluster that wait for an answer, and teach when it is not the right one.

Every failed check says what was observed, what was expected and where to look next.
"""

import contextlib
import time
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from kubelab import describe, waiting
from kubelab.grading.errors import CheckFailed

T = TypeVar("T")

SECONDS = 30  # how long a check waits by default
# Reasons that do not pass by waiting: the image or the configuration of the container is wrong.
HOPELESS = {
    "CreateContainerConfigError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
}


class Check:
    """Checks on the objects of one namespace, for graders: the fixture `check`.

    Every method takes `look`, a sentence on where to look next, and raises CheckFailed.
    """

    def __init__(self, api_client: Any, namespace: str) -> None:
        from kubernetes import client

        self.namespace = namespace
        self._core = client.CoreV1Api(api_client)
        self._apps = client.AppsV1Api(api_client)

    def that(self, condition: object, *, observed: object, expected: object, look: str) -> None:
        """Fail, in these words, unless the condition is true."""
        if not condition:
            raise CheckFailed(observed, expected, look)

    def equal(self, observed: object, expected: object, *, what: str, look: str) -> None:
        """Fail unless both are equal; `what` names the thing, e.g. "restartPolicy of Pod web"."""
        if observed != expected:
            raise CheckFailed(f"{what} is {observed!r}", f"{expected!r}", look)

    def exists(self, kind: str, name: str, *, within: float = 5, look: str = "") -> Any:
        """Return the object; `kind` as in the client's methods, e.g. "pod" or "config_map"."""
        api = self._apps if kind in ("deployment", "replica_set") else self._core
        read = getattr(api, f"read_namespaced_{kind}")
        label = kind.replace("_", " ")
        return self._wait(
            lambda: read(name, self.namespace),
            within,
            expected=f"a {label} named {name}",
            look=look or f"kind and metadata.name of what you created; is {name} there?",
            last=lambda: f"there is no {label} {name}",
        )

    def ready(self, name: str, *, within: float = SECONDS, look: str = "") -> Any:
        """Wait until a Pod is ready; return the V1Pod."""
        return self._pod(name, describe.is_ready, "ready", within, look)

    def running(self, name: str, *, within: float = SECONDS, look: str = "") -> Any:
        """Wait until a Pod's phase is Running; return the V1Pod."""
        return self._pod(name, lambda pod: pod.status.phase == "Running", "running", within, look)

    def _pod(
        self, name: str, accept: Callable[[Any], bool], state: str, within: float, look: str
    ) -> Any:
        self.exists("pod", name)

        def settled() -> Any:
            pod = self._core.read_namespaced_pod(name, self.namespace)
            return pod if accept(pod) or is_hopeless(pod) else None

        found = None
        with contextlib.suppress(waiting.WaitTimeout):
            found = waiting.until(settled, timeout=within)
        if found is not None and accept(found):
            return found
        last = self._core.read_namespaced_pod(name, self.namespace)
        raise CheckFailed(
            describe.pod(self._core, last),
            f"Pod {name} {state}" + ("" if is_hopeless(last) else f" within {within:g} s"),
            look or f"`kubectl describe pod {name}`: the state of its containers, and the Events",
        )

    def pods(
        self, selector: str, count: int, *, within: float = SECONDS, look: str = ""
    ) -> list[Any]:
        """Wait until `count` Pods match a label selector, all ready; return the V1Pods."""

        def ready() -> Any:
            pods = describe.living_pods(self._core, self.namespace, selector)
            return pods if len(pods) == count and all(map(describe.is_ready, pods)) else None

        found: list[Any] = self._wait(
            ready,
            within,
            expected=f"{count} ready Pods with the label {selector}",
            look=look or "the labels and the number of the Pods",
            last=lambda: describe.pods(self._core, self.namespace, selector),
        )
        return found

    def rolled_out(self, name: str, *, within: float = SECONDS, look: str = "") -> Any:
        """Wait until a Deployment has all its replicas, new and available; return it."""
        self.exists("deployment", name)

        def rolled_out() -> Any:
            deployment = self._apps.read_namespaced_deployment(name, self.namespace)
            return deployment if describe.is_rolled_out(deployment) else None

        return self._wait(
            rolled_out,
            within,
            expected=f"Deployment {name} with all its replicas available within {within:g} s",
            look=look or "`kubectl describe` of its Pods",
            last=lambda: describe.deployment(self._apps, name, self.namespace),
        )

    def eventually(
        self,
        look_at: Callable[[], T],
        *,
        expected: object,
        within: float = SECONDS,
        look: str,
        observed: Callable[[], object] | None = None,
    ) -> T:
        """Wait until `look_at()` is true (404 and a failed check: not yet) and return its value.

        On time-out `observed()` is shown, or else the last value or failure of `look_at`.
        """
        return self._wait(look_at, within, expected=expected, look=look, last=observed)

    def _wait(
        self,
        look_at: Callable[[], T],
        within: float,
        *,
        expected: object,
        look: str,
        last: Callable[[], object] | None,
    ) -> T:
        seen: list[object] = [None]

        def attempt() -> T | None:
            try:
                seen[0] = value = look_at()
            except CheckFailed as failed:
                seen[0] = failed.observed
                return None
            return value

        try:
            found = waiting.until(attempt, timeout=within)
        except waiting.WaitTimeout:
            raise CheckFailed(last() if last else seen[0], expected, look) from None
        assert found is not None
        return found

    def stays(
        self, look_at: Callable[[], object], *, expected: object, for_: float = 5, look: str
    ) -> None:
        """Fail as soon as `look_at()` is not true, within the next `for_` seconds."""
        end = time.monotonic() + for_
        while True:
            value = look_at()
            if not value:
                raise CheckFailed(value, f"{expected}, for {for_:g} s", look)
            if time.monotonic() >= end:
                return
            time.sleep(waiting.LONGEST_PAUSE)

    def exec(self, pod: str, container: str, command: list[str], *, look: str = "") -> str:
        """Run a command in a container and return what it printed; fail unless it exits with 0."""
        code, output, errors = self._exec(pod, container, command)
        if code == 0:
            return output
        words = " ".join(command)
        raise CheckFailed(
            f"`{words}` in container {container} of Pod {pod} ended with exit code {code}: "
            f"{describe.short(errors or output)}",
            "exit code 0",
            look or f"`kubectl exec {pod} -c {container} -- {words}`",
        )

    def _exec(self, pod: str, container: str, command: list[str]) -> tuple[int, str, str]:
        from kubernetes.stream import stream

        session = stream(
            self._core.connect_get_namespaced_pod_exec,
            pod,
            self.namespace,
            container=container,
            command=command,
            stdout=True,
            stderr=True,
            _preload_content=False,
        )
        session.run_forever(timeout=SECONDS)
        output, errors = session.read_stdout(timeout=0), session.read_stderr(timeout=0)
        code = session.returncode
        session.close()
        return -1 if code is None else code, output or "", errors or ""

    def logs(self, pod: str, container: str, *, tail: int | None = None) -> str:
        """Return what a container has written to its standard output."""
        limit = {} if tail is None else {"tail_lines": tail}
        text: str = self._core.read_namespaced_pod_log(
            pod, self.namespace, container=container, **limit
        )
        return text

    def http(
        self, pod: str, container: str, url: str, *, within: float = SECONDS, look: str = ""
    ) -> str:
        """Fetch a URL from inside a container that has wget, and return the body."""
        command = ["wget", "-q", "-O", "-", url]
        answered: list[str] = self._wait(
            lambda: [self.exec(pod, container, command)],
            within,
            expected=f"an answer from {url} to container {container} of Pod {pod}",
            look=look or "does a process listen there, at that port?",
            last=None,
        )
        return answered[0]

    def fail(self, observed: object, expected: object, *, look: str) -> NoReturn:
        """Fail in these words."""
        raise CheckFailed(observed, expected, look)


def is_hopeless(pod: Any) -> bool:
    """Tell whether waiting longer for this V1Pod is in vain."""
    if pod.status.phase in ("Succeeded", "Failed"):
        return True
    states = (status.state for status in describe.container_statuses(pod))
    return any(s and s.waiting and s.waiting.reason in HOPELESS for s in states)
