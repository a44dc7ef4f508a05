"""Deployments: ReplicaSets rolled over from one template to the next."""

import json

import pytest

from kubelab import waiting
from tests.conformance.support import with_image

WAIT = 120
LABELS = {"app": "web"}


@pytest.fixture
def deployment(apps, namespace):
    """Creates a Deployment and waits until it is rolled out."""

    def create(ready=True, labels=None, pod=None, **spec):
        container = {"name": "main", "image": "nginx:1.26"}
        inner = {"terminationGracePeriodSeconds": 1, "containers": [container], **(pod or {})}
        template = {"metadata": {"labels": labels or LABELS}, "spec": inner}
        spec = {"selector": {"matchLabels": LABELS}, "template": template, "replicas": 2, **spec}
        made = apps.create_namespaced_deployment(
            namespace, {"metadata": {"name": "web"}, "spec": spec}
        )
        if ready:
            waiting.deployment_ready(apps, "web", namespace, timeout=WAIT)
        return made

    return create


@pytest.fixture
def change(apps, namespace):
    """Changes the spec of the Deployment."""
    return lambda **spec: apps.patch_namespaced_deployment("web", namespace, {"spec": spec})


@pytest.fixture
def replica_sets(apps, namespace):
    """The Deployment's ReplicaSets by their revision."""

    def read():
        return {
            int(each.metadata.annotations["deployment.kubernetes.io/revision"]): each
            for each in apps.list_namespaced_replica_set(namespace).items
        }

    return read


@pytest.fixture
def condition(apps, namespace):
    """Waits until a condition of the Deployment has a reason; returns its message."""

    def wait(kind, reason):
        def found():
            status = apps.read_namespaced_deployment("web", namespace).status
            return next(
                (c for c in status.conditions or () if (c.type, c.reason) == (kind, reason)), None
            )

        return waiting.until(found, timeout=WAIT)

    return wait


def test_what_is_left_out_is_filled_in(deployment):
    spec = deployment(ready=False, replicas=None).spec
    assert (spec.replicas, spec.revision_history_limit) == (1, 10)
    assert spec.progress_deadline_seconds == 600
    rolling = spec.strategy.rolling_update
    assert (rolling.max_surge, rolling.max_unavailable) == ("25%", "25%")


def test_a_replica_set_carries_the_hash_of_its_template(core, namespace, deployment, replica_sets):
    deployment()
    new = replica_sets()[1]
    value = new.metadata.labels["pod-template-hash"]
    assert new.metadata.name == f"web-{value}"
    assert new.spec.selector.match_labels == {**LABELS, "pod-template-hash": value}
    for pod in core.list_namespaced_pod(namespace).items:
        assert pod.metadata.labels["pod-template-hash"] == value


def test_a_replica_set_remembers_its_deployments_size(deployment, replica_sets):
    deployment()
    noted = replica_sets()[1].metadata.annotations
    assert noted["deployment.kubernetes.io/desired-replicas"] == "2"
    assert noted["deployment.kubernetes.io/max-replicas"] == "3"


def test_its_conditions_when_it_is_rolled_out(deployment, condition, replica_sets):
    deployment()
    available = condition("Available", "MinimumReplicasAvailable")
    assert available.message == "Deployment has minimum availability."
    progressing = condition("Progressing", "NewReplicaSetAvailable")
    name = replica_sets()[1].metadata.name
    assert progressing.message == f'ReplicaSet "{name}" has successfully progressed.'


def test_scaling_makes_no_revision(apps, namespace, deployment, change, replica_sets):
    deployment()
    change(replicas=3)
    waiting.until(lambda: replica_sets()[1].status.available_replicas == 3, timeout=WAIT)
    assert list(replica_sets()) == [1]


def test_a_new_template_is_a_new_revision(apps, namespace, deployment, change, replica_sets):
    deployment()
    change(template=with_image("nginx:1.27"))
    waiting.deployment_ready(apps, "web", namespace, timeout=WAIT)
    found = replica_sets()
    assert (found[1].spec.replicas, found[2].spec.replicas) == (0, 2)
    made = apps.read_namespaced_deployment("web", namespace)
    assert made.metadata.annotations["deployment.kubernetes.io/revision"] == "2"


def test_going_back_renews_the_revision(apps, namespace, deployment, change, replica_sets, kubectl):
    deployment()
    change(template=with_image("nginx:1.27"))
    waiting.deployment_ready(apps, "web", namespace, timeout=WAIT)
    assert kubectl("rollout", "undo", "deploy/web") == "deployment.apps/web rolled back\n"
    waiting.until(lambda: 3 in replica_sets(), timeout=WAIT)
    back = replica_sets()[3]
    assert back.spec.template.spec.containers[0].image == "nginx:1.26"
    assert back.metadata.annotations["deployment.kubernetes.io/revision-history"] == "1"


