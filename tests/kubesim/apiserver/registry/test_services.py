"""The addresses of Services: handed out, asked for, kept and given back."""

import ipaddress

SERVICES = "/api/v1/namespaces/default/services"


def service(name="web", **spec):
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]} | spec}


async def test_a_service_gets_an_address_of_its_own(api):
    made = [await api.make(SERVICES, service(f"s{n}")) for n in range(3)]
    addresses = {one["spec"]["clusterIP"] for one in made}
    assert len(addresses) == 3
    network = ipaddress.ip_network("10.96.0.0/16")
    assert all(ipaddress.ip_address(address) in network for address in addresses)
    spec = made[0]["spec"]
    assert spec == {
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
        "clusterIP": spec["clusterIP"],
        "clusterIPs": [spec["clusterIP"]],
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
    }
    assert made[0]["status"] == {"loadBalancer": {}}


async def test_an_address_can_be_asked_for_once(api):
    made = await api.make(SERVICES, service(clusterIP="10.96.0.10"))
    assert made["spec"]["clusterIPs"] == ["10.96.0.10"]
    status, answer = await api.post(SERVICES, service("other", clusterIP="10.96.0.10"))
    assert (status, answer["message"]) == (
        422,
        'Service "other" is invalid: spec.clusterIPs: Invalid value: ["10.96.0.10"]: '
        "failed to allocate IP 10.96.0.10: provided IP is already allocated",
    )
    status, answer = await api.post(SERVICES, service("other", clusterIP="1.2.3.4"))
    assert "The range of valid IPs is 10.96.0.0/16" in answer["message"]
    await api.delete(f"{SERVICES}/web")
    assert (await api.post(SERVICES, service("other", clusterIP="10.96.0.10")))[0] == 201


async def test_an_address_stays_through_updates_and_cannot_change(api):
    made = await api.make(SERVICES, service())
    address = made["spec"]["clusterIP"]
    status, answer = await api.put(f"{SERVICES}/web", service())
    assert (status, answer["spec"]["clusterIP"]) == (200, address)
    status, answer = await api.patch(f"{SERVICES}/web", {"spec": {"clusterIP": "10.96.9.9"}})
    assert (status, answer["message"]) == (
        422,
        'Service "web" is invalid: spec.clusterIPs[0]: Invalid value: ["10.96.9.9"]: '
        "may not change once set",
    )


async def test_headless_and_external_services_have_none(api):
    headless = await api.make(SERVICES, service("headless", clusterIP="None"))
    assert headless["spec"]["clusterIPs"] == ["None"]
    external = {"type": "ExternalName", "externalName": "example.com", "ports": []}
    made = await api.make(SERVICES, service("external", **external))
    assert not {"clusterIP", "clusterIPs", "ipFamilies"} & made["spec"].keys()


async def test_node_ports_are_handed_out_and_dropped_with_the_type(api):
    made = await api.make(SERVICES, service(type="NodePort"))
    number = made["spec"]["ports"][0]["nodePort"]
    assert 30000 <= number <= 32767
    assert made["spec"]["externalTrafficPolicy"] == "Cluster"
    status, answer = await api.put(f"{SERVICES}/web", service(type="NodePort"))
    assert answer["spec"]["ports"][0]["nodePort"] == number
    taken = service("other", type="NodePort", ports=[{"port": 80, "nodePort": number}])
    status, answer = await api.post(SERVICES, taken)
    assert (status, answer["details"]["causes"][0]["message"]) == (
        422,
        f"Invalid value: {number}: provided port is already allocated",
    )
    taken["spec"]["ports"][0]["nodePort"] = 80
    status, answer = await api.post(SERVICES, taken)
    assert "The range of valid ports is 30000-32767" in answer["message"]
    status, answer = await api.patch(f"{SERVICES}/web", {"spec": {"type": "ClusterIP"}})
    assert status == 200
    assert "nodePort" not in answer["spec"]["ports"][0]
    assert "externalTrafficPolicy" not in answer["spec"]
    status, answer = await api.patch(f"{SERVICES}/web", {"spec": {"type": "NodePort"}})
    assert answer["spec"]["ports"][0]["nodePort"]


async def test_becoming_external_gives_the_address_back(api):
    made = await api.make(SERVICES, service())
    change = {"spec": {"type": "ExternalName", "externalName": "example.com"}}
    status, answer = await api.patch(f"{SERVICES}/web", change)
    assert status == 200
    assert not {"clusterIP", "clusterIPs"} & answer["spec"].keys()
    address = made["spec"]["clusterIP"]
    assert (await api.post(SERVICES, service("heir", clusterIP=address)))[0] == 201


async def test_a_load_balancer_that_stays_local_gets_a_port_for_health_checks(api):
    spec = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"port": 80}]}
    path = "/api/v1/namespaces/default/services"
    made = await api.make(path, {"metadata": {"name": "one"}, "spec": spec})
    assert 30000 <= made["spec"]["healthCheckNodePort"] <= 32767
    assert made["spec"]["healthCheckNodePort"] != made["spec"]["ports"][0]["nodePort"]
