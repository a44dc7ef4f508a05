"""The scheduler: where Pods may run, where they run best, and what is said when they cannot."""

import pytest

from kubesim.apimachinery.objects import condition

ZONE = "topology.kubernetes.io/zone"
HOST = "kubernetes.io/hostname"
CONTROL_PLANE = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}


async def node_of(world, name):
    return (await world.pod(name))["spec"].get("nodeName")


async def why(world, name):
    """What the Pod's PodScheduled condition says."""
    told = condition(await world.pod(name), "PodScheduled")
    assert (told["status"], told["reason"]) == ("False", "Unschedulable")
    return told["message"]


def affinity(kind, *terms, required=True):
    word = "required" if required else "preferred"
    return {kind: {f"{word}DuringSchedulingIgnoredDuringExecution": [*terms]}}


def near(app, key=HOST, **more):
    return {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key, **more}


def labelled(app):
    return {"labels": {"app": app}}


async def test_a_pod_is_bound_and_both_condition_and_event_say_so(make_world):
    async with make_world(nodes=1) as world:
        await world.create_pod("one")
        await world.settle()
        assert await node_of(world, "one") == "node-1"
        assert condition(await world.pod("one"), "PodScheduled")["status"] == "True"
        assert await world.events("one") == [
            ("Scheduled", "Successfully assigned default/one to node-1")
        ]


async def test_events_have_the_newer_form(make_world):
    async with make_world(nodes=1) as world:
        await world.create_pod("one")
        await world.settle()
        (event,) = [
            each for each in await world.items("events") if each["involvedObject"]["name"] == "one"
        ]
        assert event["reportingComponent"] == "default-scheduler"
        assert (event["action"], event["source"]) == ("Binding", {})
        assert event["eventTime"] is not None
        assert event.get("lastTimestamp") is None


async def test_without_nodes_nothing_can_be_done(make_world):
    async with make_world() as world:
        await world.create_pod("one")
        await world.settle()
        assert await why(world, "one") == "no nodes available to schedule pods"


async def test_the_message_counts_the_reasons(make_world):
    async with make_world() as world:
        await world.add_node("control-plane", taints=[CONTROL_PLANE])
        await world.add_node("small", cpu="1")
        await world.add_node("smaller", cpu="500m")
        await world.create_pod("tenant", requests={"cpu": "800m"}, nodeName="small")
        await world.create_pod("big", requests={"cpu": "900m"})
        await world.settle()
        message = (
            "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. "
            "no new claims to deallocate, preemption: 0/3 nodes are available: "
            "1 No preemption victims found for incoming pod, "
            "2 Preemption is not helpful for scheduling."
        )
        assert await why(world, "big") == message
        assert await world.events("big") == [("FailedScheduling", message)]


async def test_a_pod_waits_until_its_node_appears(make_world):
    async with make_world(nodes=1) as world:
        await world.create_pod("picky", nodeSelector={"disk": "ssd"})
        await world.settle()
        assert "1 node(s) didn't match Pod's node affinity/selector" in await why(world, "picky")
        await world.advance(60)
        await world.add_node("fast", labels={"disk": "ssd"})
        await world.advance(5)
        assert await node_of(world, "picky") == "fast"


async def test_a_pod_waits_until_there_is_room(make_world):
    async with make_world() as world:
        await world.add_node("only", cpu="1")
        await world.create_pod("first", requests={"cpu": "700m"})
        await world.settle()
        await world.create_pod("second", requests={"cpu": "700m"})
        await world.advance(30)
        assert await node_of(world, "second") is None
        await world.api.delete("pods", "first", "default")
        await world.settle()
        assert await node_of(world, "second") == "only"


async def test_what_does_not_concern_a_pod_does_not_wake_it(make_world):
    async with make_world(nodes=1) as world:
        await world.create_pod("picky", nodeSelector={"disk": "ssd"})
        await world.advance(60)
        await world.create_pod("other")
        await world.advance(60)
        (event,) = [
            each
            for each in await world.items("events")
            if each["involvedObject"]["name"] == "picky"
        ]
        assert event.get("series") is None


