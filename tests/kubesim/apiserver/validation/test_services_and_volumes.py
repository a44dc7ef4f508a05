"""What is wrong with a Service, with Endpoints, and with the volumes of a Pod."""

import pytest

NAMESPACE = "/api/v1/namespaces/default"
MOUNT = {"name": "v", "mountPath": "/a"}
EMPTY = {"emptyDir": {}}


def service(**spec):
    return {"metadata": {"name": "one"}, "spec": {"ports": [{"port": 80}], **spec}}


def pod(volume, mount=MOUNT):
    container = {"name": "c", "image": "busybox:1.36", "volumeMounts": [mount]}
    volumes = [{"name": "v", **volume}]
    return {"metadata": {"name": "one"}, "spec": {"volumes": volumes, "containers": [container]}}


def endpoints(**address):
    subset = {"addresses": [{"ip": "10.0.0.1", **address}]}
    return {"metadata": {"name": "one"}, "subsets": [subset]}


async def causes(api, resource, obj):
    status, answer = await api.post(f"{NAMESPACE}/{resource}", obj)
    assert status == 422, answer
    return [(cause["field"], cause["message"]) for cause in answer["details"]["causes"]]


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        (
            {
                "sessionAffinity": "ClientIP",
                "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86401}},
            },
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
            "Invalid value: 86401: must be greater than 0 and less than 86400",
        ),
        (
            {"externalIPs": ["127.0.0.1"]},
            "spec.externalIPs[0]",
            'Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
        ),
        (
            {"clusterIP": "10.96.3.4", "clusterIPs": ["10.96.3.3"]},
            "spec.clusterIPs",
            'Invalid value: ["10.96.3.3"]: first value must match `clusterIP`',
        ),
        (
            {"loadBalancerSourceRanges": ["10.0.0.0/8"]},
            "spec.loadBalancerSourceRanges",
            "Forbidden: may only be used when `type` is 'LoadBalancer'",
        ),
        (
            {"type": "NodePort", "healthCheckNodePort": 30000},
            "spec.healthCheckNodePort",
            "Invalid value: 30000: may only be set when `type` is 'LoadBalancer' and "
            "`externalTrafficPolicy` is 'Local'",
        ),
        (
            {"ipFamilies": ["IPv6"]},
            "spec.ipFamilies[0]",
            'Invalid value: "IPv6": not configured on this cluster',
        ),
        (
            {
                "type": "NodePort",
                "ports": [
                    {"name": "a", "port": 80, "nodePort": 30123},
                    {"name": "b", "port": 81, "nodePort": 30123},
                ],
            },
            "spec.ports[1].nodePort",
            "Duplicate value: 30123",
        ),
    ],
)
async def test_services(api, spec, field, message):
    assert (field, message) in await causes(api, "services", service(**spec))


async def test_a_target_port_of_zero_is_the_port(api):
    made = await api.make(f"{NAMESPACE}/services", service(ports=[{"port": 80, "targetPort": 0}]))
    assert made["spec"]["ports"][0]["targetPort"] == 80


async def test_endpoints(api):
    found = await causes(api, "endpoints", endpoints(hostname="A", nodeName="B"))
    fields = [field for field, _ in found]
    assert fields == ["subsets[0].addresses[0].hostname", "subsets[0].addresses[0].nodeName"]


@pytest.mark.parametrize(
    ("volume", "field", "message"),
    [
        (
            {"emptyDir": {"sizeLimit": "-1"}},
            "emptyDir.sizeLimit",
            "Forbidden: SizeLimit field must be a valid resource quantity",
        ),
        (
            {"configMap": {"name": "c", "items": [{"key": "a", "path": "/abs"}]}},
            "configMap.items[0].path",
            'Invalid value: "/abs": must be a relative path',
        ),
        (
            {"secret": {"secretName": "s", "defaultMode": 1000}},
            "secret.defaultMode",
            "Invalid value: 1000: must be a number between 0 and 0777 (octal), both inclusive",
        ),
        (
            {"downwardAPI": {"items": [{"path": "a"}]}},
            "downwardAPI",
            "Required value: one of fieldRef and resourceFieldRef is required",
        ),
        (
            {
                "projected": {
                    "sources": [
                        {"configMap": {"name": "a", "items": [{"key": "a", "path": "x"}]}},
                        {"secret": {"name": "b", "items": [{"key": "a", "path": "x"}]}},
                    ]
                }
            },
            "projected",
            'Invalid value: "b": conflicting duplicate paths',
        ),
        ({"nfs": {"path": "/a"}}, "nfs.server", "Required value"),
        ({"hostPath": {"path": "/a/../b"}}, "hostPath.path", None),
    ],
)
async def test_volumes(api, volume, field, message):
    found = dict(await causes(api, "pods", pod(volume)))
    told = found[f"spec.volumes[0].{field}"]
    assert told == (message or "Invalid value: \"/a/../b\": must not contain '..'")


@pytest.mark.parametrize(
    ("mount", "field", "message"),
    [
        ({"subPath": "/b"}, ".subPath", 'Invalid value: "/b": must be a relative path'),
        (
            {"subPath": "b", "subPathExpr": "c"},
            "[0].subPathExpr",
            'Invalid value: "c": subPathExpr and subPath are mutually exclusive',
        ),
        (
            {"mountPropagation": "Bidirectional"},
            ".mountPropagation",
            "Forbidden: Bidirectional mount propagation is available only to privileged containers",
        ),
    ],
)
async def test_mounts(api, mount, field, message):
    found = await causes(api, "pods", pod(EMPTY, {**MOUNT, **mount}))
    assert (f"spec.containers[0].volumeMounts{field}", message) in found
