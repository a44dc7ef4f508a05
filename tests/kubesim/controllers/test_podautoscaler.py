"""The HorizontalPodAutoscaler: how many Pods a load asks for, and how fast it gets there."""

from contextlib import asynccontextmanager

import pytest

from kubesim.apiserver.registry.lookup import Lookup
from kubesim.metrics.server import NODES, PODS, MetricsServer

DEPLOYMENT = {
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "containers": [
                    {"name": "c", "image": "nginx:1.27", "resources": {"requests": {"cpu": "100m"}}}
                ]
            },
        },
    },
}
HPA = "horizontalpodautoscalers.autoscaling"


class Load:
    """So many cores in all, shared by the Pods that run."""

    def __init__(self, world):
        self.world = world
        self.cores = 0.0
        server = world.server
        server.resources.define("metrics", [NODES, PODS])
        metrics = MetricsServer(Lookup(server.storage), world.clock, self.summaries)
        server.aggregated["metrics.k8s.io"] = metrics

    def summaries(self):
        pods = list(Lookup(self.world.server.storage).list("pods", "default"))
        share = int(self.cores * 10**9 / max(len(pods), 1))
        usage = {"cpu": {"usageNanoCores": share}, "memory": {"workingSetBytes": 10 * 2**20}}
        started = {"startTime": "2020-01-01T00:00:00Z"}
        return [
            {
                "node": {"nodeName": "node-1", **started, **usage},
                "pods": [
                    {
                        "podRef": pod["metadata"],
                        "containers": [{"name": "c", **started, **usage}],
                    }
                    for pod in pods
                ],
            }
        ]


@pytest.fixture
def scaled(make_world):
    """A Deployment of one with an autoscaler, half a minute later; `cores` None: no metrics."""

    @asynccontextmanager
    async def make(cores=None, **spec):
        async with make_world(nodes=1) as world:
            load = Load(world) if cores is not None else None
            if load:
                load.cores = cores
            await world.api.create("deployments.apps", DEPLOYMENT)
            target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
            spec = {"scaleTargetRef": target, "maxReplicas": 10, **spec}
            metadata = {"name": "web", "namespace": "default"}
            await world.api.create(HPA, {"metadata": metadata, "spec": spec})
            await world.advance(31)
            yield world, load

    return make


async def rescales(world):
    events = (await world.api.list("events", "default"))["items"]
    return [each["message"] for each in events if each["reason"] == "SuccessfulRescale"]


async def replicas(world):
    return (await world.api.get("deployments.apps", "web", "default"))["spec"]["replicas"]


async def autoscaler(world):
    return await world.api.get(HPA, "web", "default")


def condition(found, kind):
    return next(each for each in found["status"]["conditions"] if each["type"] == kind)


async def test_a_load_above_the_target_brings_more_pods(scaled):
    async with scaled(cores=0.2) as (world, _load):
        await world.advance(120)
        assert await replicas(world) == 3
        found = await autoscaler(world)
        assert condition(found, "AbleToScale")["status"] == "True"
        assert condition(found, "ScalingActive")["reason"] == "ValidMetricFound"
        assert (
            found["status"]["currentMetrics"][0]["resource"]["current"]["averageUtilization"] < 80
        )
        assert await rescales(world) == [
            "New size: 3; reason: cpu resource utilization (percentage of request) above target"
        ]


async def test_growth_is_limited_to_doubling_or_four_in_fifteen_seconds(scaled):
    async with scaled(cores=5.0) as (world, _load):
        assert [told[:12] for told in await rescales(world)] == ["New size: 5;", "New size: 10"]
        assert condition(await autoscaler(world), "ScalingLimited")["reason"] == "TooManyReplicas"


async def test_a_load_that_goes_shrinks_only_after_five_minutes(scaled):
    async with scaled(cores=0.4) as (world, load):
        await world.advance(60)
        grown = await replicas(world)
        assert grown == 5
        load.cores = 0.0
        await world.advance(240)
        assert await replicas(world) == grown
        assert condition(await autoscaler(world), "AbleToScale")["reason"] == "ScaleDownStabilized"
        await world.advance(120)
        assert await replicas(world) == 1


async def test_a_ratio_within_a_tenth_changes_nothing(scaled):
    async with scaled(cores=0.085) as (world, _load):
        await world.advance(60)
        assert await replicas(world) == 1


async def test_bounds_hold_without_metrics(scaled):
    async with scaled(minReplicas=2) as (world, _load):
        assert await replicas(world) == 2


async def test_a_target_without_requests_cannot_be_a_percentage(scaled):
    async with scaled(cores=1.0) as (world, _load):
        spec = {"containers": [{"name": "c", "resources": None}]}
        await world.api.patch(
            "deployments.apps", "web", {"spec": {"template": {"spec": spec}}}, "default"
        )
        await world.advance(60)
        found = condition(await autoscaler(world), "ScalingActive")
        assert (found["status"], found["reason"]) == ("False", "FailedGetResourceMetric")
        assert "missing request for cpu in container c of Pod web-" in found["message"]


async def test_without_metrics_nothing_moves_and_the_reason_is_told(scaled):
    async with scaled() as (world, _load):
        found = condition(await autoscaler(world), "ScalingActive")
        assert (found["status"], found["reason"]) == ("False", "FailedGetResourceMetric")
        assert found["message"].startswith(
            "the HPA was unable to compute the replica count: failed to get cpu"
        )
        assert await replicas(world) == 1


async def test_a_target_that_is_not_there_is_told(scaled):
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "no"}
    async with scaled(cores=0.0, scaleTargetRef=target) as (world, _load):
        found = condition(await autoscaler(world), "AbleToScale")
        assert (found["status"], found["reason"]) == ("False", "FailedGetScale")
        assert found["message"].endswith('deployments.apps "no" not found')


async def test_a_target_of_no_replicas_turns_scaling_off(scaled):
    async with scaled(cores=1.0) as (world, _load):
        scale = {"spec": {"replicas": 0}}
        await world.api.patch("deployments.apps", "web", scale, "default", subresource="scale")
        await world.advance(31)
        assert await replicas(world) == 0
        assert condition(await autoscaler(world), "ScalingActive")["reason"] == "ScalingDisabled"


async def test_behavior_can_slow_growth_and_forbid_shrinking(scaled):
    one = {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}
    async with scaled(
        cores=2.0, behavior={"scaleUp": one, "scaleDown": {"selectPolicy": "Disabled"}}
    ) as (world, load):
        assert await replicas(world) == 2
        load.cores = 0.0
        await world.advance(900)
        assert await replicas(world) == 2


async def test_memory_is_scaled_on_by_its_average(scaled):
    target = {"type": "AverageValue", "averageValue": "5Mi"}
    metric = {"type": "Resource", "resource": {"name": "memory", "target": target}}
    async with scaled(cores=0.0, metrics=[metric], maxReplicas=3) as (world, _load):
        await world.advance(60)
        assert await replicas(world) == 3
