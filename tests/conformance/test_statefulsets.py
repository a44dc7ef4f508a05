"""StatefulSets: Pods with names of their own, that come and go in order."""

import pytest

from kubelab import waiting
from tests.conformance.support import with_image

WAIT = 120
LABELS = {"app": "db"}


@pytest.fixture
def stateful(apps, namespace):
    """Creates a StatefulSet and waits until all its Pods are ready."""

    def create(ready=True, readiness=None, **spec):
        container = {"name": "main", "image": "nginx:1.26"}
        if readiness:
            command = {"exec": {"command": ["sh", "-c", readiness]}, "periodSeconds": 1}
            container["readinessProbe"] = command
        pod = {"terminationGracePeriodSeconds": 1, "containers": [container]}
        template = {"metadata": {"labels": LABELS}, "spec": pod}
        chosen = {"selector": {"matchLabels": LABELS}, "serviceName": "db", "replicas": 2}
        body = {"metadata": {"name": "db"}, "spec": {**chosen, "template": template, **spec}}
        made = apps.create_namespaced_stateful_set(namespace, body)
        if ready:
            waiting.until(lambda: is_rolled_out(apps, namespace), timeout=WAIT)
        return made

    return create


def is_rolled_out(apps, namespace):
    found = apps.read_namespaced_stateful_set("db", namespace)
    status, wanted = found.status, found.spec.replicas
    return (
        status.observed_generation == found.metadata.generation
        and status.current_revision == status.update_revision
        and (status.replicas, status.ready_replicas or 0) == (wanted, wanted)
    )


@pytest.fixture
def change(apps, namespace):
    """Changes the spec of the StatefulSet."""
    return lambda **spec: apps.patch_namespaced_stateful_set("db", namespace, {"spec": spec})


@pytest.fixture
def images(core, namespace):
    """The image of each Pod that stays, by name."""

    def read():
        return {
            pod.metadata.name: pod.spec.containers[0].image
            for pod in core.list_namespaced_pod(namespace, label_selector="app=db").items
            if not pod.metadata.deletion_timestamp
        }

    return read


def test_pods_are_numbered_and_know_their_names(core, namespace, stateful):
    stateful()
    pod = core.read_namespaced_pod("db-1", namespace)
    assert (pod.spec.hostname, pod.spec.subdomain) == ("db-1", "db")
    assert pod.metadata.labels["statefulset.kubernetes.io/pod-name"] == "db-1"
    assert pod.metadata.owner_references[0].kind == "StatefulSet"


@pytest.mark.since("1.28", "PodIndexLabel, KEP-4017")
def test_pods_carry_their_number_as_a_label(core, namespace, stateful):
    stateful()
    pod = core.read_namespaced_pod("db-1", namespace)
    assert pod.metadata.labels["apps.kubernetes.io/pod-index"] == "1"


def test_what_is_left_out_is_filled_in(stateful):
    spec = stateful(ready=False, replicas=None).spec
    assert (spec.replicas, spec.pod_management_policy) == (1, "OrderedReady")
    assert spec.update_strategy.type == "RollingUpdate"
    assert spec.update_strategy.rolling_update.partition == 0
    assert spec.revision_history_limit == 10


def test_each_pod_waits_for_the_one_before(core, namespace, stateful, images, kubectl):
    stateful(ready=False, readiness="test -e /tmp/ready")
    waiting.pod_phase(core, "db-0", namespace, "Running", timeout=WAIT)
    assert list(images()) == ["db-0"]
    kubectl("exec", "db-0", "--", "touch", "/tmp/ready")
    waiting.until(lambda: "db-1" in images(), timeout=WAIT)


def test_in_parallel_nobody_waits(stateful, images):
    stateful(ready=False, readiness="false", podManagementPolicy="Parallel")
    waiting.until(lambda: sorted(images()) == ["db-0", "db-1"], timeout=WAIT)


def test_status_counts_pods_and_names_revisions(apps, namespace, stateful, core):
    stateful()
    status = apps.read_namespaced_stateful_set("db", namespace).status
    assert (status.replicas, status.ready_replicas) == (2, 2)
    assert (status.current_replicas, status.updated_replicas) == (2, 2)
    label = core.read_namespaced_pod("db-0", namespace).metadata.labels
    assert label["controller-revision-hash"] == status.current_revision == status.update_revision


def test_scaling_down_takes_the_highest_number(stateful, images, change, told):
    stateful()
    change(replicas=1)
    waiting.until(lambda: list(images()) == ["db-0"], timeout=WAIT)
    assert told("db", "SuccessfulDelete") == ["delete Pod db-1 in StatefulSet db successful"]


def test_a_deleted_pod_comes_back_under_its_name(core, namespace, stateful):
    stateful()
    before = core.read_namespaced_pod("db-0", namespace).metadata.uid
    core.delete_namespaced_pod("db-0", namespace)

    def again():
        return core.read_namespaced_pod("db-0", namespace).metadata.uid != before

    waiting.until(again, timeout=WAIT)


def test_events_tell_of_pods_that_come(stateful, told):
    stateful()
    assert sorted(told("db", "SuccessfulCreate")) == [
        "create Pod db-0 in StatefulSet db successful",
        "create Pod db-1 in StatefulSet db successful",
    ]


