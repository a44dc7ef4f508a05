"""Disks: what is written there, who sees it, and how long it stays."""

import pytest

WRITE = "echo hello > /data/file; sleep 3600"
READ = "cat /data/file; ls /data"
MOUNT = [{"name": "v", "mountPath": "/data"}]


def claimed(name="data", **more):
    return {
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": name}}],
        "volumeMounts": MOUNT,
        **more,
    }


def on_host(path, kind="", **more):
    source = {"path": path, "type": kind}
    return {"volumes": [{"name": "v", "hostPath": source}], "volumeMounts": MOUNT, **more}


async def claim(lab, name="data", size="1Gi", **spec):
    spec = {"accessModes": ["ReadWriteOnce"], **spec}
    spec["resources"] = {"requests": {"storage": size}}
    await lab.create("persistentvolumeclaims", name, spec=spec)
    await lab.settle()


async def local_volume(lab, node, size="5Gi"):
    """A class that makes nothing, and a directory of a node as its only volume."""
    meta = {"metadata": {"name": "manual"}, "provisioner": "kubernetes.io/no-provisioner"}
    meta["volumeBindingMode"] = "WaitForFirstConsumer"
    await lab.api.create("storageclasses.storage.k8s.io", meta)
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    spec = {
        "capacity": {"storage": size},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "manual",
        "local": {"path": "/mnt"},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
    }
    await lab.api.create("persistentvolumes", {"metadata": {"name": "disk"}, "spec": spec})
    await lab.settle()


async def test_a_claim_waits_for_its_pod_then_gets_a_disk_that_outlives_it(make_lab):
    async with make_lab() as lab:
        await claim(lab)
        waiting = await lab.api.get("persistentvolumeclaims", "data", "default")
        assert waiting["spec"]["storageClassName"] == "standard"
        assert waiting["status"] == {"phase": "Pending"}
        await lab.run("first", command=["sh", "-c", WRITE], **claimed())
        await lab.advance(2)
        assert await lab.phase("first") == "Running"
        bound = await lab.api.get("persistentvolumeclaims", "data", "default")
        assert bound["status"]["phase"] == "Bound"
        assert bound["status"]["capacity"] == {"storage": "1Gi"}
        node = (await lab.pod("first"))["spec"]["nodeName"]
        await lab.api.delete("pods", "first", "default")
        await lab.advance(40)
        await lab.cluster.stop_node(node)
        await lab.cluster.start_node(node)
        await lab.advance(5)
        assert await lab.sh(READ, "second", **claimed()) == "hello\nfile\n"
        assert (await lab.pod("second"))["spec"]["nodeName"] == node
        assert [
            (reason, message.replace(bound["spec"]["volumeName"], "PV"))
            for reason, message in await lab.events("data")
        ] == [
            ("WaitForFirstConsumer", "waiting for first consumer to be created before binding"),
            (
                "ExternalProvisioning",
                "Waiting for a volume to be created either by the external provisioner "
                "'rancher.io/local-path' or manually by the system administrator. If volume "
                "creation is delayed, please verify that the provisioner is running and correctly "
                "registered.",
            ),
            (
                "Provisioning",
                'External provisioner is provisioning volume for claim "default/data"',
            ),
            ("ProvisioningSucceeded", "Successfully provisioned volume PV"),
        ]


async def test_a_claim_in_use_goes_when_its_pod_has_gone_and_takes_its_disk_along(make_lab):
    async with make_lab() as lab:
        await claim(lab)
        await lab.run("first", command=["sh", "-c", WRITE], **claimed())
        await lab.advance(2)
        node = (await lab.pod("first"))["spec"]["nodeName"]
        await lab.api.delete("persistentvolumeclaims", "data", "default")
        await lab.settle()
        going = await lab.api.get("persistentvolumeclaims", "data", "default")
        assert going["metadata"]["deletionTimestamp"]
        (volume,) = (await lab.api.list("persistentvolumes"))["items"]
        disk = lab.cluster._kubelets[node].disk
        assert disk.find(f"{volume['spec']['hostPath']['path']}/file")
        await lab.api.delete("pods", "first", "default", grace_period=1)
        await lab.advance(5)
        assert (await lab.api.list("persistentvolumeclaims"))["items"] == []
        assert (await lab.api.list("persistentvolumes"))["items"] == []
        assert disk.find(volume["spec"]["hostPath"]["path"]) is None


async def test_a_pod_with_a_missing_claim_gets_no_node(make_lab):
    async with make_lab() as lab:
        await lab.run(**claimed("missing"))
        assert not (await lab.pod())["spec"].get("nodeName")
        assert await lab.events() == [
            (
                "FailedScheduling",
                '0/3 nodes are available: persistentvolumeclaim "missing" not found. no new '
                "claims to deallocate, preemption: 0/3 nodes are available: 3 Preemption is not "
                "helpful for scheduling.",
            )
        ]
        await claim(lab, "missing")
        await lab.advance(5)
        assert await lab.phase() == "Running"


async def test_a_local_volume_draws_its_pod_to_its_node(make_lab):
    async with make_lab() as lab:
        await local_volume(lab, "test-worker2")
        await claim(lab, storageClassName="manual")
        await lab.run(command=["sh", "-c", WRITE], **claimed())
        await lab.advance(2)
        assert (await lab.pod())["spec"]["nodeName"] == "test-worker2"
        wrong = {"nodeSelector": {"kubernetes.io/hostname": "test-worker"}}
        await lab.run("other", **claimed(), **wrong)
        ((_, message),) = await lab.events("other")
        assert "1 node(s) didn't match PersistentVolume's node affinity" in message
        await claim(lab, "more", storageClassName="manual")
        await lab.run("third", **claimed("more"))
        ((_, message),) = await lab.events("third")
        assert "2 node(s) didn't find available persistent volumes to bind" in message


