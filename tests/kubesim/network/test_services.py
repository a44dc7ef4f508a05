"""Services from the inside of Pods: addresses, names, endpoints."""

from functools import partial

SERVE = "mkdir /www; hostname > /www/index.html; exec httpd -f -p 8080 -h /www"


def service(app, **spec):
    ports = [{"port": 80, "targetPort": 8080}]
    return {"spec": {"selector": {"app": app}, "ports": ports, **spec}}


async def serve(lab, *names, app="web", **spec):
    for name in names:
        command = ["sh", "-c", SERVE]
        await lab.run(name, command=command, labels={"app": app}, **spec)


async def test_a_service_is_reached_by_its_name(make_lab):
    async with make_lab() as lab:
        await lab.create("services", "web", **service("web"))
        await serve(lab, "a", "b")
        await lab.run("client", command=["sleep", "1000"])
        ask = "for n in web web.default web.default.svc.cluster.local; do wget -qO- $n; done"
        found, code = await lab.exec("sh", "-c", ask, name="client")
        assert code == 0
        assert set(found.split()) <= {"a", "b"}
        ask = "for i in $(seq 20); do wget -qO- web; done | sort -u"
        assert (await lab.exec("sh", "-c", ask, name="client"))[0] == "a\nb\n"


async def test_a_pod_that_is_not_ready_gets_nothing(make_lab):
    async with make_lab() as lab:
        await lab.create("services", "web", **service("web"))
        await serve(lab, "good")
        probe = {"exec": {"command": ["false"]}}
        await serve(lab, "bad", readinessProbe=probe)
        ask = "for i in $(seq 20); do wget -qO- web; done | sort -u"
        assert await lab.sh(ask) == "good\n"


async def test_a_service_without_pods_refuses(make_lab):
    async with make_lab() as lab:
        await lab.create("services", "web", **service("web"))
        log = await lab.sh("wget -qO- web")
        assert "Connection refused" in log


async def test_a_headless_service_names_its_pods(make_lab):
    async with make_lab() as lab:
        await lab.create("services", "web", **service("web", clusterIP="None"))
        await serve(lab, "a", hostname="one", subdomain="web")
        await serve(lab, "b", hostname="two", subdomain="web")
        ips = {(await lab.pod(name))["status"]["podIP"] for name in "ab"}
        log = await lab.sh("nslookup web.default.svc.cluster.local; wget -qO- two.web:8080")
        assert {line.split()[1] for line in log.splitlines()[2:] if "Address" in line} == ips
        assert log.endswith("two\n")


async def test_nslookup_of_what_exists_and_what_does_not(make_lab):
    async with make_lab() as lab:
        name = "kubernetes.default.svc.cluster.local"
        assert await lab.sh(f"nslookup {name}; echo $?") == (
            "Server:\t\t10.96.0.10\nAddress:\t10.96.0.10:53\n\n"
            f"Name:\t{name}\nAddress: 10.96.0.1\n\n\n0\n"
        )
        log = await lab.sh("nslookup nope; echo $?; wget nope", "other")
        assert "** server can't find nope.default.svc.cluster.local: NXDOMAIN\n" in log
        assert log.endswith("1\nwget: bad address 'nope'\n")


async def test_a_node_port_is_open_on_every_node(make_lab):
    async with make_lab() as lab:
        made = await lab.create("services", "web", **service("web", type="NodePort"))
        port = made["spec"]["ports"][0]["nodePort"]
        await serve(lab, "a")
        ask = f"for i in 2 3 4; do wget -qO- 172.18.0.$i:{port}; done"
        assert await lab.sh(ask) == "a\na\na\n"


async def test_a_deleted_service_is_gone(make_lab):
    async with make_lab() as lab:
        await lab.create("services", "web", **service("web"))
        await serve(lab, "a")
        await lab.api.delete("services", "web", "default")
        await lab.settle()
        assert await lab.sh("wget -qO- web") == "wget: bad address 'web'\n"


