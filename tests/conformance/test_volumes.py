"""Volumes of Pods: what containers find in their mounts."""

import pytest

from kubelab import waiting

WAIT = 60
MOUNT = [{"name": "v", "mountPath": "/data"}]


@pytest.fixture
def run(core, namespace, shell_pod):
    """Starts a Pod with one volume, or several containers of it, and waits until it is ready."""

    def start(name, volume, script="sleep 3600", *, ready=True, **container):
        pod = shell_pod(name, script, **{"volumeMounts": MOUNT, **container})
        pod["spec"]["volumes"] = [{"name": "v", **volume}]
        core.create_namespaced_pod(namespace, pod)
        return waiting.pod_ready(core, name, namespace, timeout=90) if ready else None

    return start


@pytest.fixture
def output(core, namespace, shell_pod, kubectl):
    """What a script prints that runs to its end with one volume."""

    def log(name, volume, script, *, node=None, **container):
        pod = shell_pod(name, script, restart="Never", **{"volumeMounts": MOUNT, **container})
        pod["spec"]["volumes"] = [{"name": "v", **volume}]
        if node:
            pod["spec"]["nodeName"] = node
        core.create_namespaced_pod(namespace, pod)
        done = ("Succeeded", "Failed")
        waiting.until(
            lambda: core.read_namespaced_pod(name, namespace).status.phase in done, timeout=WAIT
        )
        return kubectl("logs", name)

    return log


@pytest.fixture
def node(core):
    """A node that Pods can be put on."""
    return next(n.metadata.name for n in core.list_node().items if not n.spec.taints)


def test_containers_share_an_empty_directory(core, namespace, shell_pod, kubectl):
    pod = shell_pod("pair", "echo shared > /data/file; sleep 3600", volumeMounts=MOUNT)
    other = {**pod["spec"]["containers"][0], "name": "other", "command": ["sleep", "3600"]}
    pod["spec"]["containers"].append(other)
    pod["spec"]["volumes"] = [{"name": "v", "emptyDir": {}}]
    core.create_namespaced_pod(namespace, pod)
    waiting.pod_ready(core, "pair", namespace, timeout=90)
    read = ("exec", "pair", "-c", "other", "--", "cat", "/data/file")
    waiting.until(lambda: kubectl(*read) == "shared\n", timeout=WAIT)


def test_a_host_path_outlives_its_pod(output, node, namespace):
    volume = {"hostPath": {"path": f"/tmp/{namespace}", "type": "DirectoryOrCreate"}}
    output("writer", volume, "echo kept > /data/file", node=node)
    assert output("reader", volume, "cat /data/file; rm /data/file", node=node) == "kept\n"


@pytest.mark.parametrize(
    ("path", "kind", "what"),
    [("/nope", "Directory", "a directory"), ("/etc", "File", "a file")],
)
def test_a_host_path_is_what_its_type_says(core, namespace, run, path, kind, what):
    run("user", {"hostPath": {"path": path, "type": kind}}, ready=False)
    failed = 'MountVolume.SetUp failed for volume "v" : hostPath type check failed: '
    message = f"{failed}{path} is not {what}"

    def told():
        events = core.list_namespaced_event(namespace, field_selector="reason=FailedMount").items
        return message in [event.message for event in events]

    waiting.until(told, timeout=WAIT)
    assert core.read_namespaced_pod("user", namespace).status.phase == "Pending"


def test_a_sub_path_is_a_part_of_the_volume(output):
    mounts = [
        {"name": "v", "mountPath": "/one", "subPath": "a"},
        {"name": "v", "mountPath": "/all"},
    ]
    script = "echo x > /one/file; cd /all; find . -type f"
    assert output("user", {"emptyDir": {}}, script, volumeMounts=mounts) == "./a/file\n"


