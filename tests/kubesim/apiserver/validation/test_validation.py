"""Rules that types cannot say: what is refused, with the sentences of the real server.

The expectations were recorded from Kubernetes; where 1.20 spelled values as Go does, they are in
JSON here, as newer servers spell them.
"""

import pytest

CORE = "/api/v1/namespaces/default"
APPS = "/apis/apps/v1/namespaces/default"
RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"

LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
DNS_1035 = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
    "regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
NAME_PART = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
LABEL_VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  "
    "or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
CONFIG_KEY = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',"
    "  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
PERCENT = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or "
    "'93%', regex used for validation is '[0-9]+%')"
)
REQUIRED = "Required value"
NOT_NEGATIVE = "must be greater than or equal to 0"
PORT = "must be between 1 and 65535, inclusive"


async def causes(api, target, body):
    status, answer = await api.post(target, body)
    assert (status, answer["reason"]) == (422, "Invalid"), answer
    return {(cause["field"], cause["message"]) for cause in answer["details"]["causes"]}


def bad(value, why):
    shown = f'"{value}"' if isinstance(value, str) else value
    return f"Invalid value: {shown}: {why}"


async def test_one_violation_is_a_sentence_and_several_are_a_list(api):
    _, answer = await api.post(f"{CORE}/configmaps", {"metadata": {"name": "BAD_Name"}})
    assert answer["message"] == (
        f'ConfigMap "BAD_Name" is invalid: metadata.name: Invalid value: "BAD_Name": {SUBDOMAIN}'
    )
    assert answer["details"] == {
        "name": "BAD_Name",
        "kind": "ConfigMap",
        "causes": [
            {
                "reason": "FieldValueInvalid",
                "message": f'Invalid value: "BAD_Name": {SUBDOMAIN}',
                "field": "metadata.name",
            }
        ],
    }
    body = {"metadata": {"name": "x"}, "spec": {"replicas": -1}}
    _status, answer = await api.post(f"{APPS}/deployments", body)
    assert answer["message"].startswith('Deployment.apps "x" is invalid: [spec.replicas: Invalid')
    assert answer["message"].endswith("spec.template.spec.containers: Required value]")
    assert answer["details"]["group"] == "apps"