async def test_one_pod_at_a_time_may_use_a_claim_that_says_so(make_lab):
    async with make_lab() as lab:
        await claim(lab, accessModes=["ReadWriteOncePod"])
        await lab.run("first", command=["sleep", "3600"], **claimed())
        await lab.advance(2)
        await lab.run("second", **claimed())
        ((_, message),) = await lab.events("second")
        assert "node has pod using PersistentVolumeClaim with the same name" in message


async def test_host_paths_are_shared_by_the_pods_of_a_node(make_lab):
    async with make_lab() as lab:
        await lab.run(
            "one", command=["sh", "-c", WRITE], **on_host("/srv/x"), nodeName="test-worker"
        )
        for node, found in (("test-worker", "hello\nfile\n"), ("test-worker2", "")):
            log = await lab.sh(
                "cat /data/file 2>/dev/null; ls /data", node, **on_host("/srv/x"), nodeName=node
            )
            assert log == found


@pytest.mark.parametrize(
    ("path", "kind", "what"),
    [
        ("/nope", "Directory", "a directory"),
        ("/etc/hostname", "DirectoryOrCreate", "a directory"),
        ("/etc", "File", "a file"),
        ("/etc/hostname", "Socket", "a socket file"),
    ],
)
async def test_a_host_path_is_what_its_type_says(make_lab, path, kind, what):
    async with make_lab() as lab:
        await lab.run(**on_host(path, kind))
        failed = 'MountVolume.SetUp failed for volume "v" : hostPath type check failed: '
        message = f"{failed}{path} is not {what}"
        assert ("FailedMount", message) in await lab.events()


async def test_a_file_of_the_node_can_be_mounted(make_lab):
    async with make_lab() as lab:
        log = await lab.sh("cat /data", **on_host("/etc/hostname", "File"), nodeName="test-worker")
        assert log == "test-worker\n"
        await lab.sh(
            "echo new > /data",
            "two",
            **on_host("/tmp/made", "FileOrCreate"),
            nodeName="test-worker",
        )
        log = await lab.sh(
            "cat /data", "three", **on_host("/tmp/made", "File"), nodeName="test-worker"
        )
        assert log == "new\n"


async def test_an_ephemeral_volume_has_a_claim_that_goes_with_its_pod(make_lab):
    async with make_lab() as lab:
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        volume = {"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": spec}}}
        await lab.run("one", command=["sh", "-c", WRITE], volumes=[volume], volumeMounts=MOUNT)
        await lab.advance(3)
        assert await lab.phase("one") == "Running"
        (made,) = (await lab.api.list("persistentvolumeclaims"))["items"]
        assert made["metadata"]["name"] == "one-v"
        assert made["metadata"]["ownerReferences"][0]["kind"] == "Pod"
        await lab.api.delete("pods", "one", "default", grace_period=1)
        await lab.advance(5)
        assert (await lab.api.list("persistentvolumeclaims"))["items"] == []


async def test_an_empty_directory_that_holds_too_much_ends_its_pod(make_lab):
    async with make_lab() as lab:
        volume = {"name": "v", "emptyDir": {"sizeLimit": "1Ki"}}
        script = "head -c 2000 /dev/zero > /data/big; sleep 3600"
        command = ["sh", "-c", script]
        await lab.run(command=command, volumes=[volume], volumeMounts=MOUNT)
        await lab.advance(15)
        status = (await lab.pod())["status"]
        assert (status["phase"], status["reason"]) == ("Failed", "Evicted")
        assert status["message"] == 'Usage of EmptyDir volume "v" exceeds the limit "1Ki". '
        assert "Evicted" in await lab.reasons()


async def test_an_empty_directory_on_disk_outlives_the_power_but_not_the_pod(make_lab):
    async with make_lab() as lab:
        volume = {"name": "v", "emptyDir": {}}
        script = "cat /data/file 2>/dev/null; echo kept > /data/file; sleep 3600"
        command = ["sh", "-c", script]
        pod = await lab.run(
            command=command, volumes=[volume], volumeMounts=MOUNT, nodeName="test-worker"
        )
        await lab.cluster.stop_node("test-worker")
        await lab.cluster.start_node("test-worker")
        await lab.advance(5)
        assert await lab.log() == "kept\n"
        disk = lab.cluster._kubelets["test-worker"].disk
        place = f"/var/lib/kubelet/pods/{pod['metadata']['uid']}"
        assert disk.find(place)
        await lab.api.delete("pods", "pod", "default", grace_period=1)
        await lab.advance(5)
        assert disk.find(place) is None


async def test_a_claim_of_many_writers_is_refused_by_the_provisioner(make_lab):
    async with make_lab() as lab:
        await claim(lab, accessModes=["ReadWriteMany"])
        await lab.run(**claimed())
        await lab.advance(2)
        assert (
            "ProvisioningFailed",
            'failed to provision volume with StorageClass "standard": NodePath only supports '
            "ReadWriteOnce and ReadWriteOncePod (1.22+) access modes",
        ) in await lab.events("data")