def test_a_sub_path_can_be_made_of_variables(output):
    mounts = [
        {"name": "v", "mountPath": "/one", "subPathExpr": "$(POD)"},
        {"name": "v", "mountPath": "/all"},
    ]
    env = [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    script = "ls /all"
    log = output("user", {"emptyDir": {}}, script, volumeMounts=mounts, env=env)
    assert log == "user\n"


def test_a_read_only_mount_cannot_be_written(output):
    mounts = [{"name": "v", "mountPath": "/data", "readOnly": True}]
    log = output("user", {"emptyDir": {}}, "echo x 2>&1 > /data/file", volumeMounts=mounts)
    assert "Read-only file system" in log


def test_keys_of_a_config_map_are_files_behind_links(core, namespace, output):
    core.create_namespaced_config_map(namespace, {"metadata": {"name": "c"}, "data": {"a": "1"}})
    script = "cat /data/a; echo; readlink /data/a; readlink /data/..data | cut -c1-2"
    assert output("user", {"configMap": {"name": "c"}}, script) == "1\n..data/a\n..\n"


def test_sources_can_be_projected_into_one_volume(core, namespace, output):
    core.create_namespaced_config_map(namespace, {"metadata": {"name": "c"}, "data": {"a": "1"}})
    secret = {"metadata": {"name": "s"}, "stringData": {"b": "2"}}
    core.create_namespaced_secret(namespace, secret)
    name = {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}
    sources = [
        {"configMap": {"name": "c"}},
        {"secret": {"name": "s", "items": [{"key": "b", "path": "deep/b"}]}},
        {"downwardAPI": {"items": [name]}},
    ]
    script = "cat /data/a /data/deep/b /data/name"
    assert output("user", {"projected": {"sources": sources}}, script) == "12user"


@pytest.mark.since("1.23", "generic ephemeral volumes are stable in 1.23 (KEP-1698)")
def test_an_ephemeral_volume_has_a_claim_that_goes_with_its_pod(core, namespace, run):
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    run("user", {"ephemeral": {"volumeClaimTemplate": {"spec": spec}}})
    claim = core.read_namespaced_persistent_volume_claim("user-v", namespace)
    assert claim.metadata.owner_references[0].name == "user"
    core.delete_namespaced_pod("user", namespace, grace_period_seconds=0)
    claims = core.list_namespaced_persistent_volume_claim
    waiting.until(lambda: not claims(namespace).items, timeout=WAIT)


def test_an_empty_directory_that_holds_too_much_ends_its_pod(core, namespace, run):
    script = "sleep 2; head -c 300000 /dev/zero > /data/big; sleep 3600"
    run("user", {"emptyDir": {"sizeLimit": "100Ki"}}, script)

    def evicted():
        status = core.read_namespaced_pod("user", namespace).status
        return status if status.reason == "Evicted" else None

    status = waiting.until(evicted, timeout=150)
    assert status.phase == "Failed"
    assert status.message.startswith('Usage of EmptyDir volume "v" exceeds the limit "100Ki"')


def test_a_volume_has_one_source(core, namespace, shell_pod, refusal):
    pod = shell_pod("user", "true")
    pod["spec"]["volumes"] = [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}]
    status = refusal(core.create_namespaced_pod, namespace, pod)
    messages = [cause["message"] for cause in status["details"]["causes"]]
    assert messages == ["Forbidden: may not specify more than 1 volume type"]


def test_a_mount_needs_a_volume(core, namespace, shell_pod, refusal):
    pod = shell_pod("user", "true", volumeMounts=MOUNT)
    status = refusal(core.create_namespaced_pod, namespace, pod)
    (cause,) = status["details"]["causes"]
    assert cause["field"] == "spec.containers[0].volumeMounts[0].name"
    assert cause["message"] == 'Not found: "v"'


def test_a_stateful_set_gives_each_pod_a_disk_of_its_own(core, namespace, apps, kubectl):
    container = {
        "name": "main",
        "image": "busybox:1.36",
        "command": ["sh", "-c", "hostname >> /data/file; sleep 3600"],
        "volumeMounts": [{"name": "disk", "mountPath": "/data"}],
    }
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    labels = {"app": "web"}
    pod = {"containers": [container], "terminationGracePeriodSeconds": 1}
    spec = {
        "replicas": 2,
        "serviceName": "web",
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
        "volumeClaimTemplates": [{"metadata": {"name": "disk"}, "spec": claim}],
    }
    apps.create_namespaced_stateful_set(namespace, {"metadata": {"name": "web"}, "spec": spec})
    for name in ("web-0", "web-1"):
        waiting.pod_ready(core, name, namespace, timeout=90)
        found = core.read_namespaced_persistent_volume_claim(f"disk-{name}", namespace)
        assert found.status.phase == "Bound"
        read = ("exec", name, "--", "cat", "/data/file")
        waiting.until(lambda r=read, n=name: kubectl(*r) == f"{n}\n", timeout=WAIT)
