"""ReplicationControllers: what ReplicaSets were called before."""

import pytest

from kubelab import waiting

WAIT = 90
LABELS = {"app": "old"}


@pytest.fixture
def controller(core, namespace):
    """Creates a ReplicationController and waits until its Pods are there."""

    def create(labels=None, pod=None, **spec):
        spec = {"replicas": 2, **spec}
        container = {"name": "main", "image": "nginx:1.26"}
        inner = {"terminationGracePeriodSeconds": 1, "containers": [container], **(pod or {})}
        spec = {"template": {"metadata": {"labels": labels or LABELS}, "spec": inner}, **spec}
        body = {"metadata": {"name": "old"}, "spec": spec}
        made = core.create_namespaced_replication_controller(namespace, body)
        waiting.until(lambda: len(pods(core, namespace)) == spec["replicas"], timeout=WAIT)
        return made

    return create


def pods(core, namespace, labels="app=old"):
    found = core.list_namespaced_pod(namespace, label_selector=labels).items
    return [pod for pod in found if not pod.metadata.deletion_timestamp]


def test_its_selector_and_labels_are_those_of_its_pods(controller):
    made = controller()
    assert (made.spec.selector, made.metadata.labels) == (LABELS, LABELS)


def test_its_pods_belong_to_it(core, namespace, controller, told):
    controller(replicas=1)
    (pod,) = pods(core, namespace)
    assert pod.metadata.owner_references[0].kind == "ReplicationController"
    assert told("old", "SuccessfulCreate") == [f"Created pod: {pod.metadata.name}"]


def test_a_deleted_pod_is_replaced(core, namespace, controller):
    controller()
    gone = pods(core, namespace)[0].metadata.name
    core.delete_namespaced_pod(gone, namespace)

    def replaced():
        names = [pod.metadata.name for pod in pods(core, namespace)]
        return len(names) == 2 and gone not in names

    waiting.until(replaced, timeout=WAIT)


def test_its_status(core, namespace, controller):
    controller()

    def ready():
        status = core.read_namespaced_replication_controller("old", namespace).status
        return status.available_replicas == 2 and status

    status = waiting.until(ready, timeout=WAIT)
    counts = (status.replicas, status.ready_replicas, status.fully_labeled_replicas)
    assert counts == (2, 2, 2)
    assert status.observed_generation == 1


def test_its_scale(core, namespace, controller, kubectl):
    controller()
    scale = core.read_namespaced_replication_controller_scale("old", namespace)
    assert (scale.spec.replicas, scale.status.selector) == (2, "app=old")
    assert kubectl("scale", "rc/old", "--replicas=1") == "replicationcontroller/old scaled\n"
    waiting.until(lambda: len(pods(core, namespace)) == 1, timeout=WAIT)


def test_a_pod_that_matches_no_more_is_let_go(core, namespace, controller):
    controller(replicas=1)
    (pod,) = pods(core, namespace)
    patch = {"metadata": {"labels": {"app": "debug"}}}
    core.patch_namespaced_pod(pod.metadata.name, namespace, patch)
    waiting.until(lambda: len(pods(core, namespace)) == 1, timeout=WAIT)
    (released,) = pods(core, namespace, "app=debug")
    assert not released.metadata.owner_references


def test_its_selector_may_change(core, namespace, controller):
    controller(replicas=1)
    labels = {"app": "new"}
    patch = {"spec": {"selector": labels, "template": {"metadata": {"labels": labels}}}}
    core.patch_namespaced_replication_controller("old", namespace, patch)
    waiting.until(lambda: pods(core, namespace, "app=new"), timeout=WAIT)
    assert len(pods(core, namespace)) == 1


def test_deleting_it_leaves_its_pods_if_nobody_says_what_else(core, namespace, controller):
    controller(replicas=1)
    core.delete_namespaced_replication_controller("old", namespace)
    read = core.read_namespaced_replication_controller
    waiting.gone(read, "old", namespace, timeout=WAIT)
    (pod,) = pods(core, namespace)
    assert not pod.metadata.owner_references


def test_kubectl_deletes_its_pods_along(core, namespace, controller, kubectl):
    controller()
    kubectl("delete", "rc", "old")
    waiting.until(lambda: not pods(core, namespace), timeout=WAIT)


def test_what_makes_no_sense_is_refused(controller, causes):
    wrong = {"restartPolicy": "OnFailure"}
    found = causes(controller, pod=wrong, selector={"app": "other"}, replicas=-1)
    assert found["spec.replicas"] == "Invalid value: -1: must be greater than or equal to 0"
    assert found["spec.template.spec.restartPolicy"] == (
        'Unsupported value: "OnFailure": supported values: "Always"'
    )
    assert found["spec.template.metadata.labels"].endswith(
        "`selector` does not match template `labels`"
    )


def test_kubectl_prints_it(core, namespace, controller, kubectl):
    controller()
    head, row = (line.split() for line in kubectl("get", "rc", "-o", "wide").splitlines())
    assert head == [
        *("NAME", "DESIRED", "CURRENT", "READY", "AGE", "CONTAINERS", "IMAGES", "SELECTOR")
    ]
    assert row[-3:] == ["main", "nginx:1.26", "app=old"]
    assert "Replicas:     2 current / 2 desired" in kubectl("describe", "rc", "old")


def test_pod_templates_are_kept(core, namespace, kubectl):
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": []}}
    template["spec"]["containers"] = [{"name": "main", "image": "nginx:1.26"}]
    body = {"metadata": {"name": "shape"}, "template": template}
    made = core.create_namespaced_pod_template(namespace, body)
    assert made.template.spec.restart_policy == "Always"
    row = kubectl("get", "podtemplates", "--no-headers").split()
    assert row == ["shape", "main", "nginx:1.26", "app=old"]
