"""What is refused with 422, field by field: a dry run of each, and the causes it is told with."""

import json

import pytest

REQUIRED_TERM = "requiredDuringSchedulingIgnoredDuringExecution"
NAME = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
MODE = "must be a number between 0 and 0777 (octal), both inclusive"
USER = "must be between 0 and 2147483647, inclusive"


@pytest.fixture
def causes(ask, namespace):
    """Makes a dry run of a creation; returns the (field, message) of its causes."""

    def create(collection, body):
        path = f"{collection.format(namespace=namespace)}?dryRun=All"
        status, _, answer = ask("POST", path, body)
        assert status == 422, answer
        told = json.loads(answer)
        assert told["reason"] == "Invalid"
        return {(cause["field"], cause["message"]) for cause in told["details"]["causes"]}

    return create


def pod(container=None, **spec):
    containers = [{"name": "c", "image": "x", **(container or {})}]
    return {"metadata": {"name": "p"}, "spec": {"containers": containers, **spec}}


def anti(**term):
    return pod(affinity={"podAntiAffinity": {REQUIRED_TERM: [term]}})


def node_terms(*terms):
    required = {"nodeSelectorTerms": list(terms)}
    return pod(affinity={"nodeAffinity": {REQUIRED_TERM: required}})


ANTI = f"spec.affinity.podAntiAffinity.{REQUIRED_TERM}[0]"
NODES = f"spec.affinity.nodeAffinity.{REQUIRED_TERM}.nodeSelectorTerms"
C = "spec.containers[0]"
PODS = {
    "an anti-affinity without a topology": (
        anti(labelSelector={"matchLabels": {"a": "b"}}),
        {
            (f"{ANTI}.topologyKey", "Required value: can not be empty"),
            (f"{ANTI}.topologyKey", 'Invalid value: "": name part must be non-empty'),
            (f"{ANTI}.topologyKey", f'Invalid value: "": {NAME}'),
        },
    ),
    "a node affinity without terms": (
        node_terms(),
        {(NODES, "Required value: must have at least one node selector term")},
    ),
    "node requirements": (
        node_terms(
            {
                "matchExpressions": [
                    {"key": "a", "operator": "In"},
                    {"key": "b", "operator": "Exists", "values": ["x"]},
                    {"key": "c", "operator": "Gt", "values": ["1", "2"]},
                    {"key": "d", "operator": "Like"},
                ]
            },
            {
                "matchFields": [
                    {"key": "metadata.name", "operator": "In", "values": ["a", "b"]},
                    {"key": "metadata.uid", "operator": "In", "values": ["a"]},
                    {"key": "metadata.name", "operator": "Exists"},
                ]
            },
        ),
        {
            (
                f"{NODES}[0].matchExpressions[0].values",
                "Required value: must be specified when `operator` is 'In' or 'NotIn'",
            ),
            (
                f"{NODES}[0].matchExpressions[1].values",
                "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            ),
            (
                f"{NODES}[0].matchExpressions[2].values",
                "Required value: must be specified single value when `operator` is 'Lt' or 'Gt'",
            ),
            (
                f"{NODES}[0].matchExpressions[3].operator",
                'Invalid value: "Like": not a valid selector operator',
            ),
            (
                f"{NODES}[1].matchFields[0].values",
                "Required value: must be only one value when `operator` is 'In' or 'NotIn' "
                "for node field selector",
            ),
            (
                f"{NODES}[1].matchFields[1].key",
                'Invalid value: "metadata.uid": not a valid field selector key',
            ),
            (
                f"{NODES}[1].matchFields[2].operator",
                'Invalid value: "Exists": not a valid selector operator',
            ),
        },
    ),
    "a weight": (
        pod(
            affinity={
                "nodeAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [
                        {"weight": 0, "preference": {}}
                    ]
                }
            }
        ),
        {
            (
                "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0]"
                ".weight",
                "Invalid value: 0: must be in the range 1-100",
            )
        },
    ),
    "no DNS at all": (
        pod(dnsPolicy="None"),
        {("spec.dnsConfig", "Required value: must provide `dnsConfig` when `dnsPolicy` is None")},
    ),
    "no name server": (
        pod(dnsPolicy="None", dnsConfig={"searches": ["a"]}),
        {
            (
                "spec.dnsConfig.nameservers",
                "Required value: must provide at least one DNS nameserver when `dnsPolicy` is None",
            )
        },
    ),
    "a port of the host twice": (
        pod(
            {
                "ports": [
                    {"containerPort": 80, "hostPort": 80},
                    {"containerPort": 81, "hostPort": 80},
                ]
            }
        ),
        {(f"{C}.ports[1].hostPort", 'Duplicate value: "TCP//80"')},
    ),
    "users and groups": (
        pod(
            {"securityContext": {"runAsUser": -1, "runAsGroup": 2**31}},
            securityContext={"fsGroup": -1, "supplementalGroups": [1, -1]},
        ),
        {
            (f"{C}.securityContext.runAsUser", f"Invalid value: -1: {USER}"),
            (f"{C}.securityContext.runAsGroup", f"Invalid value: 2147483648: {USER}"),
            ("spec.securityContext.fsGroup", f"Invalid value: -1: {USER}"),
            ("spec.securityContext.supplementalGroups[1]", f"Invalid value: -1: {USER}"),
        },
    ),
    "a seccomp profile": (
        pod(
            {"securityContext": {"seccompProfile": {"type": "Localhost"}}},
            securityContext={"seccompProfile": {"type": "Some"}},
        ),
        {
            (
                f"{C}.securityContext.seccompProfile.localhostProfile",
                "Required value: must be set when seccomp type is Localhost",
            ),
            (
                "spec.securityContext.seccompProfile.type",
                'Unsupported value: "Some": supported values: '
                '"Localhost", "RuntimeDefault", "Unconfined"',
            ),
        },
    ),
    "a device without a limit": (
        pod({"resources": {"requests": {"example.com/gpu": 1}}}),
        {
            (
                f"{C}.resources.limits",
                "Required value: Limit must be set for non overcommitable resources",
            )
        },
    ),
    "huge pages alone": (
        pod({"resources": {"limits": {"hugepages-2Mi": "4Mi"}}}),
        {(f"{C}.resources", "Forbidden: HugePages require cpu or memory")},
    ),
    "spread twice alike": (
        pod(
            topologySpreadConstraints=[
                {"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"}
            ]
            * 2
        ),
        {
            (
                "spec.topologySpreadConstraints[0].{topologyKey, whenUnsatisfiable}",
                'Duplicate value: "{z, DoNotSchedule}"',
            )
        },
    ),
    "a readiness gate": (
        pod(readinessGates=[{"conditionType": "a b"}]),
        {("spec.readinessGates[0].conditionType", f'Invalid value: "a b": {NAME}')},
    ),
    "an empty envFrom": (
        pod({"envFrom": [{}]}),
        {
            (
                f"{C}.envFrom",
                'Invalid value: "": must specify one of: `configMapRef` or `secretRef`',
            )
        },
    ),
    "a resource of the environment": (
        pod({"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "x"}}}]}),
        {
            (
                f"{C}.env[0].valueFrom.resourceFieldRef.resource",
                'Unsupported value: "x": supported values: "limits.cpu", '
                '"limits.ephemeral-storage", "limits.memory", "requests.cpu", '
                '"requests.ephemeral-storage", "requests.memory"',
            )
        },
    ),
    "files of a ConfigMap": (
        pod(
            volumes=[
                {
                    "name": "v",
                    "configMap": {
                        "name": "x",
                        "defaultMode": 1000,
                        "items": [{}, {"key": "a", "path": "/x"}, {"key": "a", "path": "../x"}],
                    },
                }
            ]
        ),
        {
            ("spec.volumes[0].configMap.defaultMode", f"Invalid value: 1000: {MODE}"),
            ("spec.volumes[0].configMap.items[0].key", "Required value"),
            ("spec.volumes[0].configMap.items[0].path", "Required value"),
            (
                "spec.volumes[0].configMap.items[1].path",
                'Invalid value: "/x": must be a relative path',
            ),
            (
                "spec.volumes[0].configMap.items[2].path",
                "Invalid value: \"../x\": must not contain '..'",
            ),
        },
    ),
    "an NFS volume": (
        pod(volumes=[{"name": "v", "nfs": {"server": "s", "path": "a"}}]),
        {("spec.volumes[0].nfs.path", 'Invalid value: "a": must be an absolute path')},
    ),
    "a negative limit of an emptyDir": (
        pod(volumes=[{"name": "v", "emptyDir": {"sizeLimit": "-1"}}]),
        {
            (
                "spec.volumes[0].emptyDir.sizeLimit",
                "Forbidden: SizeLimit field must be a valid resource quantity",
            )
        },
    ),
    "a short-lived token": (
        pod(
            volumes=[
                {
                    "name": "v",
                    "projected": {
                        "sources": [{"serviceAccountToken": {"path": "x", "expirationSeconds": 5}}]
                    },
                }
            ]
        ),
        {
            (
                "spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds",
                "Invalid value: 5: may not specify a duration less than 10 minutes",
            )
        },
    ),
    "mounts": (
        pod(
            {
                "volumeMounts": [
                    {"name": "v", "mountPath": "/a", "subPath": "/x"},
                    {"name": "v", "mountPath": "/b", "mountPropagation": "Some"},
                    {"name": "v", "mountPath": "/c", "mountPropagation": "Bidirectional"},
                    {"name": "w", "mountPath": "/d"},
                ]
            },
            volumes=[{"name": "v", "emptyDir": {}}],
        ),
        {
            (f"{C}.volumeMounts.subPath", 'Invalid value: "/x": must be a relative path'),
            (
                f"{C}.volumeMounts.mountPropagation",
                'Unsupported value: "Some": supported values: '
                '"Bidirectional", "HostToContainer", "None"',
            ),
            (
                f"{C}.volumeMounts.mountPropagation",
                "Forbidden: Bidirectional mount propagation is available only to "
                "privileged containers",
            ),
            (f"{C}.volumeMounts[3].name", 'Not found: "w"'),
        },
    ),
    "an HTTP header": (
        pod(
            {"livenessProbe": {"httpGet": {"port": 80, "httpHeaders": [{"name": "a b"}]}}},
        ),
        {
            (
                f"{C}.livenessProbe.httpGet.httpHeaders",
                'Invalid value: "a b": a valid HTTP header must consist of alphanumeric characters '
                "or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')",
            )
        },
    ),
    "two containers of one name": (
        pod(initContainers=[{"name": "c", "image": "x"}]),
        {("spec.initContainers[0].name", 'Duplicate value: "c"')},
    ),
    "an owner": (
        pod()
        | {
            "metadata": {
                "name": "p",
                "ownerReferences": [
                    {"apiVersion": "a/b/c", "kind": "X", "name": "x", "uid": "u"},
                    {"apiVersion": "v1", "kind": "", "name": "", "uid": ""},
                ],
            }
        },
        {
            (
                "metadata.ownerReferences.apiVersion",
                'Invalid value: "a/b/c": version must not be empty',
            ),
            ("metadata.ownerReferences.kind", 'Invalid value: "": kind must not be empty'),
            ("metadata.ownerReferences.name", 'Invalid value: "": name must not be empty'),
            ("metadata.ownerReferences.uid", 'Invalid value: "": uid must not be empty'),
        },
    ),
}


@pytest.mark.parametrize("what", PODS)
def test_pods(causes, what):
    body, expected = PODS[what]
    assert causes("/api/v1/namespaces/{namespace}/pods", body) == expected


def service(**spec):
    return {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}], **spec}}


