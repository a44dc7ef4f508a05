"""The accounts under which controllers act.

With --use-service-account-credentials the manager makes a ServiceAccount for each controller before
it starts it (k8s.io/controller-manager/pkg/clientbuilder), so that RBAC can tell them apart. Those
of controllers that are not simulated are made too: kubectl shows the same list as elsewhere.
"""

import asyncio

from kubesim.clientgo.absence import tolerating
from kubesim.clientgo.client import Client
from kubesim.clock import Clock

NAMESPACE = "kube-system"
RETRY = 1.0
ACCOUNTS = (
    "attachdetach-controller",
    "bootstrap-signer",
    "certificate-controller",
    "clusterrole-aggregation-controller",
    "cronjob-controller",
    "daemon-set-controller",
    "deployment-controller",
    "disruption-controller",
    "endpoint-controller",
    "endpointslice-controller",
    "endpointslicemirroring-controller",
    "ephemeral-volume-controller",
    "expand-controller",
    "generic-garbage-collector",
    "horizontal-pod-autoscaler",
    "job-controller",
    "legacy-service-account-token-cleaner",
    "namespace-controller",
    "node-controller",
    "persistent-volume-binder",
    "pod-garbage-collector",
    "pv-protection-controller",
    "pvc-protection-controller",
    "replicaset-controller",
    "replication-controller",
    "resource-claim-controller",
    "resourcequota-controller",
    "root-ca-cert-publisher",
    "service-account-controller",
    "service-cidrs-controller",
    "statefulset-controller",
    "taint-eviction-controller",
    "token-cleaner",
    "ttl-after-finished-controller",
    "ttl-controller",
    "validatingadmissionpolicy-status-controller",
)


async def make_accounts(client: Client, clock: Clock) -> None:
    """Create the accounts that are missing; again and again while the namespace is."""
    while True:
        with tolerating(404, 503):
            listed = await client.list("serviceaccounts", NAMESPACE)
            there = {each["metadata"]["name"] for each in listed["items"]}
            for name in ACCOUNTS:
                if name not in there:
                    account = {"metadata": {"name": name, "namespace": NAMESPACE}}
                    with tolerating(409):
                        await client.create("serviceaccounts", account)
                    await asyncio.sleep(0)  # the controllers start meanwhile
            return
        await clock.sleep(RETRY)
