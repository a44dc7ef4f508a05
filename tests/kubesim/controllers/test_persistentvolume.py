"""Claims and volumes: how they find each other, and what becomes of them."""

CLAIMS, VOLUMES = "persistentvolumeclaims", "persistentvolumes"


async def claim(world, name="data", size="1Gi", modes=("ReadWriteOnce",), **spec):
    spec = {"storageClassName": "", **spec, "accessModes": list(modes)}
    spec["resources"] = {"requests": {"storage": size}}
    meta = {"name": name, "namespace": "default"}
    await world.api.create(CLAIMS, {"metadata": meta, "spec": spec})
    await world.settle()


async def volume(world, name, size="5Gi", *, modes=("ReadWriteOnce",), labels=None, **spec):
    spec = {"hostPath": {"path": "/tmp/x"}, **spec, "accessModes": list(modes)}
    spec["capacity"] = {"storage": size}
    await world.api.create(
        VOLUMES, {"metadata": {"name": name, "labels": labels or {}}, "spec": spec}
    )
    await world.settle()


async def phases(world, name="data"):
    found = await world.get(CLAIMS, name)
    return found["status"]["phase"], found["spec"].get("volumeName", "")


async def phase(world, name):
    return (await world.get(VOLUMES, name, None))["status"]["phase"]


async def test_the_smallest_volume_that_does_is_taken(make_world):
    async with make_world() as world:
        await volume(world, "large", "10Gi")
        await volume(world, "right", "2Gi")
        await volume(world, "small", "512Mi")
        await volume(world, "other", "2Gi", modes=["ReadWriteMany"])
        await claim(world)
        assert await phases(world) == ("Bound", "right")
        bound = await world.get(CLAIMS, "data")
        assert bound["status"]["capacity"] == {"storage": "2Gi"}
        assert bound["metadata"]["annotations"] == {
            "pv.kubernetes.io/bind-completed": "yes",
            "pv.kubernetes.io/bound-by-controller": "yes",
        }
        reference = (await world.get(VOLUMES, "right", None))["spec"]["claimRef"]
        assert (reference["name"], reference["uid"]) == ("data", bound["metadata"]["uid"])
        assert await phase(world, "right") == "Bound"
        assert await phase(world, "large") == "Available"


async def test_a_selector_and_a_class_narrow_the_choice(make_world):
    async with make_world() as world:
        await volume(world, "plain", "2Gi")
        await volume(world, "labelled", "5Gi", labels={"kind": "fast"})
        await volume(world, "classy", "1Gi", storageClassName="gold")
        await claim(world, selector={"matchLabels": {"kind": "fast"}})
        assert await phases(world) == ("Bound", "labelled")
        await claim(world, "gold", storageClassName="gold")
        assert await phases(world, "gold") == ("Bound", "classy")


async def test_a_claim_that_finds_nothing_says_so_and_looks_again(make_world):
    async with make_world() as world:
        await claim(world)
        assert await phases(world) == ("Pending", "")
        assert await world.events("data") == [
            (
                "FailedBinding",
                "no persistent volumes available for this claim and no storage class is set",
            )
        ]
        await volume(world, "late")
        await world.advance(15)
        assert await phases(world) == ("Bound", "late")


async def test_a_class_that_does_not_exist_is_told(make_world):
    async with make_world() as world:
        await claim(world, storageClassName="nope")
        message = 'storageclass.storage.k8s.io "nope" not found'
        assert await world.events("data") == [("ProvisioningFailed", message)]


async def test_a_named_volume_is_taken_if_it_does(make_world):
    async with make_world() as world:
        await volume(world, "small", "1Gi")
        await volume(world, "mine", "3Gi")
        await claim(world, volumeName="mine")
        assert await phases(world) == ("Bound", "mine")
        await claim(world, "greedy", "2Gi", volumeName="small")
        assert await phases(world, "greedy") == ("Pending", "small")
        message = 'Cannot bind to requested volume "small": requested PV is too small'
        assert await world.events("greedy") == [("VolumeMismatch", message)]


async def test_a_reserved_volume_waits_for_its_claim(make_world):
    async with make_world() as world:
        reserved = {"name": "data", "namespace": "default"}
        await volume(world, "mine", claimRef=reserved)
        assert await phase(world, "mine") == "Available"
        await claim(world, "other")
        assert await phases(world, "other") == ("Pending", "")
        await claim(world)
        assert await phases(world) == ("Bound", "mine")


async def test_a_released_volume_is_kept_with_its_data_and_not_given_away(make_world):
    async with make_world() as world:
        await volume(world, "kept")
        await claim(world)
        await world.api.delete(CLAIMS, "data", "default")
        await world.settle()
        assert not await world.exists(CLAIMS, "data")
        assert await phase(world, "kept") == "Released"
        await claim(world, "next")
        assert await phases(world, "next") == ("Pending", "")
        await world.change(VOLUMES, "kept", {"spec": {"claimRef": None}}, None)
        await world.advance(15)
        assert await phases(world, "next") == ("Bound", "kept")


async def test_a_host_path_below_tmp_is_deleted_and_no_other(make_world):
    async with make_world() as world:
        delete = {"persistentVolumeReclaimPolicy": "Delete"}
        await volume(world, "gone", "1Gi", **delete)
        await volume(world, "stays", "2Gi", hostPath={"path": "/data"}, **delete)
        await claim(world)
        await claim(world, "other")
        for name in ("data", "other"):
            await world.api.delete(CLAIMS, name, "default")
        await world.settle()
        assert not await world.exists(VOLUMES, "gone", None)
        assert await phase(world, "stays") == "Failed"
        message = "host_path deleter only supports /tmp/.+ but received provided /data"
        found = await world.items("events")
        assert [e["message"] for e in found if e["reason"] == "VolumeFailedDelete"] == [message]


async def test_a_claim_that_loses_its_volume_is_lost(make_world):
    async with make_world() as world:
        await volume(world, "gone")
        await claim(world)
        await world.api.delete(VOLUMES, "gone")
        await world.settle()
        assert await world.exists(VOLUMES, "gone", None)  # protected while it is bound
        await world.change(VOLUMES, "gone", {"metadata": {"finalizers": None}}, None)
        assert (await phases(world))[0] == "Lost"
        assert ("ClaimLost" in [reason for reason, _ in await world.events("data")]) is True