PORT = {"port": 80, "name": "a"}
SERVICES = {
    "a session": (
        service(
            sessionAffinity="ClientIP",
            sessionAffinityConfig={"clientIP": {"timeoutSeconds": 0}},
        ),
        {
            (
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
                "Invalid value: 0: must be greater than 0 and less than 86400",
            )
        },
    ),
    "a node port twice": (
        service(
            type="NodePort",
            ports=[PORT | {"nodePort": 30080}, {"port": 81, "name": "b", "nodePort": 30080}],
        ),
        {("spec.ports[1].nodePort", "Duplicate value: 30080")},
    ),
    "families": (
        service(ipFamilies=["Some"], ipFamilyPolicy="Some"),
        {
            ("spec.ipFamilies[0]", 'Unsupported value: "Some": supported values: "IPv4", "IPv6"'),
            (
                "spec.ipFamilyPolicy",
                'Unsupported value: "Some": supported values: '
                '"PreferDualStack", "RequireDualStack", "SingleStack"',
            ),
        },
    ),
    "ports without names": (
        service(ports=[{"port": 80}, {"port": 81}]),
        {("spec.ports[0].name", "Required value"), ("spec.ports[1].name", "Required value")},
    ),
    "an application's protocol": (
        service(ports=[PORT | {"appProtocol": "a b"}]),
        {("spec.ports[0].appProtocol", f'Invalid value: "a b": {NAME}')},
    ),
    "no external name": (
        service(type="ExternalName"),
        {("spec.externalName", "Required value")},
    ),
}


