"""Deployments: from a template to Pods, and from one template to the next."""

from kubesim.apimachinery.objects import condition, is_being_deleted, pod_is_ready
from kubesim.clientgo.informer import Informer
from kubesim.controllers.deployment_util import template_hash

DEPLOYMENTS = "deployments.apps"
REPLICASETS = "replicasets.apps"
REVISION = "deployment.kubernetes.io/revision"


def image(name):
    return {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": name}]}}}}


def rolling(surge, unavailable):
    limits = {"maxSurge": surge, "maxUnavailable": unavailable}
    return {"type": "RollingUpdate", "rollingUpdate": limits}


async def sizes(world):
    """The size of each ReplicaSet, by its image."""
    return {
        each["spec"]["template"]["spec"]["containers"][0]["image"]: each["spec"]["replicas"]
        for each in await world.items(REPLICASETS)
    }


class Census:
    """Counts the Pods at every change of one, once it knows those that are there."""

    def __init__(self, world):
        self.informer = Informer(world.api, "pods", world.clock)
        self.informer.add_handler(self.count)
        self.counts = []
        world.start("census", self.informer.run())

    def count(self, _):
        if not self.informer.synced.is_set():
            return
        present = [pod for pod in self.informer.cache.list() if not is_being_deleted(pod)]
        self.counts.append((len(present), sum(map(pod_is_ready, present))))

    def most_and_least_ready(self):
        return max(all_ for all_, _ in self.counts), min(ready for _, ready in self.counts)


async def test_a_deployment_gets_a_replica_set_and_pods_on_nodes(make_world):
    async with make_world(nodes=2) as world:
        await world.create_deployment()
        await world.settle()
        (replica_set,) = await world.items(REPLICASETS)
        pods = await world.items("pods")
        value = replica_set["metadata"]["labels"]["pod-template-hash"]
        assert replica_set["metadata"]["name"] == f"web-{value}"
        assert replica_set["spec"]["selector"]["matchLabels"] == {
            "app": "web",
            "pod-template-hash": value,
        }
        assert [pod["metadata"]["labels"]["pod-template-hash"] for pod in pods] == [value] * 3
        assert {pod["spec"]["nodeName"] for pod in pods} == {"node-1", "node-2"}


async def test_status_says_how_far_it_is(make_world):
    async with make_world(nodes=1) as world:
        await world.create_deployment()
        await world.settle()
        got = await world.get(DEPLOYMENTS, "web")
        (replica_set,) = await world.items(REPLICASETS)
        counters = {name: n for name, n in got["status"].items() if name != "conditions"}
        assert counters == {
            "observedGeneration": 1,
            "replicas": 3,
            "updatedReplicas": 3,
            "readyReplicas": 3,
            "availableReplicas": 3,
            "terminatingReplicas": 0,
        }
        assert condition(got, "Available")["reason"] == "MinimumReplicasAvailable"
        progress = condition(got, "Progressing")
        name = replica_set["metadata"]["name"]
        assert progress["reason"] == "NewReplicaSetAvailable"
        assert progress["message"] == f'ReplicaSet "{name}" has successfully progressed.'


async def test_events_tell_the_story(make_world):
    async with make_world(nodes=1) as world:
        await world.create_deployment(replicas=1)
        await world.settle()
        (replica_set,) = await world.items(REPLICASETS)
        (pod,) = await world.items("pods")
        set_name, pod_name = replica_set["metadata"]["name"], pod["metadata"]["name"]
        assert await world.events("web") == [
            ("ScalingReplicaSet", f"Scaled up replica set {set_name} from 0 to 1"),
            ("SuccessfulCreate", f"Created pod: {pod_name}"),
            ("Scheduled", f"Successfully assigned default/{pod_name} to node-1"),
        ]


async def test_a_rolling_update_keeps_within_surge_and_unavailable(make_world):
    async with make_world(nodes=2) as world:
        await world.create_deployment(replicas=4, strategy=rolling(1, "25%"))
        await world.settle()
        census = Census(world)
        await world.change(DEPLOYMENTS, "web", image("nginx:1.27"))
        await world.advance(1)
        most, least_ready = census.most_and_least_ready()
        assert await sizes(world) == {"nginx:1.26": 0, "nginx:1.27": 4}
        assert most <= 5
        assert 3 <= least_ready < 4


async def test_without_surge_one_pod_is_missing_at_a_time(make_world):
    async with make_world(nodes=2) as world:
        await world.create_deployment(strategy=rolling(0, 1))
        await world.settle()
        census = Census(world)
        await world.change(DEPLOYMENTS, "web", image("nginx:1.27"))
        await world.advance(1)
        assert await sizes(world) == {"nginx:1.26": 0, "nginx:1.27": 3}
        assert census.most_and_least_ready() == (3, 2)


async def test_a_template_that_never_gets_ready_stops_the_rollout(make_world):
    async with make_world(nodes=1) as world:
        await world.create_deployment(replicas=4, progressDeadlineSeconds=60)
        await world.settle()
        world.kubelets["node-1"].ready = False
        await world.change(DEPLOYMENTS, "web", image("nginx:broken"))
        await world.advance(30)
        assert await sizes(world) == {"nginx:1.26": 3, "nginx:broken": 2}
        assert condition(await world.get(DEPLOYMENTS, "web"), "Progressing")["status"] == "True"
        await world.advance(32)
        progress = condition(await world.get(DEPLOYMENTS, "web"), "Progressing")
        assert (progress["status"], progress["reason"]) == ("False", "ProgressDeadlineExceeded")
        assert progress["message"].endswith("has timed out progressing.")


async def test_recreate_never_runs_old_and_new_together(make_world):
    async with make_world(nodes=1) as world:
        await world.create_deployment(strategy={"type": "Recreate"})
        await world.settle()
        census = Census(world)
        await world.change(DEPLOYMENTS, "web", image("nginx:1.27"))
        await world.advance(1)
        assert await sizes(world) == {"nginx:1.26": 0, "nginx:1.27": 3}
        assert census.most_and_least_ready() == (3, 0)


async def test_a_rollback_gets_a_new_revision_and_keeps_the_old_number(make_world):
    async with make_world(nodes=1) as world:
        await world.create_deployment(replicas=1)
        await world.settle()
        for name in ("nginx:1.27", "nginx:1.26"):
            await world.change(DEPLOYMENTS, "web", image(name))
            await world.advance(1)
        got = await world.get(DEPLOYMENTS, "web")
        revisions = {
            each["spec"]["template"]["spec"]["containers"][0]["image"]: each["metadata"][
                "annotations"
            ]
            for each in await world.items(REPLICASETS)
        }
        assert got["metadata"]["annotations"][REVISION] == "3"
        assert revisions["nginx:1.27"][REVISION] == "2"
        assert revisions["nginx:1.26"][REVISION] == "3"
        assert revisions["nginx:1.26"]["deployment.kubernetes.io/revision-history"] == "1"


async def test_old_replica_sets_beyond_the_history_limit_go(make_world):
    async with make_world(nodes=1) as world:
        await world.create_deployment(replicas=1, revisionHistoryLimit=1)
        await world.settle()
        for name in ("nginx:2", "nginx:3", "nginx:4"):
            await world.change(DEPLOYMENTS, "web", image(name))
            await world.advance(1)
        assert await sizes(world) == {"nginx:3": 0, "nginx:4": 1}


async def test_a_paused_deployment_scales_but_does_not_roll(make_world):
    async with make_world(nodes=1) as world:
        await world.create_deployment()
        await world.settle()
        await world.change(DEPLOYMENTS, "web", {"spec": {"paused": True}})
        got = await world.get(DEPLOYMENTS, "web")
        assert condition(got, "Progressing")["reason"] == "DeploymentPaused"
        await world.change(DEPLOYMENTS, "web", image("nginx:1.27"))
        await world.change(DEPLOYMENTS, "web", {"spec": {"replicas": 5}})
        assert await sizes(world) == {"nginx:1.26": 5}
        await world.change(DEPLOYMENTS, "web", {"spec": {"paused": False}})
        await world.advance(1)
        assert await sizes(world) == {"nginx:1.26": 0, "nginx:1.27": 5}


async def test_scaling_during_a_rollout_is_proportional(make_world):
    """The example of the Deployment page of the Kubernetes documentation."""
    async with make_world(nodes=1) as world:
        await world.create_deployment(replicas=10, strategy=rolling(3, 2))
        await world.settle()
        world.kubelets["node-1"].ready = False
        await world.change(DEPLOYMENTS, "web", image("nginx:sometag"))
        assert await sizes(world) == {"nginx:1.26": 8, "nginx:sometag": 5}
        await world.change(DEPLOYMENTS, "web", {"spec": {"replicas": 15}})
        assert await sizes(world) == {"nginx:1.26": 11, "nginx:sometag": 7}


async def test_scaling_tells_from_and_to(make_world):
    async with make_world(nodes=1) as world:
        await world.create_deployment()
        await world.settle()
        (replica_set,) = await world.items(REPLICASETS)
        name = replica_set["metadata"]["name"]
        await world.change(DEPLOYMENTS, "web", {"spec": {"replicas": 0}})
        assert ("ScalingReplicaSet", f"Scaled down replica set {name} from 3 to 0") in (
            await world.events("web")
        )
        assert await world.items("pods") == []


async def test_min_ready_seconds_delay_availability(make_world):
    async with make_world(nodes=1) as world:
        await world.create_deployment(replicas=1, minReadySeconds=20)
        await world.advance(15)
        got = await world.get(DEPLOYMENTS, "web")
        assert (got["status"]["readyReplicas"], got["status"].get("availableReplicas")) == (1, None)
        await world.advance(10)
        assert (await world.get(DEPLOYMENTS, "web"))["status"]["availableReplicas"] == 1


async def test_an_orphaned_replica_set_is_adopted(make_world):
    async with make_world(nodes=1) as world:
        await world.create_deployment(replicas=1)
        await world.settle()
        before = (await world.items(REPLICASETS))[0]["metadata"]["uid"]
        await world.api.delete(DEPLOYMENTS, "web", "default", propagation="Orphan")
        await world.settle()
        created = await world.create_deployment(replicas=1)
        await world.settle()
        (replica_set,) = await world.items(REPLICASETS)
        assert replica_set["metadata"]["uid"] == before
        assert replica_set["metadata"]["ownerReferences"][0]["uid"] == created["metadata"]["uid"]


async def test_a_foreign_replica_set_of_the_wanted_name_is_evaded(make_world):
    async with make_world(nodes=1, controllers=False) as world:
        created = await world.create_deployment(replicas=1)
        value = template_hash(created["spec"]["template"], 0)
        await world.create_replica_set(f"web-{value}", replicas=0, labels={"app": "other"})
        world.start_controllers()
        await world.advance(1)
        got = await world.get(DEPLOYMENTS, "web")
        assert got["status"]["collisionCount"] == 1
        assert got["status"]["availableReplicas"] == 1


async def test_why_pods_cannot_be_created_reaches_the_deployment(make_world):
    async with make_world(nodes=1) as world:
        template = {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "serviceAccountName": "nobody",
                "containers": [{"name": "main", "image": "nginx:1.26"}],
            },
        }
        await world.create_deployment(template=template)
        await world.advance(1)
        failure = condition(await world.get(DEPLOYMENTS, "web"), "ReplicaFailure")
        assert (failure["status"], failure["reason"]) == ("True", "FailedCreate")
        assert 'serviceaccount "nobody" not found' in failure["message"]