async def test_a_pod_is_tried_again_after_five_minutes_whatever_happens(make_world):
    async with make_world(nodes=1) as world:
        await world.create_pod("picky", nodeSelector={"disk": "ssd"})
        await world.advance(301)
        (event,) = [
            each
            for each in await world.items("events")
            if each["involvedObject"]["name"] == "picky"
        ]
        assert event["series"]["count"] == 2


async def test_pods_of_another_scheduler_and_gated_pods_are_left_alone(make_world):
    async with make_world(nodes=1) as world:
        await world.create_pod("theirs", schedulerName="mine")
        await world.create_pod("gated", schedulingGates=[{"name": "example.com/wait"}])
        await world.advance(30)
        assert await node_of(world, "theirs") is None
        assert await node_of(world, "gated") is None
        await world.change("pods", "gated", {"spec": {"schedulingGates": None}})
        assert await node_of(world, "gated") == "node-1"


async def test_higher_priority_goes_first(make_world):
    async with make_world(scheduler=False) as world:
        await world.add_node("only", cpu="1")
        await world.settle()
        await world.create_pod("first", requests={"cpu": "700m"})
        await world.create_pod(
            "urgent", requests={"cpu": "700m"}, priorityClassName="system-node-critical"
        )
        world.start_scheduler()
        await world.settle()
        assert await node_of(world, "urgent") == "only"
        assert await node_of(world, "first") is None


CRITICAL = {"priorityClassName": "system-node-critical"}


async def test_a_more_important_pod_takes_the_place_of_others(make_world):
    async with make_world() as world:
        await world.add_node("only", cpu="1")
        await world.create_pod("first", requests={"cpu": "300m"})
        await world.advance(5)
        await world.create_pod("second", requests={"cpu": "300m"})
        await world.settle()
        critical = await world.create_pod("critical", requests={"cpu": "500m"}, **CRITICAL)
        await world.advance(2)
        assert await node_of(world, "critical") == "only"
        assert await world.exists("pods", "first")
        assert not await world.exists("pods", "second")  # the one that started later goes
        told = ("Preempted", f"Preempted by pod {critical['metadata']['uid']} on node only")
        assert told in await world.events("second")


async def test_the_place_that_is_made_is_kept_until_the_victim_is_gone(make_world):
    async with make_world() as world:
        await world.add_node("only", cpu="1")
        await world.create_pod("victim", requests={"cpu": "800m"})
        await world.settle()
        await world.stop("only")  # so that the victim does not end
        await world.create_pod("critical", requests={"cpu": "800m"}, **CRITICAL)
        await world.settle()
        assert (await world.pod("critical"))["status"]["nominatedNodeName"] == "only"
        assert await why(world, "critical") == "0/1 nodes are available: 1 Insufficient cpu."
        target = condition(await world.pod("victim"), "DisruptionTarget")
        assert target["reason"] == "PreemptionByScheduler"
        await world.create_pod("thief", requests={"cpu": "800m"})
        await world.api.delete("pods", "victim", "default", grace_period=0)
        await world.advance(5)
        assert await node_of(world, "critical") == "only"
        assert await node_of(world, "thief") is None


async def test_a_pod_that_must_not_preempt_waits(make_world):
    async with make_world() as world:
        await world.add_node("only", cpu="1")
        await world.create_pod("first", requests={"cpu": "800m"})
        await world.settle()
        polite = {"metadata": {"name": "polite"}, "value": 1000, "preemptionPolicy": "Never"}
        await world.api.create("priorityclasses.scheduling.k8s.io", polite)
        await world.create_pod("polite", requests={"cpu": "800m"}, priorityClassName="polite")
        await world.settle()
        assert (await why(world, "polite")).endswith("not eligible due to preemptionPolicy=Never.")
        assert await world.exists("pods", "first")


async def test_a_node_without_a_status_is_no_place_and_no_harm(make_world):
    async with make_world() as world:
        meta = {"name": "empty"}
        await world.api.create("nodes", {"apiVersion": "v1", "kind": "Node", "metadata": meta})
        await world.settle()
        await world.create_pod("one")
        await world.settle()
        assert "0/1 nodes are available: 1 Too many pods." in await why(world, "one")
        await world.add_node("real")
        await world.advance(10)
        assert await node_of(world, "one") == "real"


