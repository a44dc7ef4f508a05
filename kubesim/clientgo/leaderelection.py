"""Leader election over a Lease: one active instance of a component, others stand by.

The algorithm is client-go's `tools/leaderelection`: whoever holds the Lease renews it every 2 s;
a candidate takes it over when it has not seen it change for 15 s *by its own clock*, so clocks need
not agree; a holder that could not renew for 10 s stops leading.
"""

import asyncio
import uuid
from collections.abc import Callable, Coroutine

from kubesim.apimachinery.objects import Object, micro_timestamp
from kubesim.apiserver.errors import StatusError
from kubesim.clientgo import klog
from kubesim.clientgo.absence import find
from kubesim.clientgo.client import Client
from kubesim.clientgo.events import EventRecorder
from kubesim.clock import Clock

LEASES = "leases.coordination.k8s.io"
NAMESPACE = "kube-system"
LEASE_DURATION = 15
RENEW_DEADLINE = 10
RETRY_PERIOD = 2


def identity_of(host: str, component: str) -> str:
    """The identity of the one instance of a component on a host.

    The real one ends in a random UUID; this one is the same after a restart, so that a cluster
    which starts again goes on at once instead of waiting for its own old Lease to run out.
    """
    return f"{host}_{uuid.uuid5(uuid.NAMESPACE_DNS, f'{component}.{host}')}"


class LeaderElector:
    """One candidate for one Lease in kube-system."""

    def __init__(
        self, client: Client, clock: Clock, name: str, identity: str, recorder: EventRecorder
    ) -> None:
        self._client = client
        self._clock = clock
        self._name = name
        self._identity = identity
        self._recorder = recorder
        self._observed: Object = {}
        self._observed_at = float("-inf")
        self._lease = f"{NAMESPACE}/{name}"

    async def run(self, lead: Callable[[], Coroutine[None, None, None]]) -> None:
        """Become leader, lead until the Lease is lost, and start over; until cancelled."""
        while True:
            await self._acquire()
            async with asyncio.TaskGroup() as tasks:
                leading = tasks.create_task(lead())
                await self._renew()
                leading.cancel()

    async def _acquire(self) -> None:
        self._say("leaderelection.go:257", f"attempting to acquire leader lease {self._lease}...")
        while not await self._try_to_hold():
            await self._clock.sleep(RETRY_PERIOD)
        self._say("leaderelection.go:271", f"successfully acquired lease {self._lease}")
        message = f"{self._identity} became leader"
        self._recorder.event(self._observed, "Normal", "LeaderElection", message)

    async def _renew(self) -> None:
        """Renew until it has failed for too long."""
        renewed = self._clock.monotonic()
        while self._clock.monotonic() - renewed < RENEW_DEADLINE:
            await self._clock.sleep(RETRY_PERIOD)
            if await self._try_to_hold():
                renewed = self._clock.monotonic()
        self._say("leaderelection.go:303", f"failed to renew lease {self._lease}: timed out")
        message = f"{self._identity} stopped leading"
        self._recorder.event(self._observed, "Normal", "LeaderElection", message)

    def _say(self, source: str, message: str) -> None:
        klog.info(self._clock.now(), source, message)

    async def _try_to_hold(self) -> bool:
        try:
            return await self._create_or_update()
        except StatusError as error:
            now, text = self._clock.now(), f"error retrieving resource lock {self._lease}: {error}"
            klog.error(now, "leaderelection.go:436", text)
            return False

    async def _create_or_update(self) -> bool:
        lease = await find(self._client, LEASES, self._name, NAMESPACE)
        if lease is None:
            self._observe(await self._client.create(LEASES, self._new_lease()))
            return True
        if lease.get("spec") != self._observed.get("spec"):
            self._observe(lease)
        if not self._is_free(lease):
            return False
        self._observe(await self._client.update(LEASES, self._renewed(lease)))
        return True

    def _observe(self, lease: Object) -> None:
        self._observed = lease
        self._observed_at = self._clock.monotonic()

    def _is_free(self, lease: Object) -> bool:
        holder = lease["spec"].get("holderIdentity")
        expired = self._clock.monotonic() >= self._observed_at + LEASE_DURATION
        return not holder or holder == self._identity or expired

    def _new_lease(self) -> Object:
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": NAMESPACE},
            "spec": self._spec(acquired=self._now(), transitions=0),
        }

    def _renewed(self, lease: Object) -> Object:
        spec = lease["spec"]
        transitions = spec.get("leaseTransitions", 0)
        if spec.get("holderIdentity") == self._identity:
            return lease | {"spec": self._spec(spec["acquireTime"], transitions)}
        return lease | {"spec": self._spec(self._now(), transitions + 1)}

    def _spec(self, acquired: str, transitions: int) -> Object:
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": LEASE_DURATION,
            "acquireTime": acquired,
            "renewTime": self._now(),
            "leaseTransitions": transitions,
        }

    def _now(self) -> str:
        return micro_timestamp(self._clock.now())
