"""Every part of the control plane gets along with the permissions that its own name has."""

from kubesim.apiserver.auth.authorization import RBAC
from kubesim.apiserver.registry.lookup import Lookup
from kubesim.kubeadm.bootstrap import bootstrap
from kubesim.kubeadm.config import ClusterConfig

DEPLOYMENTS = "deployments.apps"


class Witness:
    """RBAC, and a note of what it refused; nodes are authorized elsewhere."""

    def __init__(self, server):
        self.rbac = RBAC(Lookup(server.storage))
        self.refused = []

    async def authorize(self, user, info):
        if user.name.startswith("system:node:"):
            return True, ""
        allowed, reason = await self.rbac.authorize(user, info)
        if not allowed:
            self.refused.append((user.name, info.verb, info.full_resource, info.subresource))
        return allowed, reason


async def test_nobody_is_refused_anything(make_world):
    async with make_world(controllers=False, scheduler=False) as world:
        await bootstrap(
            world.api, ClusterConfig(), address="172.18.0.2", cluster_info="", ca_pem=""
        )
        witness = world.server.authorizer = Witness(world.server)
        world.start_controllers()
        world.start_scheduler()
        for name in ("node-1", "node-2"):
            await world.add_node(name)
        await world.create_deployment(replicas=4)
        await world.create_daemon_set()
        await world.create_job(ttlSecondsAfterFinished=5, parallelism=2, completions=2)
        await world.create_stateful_set(
            volumeClaimTemplates=[claim_template()],
            persistentVolumeClaimRetentionPolicy={"whenScaled": "Delete"},
        )
        await world.create_replication_controller()
        await world.create_cron_job(successfulJobsHistoryLimit=0)
        await world.settle()
        for pod in await world.items("pods", label_selector="job-name=work"):
            await world.end_pod(pod)
        await world.create_pod("too-big", requests={"cpu": "99"})
        await world.settle()
        service = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
        meta = {"name": "web", "namespace": "default"}
        made = {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": service}
        await world.api.create("services", made)
        new = {"containers": [{"name": "main", "image": "nginx:1.27"}]}
        await world.change(DEPLOYMENTS, "web", {"spec": {"template": {"spec": new}}})
        await world.change("daemonsets.apps", "agent", {"spec": {"template": {"spec": new}}})
        await world.change("statefulsets.apps", "db", {"spec": {"template": {"spec": new}}})
        await world.change("statefulsets.apps", "db", {"spec": {"replicas": 1}})
        await world.stop("node-2")
        await world.advance(400)
        await world.api.delete("nodes", "node-2")
        await world.advance(60)
        await world.create_namespaces("shop")
        await world.settle()
        await world.api.delete("namespaces", "shop")
        await world.api.delete("services", "web", "default")
        await world.api.delete(DEPLOYMENTS, "web", "default", propagation="Foreground")
        await world.advance(10)
        assert not await world.exists(DEPLOYMENTS, "web")
        assert not await world.exists("jobs.batch", "work")
        assert not await world.exists("namespaces", "shop", None)
        assert witness.refused == []


def claim_template():
    storage = {"requests": {"storage": "1Gi"}}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": storage}
    return {"metadata": {"name": "data"}, "spec": spec}