def test_a_broken_image_stops_the_rollout(deployment, change, replica_sets, condition):
    deployment(progressDeadlineSeconds=600)
    change(template=with_image("nginx:no-such-tag"))
    waiting.until(lambda: 2 in replica_sets(), timeout=WAIT)
    condition("Progressing", "ReplicaSetUpdated")
    assert replica_sets()[1].spec.replicas == 2
    assert replica_sets()[2].spec.replicas == 1


def test_the_progress_deadline_is_told(deployment, change, condition, replica_sets):
    deployment(progressDeadlineSeconds=2)
    change(template=with_image("nginx:no-such-tag"))
    told = condition("Progressing", "ProgressDeadlineExceeded")
    name = replica_sets()[2].metadata.name
    assert (told.status, told.message) == (
        "False",
        f'ReplicaSet "{name}" has timed out progressing.',
    )


def test_recreate_stops_the_old_pods_first(core, namespace, deployment, change, replica_sets):
    deployment(strategy={"type": "Recreate"})
    change(template=with_image("nginx:no-such-tag"))
    waiting.until(lambda: 2 in replica_sets(), timeout=WAIT)
    images = {
        pod.spec.containers[0].image
        for pod in core.list_namespaced_pod(namespace).items
        if not pod.metadata.deletion_timestamp
    }
    assert "nginx:1.26" not in images


def test_a_paused_deployment_waits(deployment, change, replica_sets, condition):
    deployment()
    change(paused=True, template=with_image("nginx:1.27"))
    assert condition("Progressing", "DeploymentPaused").message == "Deployment is paused"
    assert list(replica_sets()) == [1]
    change(paused=False)
    waiting.until(lambda: 2 in replica_sets(), timeout=WAIT)


def test_only_so_many_old_replica_sets_are_kept(apps, namespace, deployment, change, replica_sets):
    deployment(revisionHistoryLimit=0)
    change(template=with_image("nginx:1.27"))
    waiting.until(lambda: list(replica_sets()) == [2], timeout=WAIT)


def test_events_tell_of_scaling(deployment, replica_sets, told):
    deployment()
    name = replica_sets()[1].metadata.name
    (message,) = told("web", "ScalingReplicaSet")
    assert message.startswith(f"Scaled up replica set {name}")


def test_its_selector_cannot_change(apps, namespace, deployment, causes):
    deployment(ready=False)
    other = {"app": "other"}
    template = {"metadata": {"labels": other}}
    patch = {"spec": {"selector": {"matchLabels": other}, "template": template}}
    found = causes(apps.patch_namespaced_deployment, "web", namespace, patch)
    assert found["spec.selector"].endswith("field is immutable")


def test_what_makes_no_sense_is_refused(deployment, causes):
    found = causes(
        deployment,
        labels={"app": "other"},
        pod={"restartPolicy": "Never"},
        replicas=-1,
        strategy={"type": "Recreate", "rollingUpdate": {"maxSurge": 1}},
    )
    assert found["spec.replicas"] == "Invalid value: -1: must be greater than or equal to 0"
    assert found["spec.template.spec.restartPolicy"] == (
        'Unsupported value: "Never": supported values: "Always"'
    )
    assert found["spec.strategy.rollingUpdate"] == (
        "Forbidden: may not be specified when strategy `type` is 'Recreate'"
    )


def test_orphaned_replica_sets_stay(apps, core, namespace, deployment, replica_sets):
    deployment()
    apps.delete_namespaced_deployment("web", namespace, propagation_policy="Orphan")
    waiting.gone(apps.read_namespaced_deployment, "web", namespace, timeout=WAIT)
    assert not replica_sets()[1].metadata.owner_references
    assert len(core.list_namespaced_pod(namespace).items) == 2


def test_its_scale(apps, namespace, deployment):
    deployment()
    scale = apps.read_namespaced_deployment_scale("web", namespace)
    assert (scale.spec.replicas, scale.status.selector) == (2, "app=web")
    patch = {"spec": {"replicas": 1}}
    assert apps.patch_namespaced_deployment_scale("web", namespace, patch).spec.replicas == 1
    assert apps.read_namespaced_deployment("web", namespace).spec.replicas == 1


def test_kubectl_restarts_it(apps, namespace, deployment, kubectl):
    deployment()
    assert kubectl("rollout", "restart", "deploy/web") == "deployment.apps/web restarted\n"
    kubectl("rollout", "status", "deploy/web")
    found = json.loads(kubectl("get", "deploy", "web", "-o", "json"))
    annotations = found["spec"]["template"]["metadata"]["annotations"]
    assert "kubectl.kubernetes.io/restartedAt" in annotations
    assert found["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
