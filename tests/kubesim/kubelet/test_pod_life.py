"""From a Pod's creation to its end: phases, container states, restarts, Events."""

import pytest

ALREADY = 'Container image "busybox:1.36" already present on machine and can be accessed by the pod'


async def test_a_pod_runs_and_is_ready(make_lab):
    async with make_lab() as lab:
        pod = await lab.run(command=["sleep", "1000"])
        status = pod["status"]
        assert status["phase"] == "Running"
        assert {each["type"]: each["status"] for each in status["conditions"]} == {
            "PodReadyToStartContainers": "True",
            "Initialized": "True",
            "Ready": "True",
            "ContainersReady": "True",
            "PodScheduled": "True",
        }
        assert status["podIP"].startswith("10.244.")
        assert status["hostIP"].startswith("172.18.0.")
        container = status["containerStatuses"][0]
        assert container["state"]["running"]["startedAt"]
        assert container["containerID"].startswith("containerd://")
        assert (container["ready"], container["started"], container["restartCount"]) == (
            True,
            True,
            0,
        )
        assert (await lab.events())[1:] == [
            ("Pulled", ALREADY),
            ("Created", "Container created"),
            ("Started", "Container started"),
        ]


@pytest.mark.parametrize(("code", "phase"), [(0, "Succeeded"), (3, "Failed")])
async def test_a_pod_that_is_not_restarted_ends(make_lab, code, phase):
    async with make_lab() as lab:
        await lab.sh(f"exit {code}")
        assert await lab.phase() == phase
        ended = (await lab.status())["state"]["terminated"]
        assert (ended["exitCode"], ended["reason"]) == (code, "Error" if code else "Completed")
        ready = await lab.condition("Ready")
        assert (ready["status"], ready["reason"]) == (
            "False",
            "PodFailed" if code else "PodCompleted",
        )


async def test_a_crashing_container_is_restarted_with_a_growing_back_off(make_lab):
    async with make_lab() as lab:
        await lab.run(command=["sh", "-c", "echo run; exit 1"])
        for restarts, back_off, wait in ((1, "10s", 10), (2, "20s", 20), (3, "40s", 40)):
            status = await lab.status()
            waiting = status["state"]["waiting"]
            assert status["restartCount"] == restarts
            assert waiting["reason"] == "CrashLoopBackOff"
            assert waiting["message"].startswith(f"back-off {back_off} restarting failed container")
            assert status["lastState"]["terminated"]["exitCode"] == 1
            await lab.advance(wait + 1)
        assert await lab.phase() == "Running"
        back_off = [message for reason, message in await lab.events() if reason == "BackOff"]
        uid = (await lab.pod())["metadata"]["uid"]
        assert back_off == [f"Back-off restarting failed container c in pod pod_default({uid})"]


async def test_a_long_run_resets_the_back_off(make_lab):
    async with make_lab() as lab:
        await lab.run(command=["sh", "-c", "sleep 1200; exit 1"])
        await lab.advance(1201)
        assert (await lab.status())["restartCount"] == 1
        await lab.advance(1201)
        assert (await lab.status())["restartCount"] == 2
        assert "running" in (await lab.status())["state"]


async def test_on_failure_restarts_only_failures(make_lab):
    async with make_lab() as lab:
        script = "if [ -f /data/tried ]; then exit 0; fi; touch /data/tried; exit 1"
        await lab.run(
            command=["sh", "-c", script],
            restartPolicy="OnFailure",
            volumes=[{"name": "data", "emptyDir": {}}],
            volumeMounts=[{"name": "data", "mountPath": "/data"}],
        )
        assert await lab.phase() == "Succeeded"
        assert (await lab.status())["restartCount"] == 1


@pytest.mark.parametrize(
    ("image", "reason", "message"),
    [
        ("nginx:nope", "ImagePullBackOff", 'Back-off pulling image "nginx:nope"'),
        ("Nginx:1.26", "InvalidImageName", "repository name (library/Nginx) must be lowercase"),
    ],
)
async def test_a_bad_image_keeps_a_pod_pending(make_lab, image, reason, message):
    async with make_lab() as lab:
        await lab.run(image=image)
        await lab.advance(2)
        waiting = (await lab.status())["state"]["waiting"]
        assert waiting["reason"] == reason
        assert message in waiting["message"]
        assert await lab.phase() == "Pending"
        assert ("Failed", f"Error: {reason}") in await lab.events()


