"""DaemonSets: a Pod on every node that fits, rolled over node by node."""

import pytest

from kubelab import waiting
from tests.conformance.support import with_image

WAIT = 90
LABELS = {"app": "agent"}


@pytest.fixture
def daemons(apps, core, namespace):
    """Creates a DaemonSet and waits until its Pods are ready; returns the Pods."""

    def create(pod=None, ready=True, **spec):
        template = {
            "metadata": {"labels": LABELS},
            "spec": {
                "terminationGracePeriodSeconds": 1,
                "containers": [{"name": "main", "image": "nginx:1.26"}],
                **(pod or {}),
            },
        }
        spec = {"selector": {"matchLabels": LABELS}, "template": template, **spec}
        body = {"metadata": {"name": "agent"}, "spec": spec}
        apps.create_namespaced_daemon_set(namespace, body)
        if ready:
            waiting.until(lambda: is_rolled_out(apps, namespace), timeout=WAIT)
        return core.list_namespaced_pod(namespace).items

    return create


def is_rolled_out(apps, namespace):
    found = apps.read_namespaced_daemon_set("agent", namespace)
    status, wanted = found.status, found.status.desired_number_scheduled
    current = status.observed_generation == found.metadata.generation
    counts = (status.updated_number_scheduled, status.number_available)
    return current and wanted and counts == (wanted, wanted)


def change(apps, namespace, **spec):
    apps.patch_namespaced_daemon_set("agent", namespace, {"spec": spec})


def images(core, namespace):
    pods = core.list_namespaced_pod(namespace).items
    return sorted(
        pod.spec.containers[0].image for pod in pods if not pod.metadata.deletion_timestamp
    )


def workers(core):
    """The names of the nodes without taints."""
    return sorted(node.metadata.name for node in core.list_node().items if not node.spec.taints)


def test_every_worker_gets_one_pod(core, daemons):
    assert sorted(pod.spec.node_name for pod in daemons()) == workers(core)


def test_its_status_counts_nodes(apps, core, namespace, daemons):
    daemons()
    status = apps.read_namespaced_daemon_set("agent", namespace).status
    nodes = len(workers(core))
    assert (status.current_number_scheduled, status.desired_number_scheduled) == (nodes, nodes)
    assert (status.number_ready, status.number_misscheduled) == (nodes, 0)
    assert status.number_unavailable is None


def test_each_pod_is_pinned_to_its_node(daemons):
    for pod in daemons():
        required = pod.spec.affinity.node_affinity
        (term,) = required.required_during_scheduling_ignored_during_execution.node_selector_terms
        (field,) = term.match_fields
        assert (field.key, field.operator, field.values) == (
            "metadata.name",
            "In",
            [pod.spec.node_name],
        )


def test_daemons_tolerate_what_befalls_nodes(daemons):
    pod, *_ = daemons()
    tolerated = {(each.key, each.effect) for each in pod.spec.tolerations}
    assert tolerated == {
        ("node.kubernetes.io/not-ready", "NoExecute"),
        ("node.kubernetes.io/unreachable", "NoExecute"),
        ("node.kubernetes.io/disk-pressure", "NoSchedule"),
        ("node.kubernetes.io/memory-pressure", "NoSchedule"),
        ("node.kubernetes.io/pid-pressure", "NoSchedule"),
        ("node.kubernetes.io/unschedulable", "NoSchedule"),
    }


def test_a_toleration_of_everything_reaches_the_control_plane(core, daemons):
    pods = daemons({"tolerations": [{"operator": "Exists"}]})
    assert len(pods) == len(core.list_node().items)


def test_a_node_name_leaves_one_node(core, daemons):
    node = workers(core)[0]
    (pod,) = daemons({"nodeName": node})
    assert pod.spec.node_name == node


def test_a_node_selector_that_nothing_matches_makes_no_pod(apps, namespace, daemons):
    daemons({"nodeSelector": {"disk": "none-has-it"}}, ready=False)

    def observed():
        status = apps.read_namespaced_daemon_set("agent", namespace).status
        return status.observed_generation and status

    assert waiting.until(observed, timeout=WAIT).desired_number_scheduled == 0


def test_a_deleted_pod_is_replaced_on_its_node(apps, core, namespace, daemons):
    pod, *others = daemons()
    core.delete_namespaced_pod(pod.metadata.name, namespace)

    def replaced():
        names = {
            p.spec.node_name: p.metadata.name for p in core.list_namespaced_pod(namespace).items
        }
        return names.get(pod.spec.node_name, pod.metadata.name) != pod.metadata.name

    waiting.until(replaced, timeout=WAIT)
    assert is_rolled_out(apps, namespace) or others


def test_events_tell_of_pods_that_come_and_go(core, namespace, daemons, told):
    pod, *_ = daemons()
    assert f"Created pod: {pod.metadata.name}" in told("agent", "SuccessfulCreate")


def test_a_rolling_update_replaces_every_pod(apps, core, namespace, daemons):
    before = len(daemons())
    change(apps, namespace, template=with_image("nginx:1.27"))
    waiting.until(lambda: is_rolled_out(apps, namespace), timeout=WAIT)
    assert images(core, namespace) == ["nginx:1.27"] * before


