"""kube-controller-manager: elects a leader, then runs all controllers on shared informers.

Each controller acts under its own name, `system:serviceaccount:kube-system:<name>`, so that RBAC,
audit and `managedFields` tell who did what; the shared caches belong to the manager itself.
"""

import asyncio
import uuid
from collections.abc import Callable, Sequence

from kubesim.client import Client
from kubesim.clock import Clock
from kubesim.controllers.controller import Controller
from kubesim.controllers.deployment import DeploymentController
from kubesim.controllers.replicaset import ReplicaSetController
from kubesim.events import EventRecorder
from kubesim.informer import InformerFactory
from kubesim.leaderelection import LeaderElector

Connect = Callable[[str, Sequence[str]], Client]

USER = "system:kube-controller-manager"
NAME = "kube-controller-manager"
GROUPS = ("system:authenticated",)
SERVICE_ACCOUNT_GROUPS = (
    "system:serviceaccounts",
    "system:serviceaccounts:kube-system",
    "system:authenticated",
)
CONTROLLERS: tuple[type[Controller], ...] = (
    DeploymentController,
    ReplicaSetController,
)


class ControllerManager:
    """One candidate for the lease `kube-controller-manager`.

    Args:
        connect: gives the client of a user and its groups.
        clock: the clock by which controllers wait.
        host: the node on which the manager runs; part of its identity.

    """

    def __init__(self, connect: Connect, clock: Clock, host: str) -> None:
        self._connect = connect
        self._clock = clock
        self._client = connect(USER, GROUPS)
        self._recorder = EventRecorder(self._client, clock, NAME)
        identity = f"{host}_{uuid.uuid4()}"
        self._elector = LeaderElector(self._client, clock, NAME, identity, self._recorder)

    async def run(self) -> None:
        """Stand for election and run the controllers whenever elected, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._recorder.run())
            tasks.create_task(self._elector.run(self.run_controllers))

    async def run_controllers(self) -> None:
        """Run all controllers until cancelled."""
        informers = InformerFactory(self._client, self._clock)
        controllers = [
            controller(self._client_of(controller), informers, self._clock)
            for controller in CONTROLLERS
        ]
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(informers.run())
            await informers.wait_synced()
            for controller in controllers:
                tasks.create_task(controller.run(), name=controller.name)

    def _client_of(self, controller: type[Controller]) -> Client:
        account = f"system:serviceaccount:kube-system:{controller.name}"
        return self._connect(account, SERVICE_ACCOUNT_GROUPS)