async def test_an_image_that_must_not_be_pulled(make_lab):
    async with make_lab() as lab:
        await lab.run(image="nginx:nope", imagePullPolicy="Never")
        assert (await lab.status())["state"]["waiting"]["reason"] == "ErrImageNeverPull"


async def test_a_corrected_image_is_run(make_lab):
    async with make_lab() as lab:
        await lab.run(image="nginx:nope")
        await lab.advance(100)
        patch = {"spec": {"containers": [{"name": "c", "image": "nginx:1.27"}]}}
        await lab.api.patch("pods", "pod", patch, "default")
        await lab.settle()
        assert await lab.phase() == "Running"
        patch["spec"]["containers"][0]["image"] = "nginx:1.26"
        await lab.api.patch("pods", "pod", patch, "default")
        await lab.advance(15)
        status = await lab.status()
        assert status["image"] == "docker.io/library/nginx:1.26"
        assert status["restartCount"] == 1
        assert ("Killing", "Container c definition changed, will be restarted") in (
            await lab.events()
        )


@pytest.mark.parametrize(
    ("policy", "phase"), [("Never", "Succeeded"), ("OnFailure", "Succeeded"), ("Always", "Running")]
)
async def test_a_run_that_a_wrong_image_ended(make_lab, policy, phase):
    async with make_lab() as lab:
        await lab.run(image="nginx:1.27", restartPolicy=policy)
        patch = {"spec": {"containers": [{"name": "c", "image": "nginx:nope"}]}}
        await lab.api.patch("pods", "pod", patch, "default")
        await lab.advance(5)
        status = await lab.status()
        assert await lab.phase() == phase
        assert ("Failed", "Error: ErrImagePull") in await lab.events()
        again = policy == "Always"
        assert ("waiting" if again else "terminated") in status["state"]
        assert status["restartCount"] == int(again)


async def test_a_missing_command_is_a_start_error(make_lab):
    async with make_lab() as lab:
        await lab.run(command=["nosuch"], restartPolicy="Never")
        ended = (await lab.status())["state"]
        assert "executable file not found in $PATH" in str(ended)
        assert await lab.phase() == "Failed"


async def test_init_containers_run_one_after_the_other(make_lab):
    async with make_lab() as lab:
        first = {"name": "first", "image": "busybox:1.36", "command": ["sleep", "5"]}
        second = {"name": "second", "image": "busybox:1.36", "command": ["sleep", "5"]}
        await lab.run(command=["sleep", "1000"], initContainers=[first, second])
        assert "running" in (await lab.status(container="first"))["state"]
        waiting = (await lab.status(container="second"))["state"]["waiting"]
        assert waiting["reason"] == "PodInitializing"
        await lab.advance(6)
        assert (await lab.status(container="first"))["state"]["terminated"]["exitCode"] == 0
        assert "running" in (await lab.status(container="second"))["state"]
        initialized = await lab.condition("Initialized")
        assert initialized["message"] == "containers with incomplete status: [second]"
        assert await lab.phase() == "Pending"
        await lab.advance(6)
        assert await lab.phase() == "Running"


@pytest.mark.parametrize(
    ("policy", "phase", "restarts"), [("Never", "Failed", 0), ("Always", "Pending", 1)]
)
async def test_a_failing_init_container(make_lab, policy, phase, restarts):
    async with make_lab() as lab:
        init = {"name": "init", "image": "busybox:1.36", "command": ["false"]}
        await lab.run(command=["sleep", "9"], initContainers=[init], restartPolicy=policy)
        assert await lab.phase() == phase
        assert (await lab.status(container="init"))["restartCount"] == restarts
        assert (await lab.status())["state"]["waiting"]["reason"] == "PodInitializing"


async def test_a_sidecar_runs_beside_the_others_and_ends_after_them(make_lab):
    async with make_lab() as lab:
        trap = "trap 'echo sidecar ends; exit 0' TERM; while true; do sleep 1; done"
        sidecar = {
            "name": "side",
            "image": "busybox:1.36",
            "command": ["sh", "-c", trap],
            "restartPolicy": "Always",
        }
        await lab.run(command=["sleep", "5"], initContainers=[sidecar], restartPolicy="Never")
        assert (await lab.status(container="side"))["started"]
        assert await lab.phase() == "Running"
        await lab.advance(10)
        assert await lab.phase() == "Succeeded"
        assert await lab.log(container="side") == "sidecar ends\n"


