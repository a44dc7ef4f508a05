"""Environment variables and volumes: ConfigMaps, Secrets, the Pod itself, Services."""

import base64

import pytest

CONFIG = {"data": {"color": "blue", "file.txt": "content\n"}}


def mount(kind, path="/v", **source):
    return {
        "volumes": [{"name": "v", kind: source}],
        "volumeMounts": [{"name": "v", "mountPath": path}],
    }


async def test_environment_from_everywhere(make_lab):
    async with make_lab() as lab:
        await lab.create("configmaps", "conf", **CONFIG)
        secret = base64.b64encode(b"hidden").decode()
        await lab.create("secrets", "sec", data={"key": secret})
        env = [
            {"name": "PLAIN", "value": "p"},
            {"name": "COMBINED", "value": "$(PLAIN)-$(COLOR)-$(NOPE)-$$(PLAIN)"},
            {"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "conf", "key": "color"}}},
            {"name": "AFTER", "value": "$(COLOR)"},
            {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "sec", "key": "key"}}},
            {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
            {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {
                "name": "MEMORY",
                "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}},
            },
        ]
        shown = (
            "$(PLAIN) ${COMBINED} $AFTER $SECRET $NAME $APP $NODE $IP $MEMORY $P_color $HOSTNAME"
        )
        log = await lab.sh(
            f'echo "{shown}"',
            env=env,
            envFrom=[{"prefix": "P_", "configMapRef": {"name": "conf"}}],
            resources={"limits": {"memory": "64Mi"}},
        )
        pod = await lab.pod()
        node, ip = pod["spec"]["nodeName"], pod["status"]["podIP"]
        expected = f"p p-$(COLOR)-$(NOPE)-$(PLAIN) blue hidden pod pod {node} {ip} 64 blue pod\n"
        assert log == expected


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"configMapKeyRef": {"name": "nope", "key": "k"}}, 'configmap "nope" not found'),
        ({"secretKeyRef": {"name": "nope", "key": "k"}}, 'secret "nope" not found'),
        (
            {"configMapKeyRef": {"name": "conf", "key": "k"}},
            "couldn't find key k in ConfigMap default/conf",
        ),
    ],
)
async def test_a_missing_source_is_a_configuration_error_until_it_is_there(
    make_lab, source, message
):
    async with make_lab() as lab:
        await lab.create("configmaps", "conf", **CONFIG)
        await lab.run(command=["sleep", "1000"], env=[{"name": "A", "valueFrom": source}])
        waiting = (await lab.status())["state"]["waiting"]
        assert waiting == {"reason": "CreateContainerConfigError", "message": message}
        assert ("Failed", f"Error: {message}") in await lab.events()


async def test_a_configuration_error_is_mended_by_creating_the_source(make_lab):
    async with make_lab() as lab:
        source = {"configMapKeyRef": {"name": "late", "key": "color"}}
        await lab.run(command=["sleep", "1000"], env=[{"name": "A", "valueFrom": source}])
        await lab.create("configmaps", "late", **CONFIG)
        await lab.advance(11)
        assert await lab.exec("printenv", "A") == ("blue\n", 0)


async def test_services_are_in_the_environment(make_lab):
    async with make_lab() as lab:
        service = {"selector": {"app": "x"}, "ports": [{"name": "http", "port": 80}]}
        made = await lab.create("services", "my-web", spec=service)
        ip = made["spec"]["clusterIP"]
        log = await lab.sh("env")
        assert f"MY_WEB_SERVICE_HOST={ip}\nMY_WEB_SERVICE_PORT=80\n" in log
        assert f"MY_WEB_PORT_80_TCP=tcp://{ip}:80\n" in log
        assert "KUBERNETES_SERVICE_HOST=10.96.0.1\n" in log
        await lab.sh("env", "without", enableServiceLinks=False)
        log = await lab.log("without")
        assert "MY_WEB" not in log


async def test_a_config_map_becomes_files_that_follow_it(make_lab):
    async with make_lab() as lab:
        await lab.create("configmaps", "conf", **CONFIG)
        await lab.run(command=["sleep", "10000"], **mount("configMap", name="conf"))
        assert await lab.exec("cat", "/v/file.txt") == ("content\n", 0)
        assert (await lab.exec("sh", "-c", "ls /v; readlink /v/color"))[0] == (
            "color\nfile.txt\n..data/color\n"
        )
        assert (await lab.exec("sh", "-c", "echo x > /v/new"))[1] == 1
        await lab.api.patch("configmaps", "conf", {"data": {"color": "red"}}, "default")
        await lab.advance(61)
        assert await lab.exec("cat", "/v/color") == ("red", 0)


async def test_only_chosen_keys_under_chosen_names(make_lab):
    async with make_lab() as lab:
        await lab.create("configmaps", "conf", **CONFIG)
        items = [{"key": "color", "path": "a/b", "mode": 0o400}]
        log = await lab.sh(
            "find /v/ -name b; cat /v/a/b; stat -c %a /v/..data/a/b",
            **mount("configMap", name="conf", items=items),
        )
        assert log.endswith("blue400\n")


async def test_a_subpath_mounts_one_file(make_lab):
    async with make_lab() as lab:
        await lab.create("configmaps", "conf", **CONFIG)
        volumes = mount("configMap", name="conf")
        volumes["volumeMounts"] = [{"name": "v", "mountPath": "/etc/color.txt", "subPath": "color"}]
        assert await lab.sh("cat /etc/color.txt; ls /etc", **volumes) == (
            "bluecolor.txt\ngroup\nhostname\nhosts\npasswd\nresolv.conf\n"
        )