def test_a_rolling_update_goes_from_the_highest_number_down(stateful, images, change):
    stateful()
    change(template=with_image("nginx:no-such-tag"))
    waiting.until(lambda: images().get("db-1") == "nginx:no-such-tag", timeout=WAIT)
    assert images()["db-0"] == "nginx:1.26"


def test_a_partition_holds_the_lower_numbers_back(apps, namespace, stateful, images, change):
    stateful(updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 1}})
    change(template=with_image("nginx:1.27"))
    waiting.until(lambda: images().get("db-1") == "nginx:1.27", timeout=WAIT)
    assert images()["db-0"] == "nginx:1.26"
    change(updateStrategy={"rollingUpdate": {"partition": 0}})
    waiting.until(lambda: is_rolled_out(apps, namespace), timeout=WAIT)
    assert {*images().values()} == {"nginx:1.27"}


def test_on_delete_leaves_old_pods_until_they_are_deleted(
    core, namespace, stateful, images, change
):
    stateful(updateStrategy={"type": "OnDelete"})
    change(template=with_image("nginx:1.27"))
    core.delete_namespaced_pod("db-0", namespace)
    waiting.until(lambda: images().get("db-0") == "nginx:1.27", timeout=WAIT)
    assert images()["db-1"] == "nginx:1.26"


def test_every_template_becomes_a_revision(apps, namespace, stateful, change):
    stateful()
    change(template=with_image("nginx:1.27"))
    waiting.until(lambda: is_rolled_out(apps, namespace), timeout=WAIT)
    found = apps.list_namespaced_controller_revision(namespace).items
    assert sorted(each.revision for each in found) == [1, 2]


def test_kubectl_rolls_back_and_scales(stateful, images, kubectl):
    stateful()
    kubectl("set", "image", "sts/db", "main=nginx:1.27")
    kubectl("rollout", "status", "sts/db")
    assert kubectl("rollout", "undo", "sts/db") == "statefulset.apps/db rolled back\n"
    kubectl("rollout", "status", "sts/db")
    assert {*images().values()} == {"nginx:1.26"}
    assert kubectl("scale", "sts/db", "--replicas=1") == "statefulset.apps/db scaled\n"

    def row():
        return kubectl("get", "sts", "--no-headers").split()[:2]

    waiting.until(lambda: row() == ["db", "1/1"], timeout=WAIT)
    assert list(images()) == ["db-0"]


def test_only_some_of_it_may_change(apps, namespace, stateful, causes):
    stateful(ready=False)
    patch = {"spec": {"serviceName": "other"}}
    found = causes(apps.patch_namespaced_stateful_set, "db", namespace, patch)
    assert found["spec"].startswith(
        "Forbidden: updates to statefulset spec for fields other than 'replicas'"
    )


def test_what_makes_no_sense_is_refused(stateful, causes):
    found = causes(
        stateful,
        podManagementPolicy="Random",
        replicas=-1,
        selector={"matchLabels": {"app": "other"}},
    )
    assert found["spec.podManagementPolicy"] == (
        "Invalid value: \"Random\": must be 'OrderedReady' or 'Parallel'"
    )
    assert found["spec.replicas"] == "Invalid value: -1: must be greater than or equal to 0"
    assert found["spec.template.metadata.labels"].endswith(
        "`selector` does not match template `labels`"
    )


def test_each_number_has_a_claim_of_its_own(core, namespace, stateful):
    storage = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    stateful(ready=False, volumeClaimTemplates=[{"metadata": {"name": "data"}, "spec": storage}])
    pod = waiting.until(lambda: core.read_namespaced_pod("db-0", namespace), timeout=WAIT)
    claim = core.read_namespaced_persistent_volume_claim("data-db-0", namespace)
    assert claim.metadata.labels == LABELS
    (volume,) = [each for each in pod.spec.volumes if each.name == "data"]
    assert volume.persistent_volume_claim.claim_name == "data-db-0"


def test_the_claims_stay_when_it_is_deleted(apps, core, namespace, stateful, images):
    storage = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    claims = [{"metadata": {"name": "data"}, "spec": storage}]
    stateful(ready=False, replicas=1, volumeClaimTemplates=claims)
    waiting.until(images, timeout=WAIT)
    apps.delete_namespaced_stateful_set("db", namespace)
    waiting.until(lambda: not images(), timeout=WAIT)
    assert core.read_namespaced_persistent_volume_claim("data-db-0", namespace)


@pytest.mark.since("1.27", "KEP-3335, StatefulSet start ordinal")
def test_numbers_may_start_elsewhere(stateful, images):
    stateful(ordinals={"start": 5})
    assert sorted(images()) == ["db-5", "db-6"]


@pytest.mark.since("1.25", "KEP-2599, minReadySeconds of StatefulSets")
def test_a_pod_that_is_ready_need_not_be_available(apps, namespace, stateful):
    stateful(ready=False, replicas=1, minReadySeconds=3600)

    def status():
        found = apps.read_namespaced_stateful_set("db", namespace).status
        return found.ready_replicas == 1 and found

    assert waiting.until(status, timeout=WAIT).available_replicas == 0
