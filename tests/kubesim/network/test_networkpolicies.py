"""NetworkPolicies: which Pods reach which, and that a dropped packet is a time-out."""

import pytest

POLICIES = "networkpolicies.networking.k8s.io"
SERVE = "mkdir /www; hostname > /www/index.html; exec httpd -f -p 8080 -h /www"
DROPPED = "wget: download timed out\n"
WEB = {"podSelector": {"matchLabels": {"app": "web"}}}
FRIEND = {"podSelector": {"matchLabels": {"app": "friend"}}}


async def policy(lab, name="p", **spec):
    await lab.create(POLICIES, name, spec={**WEB, **spec})
    await lab.settle()


async def serve(lab, name="web", **spec):
    ports = [{"name": "http", "containerPort": 8080}]
    command = ["sh", "-c", SERVE]
    pod = await lab.run(name, command=command, labels={"app": name}, ports=ports, **spec)
    return pod["status"]["podIP"]


async def clients(lab, *names):
    for name in names:
        await lab.run(name, command=["sleep", "100000"], labels={"app": name})


async def fetch(lab, ip, name="friend", port=8080):
    """What a client gets, in words or in time."""
    log = await lab.exec_later("sh", "-c", f"wget -T 5 -qO- {ip}:{port} 2>&1", name=name, seconds=8)
    return "dropped" if log == DROPPED else log.strip()


async def test_without_a_policy_all_is_open_and_with_one_only_what_it_says(make_lab):
    async with make_lab() as lab:
        ip = await serve(lab)
        await clients(lab, "friend", "foe")
        assert await fetch(lab, ip, "foe") == "web"
        await policy(lab, ingress=[{"from": [FRIEND]}])
        assert await fetch(lab, ip, "foe") == "dropped"
        assert await fetch(lab, ip, "friend") == "web"
        await lab.api.delete(POLICIES, "p", "default")
        await lab.settle()
        assert await fetch(lab, ip, "foe") == "web"


async def test_policies_follow_labels_and_add_up(make_lab):
    async with make_lab() as lab:
        ip = await serve(lab)
        await clients(lab, "friend", "foe")
        await policy(lab, "none")
        assert await fetch(lab, ip, "friend") == "dropped"
        await policy(lab, "some", ingress=[{"from": [FRIEND]}])
        assert await fetch(lab, ip, "friend") == "web"
        changed = {"metadata": {"labels": {"app": "friend"}}}
        await lab.api.patch("pods", "foe", changed, "default")
        await lab.settle()
        assert await fetch(lab, ip, "foe") == "web"
        await lab.api.patch("pods", "web", {"metadata": {"labels": {"app": "x"}}}, "default")
        await lab.api.patch("pods", "foe", {"metadata": {"labels": {"app": "foe"}}}, "default")
        await lab.settle()
        assert await fetch(lab, ip, "foe") == "web"


@pytest.mark.parametrize(
    ("port", "told"),
    [
        ({"port": 8080}, "web"),
        ({"port": "http"}, "web"),
        ({"port": 8000, "endPort": 8100}, "web"),
        ({"port": 8081}, "dropped"),
        ({"port": 8080, "protocol": "UDP"}, "dropped"),
        ({"port": "other"}, "dropped"),
    ],
)
async def test_ports_by_number_name_and_range(make_lab, port, told):
    async with make_lab() as lab:
        ip = await serve(lab)
        await clients(lab, "friend")
        await policy(lab, ingress=[{"ports": [port]}])
        assert await fetch(lab, ip) == told


async def test_namespaces_are_chosen_by_their_labels(make_lab):
    async with make_lab() as lab:
        ip = await serve(lab)
        for name in ("near", "far"):
            labels = {"labels": {"zone": name}}
            await lab.api.create("namespaces", {"metadata": {"name": name, **labels}})
        await lab.settle()
        near = {"namespaceSelector": {"matchLabels": {"zone": "near"}}}
        await policy(lab, ingress=[{"from": [near]}])
        for name, told in (("near", "web\n"), ("far", DROPPED)):
            container = {"name": "c", "image": "busybox:1.36"}
            container["command"] = ["sh", "-c", f"wget -T 5 -qO- {ip}:8080 2>&1"]
            pod = {"metadata": {"name": "one", "namespace": name}}
            pod["spec"] = {"containers": [container], "restartPolicy": "Never"}
            await lab.api.create("pods", pod)
            await lab.advance(8)
            node = (await lab.api.get("pods", "one", name))["spec"]["nodeName"]
            stream = lab.cluster._kubelets[node].server.logs(name, "one", "c")
            assert b"".join([chunk async for chunk in stream]).decode() == told


async def test_blocks_of_addresses_with_exceptions(make_lab):
    async with make_lab() as lab:
        ip = await serve(lab, nodeName="test-worker")
        await clients(lab, "friend", "foe")
        excepted = (await lab.pod("foe"))["status"]["podIP"] + "/32"
        await policy(
            lab,
            ingress=[{"from": [{"ipBlock": {"cidr": "10.244.0.0/16", "except": [excepted]}}]}],
        )
        assert await fetch(lab, ip, "friend") == "web"
        assert await fetch(lab, ip, "foe") == "dropped"


async def test_what_goes_out_can_be_stopped_names_included(make_lab):
    async with make_lab() as lab:
        ip = await serve(lab)
        await clients(lab, "friend")
        await lab.create(POLICIES, "out", spec={**FRIEND, "policyTypes": ["Egress"]})
        await lab.settle()
        assert await fetch(lab, ip) == "dropped"
        asked = await lab.exec_later("nslookup", "kubernetes.default", name="friend", seconds=15)
        assert "no servers could be reached" in asked
        dns = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}
        rule = {"to": [dns], "ports": [{"port": 53, "protocol": "UDP"}]}
        patch = {"spec": {"egress": [rule, {"to": [WEB]}]}}
        await lab.api.patch(POLICIES, "out", patch, "default", kind="merge")
        await lab.settle()
        asked = await lab.exec_later(
            "nslookup", "kubernetes.default.svc.cluster.local", name="friend"
        )
        assert "Address: 10.96.0.1" in asked
        assert await fetch(lab, ip) == "web"


async def test_a_service_does_not_lead_around_a_policy_nor_a_ping_through_a_port(make_lab):
    async with make_lab() as lab:
        ip = await serve(lab)
        await clients(lab, "foe")
        ports = [{"port": 80, "targetPort": 8080}]
        made = await lab.create(
            "services", "web", spec={"selector": {"app": "web"}, "ports": ports}
        )
        await policy(lab, ingress=[{"ports": [{"port": 9}]}])
        assert await fetch(lab, made["spec"]["clusterIP"], "foe", 80) == "dropped"
        log = await lab.exec_later("ping", "-c", "1", ip, name="foe")
        assert "100% packet loss" in log


async def test_the_kubelet_reaches_its_pods_whatever_policies_say(make_lab):
    async with make_lab() as lab:
        await policy(lab)
        probe = {"httpGet": {"port": 8080}, "periodSeconds": 1}
        await lab.run(
            "web", command=["sh", "-c", SERVE], labels={"app": "web"}, readinessProbe=probe
        )
        await lab.advance(5)
        assert (await lab.condition("Ready", "web"))["status"] == "True"
