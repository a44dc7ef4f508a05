"""What is shown is the same in every run, in text and in HTML."""

import pytest
from kubernetes import client

from kubelab import show, waiting

DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "nginx", "image": "nginx:1.27"}]},
        },
    },
}


@pytest.fixture
def web(apps, namespace):
    """A Deployment of two ready Pods."""
    apps.create_namespaced_deployment(namespace, DEPLOYMENT)
    return waiting.deployment_ready(apps, "web", namespace)


def test_a_table_has_aligned_columns_and_escaped_html():
    shown = show.table(["name", "many"], [("a<b", 1), ("b", [1, 2]), ("c", None)])
    assert str(shown) == "name  many\na<b   1\nb     1, 2\nc     -"
    assert repr(shown) == str(shown)
    assert ">a&lt;b</td>" in shown._repr_html_()
    assert 'scope="col"' in shown._repr_html_()


def test_a_table_is_made_of_dicts_too():
    rows = [{"pod": "a", "node": "n1"}, {"pod": "b", "node": "n2"}]
    assert str(show.table(rows)) == "pod  node\na    n1\nb    n2"


def test_a_table_without_rows_keeps_its_headers():
    assert str(show.table(["pod", "node"], [])) == "pod  node"
    assert str(show.table([])) == ""


def test_a_tree_is_drawn_with_its_branches():
    shown = show.tree({"a": {"b": {"c": {}}, "d": {}}, "e": {}})
    assert str(shown).splitlines() == ["a", "├─ b", "│  └─ c", "└─ d", "e"]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("web-6d4cf56db6-x7k2p", "web-xxxxx-xxxxx"),
        ("web-6d4cf56db6", "web-xxxxx"),
        ("web-x7k2p", "web-xxxxx"),
        ("Created pod: web-6d4cf56db6-x7k2p.", "Created pod: web-xxxxx-xxxxx."),
        ("kubelab-worker2", "kubelab-worker2"),
        ("my-nginx", "my-nginx"),
        ("web", "web"),
        ("pulled in 1.234s (1m2.5s including waiting)", "pulled in …s (…s including waiting)"),
        ("Image size: 4270 bytes", "Image size: … bytes"),
        ("Get http://10.244.1.7:80/", "Get http://x.x.x.x:80/"),
        ("nginx:1.27 v1.37.0", "nginx:1.27 v1.37.0"),
    ],
)
def test_what_differs_from_run_to_run_is_masked(text, masked):
    assert show.mask(text) == masked


def test_yaml_leaves_out_what_differs_from_run_to_run():
    pod = {
        "status": {"phase": "Running", "podIP": "10.244.1.7", "startTime": "2026-11-23T08:00:00Z"},
        "spec": {"containers": [{"name": "c", "image": "nginx:1.27"}]},
        "metadata": {"uid": "1", "resourceVersion": "2", "name": "web-6d4cf56db6-x7k2p"},
        "kind": "Pod",
    }
    assert str(show.yaml(pod)).splitlines() == [
        "kind: Pod",
        "metadata:",
        "  name: web-xxxxx-xxxxx",
        "spec:",
        "  containers:",
        "  - name: c",
        "    image: nginx:1.27",
        "status:",
        "  phase: Running",
    ]


def test_yaml_picks_paths():
    pod = client.V1Pod(
        metadata=client.V1ObjectMeta(name="web", labels={"app": "web"}),
        spec=client.V1PodSpec(containers=[client.V1Container(name="c", image="nginx:1.27")]),
    )
    shown = show.yaml(pod, only=["metadata.labels", "spec.containers[0].image", "spec.nodeName"])
    assert str(shown).splitlines() == [
        "metadata.labels:",
        "  app: web",
        "spec.containers[0].image: nginx:1.27",
        "spec.nodeName: null",
    ]


def test_pods_are_shown_without_what_differs_from_run_to_run(core, namespace, web):
    lines = str(show.pods(core, namespace, "app=web")).splitlines()
    assert lines[0].split() == ["pod", "ready", "phase", "restarts", "node"]
    row = ["web-xxxxx-xxxxx", "1/1", "Running", "0"]
    assert [line.split()[:4] for line in lines[1:]] == [row, row]
    assert str(show.pods(core, namespace, "app=web")) == str(show.pods(core, namespace))
    names = {pod.metadata.name for pod in core.list_namespaced_pod(namespace).items}
    full = str(show.pods(core, namespace, full_names=True))
    assert all(name in full for name in names)


def test_owners_are_shown_as_a_tree(core, apps, namespace, web):
    assert str(show.owners(core, apps, namespace)).splitlines() == [
        "Deployment/web",
        "└─ ReplicaSet/web-xxxxx",
        "   └─ Pod/web-xxxxx-xxxxx ×2",
    ]


def test_events_are_shown_in_their_order_with_their_source(core, namespace, web):
    pod = core.list_namespaced_pod(namespace).items[0].metadata.name
    rows = [line.split() for line in str(show.events(core, namespace, pod)).splitlines()[1:]]
    reasons = [row[1] for row in rows if row[0] == "Normal"]
    assert reasons[0] == "Scheduled"
    assert reasons[-2:] == ["Created", "Started"]
    assert rows[0][2] == "default-scheduler"
    assert all(row[3] == "Pod/web-xxxxx-xxxxx" for row in rows)


def test_nodes_are_shown_with_their_roles(core, cluster):
    rows = [line.split() for line in str(show.nodes(core)).splitlines()[1:]]
    assert [row[0] for row in rows] == sorted(cluster.nodes())
    assert sorted(row[1] for row in rows) == ["control-plane", "worker", "worker"]
    assert {row[2] for row in rows} == {"True"}


def test_conditions_are_shown_by_type(core, namespace, web):
    pod = core.list_namespaced_pod(namespace).items[0]
    rows = [line.split()[:2] for line in str(show.conditions(pod)).splitlines()[1:]]
    assert ["Ready", "True"] in rows
    assert rows == sorted(rows)