async def test_containers_share_localhost_and_volumes(make_lab):
    async with make_lab() as lab:
        volume = {"name": "html", "emptyDir": {}}
        web = {
            "name": "web",
            "image": "nginx:1.26",
            "volumeMounts": [{"name": "html", "mountPath": "/usr/share/nginx/html"}],
        }
        writer = {
            "name": "writer",
            "image": "busybox:1.36",
            "command": ["sh", "-c", "echo shared > /out/index.html; sleep 1000"],
            "volumeMounts": [{"name": "html", "mountPath": "/out"}],
        }
        await lab.run(containers=[web, writer], volumes=[volume])
        assert await lab.exec("wget", "-qO-", "localhost", container="writer") == ("shared\n", 0)


async def test_an_active_deadline_ends_a_pod(make_lab):
    async with make_lab() as lab:
        await lab.run(
            command=["sleep", "1000"], activeDeadlineSeconds=20, terminationGracePeriodSeconds=5
        )
        await lab.advance(26)
        pod = await lab.pod()
        assert (pod["status"]["phase"], pod["status"]["reason"]) == ("Failed", "DeadlineExceeded")
        assert "DeadlineExceeded" in await lab.reasons()


@pytest.mark.parametrize(
    ("script", "policy", "message"),
    [
        ("echo written > /dev/termination-log; exit 1", "File", "written\n"),
        ("echo the end >&2; exit 1", "FallbackToLogsOnError", "the end\n"),
        ("echo the end; exit 1", "File", None),
    ],
)
async def test_termination_messages(make_lab, script, policy, message):
    async with make_lab() as lab:
        await lab.sh(script, terminationMessagePolicy=policy)
        assert (await lab.status())["state"]["terminated"].get("message") == message


async def test_containers_may_share_their_processes(make_lab):
    async with make_lab() as lab:
        other = {"name": "other", "image": "busybox:1.36", "command": ["sleep", "2000"]}
        sleeper = {"name": "c", "image": "busybox:1.36", "command": ["sleep", "1000"]}
        await lab.run(containers=[sleeper, other], shareProcessNamespace=True)
        listed, _ = await lab.exec("ps")
        assert "sleep 1000" in listed
        assert "sleep 2000" in listed
        await lab.exec(
            "sh", "-c", "kill $(ps | grep 'sleep 200[0]' | sed 's/ *\\([0-9]*\\) .*/\\1/')"
        )
        await lab.advance(1)
        assert (await lab.status(container="other"))["restartCount"] == 1
        assert (await lab.status())["restartCount"] == 0


async def test_host_network_is_the_nodes(make_lab):
    async with make_lab() as lab:
        pod = await lab.run(image="nginx:1.26", hostNetwork=True)
        assert pod["status"]["podIP"] == pod["status"]["hostIP"]
        assert (
            await lab.sh(f"wget -qO- {pod['status']['hostIP']} | grep -c Welcome", "ask")
        ) == "2\n"


async def test_a_missing_command_ends_a_pod_that_is_not_restarted(make_lab):
    async with make_lab() as lab:
        await lab.run(command=["/nope"], restartPolicy="Never")
        ended = (await lab.status())["state"]["terminated"]
        assert (ended["reason"], ended["exitCode"]) == ("StartError", 128)
        why = 'start container process: exec: "/nope": stat /nope: no such file or directory'
        assert why in ended["message"]
        assert await lab.phase() == "Failed"


async def test_the_kubelet_repairs_a_status_that_others_have_written(make_lab):
    async with make_lab() as lab:
        await lab.run(command=["sleep", "1000"])
        wrong = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
        await lab.api.patch("pods", "pod", wrong, "default", subresource="status")
        assert (await lab.condition("Ready"))["status"] == "False"
        await lab.advance(10)
        assert (await lab.condition("Ready"))["status"] == "True"
        version = (await lab.pod())["metadata"]["resourceVersion"]
        await lab.advance(60)
        assert (await lab.pod())["metadata"]["resourceVersion"] == version


async def test_a_working_directory_and_a_divided_resource(make_lab):
    async with make_lab() as lab:
        reference = {"resource": "limits.cpu", "divisor": "1m"}
        said = await lab.sh(
            "pwd; echo $CPU",
            workingDir="/tmp",
            resources={"limits": {"cpu": "2"}},
            env=[{"name": "CPU", "valueFrom": {"resourceFieldRef": reference}}],
        )
        assert said == "/tmp\n2000\n"
