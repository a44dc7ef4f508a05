"""Who containers run as, and what they may touch."""

import pytest

from kubelab import waiting

WAIT = 90


@pytest.fixture
def output(core, namespace, shell_pod, kubectl):
    """Runs a script in a Pod with security contexts, to its end; returns its log."""

    def run(script, *, pod=None, container=None, volumes=None, mounts=None):
        spec = shell_pod("who", script, restart="Never", securityContext=container or {})
        spec["spec"]["securityContext"] = pod or {}
        if volumes:
            spec["spec"]["volumes"] = volumes
            spec["spec"]["containers"][0]["volumeMounts"] = mounts
        core.create_namespaced_pod(namespace, spec)
        waiting.pod_phase(core, "who", namespace, "Succeeded", "Failed", timeout=WAIT)
        return kubectl("logs", "who")

    return run


DATA = {"volumes": [{"name": "d", "emptyDir": {}}], "mounts": [{"name": "d", "mountPath": "/d"}]}


def test_a_container_is_root_unless_told_otherwise(output):
    assert output("id -u; id -g") == "0\n0\n"


def test_a_pods_user_and_group(output):
    assert output("id -u; id -g", pod={"runAsUser": 1000, "runAsGroup": 3000}) == "1000\n3000\n"


def test_a_containers_user_overrides_its_pods(output):
    assert output("id -u", pod={"runAsUser": 1000}, container={"runAsUser": 7}) == "7\n"


def test_a_user_without_a_group_has_group_0(output):
    assert output("id -g", pod={"runAsUser": 1000}) == "0\n"


def test_supplemental_groups(output):
    groups = output("id -G", pod={"runAsUser": 1, "supplementalGroups": [5000, 4000]}).split()
    assert {"4000", "5000"} <= set(groups)


def test_another_user_may_not_write_where_root_lives(output):
    said = output("touch /etc/x; echo $?", pod={"runAsUser": 1000})
    assert said == "touch: /etc/x: Permission denied\n1\n"


def test_everybody_may_write_to_an_empty_volume(output):
    assert output("echo hi > /d/x && cat /d/x", pod={"runAsUser": 1000}, **DATA) == "hi\n"


def test_a_volume_belongs_to_the_fs_group(output):
    said = output("ls -lnd /d | awk '{print $1, $3, $4}'", pod={"fsGroup": 2000}, **DATA)
    assert said == "drwxrwsrwx 0 2000\n"


def test_what_is_made_in_a_volume_belongs_to_the_fs_group(output):
    who = {"runAsUser": 1000, "runAsGroup": 3000, "fsGroup": 2000}
    said = output("touch /d/f; ls -ln /d/f | awk '{print $3, $4}'", pod=who, **DATA)
    assert said == "1000 2000\n"


def test_the_fs_group_is_one_of_the_processes_groups(output):
    assert "2000" in output("id -G", pod={"runAsUser": 1000, "fsGroup": 2000}).split()


def test_a_read_only_root(output):
    said = output("touch /x", container={"readOnlyRootFilesystem": True})
    assert said == "touch: /x: Read-only file system\n"


def test_a_read_only_root_has_writable_volumes(output):
    said = output("touch /d/x && echo yes", container={"readOnlyRootFilesystem": True}, **DATA)
    assert said == "yes\n"


@pytest.mark.parametrize(
    ("context", "why"),
    [
        ({"runAsNonRoot": True}, "container has runAsNonRoot and image will run as root"),
        (
            {"runAsNonRoot": True, "runAsUser": 0},
            "container's runAsUser breaks non-root policy",
        ),
    ],
)
def test_a_container_that_must_not_be_root_waits(core, namespace, shell_pod, context, why):
    core.create_namespaced_pod(namespace, shell_pod("no", "true", securityContext=context))

    def waits():
        statuses = core.read_namespaced_pod("no", namespace).status.container_statuses
        waiting_for = statuses and statuses[0].state.waiting
        return waiting_for if waiting_for and waiting_for.message else None

    found = waiting.until(waits, timeout=WAIT)
    assert found.reason == "CreateContainerConfigError"
    assert found.message.startswith(f'{why} (pod: "no_{namespace}(')
    assert found.message.endswith(')", container: main)')


def test_a_container_that_is_not_root_may_require_that(output):
    assert output("id -u", pod={"runAsNonRoot": True, "runAsUser": 1000}) == "1000\n"


def test_the_kernel_tells_who_a_process_is(output):
    assert output("cat /proc/self/status | grep ^Uid", pod={"runAsUser": 1000}) == (
        "Uid:\t1000\t1000\t1000\t1000\n"
    )


CAPABILITIES = "grep -E 'Cap(Eff|Bnd)' /proc/1/status"


@pytest.mark.parametrize(
    ("context", "effective", "bounding"),
    [
        ({}, "00000000a80425fb", "00000000a80425fb"),
        ({"runAsUser": 7}, "0000000000000000", "00000000a80425fb"),
        (
            {"capabilities": {"add": ["NET_ADMIN", "SYS_TIME"], "drop": ["KILL"]}},
            "00000000aa0435db",
            "00000000aa0435db",
        ),
        (
            {"capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]}},
            "0000000000000400",
            "0000000000000400",
        ),
    ],
)
def test_capabilities(output, context, effective, bounding):
    said = output(CAPABILITIES, container=context)
    assert said == f"CapEff:\t{effective}\nCapBnd:\t{bounding}\n"