async def test_a_pod_deleted_while_it_waits_is_forgotten(make_world):
    async with make_world(nodes=1) as world:
        await world.create_pod("picky", nodeSelector={"disk": "ssd"})
        await world.settle()
        await world.api.delete("pods", "picky", "default")
        await world.create_pod("picky")
        await world.settle()
        assert await node_of(world, "picky") == "node-1"


async def test_it_goes_on_after_the_api_server_has_refused(make_world):
    async with make_world(nodes=1, scheduler=False) as world:
        refusals = 3

        class Doorkeeper:
            async def authorize(self, user, info):
                nonlocal refusals
                refusals -= info.subresource == "binding"
                return info.subresource != "binding" or refusals < 0, ""

        world.server.authorizer = Doorkeeper()
        world.start_scheduler()
        await world.create_pod("one")
        await world.advance(30)
        assert await node_of(world, "one") == "node-1"


# Filters


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ({"key": "disk", "operator": "In", "values": ["ssd", "nvme"]}, "fast"),
        ({"key": "disk", "operator": "NotIn", "values": ["ssd"]}, "slow"),
        ({"key": "gpu", "operator": "Exists"}, "fast"),
        ({"key": "gpu", "operator": "DoesNotExist"}, "slow"),
        ({"key": "cores", "operator": "Gt", "values": ["8"]}, "fast"),
        ({"key": "cores", "operator": "Lt", "values": ["8"]}, "slow"),
    ],
)
async def test_node_affinity_knows_all_operators(make_world, expression, expected):
    async with make_world() as world:
        await world.add_node("fast", labels={"disk": "ssd", "gpu": "", "cores": "16"})
        await world.add_node("slow", labels={"disk": "hdd", "cores": "4"})
        terms = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
        required = {"requiredDuringSchedulingIgnoredDuringExecution": terms}
        await world.create_pod("one", affinity={"nodeAffinity": required})
        await world.settle()
        assert await node_of(world, "one") == expected


async def test_node_affinity_terms_are_alternatives_and_may_name_the_node(make_world):
    async with make_world(nodes=3) as world:
        terms = [
            {"matchExpressions": [{"key": "no-such", "operator": "Exists"}]},
            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-3"]}]},
        ]
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
        await world.create_pod("one", affinity={"nodeAffinity": required})
        await world.settle()
        assert await node_of(world, "one") == "node-3"


async def test_taints_need_tolerations(make_world):
    async with make_world() as world:
        await world.add_node("tainted", taints=[{**CONTROL_PLANE}])
        await world.create_pod("plain")
        await world.create_pod(
            "tolerant", tolerations=[{"key": CONTROL_PLANE["key"], "operator": "Exists"}]
        )
        await world.settle()
        assert await node_of(world, "tolerant") == "tainted"
        assert "1 node(s) had untolerated taint(s)" in await why(world, "plain")
        await world.advance(10)
        await world.change("nodes", "tainted", {"spec": {"taints": None}}, None)
        assert await node_of(world, "plain") == "tainted"


async def test_a_cordoned_node_takes_no_new_pods(make_world):
    async with make_world(nodes=1) as world:
        await world.change("nodes", "node-1", {"spec": {"unschedulable": True}}, None)
        await world.create_pod("one")
        await world.settle()
        assert "1 node(s) were unschedulable" in await why(world, "one")


async def test_a_node_takes_only_so_many_pods(make_world):
    async with make_world() as world:
        await world.add_node("tiny", pods="1")
        await world.create_pod("first")
        await world.settle()
        await world.create_pod("second")
        await world.settle()
        assert "1 Too many pods" in await why(world, "second")


async def test_init_containers_count_by_the_largest_and_sidecars_throughout(make_world):
    async with make_world() as world:
        await world.add_node("only", cpu="1")

        def box(name, cpu, **how):
            resources = {"requests": {"cpu": cpu}}
            return {"name": name, "image": "busybox:1.36", "resources": resources, **how}

        main = [box("main", "400m")]
        sidecar = box("sidecar", "300m", restartPolicy="Always")
        fits = [box("init", "900m")]
        await world.create_pod("fits", containers=main, initContainers=fits)
        await world.settle()
        assert await node_of(world, "fits") == "only"
        await world.api.delete("pods", "fits", "default")
        await world.create_pod("fat", containers=main, initContainers=[sidecar, *fits])
        await world.settle()
        assert "1 Insufficient cpu" in await why(world, "fat")


