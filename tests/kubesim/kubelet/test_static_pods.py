"""Static Pods: what a kubelet runs from its manifest directory, and the mirrors that show them."""

from kubesim.apiserver.errors import StatusError

NODE = "test-worker"
MANIFEST = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "namespace": "default", "labels": {"app": "web"}},
    "spec": {"containers": [{"name": "c", "image": "nginx:1.26"}]},
}


def manifests(lab):
    return lab.cluster.manifests(NODE)


async def pods(lab):
    return [each["metadata"]["name"] for each in (await lab.api.list("pods", "default"))["items"]]


async def test_a_manifest_runs_and_is_shown_by_a_mirror(make_lab):
    async with make_lab() as lab:
        manifests(lab).write("web.yaml", MANIFEST)
        await lab.advance(1)
        pod = await lab.pod(f"web-{NODE}")
        annotations = pod["metadata"]["annotations"]
        assert annotations["kubernetes.io/config.source"] == "file"
        assert (
            annotations["kubernetes.io/config.mirror"] == annotations["kubernetes.io/config.hash"]
        )
        owner = pod["metadata"]["ownerReferences"][0]
        assert (owner["kind"], owner["name"], owner["controller"]) == ("Node", NODE, True)
        assert pod["spec"]["nodeName"] == NODE
        assert pod["spec"]["tolerations"][0] == {"operator": "Exists", "effect": "NoExecute"}
        assert "serviceAccountName" not in pod["spec"]
        assert pod["status"]["phase"] == "Running"
        assert "PodScheduled" in {each["type"] for each in pod["status"]["conditions"]}


async def test_its_containers_are_reached_like_any_others(make_lab):
    async with make_lab() as lab:
        manifests(lab).write("web.yaml", MANIFEST)
        await lab.advance(1)
        assert (await lab.exec("echo", "here", name=f"web-{NODE}")) == ("here\n", 0)


async def test_without_its_manifest_it_ends_and_its_mirror_goes(make_lab):
    async with make_lab() as lab:
        manifests(lab).write("web.yaml", MANIFEST)
        await lab.advance(1)
        taken = manifests(lab).take("web.yaml")
        await lab.advance(40)
        assert await pods(lab) == []
        manifests(lab).write("web.yaml", taken)
        await lab.advance(1)
        assert await pods(lab) == [f"web-{NODE}"]


async def test_deleting_the_mirror_restarts_the_pod(make_lab):
    async with make_lab() as lab:
        manifests(lab).write("web.yaml", MANIFEST)
        await lab.advance(1)
        before = await lab.pod(f"web-{NODE}")
        await lab.api.delete("pods", f"web-{NODE}", "default")
        await lab.advance(40)
        after = await lab.pod(f"web-{NODE}")
        assert after["metadata"]["uid"] != before["metadata"]["uid"]
        identities = [
            pod["status"]["containerStatuses"][0]["containerID"] for pod in (before, after)
        ]
        assert identities[0] != identities[1]
        assert after["status"]["phase"] == "Running"


async def test_another_manifest_of_the_same_name_replaces_the_pod(make_lab):
    async with make_lab() as lab:
        manifests(lab).write("web.yaml", MANIFEST)
        await lab.advance(1)
        changed = {**MANIFEST, "spec": {"containers": [{"name": "c", "image": "nginx:1.27"}]}}
        manifests(lab).write("web.yaml", changed)
        await lab.advance(40)
        pod = await lab.pod(f"web-{NODE}")
        assert pod["spec"]["containers"][0]["image"] == "nginx:1.27"
        assert pod["status"]["containerStatuses"][0]["image"].endswith("nginx:1.27")


async def test_a_node_that_comes_back_runs_its_static_pods_again(make_lab):
    async with make_lab() as lab:
        manifests(lab).write("web.yaml", MANIFEST)
        await lab.advance(1)
        await lab.cluster.stop_node(NODE)
        await lab.cluster.start_node(NODE)
        await lab.advance(2)
        status = await lab.status(f"web-{NODE}")
        assert status["restartCount"] == 1
        assert "running" in status["state"]


async def test_a_kubelet_makes_no_pods_but_mirrors(make_lab):
    async with make_lab() as lab:
        groups = ("system:nodes", "system:authenticated")
        kubelet = lab.cluster.client(f"system:node:{NODE}", groups)
        try:
            await kubelet.create("pods", MANIFEST)
        except StatusError as error:
            assert error.code == 403
            assert "can only create mirror pods" in str(error)
        else:
            raise AssertionError("the Pod was created")