async def test_secrets_downward_api_and_projections(make_lab):
    async with make_lab() as lab:
        data = {"password": base64.b64encode(b"s3cret").decode()}
        await lab.create("secrets", "sec", data=data)
        items = [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]
        sources = [{"secret": {"name": "sec"}}, {"downwardAPI": {"items": items}}]
        log = await lab.sh("cat /v/password /v/labels", **mount("projected", sources=sources))
        assert log == 's3cretapp="pod"'


async def test_the_service_account_token_is_mounted(make_lab):
    async with make_lab() as lab:
        place = "/var/run/secrets/kubernetes.io/serviceaccount"
        log = await lab.sh(f"ls {place}; cat {place}/namespace; wc -c < {place}/token")
        assert log.startswith("ca.crt\nnamespace\ntoken\ndefault")
        assert int(log.removeprefix("ca.crt\nnamespace\ntoken\ndefault")) > 100


async def test_the_service_account_token_is_renewed_in_time(make_lab):
    async with make_lab() as lab:
        await lab.run(command=["sleep", "100000"])
        read = ["cat", "/var/run/secrets/kubernetes.io/serviceaccount/token"]
        first = await lab.exec(*read)
        await lab.advance(1800)
        assert await lab.exec(*read) == first
        await lab.advance(1200)
        assert await lab.exec(*read) != first


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"configMap": {"name": "nope"}}, 'configmap "nope" not found'),
        ({"secret": {"secretName": "nope"}}, 'secret "nope" not found'),
        ({"nfs": {"server": "here", "path": "/"}}, "nfs volumes are not simulated"),
        (
            {"hostPath": {"path": "/nowhere", "type": "Directory"}},
            "hostPath type check failed: /nowhere is not a directory",
        ),
    ],
)
async def test_a_volume_that_cannot_be_mounted_keeps_a_pod_pending(make_lab, volume, message):
    async with make_lab() as lab:
        await lab.run(volumes=[{"name": "v", **volume}])
        waiting = (await lab.status())["state"]["waiting"]
        assert waiting["reason"] == "ContainerCreating"
        events = dict(await lab.events())
        assert events["FailedMount"].startswith('MountVolume.SetUp failed for volume "v" : ')
        assert message in events["FailedMount"]


async def test_optional_sources_may_be_missing(make_lab):
    async with make_lab() as lab:
        log = await lab.sh("ls /v; echo end", **mount("configMap", name="nope", optional=True))
        assert log == "end\n"


async def test_an_empty_dir_lives_as_long_as_its_pod(make_lab):
    async with make_lab() as lab:
        script = "cat /v/count; echo run >> /v/count; [ $(wc -l < /v/count) = 3 ]"
        await lab.run(command=["sh", "-c", script], restartPolicy="OnFailure", **mount("emptyDir"))
        await lab.advance(30)
        assert await lab.phase() == "Succeeded"
        assert await lab.log() == "run\nrun\n"


async def test_the_files_that_every_container_has(make_lab):
    async with make_lab() as lab:
        log = await lab.sh(
            "cat /etc/hostname /etc/resolv.conf; tail -n 1 /etc/hosts; hostname; hostname -f",
            hostname="here",
            subdomain="sub",
        )
        ip = (await lab.pod())["status"]["podIP"]
        full = "here.sub.default.svc.cluster.local"
        assert log == (
            "here\n"
            "search default.svc.cluster.local svc.cluster.local cluster.local\n"
            "nameserver 10.96.0.10\n"
            "options ndots:5\n"
            f"{ip}\t{full}\there\n"
            f"here\n{full}\n"
        )


async def test_labels_and_annotations_are_files_that_follow_them(make_lab):
    async with make_lab() as lab:
        items = [
            {"path": name, "fieldRef": {"fieldPath": f"metadata.{name}"}}
            for name in ("labels", "annotations")
        ]
        await lab.run(
            command=["sleep", "1000"],
            labels={"tier": "front"},
            annotations={"build": "7"},
            volumes=[{"name": "v", "downwardAPI": {"items": items}}],
            volumeMounts=[{"name": "v", "mountPath": "/d"}],
        )
        assert await lab.exec("cat", "/d/labels", "/d/annotations") == ('tier="front"build="7"', 0)
        await lab.api.patch("pods", "pod", {"metadata": {"labels": {"tier": "back"}}}, "default")
        await lab.advance(61)
        assert await lab.exec("cat", "/d/labels") == ('tier="back"', 0)


async def test_a_containers_own_variables_come_before_those_of_services(make_lab):
    async with make_lab() as lab:
        container = {"name": "c", "image": "busybox:1.36", "command": ["env"]}
        container["env"] = [{"name": "OWN", "value": "1"}]
        await lab.run(containers=[container], restartPolicy="Never")
        await lab.settle()
        names = [line.partition("=")[0] for line in (await lab.log()).splitlines()]
        assert "KUBERNETES_SERVICE_HOST" in names[names.index("OWN") :]


async def test_a_container_with_a_terminal_is_told_its_type(make_lab):
    async with make_lab() as lab:
        container = {"name": "c", "image": "busybox:1.36", "command": ["sh", "-c", "echo $TERM"]}
        own = {**container, "env": [{"name": "TERM", "value": "vt100"}]}
        for name, spec, said in (
            ("plain", container, ""),
            ("tty", {**container, "tty": True}, "xterm"),
            ("own", {**own, "tty": True}, "vt100"),
        ):
            await lab.run(name, containers=[spec], restartPolicy="Never")
            await lab.settle()
            assert (await lab.log(name)).split() == said.split()