async def test_a_host_port_is_taken_once_a_node(make_world):
    async with make_world(nodes=2) as world:
        ports = [{"containerPort": 80, "hostPort": 8080}]
        containers = [{"name": "main", "image": "nginx:1.26", "ports": ports}]
        for number in range(3):
            await world.create_pod(f"web-{number}", containers=containers)
            await world.settle()
        assert {await node_of(world, f"web-{n}") for n in (0, 1)} == {"node-1", "node-2"}
        reason = "2 node(s) didn't have free ports for the requested pod ports"
        assert reason in await why(world, "web-2")


async def test_anti_affinity_keeps_apart_and_works_both_ways(make_world):
    async with make_world(nodes=2) as world:
        alone = affinity("podAntiAffinity", near("noisy"))
        await world.create_pod("shy", meta=labelled("shy"), affinity=alone)
        await world.settle()
        await world.create_pod("noisy", meta=labelled("noisy"))
        await world.settle()
        assert await node_of(world, "noisy") != await node_of(world, "shy")
        for number in range(2):
            await world.create_pod(f"shy-{number}", meta=labelled("shy"), affinity=alone)
            await world.settle()
            assert await node_of(world, f"shy-{number}") == await node_of(world, "shy")
        where = {HOST: await node_of(world, "noisy")}
        await world.create_pod("shy-too", meta=labelled("shy"), affinity=alone, nodeSelector=where)
        where = {HOST: await node_of(world, "shy")}
        await world.create_pod("noisy-too", meta=labelled("noisy"), nodeSelector=where)
        await world.settle()
        assert "1 node(s) didn't match pod anti-affinity rules" in await why(world, "shy-too")
        assert "1 node(s) didn't satisfy existing pods anti-affinity rules" in (
            await why(world, "noisy-too")
        )


async def test_affinity_keeps_together_and_waits_for_the_friend(make_world):
    async with make_world() as world:
        for name, zone in (("a1", "a"), ("a2", "a"), ("b1", "b")):
            await world.add_node(name, labels={ZONE: zone})
        together = affinity("podAffinity", near("db", ZONE))
        await world.create_pod("web", meta=labelled("web"), affinity=together)
        await world.settle()
        assert "3 node(s) didn't match pod affinity rules" in await why(world, "web")
        await world.advance(5)
        await world.create_pod("db", meta=labelled("db"), nodeSelector={HOST: "b1"})
        await world.settle()
        assert await node_of(world, "web") == "b1"


async def test_the_first_of_a_group_may_start_anywhere(make_world):
    async with make_world(nodes=2) as world:
        together = affinity("podAffinity", near("group"))
        for number in range(3):
            await world.create_pod(f"g-{number}", meta=labelled("group"), affinity=together)
            await world.settle()
        assert len({await node_of(world, f"g-{number}") for number in range(3)}) == 1


async def test_affinity_looks_into_the_namespaces_that_it_names(make_world):
    async with make_world(nodes=2) as world:
        await world.create_namespaces("other")
        await world.settle()
        await world.create_pod("db", namespace="other", meta=labelled("db"))
        await world.settle()
        there = (await world.get("pods", "db", "other"))["spec"]["nodeName"]
        here = affinity("podAffinity", near("db"))
        everywhere = affinity("podAffinity", near("db", namespaceSelector={}))
        await world.create_pod("blind", affinity=here)
        await world.create_pod("seeing", affinity=everywhere)
        await world.settle()
        assert await node_of(world, "seeing") == there
        assert await node_of(world, "blind") is None


def spread(skew=1, key=HOST, action="DoNotSchedule", **more):
    selector = {"matchLabels": {"app": "web"}}
    return {
        "maxSkew": skew,
        "topologyKey": key,
        "whenUnsatisfiable": action,
        "labelSelector": selector,
        **more,
    }