async def test_a_pod_with_everything_wrong(api):
    containers = [
        {
            "name": "A",
            "image": "x",
            "imagePullPolicy": "x",
            "terminationMessagePolicy": "x",
            "ports": [
                {"containerPort": 0, "protocol": "X"},
                {"containerPort": 70000, "name": "a" * 16},
            ],
            "env": [
                {"name": "a=b"},
                {"name": "", "value": "x"},
                {
                    "name": "x",
                    "value": "a",
                    "valueFrom": {"fieldRef": {"fieldPath": "spec.foo"}},
                },
            ],
            "volumeMounts": [{"name": "q", "mountPath": "/a"}, {"name": "v", "mountPath": ""}],
            "livenessProbe": {"successThreshold": 2},
            "readinessProbe": {"exec": {"command": ["x"]}, "httpGet": {"port": 0}},
            "resources": {
                "limits": {"cpu": "1", "foo": "1"},
                "requests": {"cpu": "2", "memory": "-1"},
            },
        },
        {"name": "A"},
    ]
    spec = {
        "restartPolicy": "X",
        "dnsPolicy": "X",
        "containers": containers,
        "volumes": [
            {"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}},
            {"name": "v", "configMap": {}},
            {"name": "", "secret": {}},
        ],
        "activeDeadlineSeconds": 0,
        "nodeSelector": {"a b": "c"},
        "tolerations": [{"key": "a", "operator": "X", "effect": "Y"}, {"operator": "Equal"}],
        "hostname": "A_",
    }
    body = {"metadata": {"name": "x", "labels": {"a b": "c d"}}, "spec": spec}
    first = "spec.containers[0]"
    foo = "must be a standard resource type or fully qualified"
    container = "must be a standard resource for containers"
    match_all = (
        'operator must be Exists when `key` is empty, which means "match all values and all keys"'
    )
    assert await causes(api, f"{CORE}/pods", body) == {
        ("metadata.labels", bad("a b", NAME_PART)),
        ("metadata.labels", bad("c d", LABEL_VALUE)),
        ("spec.volumes[0].hostPath", "Forbidden: may not specify more than 1 volume type"),
        ("spec.volumes[1].configMap.name", REQUIRED),
        ("spec.containers[0].volumeMounts[1].name", 'Not found: "v"'),
        ("spec.volumes[2].secret.secretName", REQUIRED),
        ("spec.volumes[2].name", REQUIRED),
        (f"{first}.name", bad("A", LABEL)),
        (f"{first}.livenessProbe", "Required value: must specify a handler type"),
        (f"{first}.livenessProbe.successThreshold", bad(2, "must be 1")),
        (
            f"{first}.readinessProbe.httpGet",
            "Forbidden: may not specify more than 1 handler type",
        ),
        (
            f"{first}.terminationMessagePolicy",
            bad("x", "must be 'File' or 'FallbackToLogsOnError'"),
        ),
        (f"{first}.ports[0].containerPort", REQUIRED),
        (
            f"{first}.ports[0].protocol",
            'Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"',
        ),
        (f"{first}.ports[1].name", bad("a" * 16, "must be no more than 15 characters")),
        (f"{first}.ports[1].containerPort", bad(70000, PORT)),
        (
            f"{first}.env[0].name",
            bad(
                "a=b",
                "a valid environment variable name must consist only of printable ASCII "
                "characters other than '='",
            ),
        ),
        (f"{first}.env[1].name", REQUIRED),
        (
            f"{first}.env[2].valueFrom.fieldRef.fieldPath",
            bad("spec.foo", "error converting fieldPath: field label not supported: spec.foo"),
        ),
        (
            f"{first}.env[2].valueFrom",
            bad("", "may not be specified when `value` is not empty"),
        ),
        (f"{first}.volumeMounts[0].name", 'Not found: "q"'),
        (f"{first}.volumeMounts[1].mountPath", REQUIRED),
        (
            f"{first}.imagePullPolicy",
            'Unsupported value: "x": supported values: "Always", "IfNotPresent", "Never"',
        ),
        (f"{first}.resources.limits[foo]", bad("foo", foo)),
        (f"{first}.resources.limits[foo]", bad("foo", container)),
        (f"{first}.resources.requests[foo]", bad("foo", foo)),
        (f"{first}.resources.requests[foo]", bad("foo", container)),
        (
            f"{first}.resources.requests",
            bad("2", "must be less than or equal to cpu limit of 1"),
        ),
        (f"{first}.resources.requests[memory]", bad("-1", NOT_NEGATIVE)),
        ("spec.containers[1].name", bad("A", LABEL)),
        ("spec.containers[1].name", 'Duplicate value: "A"'),
        ("spec.containers[1].image", REQUIRED),
        (
            "spec.restartPolicy",
            'Unsupported value: "X": supported values: "Always", "OnFailure", "Never"',
        ),
        (
            "spec.dnsPolicy",
            'Unsupported value: "X": supported values: '
            '"ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"',
        ),
        ("spec.nodeSelector", bad("a b", NAME_PART)),
        ("spec.activeDeadlineSeconds", bad(0, "must be between 1 and 2147483647, inclusive")),
        ("spec.hostname", bad("A_", LABEL)),
        (
            "spec.tolerations[0].operator",
            'Unsupported value: "X": supported values: "Equal", "Exists"',
        ),
        (
            "spec.tolerations[0].effect",
            'Unsupported value: "Y": supported values: '
            '"NoSchedule", "PreferNoSchedule", "NoExecute"',
        ),
        ("spec.tolerations[1].operator", bad("Equal", match_all)),
    }


TEMPLATE = {
    "metadata": {"labels": {"a": "c"}},
    "spec": {"containers": [{"name": "a", "image": "x"}]},
}
SELECTOR = {"matchLabels": {"a": "b"}}
UNMATCHED = "`selector` does not match template `labels`"


@pytest.mark.parametrize(
    ("target", "body", "expected"),
    [
        (
            f"{CORE}/configmaps",
            {"metadata": {}},
            {("metadata.name", "Required value: name or generateName is required")},
        ),
        (
            "/api/v1/namespaces",
            {"metadata": {"name": "x.y"}},
            {("metadata.name", bad("x.y", LABEL))},
        ),
        (
            f"{CORE}/configmaps",
            {
                "metadata": {
                    "name": "x",
                    "ownerReferences": [{"apiVersion": "", "kind": "", "name": "", "uid": ""}],
                    "finalizers": ["x"],
                    "annotations": {"a b": "x"},
                }
            },
            {
                ("metadata.annotations", bad("a b", NAME_PART)),
                ("metadata.ownerReferences.apiVersion", bad("", "version must not be empty")),
                ("metadata.ownerReferences.kind", bad("", "kind must not be empty")),
                ("metadata.ownerReferences.name", bad("", "name must not be empty")),
                ("metadata.ownerReferences.uid", bad("", "uid must not be empty")),
                (
                    "metadata.finalizers[0]",
                    bad(
                        "x",
                        "name is neither a standard finalizer name nor is it fully qualified",
                    ),
                ),
            },
        ),
        (f"{CORE}/pods", {"metadata": {"name": "x"}, "spec": {}}, {("spec.containers", REQUIRED)}),
        (
            f"{CORE}/configmaps",
            {
                "metadata": {"name": "x"},
                "data": {"a b": "x", "b": "x"},
                "binaryData": {"b": "eA=="},
            },
            {
                ("data[a b]", bad("a b", CONFIG_KEY)),
                ("data[b]", bad("b", "duplicate of key present in binaryData")),
            },
        ),
        (
            f"{CORE}/configmaps",
            {"metadata": {"name": "x"}, "data": {"a": "x" * (1024 * 1024 + 1)}},
            {("", "Too long: may not be more than 1048576 bytes")},
        ),
        (
            f"{CORE}/secrets",
            {"metadata": {"name": "x"}, "type": "kubernetes.io/tls", "data": {"a b": "eA=="}},
            {
                ("data[a b]", bad("a b", CONFIG_KEY)),
                ("data[tls.crt]", REQUIRED),
                ("data[tls.key]", REQUIRED),
            },
        ),
        (
            f"{APPS}/deployments",
            {
                "metadata": {"name": "x"},
                "spec": {
                    "replicas": -1,
                    "selector": {},
                    "template": {"spec": {"restartPolicy": "Never"}},
                    "strategy": {"type": "X"},
                    "minReadySeconds": 700,
                },
            },
            {
                ("spec.replicas", bad(-1, NOT_NEGATIVE)),
                (
                    "spec.selector",
                    "Invalid value: {}: empty selector is invalid for deployment",
                ),
                ("spec.template.spec.containers", REQUIRED),
                (
                    "spec.template.spec.restartPolicy",
                    'Unsupported value: "Never": supported values: "Always"',
                ),
                (
                    "spec.strategy",
                    'Unsupported value: {"type":"X"}: '
                    'supported values: "Recreate", "RollingUpdate"',
                ),
                ("spec.progressDeadlineSeconds", bad(600, "must be greater than minReadySeconds")),
            },
        ),
        (
            f"{APPS}/deployments",
            {
                "metadata": {"name": "x"},
                "spec": {
                    "selector": SELECTOR,
                    "template": TEMPLATE,
                    "strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}},
                },
            },
            {
                ("spec.template.metadata.labels", f'Invalid value: {{"a":"c"}}: {UNMATCHED}'),
                (
                    "spec.strategy.rollingUpdate.maxUnavailable",
                    bad("0%", "may not be 0 when `maxSurge` is 0"),
                ),
            },
        ),
        (
            f"{APPS}/deployments",
            {
                "metadata": {"name": "x"},
                "spec": {
                    "selector": {"matchLabels": {"a": "c"}},
                    "template": TEMPLATE,
                    "strategy": {"rollingUpdate": {"maxSurge": "foo", "maxUnavailable": "120%"}},
                },
            },
            {
                ("spec.strategy.rollingUpdate.maxSurge", bad("foo", PERCENT)),
                (
                    "spec.strategy.rollingUpdate.maxUnavailable",
                    bad("120%", "must not be greater than 100%"),
                ),
            },
        ),
        (
            f"{APPS}/deployments",
            {
                "metadata": {"name": "x"},
                "spec": {
                    "selector": {"matchExpressions": [{"key": "a", "operator": "Foo"}]},
                    "template": TEMPLATE,
                    "strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}},
                },
            },
            {
                (
                    "spec.selector.matchExpressions[0].operator",
                    bad("Foo", "not a valid selector operator"),
                ),
                (
                    "spec.selector",
                    'Invalid value: {"matchExpressions":[{"key":"a","operator":"Foo"}]}: '
                    "invalid label selector",
                ),
                (
                    "spec.strategy.rollingUpdate",
                    "Forbidden: may not be specified when strategy `type` is 'Recreate'",
                ),
            },
        ),
        (
            f"{CORE}/services",
            {
                "metadata": {"name": "1x"},
                "spec": {
                    "ports": [{"port": 0}, {"port": 80, "protocol": "X"}],
                    "type": "X",
                    "sessionAffinity": "X",
                    "selector": {"a b": ""},
                },
            },
            {
                ("metadata.name", bad("1x", DNS_1035)),
                ("spec.ports[0].name", REQUIRED),
                ("spec.ports[0].port", bad(0, PORT)),
                ("spec.ports[0].targetPort", bad(0, PORT)),
                ("spec.ports[1].name", REQUIRED),
                (
                    "spec.ports[1].protocol",
                    'Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"',
                ),
                ("spec.selector", bad("a b", NAME_PART)),
                (
                    "spec.sessionAffinity",
                    'Unsupported value: "X": supported values: "ClientIP", "None"',
                ),
                (
                    "spec.type",
                    'Unsupported value: "X": supported values: '
                    '"ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
                ),
            },
        ),
        (f"{CORE}/services", {"metadata": {"name": "x"}, "spec": {}}, {("spec.ports", REQUIRED)}),
        (
            f"{CORE}/services",
            {"metadata": {"name": "x"}, "spec": {"type": "ExternalName"}},
            {("spec.externalName", REQUIRED)},
        ),
        (
            f"{CORE}/services",
            {
                "metadata": {"name": "x"},
                "spec": {"type": "NodePort", "clusterIP": "None", "ports": [{"port": 1}]},
            },
            {("spec.clusterIPs[0]", bad("None", "may not be set to 'None' for NodePort services"))},
        ),
        (
            f"{CORE}/services",
            {"metadata": {"name": "x"}, "spec": {"ports": [{"port": 80, "nodePort": 30000}]}},
            {
                (
                    "spec.ports[0].nodePort",
                    "Forbidden: may not be used when `type` is 'ClusterIP'",
                )
            },
        ),
        (
            f"{CORE}/endpoints",
            {
                "metadata": {"name": "x"},
                "subsets": [{}, {"addresses": [{"ip": "foo"}], "ports": [{"port": 0}]}],
            },
            {
                (
                    "subsets[0]",
                    "Required value: must specify `addresses` or `notReadyAddresses`",
                ),
                (
                    "subsets[1].addresses[0].ip",
                    bad("foo", "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
                ),
                ("subsets[1].ports[0].port", bad(0, PORT)),
            },
        ),
        (
            "/api/v1/nodes",
            {"metadata": {"name": "X"}, "spec": {"taints": [{"key": "a b", "effect": "X"}]}},
            {
                ("metadata.name", bad("X", SUBDOMAIN)),
                ("metadata.taints[0].key", bad("a b", NAME_PART)),
                (
                    "metadata.taints[0].effect",
                    'Unsupported value: "X": supported values: '
                    '"NoSchedule", "PreferNoSchedule", "NoExecute"',
                ),
            },
        ),
        (
            f"{CORE}/events",
            {"metadata": {"name": "x"}, "involvedObject": {"namespace": "other"}},
            {("involvedObject.namespace", bad("other", "does not match event.namespace"))},
        ),
        (
            LEASES,
            {"metadata": {"name": "x"}, "spec": {"leaseDurationSeconds": 0}},
            {("spec.leaseDurationSeconds", bad(0, "must be greater than 0"))},
        ),
        (
            f"{RBAC}/roles",
            {
                "metadata": {"name": "x/y"},
                "rules": [{}, {"verbs": ["get"], "nonResourceURLs": ["/x"]}],
            },
            {
                ("metadata.name", bad("x/y", "may not contain '/'")),
                ("rules[0].verbs", "Required value: verbs must contain at least one value"),
                (
                    "rules[0].apiGroups",
                    "Required value: resource rules must supply at least one api group",
                ),
                (
                    "rules[0].resources",
                    "Required value: resource rules must supply at least one resource",
                ),
                (
                    "rules[1].nonResourceURLs",
                    'Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs',
                ),
            },
        ),
        (
            f"{RBAC}/rolebindings",
            {
                "metadata": {"name": "x"},
                "subjects": [{"kind": "X", "name": ""}],
                "roleRef": {"kind": "Foo", "name": ""},
            },
            {
                (
                    "roleRef.kind",
                    'Unsupported value: "Foo": supported values: "Role", "ClusterRole"',
                ),
                ("roleRef.name", REQUIRED),
                ("subjects[0].name", REQUIRED),
                (
                    "subjects[0].kind",
                    'Unsupported value: "X": supported values: "ServiceAccount", "User", "Group"',
                ),
            },
        ),
    ],
)
async def test_what_is_refused(api, target, body, expected):
    assert await causes(api, target, body) == expected


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"containers": [{"name": "new", "image": "x"}]}, "spec", "pod updates may not change"),
        (
            {"restartPolicy": "Never"},
            "spec",
            '- spec.restartPolicy: "Always"\n+ spec.restartPolicy',
        ),
        ({"containers": []}, "spec.containers", "may not add or remove containers"),
        ({"tolerations": []}, "spec.tolerations", "existing toleration can not be modified"),
        ({"nodeName": "other"}, "spec", "pod updates may not change"),
        ({"activeDeadlineSeconds": 70}, "spec.activeDeadlineSeconds", "must be less than"),
        ({"activeDeadlineSeconds": None}, "spec.activeDeadlineSeconds", "must not update from"),
    ],
)
async def test_little_of_a_pod_can_change(api, make_pod, change, field, words):
    await api.make(f"{CORE}/pods", make_pod(activeDeadlineSeconds=60))
    status, answer = await api.patch(f"{CORE}/pods/web", {"spec": change})
    assert status == 422
    found = {cause["field"]: cause["message"] for cause in answer["details"]["causes"]}
    assert words in found[field]


