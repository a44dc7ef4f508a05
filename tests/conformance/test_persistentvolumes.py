"""PersistentVolumes and claims: how they find each other, and what becomes of them."""

import pytest
from kubernetes import client

from kubelab import waiting

WAIT = 60


@pytest.fixture
def storage(cluster):
    return client.StorageV1Api(cluster.api_client())


@pytest.fixture
def claim(core, namespace):
    """Creates a claim; by default one that takes no class's volumes."""

    def create(name="data", size="1Gi", modes=("ReadWriteOnce",), **spec):
        spec = {"storageClassName": "", **spec}
        spec |= {"accessModes": list(modes), "resources": {"requests": {"storage": size}}}
        body = {
            "metadata": {"name": name},
            "spec": {k: v for k, v in spec.items() if v is not None},
        }
        return core.create_namespaced_persistent_volume_claim(namespace, body)

    return create


@pytest.fixture
def volume(core, namespace):
    """Creates a volume of this test only, whose claim selects it by its label."""
    made = []

    def create(name="one", size="2Gi", **spec):
        name = f"{namespace}-{name}"
        spec = {"accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/tmp/pv"}, **spec}
        meta = {"name": name, "labels": {"test": namespace}}
        core.create_persistent_volume(
            {"metadata": meta, "spec": spec | {"capacity": {"storage": size}}}
        )
        made.append(name)
        return name

    yield create
    for name in made:
        try:
            core.patch_persistent_volume(name, {"metadata": {"finalizers": None}})
            core.delete_persistent_volume(name)
        except client.ApiException as error:
            assert error.status == 404


@pytest.fixture
def own(namespace):
    """What lets a claim see nothing but the test's own volumes."""
    return {"selector": {"matchLabels": {"test": namespace}}}


@pytest.fixture
def phase(core, namespace):
    """Waits until a claim, or a volume by its full name, is in a phase; returns it."""

    def wait(name, wanted):
        def there():
            if name.startswith(namespace):
                found = core.read_persistent_volume(name)
            else:
                found = core.read_namespaced_persistent_volume_claim(name, namespace)
            return found if found.status.phase == wanted else None

        return waiting.until(there, timeout=WAIT, what=f"{name} to be {wanted}")

    return wait


@pytest.fixture
def told(told):
    """Waits for an Event about an object; returns its first message."""
    return lambda name, reason: told(name, reason)[0]


def user_of(shell_pod, claim="data", name="user", script="sleep 3600"):
    pod = shell_pod(name, script, volumeMounts=[{"name": "v", "mountPath": "/data"}])
    pod["spec"]["volumes"] = [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]
    return pod


def test_a_claim_is_bound_to_the_smallest_volume_that_does(volume, claim, own, phase):
    volume("large", "5Gi")
    right = volume("right", "2Gi")
    claim(**own)
    bound = phase("data", "Bound")
    assert bound.spec.volume_name == right
    assert bound.status.capacity == {"storage": "2Gi"}
    assert bound.metadata.annotations["pv.kubernetes.io/bind-completed"] == "yes"
    reference = phase(right, "Bound").spec.claim_ref
    assert (reference.name, reference.uid) == ("data", bound.metadata.uid)


def test_a_new_volume_is_available_and_kept_by_default(volume, phase):
    found = phase(volume(), "Available")
    assert found.spec.persistent_volume_reclaim_policy == "Retain"
    assert found.spec.volume_mode == "Filesystem"
    assert found.metadata.finalizers == ["kubernetes.io/pv-protection"]


def test_a_claim_without_a_volume_waits_and_says_so(claim, own, phase, told):
    claim(**own)
    assert told("data", "FailedBinding") == (
        "no persistent volumes available for this claim and no storage class is set"
    )
    assert phase("data", "Pending").metadata.finalizers == ["kubernetes.io/pvc-protection"]


def test_a_claim_finds_a_volume_that_comes_later(claim, own, volume, phase):
    claim(**own)
    phase("data", "Pending")
    volume()
    phase("data", "Bound")


def test_modes_must_fit(volume, claim, own, phase, told):
    volume()
    claim(modes=["ReadWriteMany"], **own)
    assert told("data", "FailedBinding")
    phase("data", "Pending")


def test_a_class_that_does_not_exist_is_told(claim, told):
    claim(storageClassName="nope")
    message = told("data", "ProvisioningFailed")
    assert message == 'storageclass.storage.k8s.io "nope" not found'