def test_a_rolling_update_stops_at_a_broken_image(apps, core, namespace, daemons):
    before = len(daemons())
    change(apps, namespace, template=with_image("nginx:no-such-tag"))

    def started():
        return "nginx:no-such-tag" in images(core, namespace)

    waiting.until(started, timeout=WAIT)
    status = apps.read_namespaced_daemon_set("agent", namespace).status
    assert images(core, namespace).count("nginx:1.26") == before - 1
    assert status.updated_number_scheduled == 1


def test_on_delete_leaves_old_pods_until_they_are_deleted(apps, core, namespace, daemons):
    pod, *_ = daemons(updateStrategy={"type": "OnDelete"})
    change(apps, namespace, template=with_image("nginx:1.27"))
    core.delete_namespaced_pod(pod.metadata.name, namespace)
    waiting.until(lambda: "nginx:1.27" in images(core, namespace), timeout=WAIT)
    assert images(core, namespace).count("nginx:1.26") == len(workers(core)) - 1


def test_every_template_becomes_a_revision(apps, namespace, daemons):
    pod, *_ = daemons()
    change(apps, namespace, template=with_image("nginx:1.27"))

    def revisions():
        found = apps.list_namespaced_controller_revision(namespace).items
        return len(found) == 2 and sorted(found, key=lambda each: each.revision)

    first, second = waiting.until(revisions, timeout=WAIT)
    assert (first.revision, second.revision) == (1, 2)
    assert (
        first.metadata.labels["controller-revision-hash"]
        == (pod.metadata.labels["controller-revision-hash"])
    )
    assert first.metadata.owner_references[0].kind == "DaemonSet"


def test_the_template_generation_is_counted(apps, namespace, daemons):
    pod, *_ = daemons()
    assert pod.metadata.labels["pod-template-generation"] == "1"
    change(apps, namespace, template=with_image("nginx:1.27"), revisionHistoryLimit=3)
    found = apps.read_namespaced_daemon_set("agent", namespace).metadata
    assert found.annotations["deprecated.daemonset.template.generation"] == "2"
    assert found.generation == 2


def test_kubectl_rolls_back(core, namespace, daemons, kubectl):
    daemons()
    kubectl("set", "image", "ds/agent", "main=nginx:1.27")
    kubectl("rollout", "status", "ds/agent")
    assert kubectl("rollout", "undo", "ds/agent") == "daemonset.apps/agent rolled back\n"
    assert "successfully rolled out" in kubectl("rollout", "status", "ds/agent")
    assert {*images(core, namespace)} == {"nginx:1.26"}
    history = kubectl("rollout", "history", "ds/agent").splitlines()
    assert [line.split()[0] for line in history[2:] if line] == ["2", "3"]


def test_orphaned_pods_stay_and_are_adopted_again(apps, core, namespace, daemons):
    before = {pod.metadata.name for pod in daemons()}
    apps.delete_namespaced_daemon_set("agent", namespace, propagation_policy="Orphan")
    waiting.gone(apps.read_namespaced_daemon_set, "agent", namespace, timeout=WAIT)
    after = daemons()
    assert {pod.metadata.name for pod in after} == before
    assert {pod.metadata.owner_references[0].name for pod in after} == {"agent"}


def test_what_makes_no_sense_is_refused(apps, namespace, causes):
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "nginx:1.26"}]}
    template = {"metadata": {"labels": {"app": "other"}}, "spec": pod}
    strategy = {"type": "Recreate"}
    spec = {"selector": {"matchLabels": LABELS}, "template": template, "updateStrategy": strategy}
    body = {"metadata": {"name": "agent"}, "spec": spec}
    found = causes(apps.create_namespaced_daemon_set, namespace, body)
    assert found["spec.template.metadata.labels"].endswith(
        "`selector` does not match template `labels`"
    )
    assert found["spec.template.spec.restartPolicy"] == (
        'Unsupported value: "Never": supported values: "Always"'
    )
    assert found["spec.updateStrategy"].endswith('supported values: "RollingUpdate", "OnDelete"')


def test_its_selector_cannot_change(apps, namespace, daemons, causes):
    daemons(ready=False)
    other = {"matchLabels": {"tier": "x"}}
    template = {"metadata": {"labels": {"tier": "x"}}}
    patch = {"spec": {"selector": other, "template": template}}
    found = causes(apps.patch_namespaced_daemon_set, "agent", namespace, patch)
    assert found["spec.selector"].endswith("field is immutable")


@pytest.mark.since("1.22", "KEP-1591, DaemonSet surge: pkg/controller/daemon/update.go")
def test_a_surging_update_starts_the_new_pod_before_the_old_one_goes(
    apps, core, namespace, daemons
):
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    before = len(daemons(updateStrategy=rolling))
    change(apps, namespace, template=with_image("nginx:no-such-tag"))
    waiting.until(lambda: len(images(core, namespace)) == before + 1, timeout=WAIT)
    assert images(core, namespace).count("nginx:1.26") == before


def test_kubectl_prints_it(daemons, kubectl):
    nodes = str(len(daemons()))
    head, row = (line.split() for line in kubectl("get", "ds").splitlines())
    assert head[:6] == ["NAME", "DESIRED", "CURRENT", "READY", "UP-TO-DATE", "AVAILABLE"]
    assert row[:-1] == ["agent", *[nodes] * 5, "<none>"]
    assert "Desired Number of Nodes Scheduled: " + nodes in kubectl("describe", "ds", "agent")