@pytest.mark.parametrize("what", SERVICES)
def test_services(causes, what):
    body, expected = SERVICES[what]
    assert causes("/api/v1/namespaces/{namespace}/services", body) == expected


def test_names_of_endpoints(causes):
    subset = {"addresses": [{"ip": "10.1.2.3", "hostname": "A_b"}], "ports": [{"port": 80}]}
    body = {"metadata": {"name": "e"}, "subsets": [subset]}
    assert causes("/api/v1/namespaces/{namespace}/endpoints", body) == {
        ("subsets[0].addresses[0].hostname", f'Invalid value: "A_b": {LABEL}')
    }


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        (
            "kubernetes.io/basic-auth",
            {},
            {
                ("data[%s][username]", "Required value"),
                ("data[%s][password]", "Required value"),
            },
        ),
        ("kubernetes.io/ssh-auth", {}, {("data[%s][ssh-privatekey]", "Required value")}),
        (
            "kubernetes.io/tls",
            {},
            {("data[tls.crt]", "Required value"), ("data[tls.key]", "Required value")},
        ),
        (
            "kubernetes.io/dockerconfigjson",
            {".dockerconfigjson": "YQ=="},
            {
                (
                    "data[.dockerconfigjson]",
                    'Invalid value: "<secret contents redacted>": '
                    "invalid character 'a' looking for beginning of value",
                )
            },
        ),
    ],
)
def test_what_a_type_of_secret_needs(causes, kind, data, expected):
    body = {"metadata": {"name": "s"}, "type": kind, "data": data}
    assert causes("/api/v1/namespaces/{namespace}/secrets", body) == expected