async def test_local_traffic_stays_on_its_node(make_lab):
    async with make_lab() as lab:
        await lab.create("services", "web", **service("web", internalTrafficPolicy="Local"))
        await serve(lab, "here", nodeName="test-worker")
        await serve(lab, "there", nodeName="test-worker2")
        ask = "for i in $(seq 10); do wget -qO- web; done | sort -u"
        assert await lab.sh(ask, "near", nodeName="test-worker") == "here\n"
        far = await lab.sh("wget -T 5 -qO- web", "far", nodeName="test-control-plane")
        assert far == "wget: download timed out\n"


async def test_a_local_node_port_leads_to_pods_of_that_node_only(make_lab):
    async with make_lab() as lab:
        local = service("web", type="NodePort", externalTrafficPolicy="Local")
        made = await lab.create("services", "web", **local)
        port = made["spec"]["ports"][0]["nodePort"]
        await serve(lab, "a", nodeName="test-worker")
        ask = f"for i in 2 3 4; do wget -T 5 -qO- 172.18.0.$i:{port}; done"
        log = await lab.sh(ask, nodeName="test-worker")
        assert log == "wget: download timed out\na\nwget: download timed out\n"
        # what comes from the node's own Pods goes wherever there is an endpoint
        assert await lab.sh(f"wget -qO- 172.18.0.4:{port}", "own", nodeName="test-worker2") == "a\n"


async def test_pods_that_end_serve_while_no_other_is_ready(make_lab):
    async with make_lab() as lab:
        await lab.create("services", "web", **service("web"))
        command = ["sh", "-c", f"trap 'sleep 20; exit' TERM; ({SERVE}) & wait; wait"]
        await lab.run("old", command=command, labels={"app": "web"})
        await lab.api.delete("pods", "old", "default")
        await lab.settle()
        assert await lab.sh("wget -qO- web") == "old\n"


async def test_an_external_address_leads_to_the_service(make_lab):
    async with make_lab() as lab:
        await lab.create("services", "web", **service("web", externalIPs=["192.0.2.9"]))
        await serve(lab, "a")
        assert await lab.sh("wget -qO- 192.0.2.9") == "a\n"


async def test_endpoints_written_by_hand_are_served(make_lab):
    async with make_lab() as lab:
        await lab.create("services", "web", spec={"ports": [{"port": 80}]})
        await serve(lab, "a", app="other")
        address = {"ip": (await lab.pod("a"))["status"]["podIP"]}
        await lab.create(
            "endpoints", "web", subsets=[{"addresses": [address], "ports": [{"port": 8080}]}]
        )
        assert await lab.sh("wget -qO- web") == "a\n"


async def test_the_name_server_knows_ports_aliases_and_addresses(make_lab):
    async with make_lab() as lab:
        ports = [{"name": "http", "port": 80, "targetPort": 8080}]
        await lab.create("services", "web", spec={"selector": {"app": "web"}, "ports": ports})
        headless = {"selector": {"app": "web"}, "ports": ports, "clusterIP": "None"}
        await lab.create("services", "pods", spec=headless)
        external = {"type": "ExternalName", "externalName": "web.default.svc.cluster.local"}
        await lab.create("services", "alias", spec=external)
        await serve(lab, "a", hostname="first", subdomain="pods")
        node = lab.cluster.network.nodes["test-worker"].namespace
        query = partial(node.query, "10.96.0.10")
        base = "default.svc.cluster.local"
        assert query(f"_http._tcp.web.{base}", "SRV") == [f"0 100 80 web.{base}"]
        assert query(f"_http._tcp.pods.{base}", "SRV") == [f"0 100 8080 first.pods.{base}"]
        ip = (await lab.pod("a"))["status"]["podIP"]
        assert query(f"first.pods.{base}", "A") == [ip]
        assert query(".".join(reversed(ip.split("."))) + ".in-addr.arpa", "PTR") == [
            f"first.pods.{base}"
        ]
        log = await lab.sh(f"nslookup -type=srv _http._tcp.web.{base}; nslookup alias.{base}")
        assert f"_http._tcp.web.{base}\tservice = 0 100 80 web.{base}\n" in log
        assert (
            f"alias.{base}\tcanonical name = web.{base}\nName:\tweb.{base}\nAddress: 10.96." in log
        )
