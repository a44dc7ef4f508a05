"""What the server fills in, adds and hands out. Defaults were compared with a real server's."""

CORE = "/api/v1/namespaces/default"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


async def test_a_deployment_is_filled_in(api):
    container = {
        "name": "nginx",
        "image": "nginx:1.27",
        "ports": [{"containerPort": 80}],
        "livenessProbe": {"httpGet": {"port": 80}},
        "readinessProbe": {"tcpSocket": {"port": 80}},
        "lifecycle": {"preStop": {"httpGet": {"port": 80}}},
        "env": [
            {"name": "A", "value": ""},
            {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ],
        "resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}},
    }
    volumes = [
        {"name": "a"},
        {"name": "b", "configMap": {"name": "x"}},
        {"name": "c", "secret": {"secretName": "x"}},
        {
            "name": "d",
            "downwardAPI": {"items": [{"path": "a", "fieldRef": {"fieldPath": "metadata.name"}}]},
        },
        {"name": "e", "hostPath": {"path": "/x"}},
        {"name": "f", "projected": {"sources": [{"serviceAccountToken": {"path": "x"}}]}},
    ]
    spec = {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [container], "volumes": volumes, "hostNetwork": False},
        },
    }
    made = await api.make(DEPLOYMENTS, {"metadata": {"name": "web"}, "spec": spec})
    probe = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
    get = {"path": "/", "port": 80, "scheme": "HTTP"}
    field = {"apiVersion": "v1", "fieldPath": "metadata.name"}
    expected_container = {
        "name": "nginx",
        "image": "nginx:1.27",
        "ports": [{"containerPort": 80, "protocol": "TCP"}],
        "env": [{"name": "A"}, {"name": "B", "valueFrom": {"fieldRef": field}}],
        "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}},
        "livenessProbe": {"httpGet": get, **probe},
        "readinessProbe": {"tcpSocket": {"port": 80}, **probe},
        "lifecycle": {"preStop": {"httpGet": get}},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
    }
    token = {"serviceAccountToken": {"expirationSeconds": 3600, "path": "x"}}
    assert made["spec"] == {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "volumes": [
                    {"name": "a", "emptyDir": {}},
                    {"name": "b", "configMap": {"name": "x", "defaultMode": 420}},
                    {"name": "c", "secret": {"secretName": "x", "defaultMode": 420}},
                    {
                        "name": "d",
                        "downwardAPI": {
                            "items": [{"path": "a", "fieldRef": field}],
                            "defaultMode": 420,
                        },
                    },
                    {"name": "e", "hostPath": {"path": "/x", "type": ""}},
                    {"name": "f", "projected": {"sources": [token], "defaultMode": 420}},
                ],
                "containers": [expected_container],
                "restartPolicy": "Always",
                "terminationGracePeriodSeconds": 30,
                "dnsPolicy": "ClusterFirst",
                "securityContext": {},
                "schedulerName": "default-scheduler",
            },
        },
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
        },
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
    }


async def test_pull_policy_follows_the_tag(api, make_pod):
    images = {
        "nginx": "Always",
        "nginx:latest": "Always",
        "nginx:1.27": "IfNotPresent",
        "registry:5000/nginx": "Always",
        "registry:5000/nginx:1.27": "IfNotPresent",
        "nginx@sha256:" + "0" * 64: "IfNotPresent",
    }
    containers = [{"name": f"c{n}", "image": image} for n, image in enumerate(images)]
    made = await api.make(f"{CORE}/pods", make_pod(containers=containers))
    assert {c["image"]: c["imagePullPolicy"] for c in made["spec"]["containers"]} == images


async def test_a_pod_is_admitted_with_tolerations_priority_and_a_quality_of_service(api, make_pod):
    made = await api.make(f"{CORE}/pods", make_pod())
    assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    assert made["metadata"]["generation"] == 1
    spec = made["spec"]
    assert (spec["priority"], spec["preemptionPolicy"]) == (0, "PreemptLowerPriority")
    assert spec["enableServiceLinks"] is True
    assert [(t["key"], t["tolerationSeconds"]) for t in spec["tolerations"]] == [
        ("node.kubernetes.io/not-ready", 300),
        ("node.kubernetes.io/unreachable", 300),
    ]
    everything = await api.make(f"{CORE}/pods", make_pod("b", tolerations=[{"operator": "Exists"}]))
    assert everything["spec"]["tolerations"] == [{"operator": "Exists"}]
    status, answer = await api.post(f"{CORE}/pods", make_pod("c", priorityClassName="gold"))
    assert (status, answer["message"]) == (
        403,
        'pods "c" is forbidden: no PriorityClass with name gold was found',
    )


