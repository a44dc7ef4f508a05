DEPLOYMENTS = "deployments.apps"
REPLICASETS = "replicasets.apps"


def deployment(name="web", replicas=3, image="nginx:1.26", **spec):
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "web", "image": image}]},
            },
            **spec,
        },
    }


async def test_a_deployment_gets_a_replica_set_and_pods_on_nodes(make_world):
    async with make_world(nodes=2) as world:
        await world.api.create(DEPLOYMENTS, deployment())
        await world.settle()
        (replica_set,) = await world.items(REPLICASETS)
        pods = await world.items("pods")
        got = await world.api.get(DEPLOYMENTS, "web", "default")
        assert replica_set["spec"]["replicas"] == 3
        assert {pod["spec"]["nodeName"] for pod in pods} == {"node-1", "node-2"}
        assert got["status"]["availableReplicas"] == 3
