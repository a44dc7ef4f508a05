"""kubectl, as it is installed, against whatever cluster is there."""

import json

import pytest

POD = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: busybox:1.36
    command: [sh, -c, "echo hello; sleep 3600"]
"""
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: nginx, image: "nginx:1.26"}
"""


def rows(table):
    """The cells of a printed table, headings first."""
    return [line.split() for line in table.splitlines()]


def test_apply_twice_then_change_then_delete(kubectl):
    manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata: {a: '1', b: '2'}\n"
    apply = ("apply", "-f", "-")
    assert kubectl(*apply, stdin=manifest) == "configmap/one created\n"
    assert kubectl(*apply, stdin=manifest) == "configmap/one unchanged\n"
    assert kubectl("diff", "-f", "-", stdin=manifest) == ""
    changed = manifest.replace("a: '1', ", "")
    assert kubectl(*apply, stdin=changed) == "configmap/one configured\n"
    assert json.loads(kubectl("get", "cm", "one", "-o", "json"))["data"] == {"b": "2"}
    server_side = kubectl(*apply, "--server-side", "--force-conflicts", stdin=manifest)
    assert server_side == "configmap/one serverside-applied\n"
    assert kubectl("delete", "-f", "-", stdin=manifest) == 'configmap "one" deleted\n'
    missing = kubectl("get", "cm", "one", fails=True)
    assert missing == 'Error from server (NotFound): configmaps "one" not found\n'


def test_what_a_manifest_gets_wrong_is_told(kubectl):
    unknown = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndatas: {}\n"
    assert "datas" in kubectl("create", "-f", "-", stdin=unknown, fails=True)
    wrong = POD.replace("image: busybox:1.36", "image: 5")
    assert "image" in kubectl("create", "-f", "-", stdin=wrong, fails=True)
    assert "no matches for kind" in kubectl(
        "create", "-f", "-", stdin="apiVersion: v1\nkind: Nope\nmetadata: {name: x}\n", fails=True
    )


def test_a_pod_is_watched_read_entered_and_described(kubectl):
    kubectl("create", "-f", "-", stdin=POD)
    kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=90s")
    heading, row = rows(kubectl("get", "pods"))
    assert heading == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert row[:4] == ["web", "1/1", "Running", "0"]
    wide = kubectl("get", "pod", "web", "-o", "wide").splitlines()[0].split()
    assert wide[5:8] == ["IP", "NODE", "NOMINATED"]
    assert kubectl("logs", "web") == "hello\n"
    assert kubectl("exec", "web", "--", "echo", "inside") == "inside\n"
    assert "exit code 3" in kubectl("exec", "web", "--", "sh", "-c", "exit 3", fails=True)
    missing = kubectl("exec", "web", "--", "no-such-program", fails=True)
    assert 'exec: "no-such-program": executable file not found in $PATH' in missing
    assert kubectl("exec", "-i", "web", "--", "cat", stdin="through\n") == "through\n"
    described = kubectl("describe", "pod", "web")
    for reason in ("Scheduled", "Pulled", "Created", "Started"):
        assert reason in described
    kubectl("label", "pod", "web", "tier=front")
    kubectl("annotate", "pod", "web", "note=x")
    assert rows(kubectl("get", "pods", "-l", "tier=front", "--no-headers"))[0][0] == "web"
    name = kubectl("get", "pod", "-l", "tier=front", "-o", "jsonpath={.items[0].metadata.name}")
    assert name == "web"
    kubectl("delete", "pod", "web")
    assert "No resources found" not in kubectl("get", "all")


def test_a_deployment_is_scaled_rolled_out_and_undone(kubectl):
    kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    assert "successfully rolled out" in kubectl("rollout", "status", "deployment/web")
    heading, row = rows(kubectl("get", "deployment", "web"))
    assert heading == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert row[:4] == ["web", "2/2", "2", "2"]
    kubectl("scale", "deployment/web", "--replicas=1")
    kubectl("set", "image", "deployment/web", "nginx=nginx:1.27")
    kubectl("rollout", "status", "deployment/web")
    image = ("get", "deployment", "web", "-o", "jsonpath={..image}")
    assert kubectl(*image) == "nginx:1.27"
    history = rows(kubectl("rollout", "history", "deployment/web"))
    assert [row[0] for row in history if row and row[0].isdigit()] == ["1", "2"]
    kubectl("rollout", "undo", "deployment/web")
    kubectl("rollout", "status", "deployment/web")
    assert kubectl(*image) == "nginx:1.26"
    kubectl("rollout", "restart", "deployment/web")
    kubectl("rollout", "status", "deployment/web")
    heading, *_ = rows(kubectl("get", "replicasets"))
    assert heading == ["NAME", "DESIRED", "CURRENT", "READY", "AGE"]