def test_a_volume_can_be_named(volume, claim, phase):
    volume("one")
    two = volume("two")
    claim(volumeName=two)
    assert phase("data", "Bound").spec.volume_name == two


def test_a_named_volume_must_do(volume, claim, told):
    name = volume(size="1Gi")
    claim(size="3Gi", volumeName=name)
    message = told("data", "VolumeMismatch")
    assert message == f'Cannot bind to requested volume "{name}": requested PV is too small'


def test_a_volume_can_be_reserved_for_a_claim(core, namespace, volume, claim, own, phase):
    mine = volume(claimRef={"name": "mine", "namespace": namespace})
    claim("other", **own)
    claim("mine", **own)
    assert phase("mine", "Bound").spec.volume_name == mine
    assert phase("other", "Pending")


def test_a_released_volume_is_kept_until_somebody_frees_it(
    core, namespace, volume, claim, own, phase
):
    name = volume()
    claim(**own)
    phase("data", "Bound")
    core.delete_namespaced_persistent_volume_claim("data", namespace)
    phase(name, "Released")
    claim("next", **own)
    phase("next", "Pending")
    core.patch_persistent_volume(name, {"spec": {"claimRef": None}})
    assert phase("next", "Bound").spec.volume_name == name


def test_a_claim_in_use_is_protected(core, namespace, claim, shell_pod, kubectl):
    claim(storageClassName=None)
    core.create_namespaced_pod(namespace, user_of(shell_pod))
    waiting.pod_ready(core, "user", namespace, timeout=90)
    core.delete_namespaced_persistent_volume_claim("data", namespace)
    assert kubectl("get", "pvc", "data", "--no-headers").split()[1] == "Terminating"
    core.delete_namespaced_pod("user", namespace, grace_period_seconds=0)
    waiting.until(
        lambda: not core.list_namespaced_persistent_volume_claim(namespace).items, timeout=WAIT
    )


def test_the_default_class_makes_a_volume_which_goes_with_its_claim(
    core, namespace, claim, shell_pod, phase
):
    made = claim(storageClassName=None)
    assert made.spec.storage_class_name == "standard"
    core.create_namespaced_pod(namespace, user_of(shell_pod))
    waiting.pod_ready(core, "user", namespace, timeout=90)
    name = phase("data", "Bound").spec.volume_name
    assert name == f"pvc-{made.metadata.uid}"
    volume = core.read_persistent_volume(name)
    assert volume.spec.persistent_volume_reclaim_policy == "Delete"
    core.delete_namespaced_pod("user", namespace, grace_period_seconds=0)
    core.delete_namespaced_persistent_volume_claim("data", namespace)
    remaining = lambda: [v.metadata.name for v in core.list_persistent_volume().items]  # noqa: E731
    waiting.until(lambda: name not in remaining(), timeout=WAIT)


@pytest.mark.since("1.21", "kind installs rancher.io/local-path; the old cluster has host-path")
def test_the_default_class_waits_for_the_first_consumer(core, namespace, claim, shell_pod, told):
    claim(storageClassName=None)
    assert told("data", "WaitForFirstConsumer") == (
        "waiting for first consumer to be created before binding"
    )
    core.create_namespaced_pod(namespace, user_of(shell_pod))
    assert told("data", "ProvisioningSucceeded").startswith("Successfully provisioned volume pvc-")
    assert told("data", "Provisioning") == (
        f'External provisioner is provisioning volume for claim "{namespace}/data"'
    )


def test_a_pod_with_a_missing_claim_gets_no_node(core, namespace, shell_pod, told):
    core.create_namespaced_pod(namespace, user_of(shell_pod, "missing"))
    assert 'persistentvolumeclaim "missing" not found' in told("user", "FailedScheduling")
    assert core.read_namespaced_pod("user", namespace).status.phase == "Pending"


def test_a_pod_with_an_unbound_claim_gets_no_node(core, namespace, claim, own, shell_pod, told):
    claim(**own)
    core.create_namespaced_pod(namespace, user_of(shell_pod))
    message = told("user", "FailedScheduling")
    assert "pod has unbound immediate PersistentVolumeClaims" in message


