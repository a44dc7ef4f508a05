"""Probing a running container periodically (`pkg/kubelet/prober/worker.go`)."""

import asyncio
from collections.abc import Awaitable, Callable

from kubesim.apimachinery.objects import Object
from kubesim.clock import Clock
from kubesim.kubelet import probes
from kubesim.kubelet.images import Event

Action = Callable[[], Awaitable[None]]


class Prober:
    """Runs the probes of one container and acts when their thresholds are reached."""

    def __init__(
        self,
        target: Callable[[], probes.Target],
        clock: Clock,
        event: Event,
        active: asyncio.Event,
    ) -> None:
        self._target = target
        self._active = active
        self._clock = clock
        self._event = event

    async def run(self, spec: Object, kind: str, good: Action, bad: Action) -> None:
        """Probe until cancelled; a startup probe ends with its success.

        Args:
            spec: a core/v1 Probe.
            kind: "startup", "readiness" or "liveness".
            good: what to do when it has succeeded often enough.
            bad: what to do when it has failed often enough.

        """
        await self._clock.sleep(spec.get("initialDelaySeconds") or 0)
        limits = {True: spec.get("successThreshold") or 1, False: spec.get("failureThreshold") or 3}
        last, count = None, 0
        while True:
            await self._active.wait()
            result = await probes.probe(self._target(), spec)
            count = count + 1 if result.success == last else 1
            last = result.success
            if not result.success:
                message = f"{kind.capitalize()} probe failed: {result.output}"
                self._event("Warning", "Unhealthy", message)
            if count >= limits[result.success]:
                await (good if result.success else bad)()
                if result.success and kind == "startup":
                    return
                count = count if result.success else 0
            await self._clock.sleep(spec.get("periodSeconds") or 10)