async def test_quality_of_service_follows_requests_and_limits(api, make_pod):
    async def quality(name, *resources):
        containers = [
            {"name": f"c{n}", "image": "i", "resources": given} for n, given in enumerate(resources)
        ]
        made = await api.make(f"{CORE}/pods", make_pod(name, containers=containers))
        return made["status"]["qosClass"]

    full = {"cpu": "1", "memory": "1Gi"}
    assert await quality("a", {"limits": full}) == "Guaranteed"
    assert await quality("b", {"limits": full}, {}) == "Burstable"
    assert await quality("c", {"limits": full, "requests": {"cpu": "500m"}}) == "Burstable"
    assert await quality("d", {"requests": {"cpu": "1"}}) == "Burstable"
    assert await quality("e", {}) == "BestEffort"


async def test_a_pod_gets_its_accounts_token(make_api, make_pod):
    api = make_api()
    status, answer = await api.post(f"{CORE}/pods", make_pod())
    assert (status, answer["message"]) == (
        403,
        'pods "web" is forbidden: error looking up service account default/default: '
        'serviceaccount "default" not found',
    )
    account = {"metadata": {"name": "default"}, "imagePullSecrets": [{"name": "registry"}]}
    await api.make(f"{CORE}/serviceaccounts", account)
    spec = (await api.make(f"{CORE}/pods", make_pod()))["spec"]
    assert spec["serviceAccountName"] == spec["serviceAccount"] == "default"
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    (volume,) = spec["volumes"]
    assert volume["name"].startswith("kube-api-access-")
    sources = volume["projected"]["sources"]
    assert [next(iter(source)) for source in sources] == [
        "serviceAccountToken",
        "configMap",
        "downwardAPI",
    ]
    assert spec["containers"][0]["volumeMounts"] == [
        {
            "name": volume["name"],
            "readOnly": True,
            "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
        }
    ]
    without = make_pod("without", automountServiceAccountToken=False)
    assert "volumes" not in (await api.make(f"{CORE}/pods", without))["spec"]


async def test_a_new_node_takes_no_pods_until_it_has_been_seen_ready(make_api):
    api = make_api()
    made = await api.make("/api/v1/nodes", {"metadata": {"name": "n"}})
    assert made["spec"]["taints"] == [
        {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    ]


async def test_a_gated_pod_says_so_and_gates_can_only_go(api, make_pod):
    gates = [{"name": "a.b/one"}, {"name": "a.b/two"}]
    made = await api.make(f"{CORE}/pods", make_pod(schedulingGates=gates))
    assert made["status"]["conditions"][0]["reason"] == "SchedulingGated"
    fewer = {"spec": {"schedulingGates": gates[:1]}}
    assert (await api.patch(f"{CORE}/pods/web", fewer))[0] == 200
    status, answer = await api.patch(f"{CORE}/pods/web", {"spec": {"schedulingGates": gates}})
    assert (status, "only deletion is allowed" in answer["message"]) == (422, True)


async def test_secrets_are_written_in_clear_and_kept_encoded(api):
    body = {"metadata": {"name": "s"}, "stringData": {"a": "b"}, "data": {"c": "ZA=="}}
    made = await api.make(f"{CORE}/secrets", body)
    assert (made["type"], made["data"]) == ("Opaque", {"a": "Yg==", "c": "ZA=="})
    assert "stringData" not in made


async def test_bindings_name_their_groups(api):
    path = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings"
    subjects = [
        {"kind": "User", "name": "jane"},
        {"kind": "ServiceAccount", "name": "x", "namespace": "y"},
    ]
    role = {"kind": "Role", "name": "r"}
    made = await api.make(path, {"metadata": {"name": "b"}, "subjects": subjects, "roleRef": role})
    group = "rbac.authorization.k8s.io"
    assert made["roleRef"]["apiGroup"] == group
    assert [subject.get("apiGroup") for subject in made["subjects"]] == [group, None]
