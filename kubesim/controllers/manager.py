"""kube-controller-manager: elects a leader, then runs all controllers on shared informers.

Each controller acts under its own name, `system:serviceaccount:kube-system:<name>`, so that RBAC,
audit and `managedFields` tell who did what; the shared caches belong to the manager itself.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence

from kubesim.clientgo import klog
from kubesim.clientgo.client import Client
from kubesim.clientgo.events import EventRecorder
from kubesim.clientgo.informer import InformerFactory
from kubesim.clientgo.leaderelection import LeaderElector, identity_of
from kubesim.clock import Clock
from kubesim.controllers.certificates import (
    CertificateApprover,
    CertificateCleaner,
    CertificateSigningController,
)
from kubesim.controllers.clientbuilder import make_accounts
from kubesim.controllers.clusterroleaggregation import ClusterRoleAggregationController
from kubesim.controllers.controller import Controller
from kubesim.controllers.cronjob import CronJobController
from kubesim.controllers.daemonset import DaemonSetController
from kubesim.controllers.deployment import DeploymentController
from kubesim.controllers.disruption import DisruptionController
from kubesim.controllers.endpoints import EndpointsController
from kubesim.controllers.endpointslice import EndpointSliceController
from kubesim.controllers.endpointslicemirroring import EndpointSliceMirroringController
from kubesim.controllers.ephemeralvolume import EphemeralVolumeController
from kubesim.controllers.garbagecollector import GarbageCollector
from kubesim.controllers.job import JobController
from kubesim.controllers.keys import Keys
from kubesim.controllers.namespace import NamespaceController
from kubesim.controllers.nodelifecycle import NodeLifecycleController
from kubesim.controllers.persistentvolume import PersistentVolumeBinder
from kubesim.controllers.podautoscaler import HorizontalController
from kubesim.controllers.podgc import PodGCController
from kubesim.controllers.replicaset import ReplicaSetController
from kubesim.controllers.replicationcontroller import ReplicationManager
from kubesim.controllers.resourcequota import ResourceQuotaController
from kubesim.controllers.rootcapublisher import RootCACertPublisher
from kubesim.controllers.serviceaccount import ServiceAccountController
from kubesim.controllers.serviceaccounttokens import TokensController
from kubesim.controllers.statefulset import StatefulSetController
from kubesim.controllers.tainteviction import TaintEvictionController
from kubesim.controllers.ttlafterfinished import TTLAfterFinishedController
from kubesim.controllers.volumeprotection import (
    ClaimProtectionController,
    VolumeProtectionController,
)

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
    ClaimProtectionController,
    CertificateApprover,
    CertificateCleaner,
    ClusterRoleAggregationController,
    CronJobController,
    DaemonSetController,
    DeploymentController,
    DisruptionController,
    EndpointSliceController,
    EndpointSliceMirroringController,
    EndpointsController,
    EphemeralVolumeController,
    GarbageCollector,
    HorizontalController,
    JobController,
    NamespaceController,
    NodeLifecycleController,
    PersistentVolumeBinder,
    PodGCController,
    ReplicaSetController,
    ReplicationManager,
    ResourceQuotaController,
    ServiceAccountController,
    StatefulSetController,
    TTLAfterFinishedController,
    TaintEvictionController,
    VolumeProtectionController,
)


class ControllerManager:
    """One candidate for the lease `kube-controller-manager`.

    Args:
        connect: gives the client of a user and its groups.
        clock: the clock by which controllers wait.
        host: the node on which the manager runs; part of its identity.
        keys: what certificates and tokens are signed with.

    """

    def __init__(self, connect: Connect, clock: Clock, host: str, keys: Keys) -> None:
        self._keys = keys
        self._connect = connect
        self._clock = clock
        self._client = connect(USER, GROUPS)
        self._recorder = EventRecorder(self._client, clock, NAME)
        identity = identity_of(host, NAME)
        self._elector = LeaderElector(self._client, clock, NAME, identity, self._recorder)

    async def run(self) -> None:
        """Stand for election and run the controllers whenever elected, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._recorder.run())
            tasks.create_task(self._elector.run(self.run_controllers))

    async def run_controllers(self) -> None:
        """Run all controllers until cancelled."""
        informers = InformerFactory(self._client, self._clock)
        controllers = self._make_controllers(informers)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(informers.run())
            tasks.create_task(make_accounts(self._client, self._clock))
            await informers.wait_synced()
            for controller in controllers:
                now, name = self._clock.now(), controller.name
                klog.info(now, "controllermanager.go:797", "Started controller", controller=name)
                klog.info(now, "shared_informer.go:356", "Caches are synced", controller=name)
                tasks.create_task(controller.run(), name=controller.name)

    def _make_controllers(self, informers: InformerFactory) -> list[Controller]:
        publisher = RootCACertPublisher(
            self._client_of(RootCACertPublisher), informers, self._clock, self._keys.root_ca
        )
        others = [each(self._client_of(each), informers, self._clock) for each in CONTROLLERS]
        signing = CertificateSigningController(
            self._client_of(CertificateSigningController),
            informers,
            self._clock,
            self._keys.certificates,
        )
        return [publisher, signing, *self._make_tokens_controller(informers), *others]

    def _make_tokens_controller(self, informers: InformerFactory) -> Iterator[Controller]:
        """It works with the manager's own rights."""
        if self._keys.tokens:
            yield TokensController(
                self._client, informers, self._clock, self._keys.tokens, self._keys.root_ca
            )

    def _client_of(self, controller: type[Controller]) -> Client:
        account = f"system:serviceaccount:kube-system:{controller.name}"
        return self._connect(account, SERVICE_ACCOUNT_GROUPS)
