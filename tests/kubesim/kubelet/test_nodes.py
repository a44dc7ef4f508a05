"""Nodes: registration, heartbeats, and what a power cut does to their Pods."""

from kubesim.apimachinery.objects import condition_status, parse_time

LEASES = "leases.coordination.k8s.io"


async def get_lease(lab, name):
    return await lab.api.get(LEASES, name, "kube-node-lease")


async def test_nodes_register_and_are_ready(make_lab):
    async with make_lab() as lab:
        nodes = (await lab.api.list("nodes"))["items"]
        assert len(nodes) == 3
        for node in nodes:
            assert condition_status(node, "Ready") == "True"
            assert condition_status(node, "MemoryPressure") == "False"
            info = node["status"]["nodeInfo"]
            assert info["kubeletVersion"] == "v1.37.0"
            assert info["containerRuntimeVersion"].startswith("containerd://2.")
            assert node["status"]["allocatable"]["pods"] == "110"
            assert node["spec"]["podCIDR"].startswith("10.244.")
        names = {
            name for node in nodes for each in node["status"]["images"] for name in each["names"]
        }
        assert "docker.io/library/busybox:1.36" in names
        assert len({node["spec"]["podCIDR"] for node in nodes}) == 3


async def test_a_lease_is_renewed_every_ten_seconds(make_lab):
    async with make_lab() as lab:
        before = parse_time((await get_lease(lab, "test-worker"))["spec"]["renewTime"])
        await lab.advance(10)
        lease = await get_lease(lab, "test-worker")
        assert (parse_time(lease["spec"]["renewTime"]) - before).total_seconds() == 10
        assert lease["spec"]["leaseDurationSeconds"] == 40
        assert lease["metadata"]["ownerReferences"][0]["name"] == "test-worker"


async def test_a_stopped_node_falls_silent_and_a_started_one_runs_its_pods_again(make_lab):
    async with make_lab() as lab:
        pod = await lab.run(command=["sh", "-c", "echo up; sleep 100000"])
        node, ip = pod["spec"]["nodeName"], pod["status"]["podIP"]
        other = "test-worker2" if node == "test-worker" else "test-worker"
        await lab.run("client", command=["sleep", "100000"], nodeName=other)
        await lab.cluster.stop_node(node)
        before = await get_lease(lab, node)
        await lab.advance(60)
        assert (await get_lease(lab, node))["spec"] == before["spec"]
        assert condition_status(await lab.api.get("nodes", node), "Ready") == "Unknown"
        assert (await lab.status())["restartCount"] == 0
        ask = ["sh", "-c", f"wget -T 2 {ip} 2>&1"]
        assert "timed out" in (await lab.exec_later(*ask, name="client"))
        await lab.cluster.start_node(node)
        await lab.advance(5)
        assert condition_status(await lab.api.get("nodes", node), "Ready") == "True"
        status = await lab.status()
        assert status["restartCount"] == 1
        assert "running" in status["state"]
        assert status["lastState"]["terminated"]["exitCode"] == 255
        assert await lab.log() == "up\n"
        assert "SandboxChanged" in await lab.reasons()


async def test_a_pod_that_must_not_be_restarted_fails_with_its_node(make_lab):
    async with make_lab() as lab:
        pod = await lab.run(command=["sleep", "100000"], restartPolicy="Never")
        await lab.cluster.stop_node(pod["spec"]["nodeName"])
        await lab.cluster.start_node(pod["spec"]["nodeName"])
        await lab.advance(5)
        assert await lab.phase() == "Failed"
        assert (await lab.status())["state"]["terminated"]["exitCode"] == 255


async def test_a_pod_deleted_while_its_node_was_down_is_cleaned_up(make_lab):
    async with make_lab() as lab:
        pod = await lab.run(command=["sleep", "100000"])
        await lab.cluster.stop_node(pod["spec"]["nodeName"])
        await lab.api.delete("pods", "pod", "default")
        await lab.advance(100)
        assert await lab.exists()
        await lab.cluster.start_node(pod["spec"]["nodeName"])
        await lab.advance(40)
        assert not await lab.exists()


async def test_finished_pods_stay_finished_when_the_cluster_is_started_again(make_lab):
    async with make_lab() as lab:
        await lab.run("done", command=["true"], restartPolicy="Never")
        pod = await lab.run("runs", command=["sleep", "100000"])
        for name in ("test-worker", "test-worker2"):
            await lab.cluster.stop_node(name)
        for name in ("test-worker", "test-worker2"):
            await lab.cluster.start_node(name)
        await lab.advance(5)
        assert await lab.phase("done") == "Succeeded"
        status = await lab.status("runs")
        assert (status["restartCount"], await lab.phase("runs")) == (1, "Running")
        assert pod["metadata"]["uid"] == (await lab.pod("runs"))["metadata"]["uid"]