def test_a_binding_needs_a_name_and_a_target(ask, core, namespace):
    core.create_namespaced_pod(namespace, pod(schedulerName="nobody"))
    path = f"/api/v1/namespaces/{namespace}"

    def refused(where, body):
        status, _, answer = ask("POST", f"{path}/{where}", body)
        return status, json.loads(answer)["message"]

    to = {"target": {"kind": "Node", "name": "none"}}
    told = "name in URL does not match name in Binding object"
    assert refused("pods/p/binding", {"metadata": {}, **to}) == (400, told)
    assert refused("bindings", {"metadata": {}, **to}) == (400, "Name parameter required.")
    told = "target.name: Required value"
    assert refused("bindings", {"metadata": {"name": "p"}, "target": {}}) == (500, told)
    told = 'pods "none" not found'
    assert refused("bindings", {"metadata": {"name": "none"}, **to}) == (404, told)


def test_a_runtime_class_must_be_there(ask, namespace):
    path = f"/api/v1/namespaces/{namespace}/pods?dryRun=All"
    for spec, why in (
        ({"runtimeClassName": "absent"}, 'RuntimeClass "absent" not found'),
        (
            {"overhead": {"cpu": "1"}},
            "Pod Overhead set without corresponding RuntimeClass defined Overhead",
        ),
    ):
        status, _, body = ask("POST", path, pod(**spec))
        told = f'pods "p" is forbidden: pod rejected: {why}'
        assert (status, json.loads(body)["message"]) == (403, told)
