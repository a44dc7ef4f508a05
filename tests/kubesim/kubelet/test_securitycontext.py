"""Who containers run as, and what they may touch."""

import pytest


async def test_users_and_groups(make_lab):
    async with make_lab() as lab:
        context = {"runAsUser": 1000, "runAsGroup": 3000, "fsGroup": 2000}
        said = await lab.sh(
            "id; touch /data/f; ls -ln /data/f; ls -ld /data | cut -c1-10; touch /etc/x; echo ~",
            securityContext=context | {"supplementalGroups": [4000]},
            volumes=[{"name": "d", "emptyDir": {}}],
            volumeMounts=[{"name": "d", "mountPath": "/data"}],
        )
        lines = said.splitlines()
        assert lines[0] == "uid=1000 gid=3000 groups=2000,3000,4000"
        assert lines[1].startswith("-rw-r--r--    1 1000     2000             0 ")
        assert lines[2:] == ["drwxrwsrwx", "touch: /etc/x: Permission denied", "/"]


async def test_a_container_overrides_its_pod(make_lab):
    async with make_lab() as lab:
        container = {"name": "c", "image": "busybox:1.36", "command": ["id", "-u"]}
        container["securityContext"] = {"runAsUser": 7}
        context = {"runAsUser": 1000, "runAsNonRoot": True}
        await lab.run(containers=[container], securityContext=context, restartPolicy="Never")
        assert await lab.log() == "7\n"


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
async def test_a_container_that_must_not_run_as_root_waits(make_lab, context, why):
    async with make_lab() as lab:
        pod = await lab.run(command=["sleep", "1000"], securityContext=context)
        waiting = (await lab.status())["state"]["waiting"]
        assert waiting["reason"] == "CreateContainerConfigError"
        where = f"pod_default({pod['metadata']['uid']})"
        assert waiting["message"] == f'{why} (pod: "{where}", container: c)'
        assert ("Failed", f"Error: {waiting['message']}") in await lab.events()


async def test_a_read_only_root_has_writable_volumes(make_lab):
    async with make_lab() as lab:
        container = {
            "name": "c",
            "image": "busybox:1.36",
            "command": ["sh", "-c", "touch /x; touch /data/x && echo yes; echo no > /dev/null"],
            "securityContext": {"readOnlyRootFilesystem": True},
            "volumeMounts": [{"name": "d", "mountPath": "/data"}],
        }
        volumes = [{"name": "d", "emptyDir": {}}]
        await lab.run(containers=[container], volumes=volumes, restartPolicy="Never")
        assert await lab.log() == "touch: /x: Read-only file system\nyes\n"


async def test_nginx_needs_a_cache_that_it_may_write(make_lab):
    async with make_lab() as lab:
        await lab.run(image="nginx:1.27", securityContext={"runAsUser": 101}, restartPolicy="Never")
        why = 'mkdir() "/var/cache/nginx/client_temp" failed (13: Permission denied)'
        assert f"[emerg] {why}" in await lab.log()
        assert await lab.phase() == "Failed"


async def test_files_of_objects_belong_to_the_group(make_lab):
    async with make_lab() as lab:
        await lab.create("configmaps", "web", data={"key": "value"})
        said = await lab.sh(
            "cat /c/key; stat -L -c ' %A %u %g' /c/key; chmod 777 /c/key",
            securityContext={"runAsUser": 1000, "fsGroup": 2000},
            volumes=[{"name": "v", "configMap": {"name": "web", "defaultMode": 0o400}}],
            volumeMounts=[{"name": "v", "mountPath": "/c"}],
        )
        assert said == "value -r--r----- 0 2000\nchmod: /c/key: Read-only file system\n"


async def test_only_owners_change_what_they_own(make_lab):
    async with make_lab() as lab:
        script = "whoami; touch /tmp/a; chmod 600 /tmp/a; chown root /tmp/a; chmod 777 /etc/passwd"
        said = await lab.sh(script, securityContext={"runAsUser": 65534})
        assert said == (
            "nobody\nchown: /tmp/a: Operation not permitted\n"
            "chmod: /etc/passwd: Operation not permitted\n"
        )


async def test_root_gives_files_away(make_lab):
    async with make_lab() as lab:
        said = await lab.sh("touch /tmp/a; chown nobody:7 /tmp/a; stat -c '%U %g' /tmp/a; id")
        assert said == "nobody 7\nuid=0(root) gid=0(root) groups=0(root)\n"


async def test_a_privileged_container_has_every_capability(make_lab):
    async with make_lab() as lab:
        script = ["grep", "CapEff", "/proc/1/status"]
        container = {"name": "c", "image": "busybox:1.36", "command": script}
        container["securityContext"] = {"privileged": True}
        await lab.run(containers=[container], restartPolicy="Never")
        await lab.settle()
        assert await lab.log() == "CapEff:\t000001ffffffffff\n"
