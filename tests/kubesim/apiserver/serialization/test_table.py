"""Tables as kubectl asks for them."""

from datetime import UTC, datetime

import pytest

from kubesim.api.resources import RESOURCES
from kubesim.apiserver.errors import StatusError
from kubesim.apiserver.serialization import table

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def named(name="web", **fields):
    return {"metadata": {"name": name, "creationTimestamp": "2026-11-23T11:55:00Z"}, **fields}


def cells(resource, obj, *, wide=False):
    """Heading → cell, of the columns that kubectl shows without or with -o wide."""
    rendered = table.render(resource, [obj], NOW)
    columns = rendered["columnDefinitions"]
    row = rendered["rows"][0]["cells"]
    return {c["name"]: v for c, v in zip(columns, row, strict=True) if wide or not c["priority"]}


def test_a_deployment():
    containers = [{"name": "a", "image": "nginx:1.27"}, {"name": "b", "image": "busybox:1.36"}]
    obj = named(
        spec={
            "replicas": 3,
            "selector": {
                "matchLabels": {"app": "web"},
                "matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["z", "y"]}],
            },
            "template": {"spec": {"containers": containers}},
        },
        status={"readyReplicas": 1, "updatedReplicas": 2, "availableReplicas": 1},
    )
    assert cells("deployments.apps", obj, wide=True) == {
        "Name": "web",
        "Ready": "1/3",
        "Up-to-date": 2,
        "Available": 1,
        "Age": "5m",
        "Containers": "a,b",
        "Images": "nginx:1.27,busybox:1.36",
        "Selector": "app=web,tier notin (y,z)",
    }


@pytest.mark.parametrize(
    ("spec", "status", "external", "ports"),
    [
        ({"type": "ClusterIP", "ports": [{"port": 80}]}, {}, "<none>", "80/TCP"),
        (
            {"type": "NodePort", "ports": [{"port": 53, "nodePort": 30053, "protocol": "UDP"}]},
            {},
            "<none>",
            "53:30053/UDP",
        ),
        ({"type": "LoadBalancer", "ports": [{"port": 80}]}, {}, "<pending>", "80/TCP"),
        (
            {"type": "LoadBalancer", "ports": [{"port": 80}]},
            {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}},
            "192.0.2.1",
            "80/TCP",
        ),
        ({"type": "ExternalName", "externalName": "example.org"}, {}, "example.org", "<none>"),
        ({"type": "ClusterIP", "externalIPs": ["192.0.2.7"]}, {}, "192.0.2.7", "<none>"),
    ],
)
def test_a_service(spec, status, external, ports):
    shown = cells("services", named(spec=spec, status=status))
    assert (shown["External-IP"], shown["Port(s)"]) == (external, ports)


def test_endpoints_show_three_and_count_the_rest():
    addresses = [{"ip": f"10.244.1.{n}"} for n in range(1, 6)]
    obj = named(subsets=[{"addresses": addresses, "ports": [{"port": 80}]}])
    shown = cells("endpoints", obj)["Endpoints"]
    assert shown == "10.244.1.1:80,10.244.1.2:80,10.244.1.3:80 + 2 more..."
    assert cells("endpoints", named())["Endpoints"] == "<none>"


@pytest.mark.parametrize(
    ("conditions", "unschedulable", "shown"),
    [
        ([{"type": "Ready", "status": "True"}], False, "Ready"),
        ([{"type": "Ready", "status": "Unknown"}], False, "NotReady"),
        ([{"type": "Ready", "status": "True"}], True, "Ready,SchedulingDisabled"),
        ([], False, "Unknown"),
    ],
)
def test_a_node(conditions, unschedulable, shown):
    obj = named("n1", spec={"unschedulable": unschedulable}, status={"conditions": conditions})
    obj["metadata"]["labels"] = {"node-role.kubernetes.io/control-plane": ""}
    found = cells("nodes", obj)
    assert (found["Status"], found["Roles"]) == (shown, "control-plane")


def test_an_event_shows_when_it_was_last_seen():
    event = named(
        "web.1",
        type="Warning",
        reason="BackOff",
        message="Back-off restarting failed container\n",
        involvedObject={"kind": "Pod", "name": "web"},
        firstTimestamp="2026-11-23T11:50:00Z",
        lastTimestamp="2026-11-23T11:59:30Z",
        count=7,
    )
    shown = cells("events", event, wide=True)
    assert shown["Last Seen"] == "30s"
    assert shown["Object"] == "pod/web"
    assert shown["Message"] == "Back-off restarting failed container"
    assert (shown["First Seen"], shown["Count"]) == ("10m", 7)


def test_an_event_of_the_new_api_has_only_an_event_time():
    event = named("web.1", involvedObject={}, eventTime="2026-11-23T11:59:00.000000Z")
    assert cells("events", event)["Last Seen"] == "60s"


@pytest.mark.parametrize("resource", [r.full_name for r in RESOURCES if "list" in r.verbs])
def test_every_resource_prints_the_barest_object(resource):
    obj = named(spec={"containers": []}, roleRef={"kind": "Role", "name": "r"})
    assert cells(resource, obj, wide=True).get("Name") == "web"


def test_rows_carry_as_much_of_the_object_as_was_asked_for():
    obj = named(data={"a": "b"})
    metadata = table.render("configmaps", [obj], NOW)["rows"][0]["object"]
    assert metadata["kind"] == "PartialObjectMetadata"
    assert "data" not in metadata
    assert table.render("configmaps", [obj], NOW, include="Object")["rows"][0]["object"] == obj
    assert "object" not in table.render("configmaps", [obj], NOW, include="None")["rows"][0]
    with pytest.raises(StatusError) as refused:
        table.render("configmaps", [obj], NOW, include="Some")
    assert refused.value.code == 400