async def test_pods_spread_over_zones(make_world):
    async with make_world() as world:
        for name, zone in (("a1", "a"), ("a2", "a"), ("b1", "b")):
            await world.add_node(name, labels={ZONE: zone})
        for number in range(4):
            await world.create_pod(
                f"web-{number}",
                meta=labelled("web"),
                topologySpreadConstraints=[spread(key=ZONE)],
            )
            await world.settle()
        nodes = [await node_of(world, f"web-{number}") for number in range(4)]
        assert nodes.count("b1") == 2


async def test_a_spread_that_cannot_be_kept_is_told(make_world):
    async with make_world(nodes=2) as world:
        await world.change("nodes", "node-2", {"spec": {"unschedulable": True}}, None)
        for number in range(2):
            await world.create_pod(
                f"web-{number}", meta=labelled("web"), topologySpreadConstraints=[spread()]
            )
            await world.settle()
        assert "1 node(s) didn't match pod topology spread constraints" in (
            await why(world, "web-1")
        )
        missing = [spread(key=ZONE)]
        await world.create_pod("zoned", topologySpreadConstraints=missing)
        await world.settle()
        assert "(missing required label)" in await why(world, "zoned")


# Scores


async def test_pods_of_a_replica_set_are_spread_over_nodes(make_world):
    async with make_world(nodes=3) as world:
        await world.create_replica_set(replicas=6)
        await world.settle()
        nodes = [pod["spec"]["nodeName"] for pod in await world.items("pods")]
        assert sorted(map(nodes.count, set(nodes))) == [2, 2, 2]


async def test_the_emptier_node_is_better(make_world):
    async with make_world(nodes=2) as world:
        await world.create_pod("tenant", requests={"cpu": "2"}, nodeName="node-1")
        await world.create_pod("one", requests={"cpu": "1", "memory": "1Gi"})
        await world.settle()
        assert await node_of(world, "one") == "node-2"


async def test_the_better_balanced_node_is_better(make_world):
    async with make_world() as world:
        await world.add_node("much-memory", cpu="4", memory="40Gi")
        await world.add_node("much-cpu", cpu="40", memory="4Gi")
        await world.create_pod("hungry", requests={"cpu": "100m", "memory": "3Gi"})
        await world.settle()
        assert await node_of(world, "hungry") == "much-memory"


async def test_preferred_node_affinity_beats_an_emptier_node(make_world):
    async with make_world() as world:
        await world.add_node("empty")
        await world.add_node("liked", labels={"disk": "ssd"})
        await world.create_pod("tenant", requests={"cpu": "1"}, nodeName="liked")
        term = {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}
        liked = affinity("nodeAffinity", {"weight": 100, "preference": term}, required=False)
        await world.create_pod("one", affinity=liked)
        await world.settle()
        assert await node_of(world, "one") == "liked"


@pytest.mark.parametrize(("kind", "together"), [("podAffinity", True), ("podAntiAffinity", False)])
async def test_preferred_pod_affinity_attracts_or_repels(make_world, kind, together):
    async with make_world(nodes=2) as world:
        await world.create_pod("db", meta=labelled("db"))
        await world.settle()
        term = {"weight": 100, "podAffinityTerm": near("db")}
        await world.create_pod("one", affinity=affinity(kind, term, required=False))
        await world.settle()
        same = await node_of(world, "one") == await node_of(world, "db")
        assert same is together


async def test_a_node_that_prefers_others_is_a_last_resort(make_world):
    async with make_world() as world:
        last = {"key": "spare", "effect": "PreferNoSchedule"}
        await world.add_node("a-spare", taints=[last], cpu="64", memory="256Gi")
        await world.add_node("b-regular")
        await world.create_pod("one")
        await world.settle()
        assert await node_of(world, "one") == "b-regular"


async def test_a_soft_spread_is_a_preference(make_world):
    async with make_world(nodes=2) as world:
        await world.create_pod("first", meta=labelled("web"), nodeName="node-1")
        soft = [spread(action="ScheduleAnyway")]
        await world.create_pod("second", meta=labelled("web"), topologySpreadConstraints=soft)
        await world.settle()
        assert await node_of(world, "second") == "node-2"
        await world.change("nodes", "node-2", {"spec": {"unschedulable": True}}, None)
        await world.create_pod("third", meta=labelled("web"), topologySpreadConstraints=soft)
        await world.settle()
        assert await node_of(world, "third") == "node-1"
