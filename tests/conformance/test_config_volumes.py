"""ConfigMaps, Secrets and a Pod's own fields as files and variables."""

import pytest

from kubelab import waiting

WAIT = 150  # a kubelet looks at its volumes once a minute


@pytest.fixture
def config(core, namespace):
    data = {"metadata": {"name": "config"}, "data": {"key": "value", "other": "more"}}
    core.create_namespaced_config_map(namespace, data)


@pytest.fixture
def mounted(core, namespace, shell_pod, kubectl):
    """Starts a Pod with a volume at /v; returns a function that runs a script in it."""

    def start(volume, *, name="one", **mount):
        pod = shell_pod(name, "sleep 3600", volumeMounts=[{"name": "v", "mountPath": "/v"} | mount])
        pod["metadata"]["annotations"] = {"build": "7"}
        pod["spec"]["volumes"] = [{"name": "v"} | volume]
        core.create_namespaced_pod(namespace, pod)
        waiting.pod_ready(core, name, namespace, timeout=WAIT)
        return lambda script, **how: kubectl("exec", name, "--", "sh", "-c", script, **how)

    return start


CONFIG = {"configMap": {"name": "config"}}


def test_each_key_is_a_file(config, mounted):
    run = mounted(CONFIG)
    assert run("ls /v; cat /v/key") == "key\nother\nvalue"


def test_files_are_links_to_a_dated_directory(config, mounted):
    run = mounted(CONFIG)
    assert run("readlink /v/key; readlink /v/..data | cut -c1-4") == "..data/key\n..20\n"


def test_files_follow_the_config_map_all_at_once(config, mounted, core, namespace):
    run = mounted(CONFIG)
    before = run("readlink /v/..data")
    core.patch_namespaced_config_map("config", namespace, {"data": {"key": "new", "other": None}})
    assert waiting.until(lambda: run("cat /v/key") == "new", timeout=WAIT)
    assert run("ls /v") == "key\n"
    assert run("readlink /v/..data") != before


def test_a_sub_path_does_not_follow(config, mounted, core, namespace):
    pinned = mounted(CONFIG, name="pinned", mountPath="/v/key", subPath="key")
    run = mounted(CONFIG)
    core.patch_namespaced_config_map("config", namespace, {"data": {"key": "new"}})
    assert waiting.until(lambda: run("cat /v/key") == "new", timeout=WAIT)
    assert pinned("cat /v/key") == "value"


def test_such_a_volume_cannot_be_written_to(config, mounted):
    run = mounted(CONFIG)
    assert "Read-only file system" in run("touch /v/x", fails=True)


def test_chosen_keys_get_paths_and_modes(config, mounted):
    item = {"key": "key", "path": "deep/er", "mode": 0o400}
    run = mounted({"configMap": {"name": "config", "items": [item]}})
    assert run("find /v/..data/ -type f | wc -l; cat /v/deep/er") == "1\nvalue"
    assert run("stat -L -c %a /v/deep/er") == "400\n"


def test_a_default_mode(config, mounted):
    run = mounted({"configMap": {"name": "config", "defaultMode": 0o440}})
    assert run("stat -L -c %a /v/key") == "440\n"


def test_a_secret_is_decoded(core, namespace, mounted):
    secret = {"metadata": {"name": "secret"}, "stringData": {"password": "s3cret"}}
    core.create_namespaced_secret(namespace, secret)
    run = mounted({"secret": {"secretName": "secret"}})
    assert run("cat /v/password") == "s3cret"


def test_labels_and_annotations_are_files(mounted):
    items = [
        {"path": name, "fieldRef": {"fieldPath": f"metadata.{name}"}}
        for name in ("labels", "annotations")
    ]
    run = mounted({"downwardAPI": {"items": items}})
    assert run("cat /v/labels") == 'app="one"'
    assert 'build="7"' in run("cat /v/annotations")


def test_labels_are_followed(mounted, core, namespace):
    item = {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}
    run = mounted({"downwardAPI": {"items": [item]}})
    core.patch_namespaced_pod("one", namespace, {"metadata": {"labels": {"app": "two"}}})
    assert waiting.until(lambda: run("cat /v/labels") == 'app="two"', timeout=WAIT)


def test_sources_are_projected_into_one_volume(config, core, namespace, mounted):
    secret = {"metadata": {"name": "secret"}, "stringData": {"password": "s3cret"}}
    core.create_namespaced_secret(namespace, secret)
    name = {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}
    sources = [
        {"configMap": {"name": "config", "items": [{"key": "key", "path": "key"}]}},
        {"secret": {"name": "secret"}},
        {"downwardAPI": {"items": [name]}},
    ]
    run = mounted({"projected": {"sources": sources}})
    assert run("ls /v; cat /v/key /v/password /v/name") == "key\nname\npassword\nvalues3cretone"


def test_a_field_that_volumes_do_not_show(core, namespace, shell_pod, refusal):
    pod = shell_pod("no", "true")
    item = {"path": "ip", "fieldRef": {"fieldPath": "status.podIP"}}
    pod["spec"]["volumes"] = [{"name": "v", "downwardAPI": {"items": [item]}}]
    status = refusal(core.create_namespaced_pod, namespace, pod)
    assert status["reason"] == "Invalid"
    assert 'fieldRef.fieldPath: Unsupported value: "status.podIP"' in status["message"]


def test_a_missing_config_map_keeps_a_pod_waiting(core, namespace, shell_pod):
    pod = shell_pod("waits", "sleep 3600", volumeMounts=[{"name": "v", "mountPath": "/v"}])
    pod["spec"]["volumes"] = [{"name": "v", **CONFIG}]
    core.create_namespaced_pod(namespace, pod)

    def said():
        events = core.list_namespaced_event(namespace).items
        return [each.message for each in events if each.reason == "FailedMount"]

    message = 'MountVolume.SetUp failed for volume "v" : configmap "config" not found'
    assert waiting.until(lambda: message in said(), timeout=WAIT)


def test_an_optional_config_map_may_be_missing(mounted):
    run = mounted({"configMap": {"name": "config", "optional": True}})
    assert run("ls /v") == ""


def test_a_limit_in_units_of_its_divisor(core, namespace, shell_pod, kubectl):
    names = {"CPU": ("limits.cpu", "1m"), "MEMORY": ("requests.memory", "1Mi")}
    env = [
        {
            "name": name,
            "valueFrom": {"resourceFieldRef": {"resource": resource, "divisor": divisor}},
        }
        for name, (resource, divisor) in names.items()
    ]
    limits = {"cpu": "2", "memory": "64Mi"}
    resources = {"limits": limits, "requests": {"cpu": "10m", "memory": "32Mi"}}
    script = "echo $CPU $MEMORY"
    pod = shell_pod("one", script, restart="Never", env=env, resources=resources)
    core.create_namespaced_pod(namespace, pod)
    waiting.pod_phase(core, "one", namespace, "Succeeded", timeout=WAIT)
    assert kubectl("logs", "one") == "2000 32\n"
