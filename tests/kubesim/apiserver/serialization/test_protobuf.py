"""Protobuf bodies, made here by hand: a field is its number, its wire type and its value."""

import pytest

from kubesim.api.resources import RESOURCES
from kubesim.apiserver.errors import StatusError
from kubesim.apiserver.serialization import protobuf


def varint(value):
    made = b""
    while value > 0x7F:
        made += bytes([value & 0x7F | 0x80])
        value >>= 7
    return made + bytes([value])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def message(*fields):
    return b"".join(field(number, value) for number, value in fields)


def body(api_version, kind, raw):
    head = message((1, api_version), (2, kind))
    return b"k8s\0" + message((1, head), (2, raw), (3, ""), (4, ""))


def named(name):
    # Go writes also empty strings and an empty creationTimestamp.
    return message((1, name), (2, ""), (3, "default"), (8, b""), (11, message((1, "a"), (2, "b"))))


METADATA = {"name": "x", "namespace": "default", "labels": {"a": "b"}}


def test_maps_of_strings_and_of_bytes():
    raw = message((1, named("x")), (2, message((1, "key"), (2, b"\xff\x00"))), (3, "Opaque"))
    assert protobuf.decode(body("v1", "Secret", raw)) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": METADATA,
        "data": {"key": "/wA="},
        "type": "Opaque",
    }


def test_numbers_lists_and_values_that_may_be_either():
    port = message((1, "http"), (2, "TCP"), (3, 8080), (4, message((1, 0), (2, 300))), (5, 0))
    other = message((3, 81), (4, message((1, 1), (2, 0), (3, "web"))))
    raw = message((1, named("x")), (2, message((1, port), (1, other), (4, "ClusterIP"))), (3, b""))
    decoded = protobuf.decode(body("v1", "Service", raw))
    assert decoded["spec"] == {
        "ports": [
            {"name": "http", "protocol": "TCP", "port": 8080, "targetPort": 300},
            {"port": 81, "targetPort": "web"},
        ],
        "type": "ClusterIP",
    }


def test_a_zero_counts_where_absence_is_something_else():
    spec = message((1, 0), (5, 0), (7, 0))
    decoded = protobuf.decode(body("apps/v1", "Deployment", message((2, spec))))
    assert decoded["spec"]["replicas"] == 0
    assert "minReadySeconds" not in decoded["spec"]
    assert "paused" not in decoded["spec"]


def test_quantities_are_strings():
    limits = message((1, "cpu"), (2, message((1, "100m"))))
    container = message((1, "c"), (2, "busybox:1.36"), (8, message((1, limits))))
    template = message((2, message((2, container))))
    decoded = protobuf.decode(body("apps/v1", "Deployment", message((2, message((3, template))))))
    assert decoded["spec"]["template"]["spec"]["containers"] == [
        {"name": "c", "image": "busybox:1.36", "resources": {"limits": {"cpu": "100m"}}}
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"k8s\0",
        b"k8s\0\x0a\xff",
        body("v1", "ConfigMap", message((1, named("x"))))[:-20],
        body("v1", "ConfigMap", b"\x0d1234"),
        body("v1", "ConfigMap", field(1, 5)),
        body("v1", "ConfigMap", field(1, field(1, b"\xff"))),
    ],
)
def test_damaged_bodies_are_bad_requests(data):
    with pytest.raises(StatusError) as refused:
        protobuf.decode(data)
    assert refused.value.code == 400


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (
            body("apiextensions.k8s.io/v1", "CustomResourceDefinition", b""),
            "CustomResourceDefinition objects",
        ),
        (body("v1", "ConfigMap", field(77, "x")), "field 77 of ConfigMap"),
    ],
)
def test_what_is_not_read_is_named_with_a_way_out(data, what):
    with pytest.raises(StatusError) as refused:
        protobuf.decode(data)
    assert refused.value.code == 415
    assert what in refused.value.message
    assert "--dry-run=client -o yaml | kubectl create -f -" in refused.value.message


def test_a_struct_inlined_in_json_is_a_message_of_its_own():
    source = message((19, message((1, message((1, "settings"))), (3, 0o400))))
    handler = message((1, message((1, "true"))))
    container = message((1, "c"), (10, message((1, handler), (2, 0), (3, 5))))
    spec = message((1, message((1, "files"), (2, source))), (2, container))
    decoded = protobuf.decode(body("v1", "Pod", message((1, named("x")), (2, spec))))
    assert decoded["spec"] == {
        "volumes": [{"name": "files", "configMap": {"name": "settings", "defaultMode": 0o400}}],
        "containers": [
            {"name": "c", "livenessProbe": {"exec": {"command": ["true"]}, "timeoutSeconds": 5}}
        ],
    }


def test_lists_in_maps_and_times_with_fractions():
    extra = message((1, "scopes"), (2, message((1, "a"), (1, "b"))))
    review = message((2, message((3, "jane"), (5, extra))))
    decoded = protobuf.decode(body("authorization.k8s.io/v1", "SubjectAccessReview", review))
    assert decoded["spec"] == {"user": "jane", "extra": {"scopes": ["a", "b"]}}
    spec = message((1, "me"), (3, message((1, 1_800_000_000), (2, 5_000))))
    decoded = protobuf.decode(body("coordination.k8s.io/v1", "Lease", message((2, spec))))
    assert decoded["spec"]["acquireTime"] == "2027-01-15T08:00:00.000005Z"


def test_every_served_kind_can_be_read():
    unread = {"CustomResourceDefinition", "APIService"}
    for resource in RESOURCES:
        if "create" in resource.verbs and resource.kind not in unread:
            decoded = protobuf.decode(body(resource.api_version, resource.kind, b""))
            assert decoded == {"apiVersion": resource.api_version, "kind": resource.kind}