def test_watch_prints_rows_as_they_come(kubectl):
    kubectl("create", "configmap", "one", "--from-literal=a=1")
    printed = kubectl("get", "configmaps", "one", "--watch", "--request-timeout=1s")
    assert rows(printed)[0] == ["NAME", "DATA", "AGE"]
    assert rows(printed)[1][:2] == ["one", "1"]


@pytest.mark.parametrize(
    ("command", "made"),
    [
        ("configmap x --from-literal=a=1", "configmap/x"),
        ("secret generic x --from-literal=a=1", "secret/x"),
        ("serviceaccount x", "serviceaccount/x"),
        ("role x --verb=get --resource=pods", "role.rbac.authorization.k8s.io/x"),
        ("rolebinding x --clusterrole=view --user=jane", "rolebinding.rbac.authorization.k8s.io/x"),
        ("deployment x --image=nginx:1.27 --replicas=0 --port=80", "deployment.apps/x"),
        ("service clusterip x --tcp=80:8080", "service/x"),
        ("service nodeport x --tcp=80", "service/x"),
    ],
)
def test_create_makes_objects_from_arguments(kubectl, command, made):
    assert kubectl("create", *command.split()) == f"{made} created\n"
    kubectl("delete", made)


def test_what_deployment_create_wrote_is_what_was_asked(kubectl):
    kubectl("create", "deployment", "x", "--image=nginx:1.27", "--replicas=0", "--port=80")
    spec = json.loads(kubectl("get", "deployment", "x", "-o", "json"))["spec"]
    assert spec["replicas"] == 0
    container = spec["template"]["spec"]["containers"][0]
    assert (container["name"], container["image"]) == ("nginx", "nginx:1.27")
    assert container["ports"] == [{"containerPort": 80, "protocol": "TCP"}]


def test_run_and_expose(kubectl):
    kubectl("run", "web", "--image=nginx:1.27", "--port=80", "--labels=app=web")
    assert kubectl("expose", "pod", "web", "--port=8080", "--target-port=80") == (
        "service/web exposed\n"
    )
    heading, row = rows(kubectl("get", "service", "web"))
    assert heading == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"]
    assert (row[1], row[3], row[4]) == ("ClusterIP", "<none>", "8080/TCP")


def test_the_api_explains_itself(kubectl):
    resources = kubectl("api-resources", "--no-headers")
    for kind in ("Pod", "Deployment", "Service", "Lease", "ClusterRole"):
        assert f" {kind}\n" in resources
    assert "apps/v1\n" in kubectl("api-versions")
    assert "restartPolicy" in kubectl("explain", "pod.spec")
    assert "replicas" in kubectl("explain", "deployment.spec")
    assert json.loads(kubectl("version", "-o", "json"))["serverVersion"]["major"] == "1"
    assert "is running at https://" in kubectl("cluster-info")
    assert kubectl("get", "--raw", "/readyz") == "ok"


def test_who_may_what(kubectl):
    assert kubectl("auth", "can-i", "create", "pods") == "yes\n"
    assert kubectl("auth", "can-i", "create", "pods", "--as=nobody", fails=True) == ""
    assert "selfsubjectaccessreviews" in kubectl("auth", "can-i", "--list")


def test_nodes_and_namespaces_are_listed(kubectl, cluster, namespace):
    heading, *nodes = rows(kubectl("get", "nodes"))
    assert heading == ["NAME", "STATUS", "ROLES", "AGE", "VERSION"]
    assert [row[0] for row in nodes] == sorted(cluster.nodes())
    assert {row[1] for row in nodes} == {"Ready"}
    heading, row = rows(kubectl("get", "namespace", namespace))
    assert (heading, row[:2]) == (["NAME", "STATUS", "AGE"], [namespace, "Active"])


def test_top_tells_when_nobody_measures(kubectl):
    served = "metrics.k8s.io/v1beta1" in kubectl("api-versions").split()
    told = kubectl("top", "pods", fails=not served)
    assert told == ("" if served else "error: Metrics API not available\n")