async def test_what_of_a_pod_can_change(api, make_pod):
    await api.make(f"{CORE}/pods", make_pod(activeDeadlineSeconds=60))
    change = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {
            "containers": [{"name": "main", "image": "nginx:1.27"}],
            "activeDeadlineSeconds": 50,
        },
    }
    status, answer = await api.patch(f"{CORE}/pods/web", change, "strategic")
    assert status == 200, answer
    more = [*answer["spec"]["tolerations"], {"key": "a", "operator": "Exists"}]
    assert (await api.patch(f"{CORE}/pods/web", {"spec": {"tolerations": more}}))[0] == 200


@pytest.mark.parametrize(
    ("resource", "body", "change", "cause"),
    [
        (
            f"{APPS}/deployments",
            {
                "spec": {
                    "selector": {"matchLabels": {"a": "c"}},
                    "template": TEMPLATE,
                }
            },
            {
                "spec": {
                    "selector": {"matchLabels": {"a": "d"}},
                    "template": {"metadata": {"labels": {"a": "d"}}},
                }
            },
            ("spec.selector", 'Invalid value: {"matchLabels":{"a":"d"}}: field is immutable'),
        ),
        (
            f"{CORE}/configmaps",
            {"data": {"a": "1"}, "immutable": True},
            {"data": {"a": "2"}},
            ("data", "Forbidden: field is immutable when `immutable` is set"),
        ),
        (
            f"{CORE}/secrets",
            {"type": "Opaque"},
            {"type": "other"},
            ("type", 'Invalid value: "other": field is immutable'),
        ),
        (
            f"{RBAC}/rolebindings",
            {"roleRef": {"kind": "Role", "name": "a"}},
            {"roleRef": {"name": "b"}},
            (
                "roleRef",
                'Invalid value: {"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"b"}: '
                "cannot change roleRef",
            ),
        ),
    ],
)
async def test_what_can_never_change(api, resource, body, change, cause):
    await api.make(resource, {"metadata": {"name": "x"}} | body)
    status, answer = await api.patch(f"{resource}/x", change)
    assert status == 422
    (found,) = answer["details"]["causes"]
    assert (found["field"], found["message"]) == cause
