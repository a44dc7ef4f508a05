"""The process around the scheduler: elects a leader, then schedules (`cmd/kube-scheduler/app`)."""

import asyncio
from collections.abc import Callable, Sequence

from kubesim.clientgo.client import Client
from kubesim.clientgo.events import EventRecorder
from kubesim.clientgo.informer import InformerFactory
from kubesim.clientgo.leaderelection import LeaderElector, identity_of
from kubesim.clock import Clock
from kubesim.scheduler.scheduler import Scheduler

USER = "system:kube-scheduler"
NAME = "kube-scheduler"


async def run(connect: Callable[[str, Sequence[str]], Client], clock: Clock, host: str) -> None:
    """Stand for election for the lease `kube-scheduler` and schedule whenever elected.

    Args:
        connect: gives the client of a user and its groups.
        clock: the clock by which the scheduler waits.
        host: the node on which it runs; part of its identity.

    """
    client = connect(USER, ("system:authenticated",))
    recorder = EventRecorder(client, clock, NAME)
    elector = LeaderElector(client, clock, NAME, identity_of(host, NAME), recorder)

    async def lead() -> None:
        informers = InformerFactory(client, clock)
        await informers.run_with(Scheduler(client, informers, clock, host).run)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(recorder.run())
        tasks.create_task(elector.run(lead))