def test_a_volume_keeps_its_pods_from_other_nodes(
    core, namespace, volume, claim, own, shell_pod, phase, told
):
    nowhere = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["nowhere"]}
    terms = [{"matchExpressions": [nowhere]}]
    volume(nodeAffinity={"required": {"nodeSelectorTerms": terms}})
    claim(**own)
    phase("data", "Bound")
    core.create_namespaced_pod(namespace, user_of(shell_pod))
    message = told("user", "FailedScheduling")
    assert "node(s) had volume node affinity conflict" in message or (
        "node(s) didn't match PersistentVolume's node affinity" in message  # since 1.33
    )


def test_what_is_written_outlives_the_pod(core, namespace, claim, shell_pod, kubectl):
    claim(storageClassName=None)
    script = "echo kept > /data/file; sleep 3600"
    core.create_namespaced_pod(namespace, user_of(shell_pod, name="one", script=script))
    waiting.pod_ready(core, "one", namespace, timeout=90)
    node = core.read_namespaced_pod("one", namespace).spec.node_name
    waiting.until(lambda: kubectl("exec", "one", "--", "ls", "/data") == "file\n", timeout=WAIT)
    kubectl("delete", "pod", "one", "--force", "--grace-period=0")
    second = user_of(shell_pod, name="two", script="cat /data/file; sleep 3600")
    second["spec"]["nodeName"] = node
    core.create_namespaced_pod(namespace, second)
    waiting.pod_ready(core, "two", namespace, timeout=90)
    assert kubectl("logs", "two") == "kept\n"


def test_a_claim_asks_for_modes_and_a_size(core, namespace, refusal):
    body = {"metadata": {"name": "data"}, "spec": {"storageClassName": ""}}
    status = refusal(core.create_namespaced_persistent_volume_claim, namespace, body)
    found = {c["field"]: c["message"] for c in status["details"]["causes"]}
    assert found["spec.accessModes"] == "Required value: at least 1 access mode is required"
    assert found["spec.resources[storage]"] == "Required value"


def test_a_claim_keeps_what_it_asks_for(core, namespace, claim, own, refusal):
    claim(**own)
    patch = {"spec": {"accessModes": ["ReadWriteMany"]}}
    change = core.patch_namespaced_persistent_volume_claim
    status = refusal(change, "data", namespace, patch)
    assert status["details"]["causes"][0]["field"] == "spec"
    assert "spec is immutable after creation" in status["message"]


def test_a_class_without_expansion_refuses_to_grow(
    core, namespace, claim, shell_pod, refusal, phase
):
    claim(storageClassName=None)
    core.create_namespaced_pod(namespace, user_of(shell_pod))
    phase("data", "Bound")
    patch = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    change = core.patch_namespaced_persistent_volume_claim
    status = refusal(change, "data", namespace, patch)
    assert status["code"] == 403
    assert "only dynamically provisioned pvc can be resized" in status["message"]


def test_a_volume_says_where_its_data_is(core, namespace, refusal):
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}
    body = {"metadata": {"name": f"{namespace}-x"}, "spec": spec}
    status = refusal(core.create_persistent_volume, body)
    assert status["details"]["causes"] == [
        {
            "reason": "FieldValueRequired",
            "message": "Required value: must specify a volume type",
            "field": "spec",
        }
    ]


def test_a_class_goes_on_making_the_same(storage, namespace, refusal):
    body = {"metadata": {"name": namespace}, "provisioner": "example.com/disk"}
    made = storage.create_storage_class(body)
    assert (made.reclaim_policy, made.volume_binding_mode) == ("Delete", "Immediate")
    patch = {"provisioner": "example.com/other"}
    status = refusal(storage.patch_storage_class, namespace, patch)
    storage.delete_storage_class(namespace)
    assert status["details"]["causes"][0]["field"] == "provisioner"


def test_columns(volume, claim, own, phase, kubectl, namespace):
    name = volume(persistentVolumeReclaimPolicy="Retain")
    claim(**own)
    phase("data", "Bound")
    heading, row = [line.split() for line in kubectl("get", "pvc").splitlines()]
    assert heading[:5] == ["NAME", "STATUS", "VOLUME", "CAPACITY", "ACCESS"]
    assert row[:5] == ["data", "Bound", name, "2Gi", "RWO"]
    row = kubectl("get", "pv", name, "--no-headers").split()
    assert row[:6] == [name, "2Gi", "RWO", "Retain", "Bound", f"{namespace}/data"]
    row = kubectl("get", "sc", "standard", "--no-headers").split()
    assert row[:2] == ["standard", "(default)"]
    assert row[3] == "Delete"
