"""Objects and their life, through the official Python client."""

import json
import queue

import pytest
from kubernetes import client, dynamic, watch
from kubernetes.client.exceptions import ApiException
from kubernetes.informer import SharedInformer


def configmap(name, labels=None, **data):
    return {"metadata": {"name": name, "labels": labels or {}}, "data": data}


def test_an_object_is_created_read_changed_and_deleted(core, namespace, refusal):
    made = core.create_namespaced_config_map(namespace, configmap("one", a="1"))
    assert made.metadata.uid
    assert made.metadata.creation_timestamp
    assert core.read_namespaced_config_map("one", namespace).data == {"a": "1"}
    changed = core.patch_namespaced_config_map("one", namespace, {"data": {"b": "2"}})
    assert changed.data == {"a": "1", "b": "2"}
    assert int(changed.metadata.resource_version) > int(made.metadata.resource_version)
    assert changed.metadata.uid == made.metadata.uid
    removal = [{"op": "remove", "path": "/data/a"}]
    assert core.patch_namespaced_config_map("one", namespace, removal).data == {"b": "2"}
    core.delete_namespaced_config_map("one", namespace)
    status = refusal(core.read_namespaced_config_map, "one", namespace)
    assert status == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'configmaps "one" not found',
        "reason": "NotFound",
        "details": {"name": "one", "kind": "configmaps"},
        "code": 404,
    }


def test_a_name_is_taken_once(apps, namespace, refusal):
    body = {
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": "nginx:1.27"}]},
            },
        },
    }
    apps.create_namespaced_deployment(namespace, body)
    status = refusal(apps.create_namespaced_deployment, namespace, body)
    assert status["reason"] == "AlreadyExists"
    assert status["message"] == 'deployments.apps "web" already exists'
    assert status["details"] == {"name": "web", "group": "apps", "kind": "deployments"}


def test_a_stale_copy_cannot_overwrite_a_newer_one(core, namespace, refusal):
    core.create_namespaced_config_map(namespace, configmap("one", a="1"))
    stale = core.read_namespaced_config_map("one", namespace)
    core.patch_namespaced_config_map("one", namespace, {"data": {"a": "2"}})
    stale.data["a"] = "3"
    status = refusal(core.replace_namespaced_config_map, "one", namespace, stale)
    assert status["reason"] == "Conflict"
    assert status["message"] == (
        'Operation cannot be fulfilled on configmaps "one": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    assert core.read_namespaced_config_map("one", namespace).data == {"a": "2"}


def test_an_invalid_object_is_refused_with_every_cause(core, namespace, refusal):
    body = {
        "metadata": {"name": "BAD_name"},
        "spec": {"containers": [{"name": "c"}], "restartPolicy": "Sometimes"},
    }
    status = refusal(core.create_namespaced_pod, namespace, body)
    assert (status["code"], status["reason"]) == (422, "Invalid")
    fields = {cause["field"] for cause in status["details"]["causes"]}
    assert {"metadata.name", "spec.restartPolicy", "spec.containers[0].image"} <= fields


def test_a_namespace_that_does_not_exist_holds_nothing(core, refusal):
    assert core.list_namespaced_config_map("no-such-namespace").items == []
    status = refusal(core.create_namespaced_config_map, "no-such-namespace", configmap("one"))
    assert status["message"] == 'namespaces "no-such-namespace" not found'


def test_names_can_be_generated(core, namespace):
    body = {"metadata": {"generateName": "job-"}}
    names = {core.create_namespaced_config_map(namespace, body).metadata.name for _ in range(3)}
    assert len(names) == 3
    assert all(name.startswith("job-") and len(name) == 9 for name in names)


def test_lists_are_selected_by_labels_and_fields(core, namespace):
    for name, tier in (("a", "web"), ("b", "web"), ("c", "db")):
        core.create_namespaced_config_map(namespace, configmap(name, {"tier": tier, "test": "1"}))

    def names(**selectors):
        found = core.list_namespaced_config_map(namespace, **selectors).items
        return [item.metadata.name for item in found]

    assert names(label_selector="tier=web") == ["a", "b"]
    assert names(label_selector="test,tier!=web") == ["c"]
    assert names(label_selector="tier in (db, cache)") == ["c"]
    assert names(field_selector="metadata.name=b") == ["b"]


def test_long_lists_come_in_pages(core, namespace):
    for number in range(5):
        core.create_namespaced_config_map(namespace, configmap(f"n{number}", {"paged": "1"}))
    seen, token, sizes = [], None, []
    while token is None or token:
        page = core.list_namespaced_config_map(
            namespace, label_selector="paged", limit=2, _continue=token or None
        )
        seen += [item.metadata.name for item in page.items]
        sizes.append(len(page.items))
        token = page.metadata._continue or ""
    assert seen == [f"n{number}" for number in range(5)]
    assert sizes == [2, 2, 1]


def test_a_watch_tells_everything_after_a_version_and_nothing_else(core, namespace):
    start = core.list_namespaced_config_map(namespace).metadata.resource_version
    core.create_namespaced_config_map(namespace, configmap("one", {"watched": "yes"}, a="1"))
    core.create_namespaced_config_map(namespace, configmap("other", {"watched": "no"}))
    core.patch_namespaced_config_map("one", namespace, {"data": {"a": "2"}})
    core.patch_namespaced_config_map(
        "other", namespace, {"metadata": {"labels": {"watched": "yes"}}}
    )
    core.patch_namespaced_config_map("one", namespace, {"metadata": {"labels": {"watched": "no"}}})
    core.delete_namespaced_config_map("other", namespace)
    stream = watch.Watch().stream(
        core.list_namespaced_config_map,
        namespace,
        resource_version=start,
        label_selector="watched=yes",
        timeout_seconds=2,
    )
    events = [(event["type"], event["object"].metadata.name) for event in stream]
    assert events == [
        ("ADDED", "one"),
        ("MODIFIED", "one"),
        ("ADDED", "other"),
        ("DELETED", "one"),
        ("DELETED", "other"),
    ]


def test_an_informer_keeps_a_copy_up_to_date(core, namespace):
    core.create_namespaced_config_map(namespace, configmap("before"))
    copy = SharedInformer(core.list_namespaced_config_map, namespace=namespace)
    heard = queue.Queue()
    for kind in ("ADDED", "MODIFIED", "DELETED"):
        copy.add_event_handler(kind, lambda obj, kind=kind: heard.put((kind, obj.metadata.name)))
    copy.start()
    try:
        seen = [heard.get(timeout=30)]
        while ("ADDED", "before") not in seen:
            seen.append(heard.get(timeout=30))
        core.create_namespaced_config_map(namespace, configmap("after"))
        core.patch_namespaced_config_map("after", namespace, {"data": {"a": "1"}})
        core.delete_namespaced_config_map("after", namespace)
        while ("DELETED", "after") not in seen:
            seen.append(heard.get(timeout=30))
        changes = [kind for kind, name in seen if name == "after"]
        assert changes == ["ADDED", "MODIFIED", "DELETED"]
        assert "before" in {obj.metadata.name for obj in copy.cache.list()}
    finally:
        copy.stop()


def test_a_strategic_merge_joins_lists_by_key(core, namespace):
    ports = [{"name": "http", "port": 80}, {"name": "https", "port": 443}]
    body = {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": ports}}
    core.create_namespaced_service(namespace, body)
    change = {"spec": {"ports": [{"port": 443, "targetPort": 8443}, {"name": "dns", "port": 53}]}}
    patched = core.patch_namespaced_service("web", namespace, change)
    assert {p.port: p.target_port for p in patched.spec.ports} == {80: 80, 443: 8443, 53: 53}


def test_server_side_apply_remembers_who_owns_what(cluster, namespace):
    resources = dynamic.DynamicClient(cluster.api_client()).resources
    configmaps = resources.get(api_version="v1", kind="ConfigMap")

    def apply(manager, force=False, **data):
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": data}
        return configmaps.server_side_apply(
            body=body, namespace=namespace, field_manager=manager, force_conflicts=force
        )

    apply("alice", a="1", b="1")
    assert apply("bob", c="1").data.to_dict() == {"a": "1", "b": "1", "c": "1"}
    with pytest.raises(dynamic.exceptions.ConflictError) as refused:
        apply("bob", a="2", c="1")
    status = json.loads(refused.value.body)
    assert status["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "alice"', "field": ".data.a"}
    ]
    assert apply("bob", force=True, a="2", c="1").data.a == "2"
    assert apply("alice", b="2").data.to_dict() == {"a": "2", "b": "2", "c": "1"}


def test_a_secret_takes_text_and_keeps_bytes(core, namespace):
    body = {"metadata": {"name": "one"}, "stringData": {"password": "s3cret"}}
    made = core.create_namespaced_secret(namespace, body)
    assert made.type == "Opaque"
    assert made.data == {"password": "czNjcmV0"}
    assert made.string_data is None


def test_base64_may_be_wrapped_into_lines(core, namespace):
    body = {"metadata": {"name": "one"}, "data": {"text": "aGVsbG8g\nd29ybGQ=\n"}}
    assert core.create_namespaced_secret(namespace, body).data == {"text": "aGVsbG8gd29ybGQ="}


def test_a_service_gets_an_address_of_its_own(core, namespace):
    addresses = set()
    for name in ("a", "b"):
        body = {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}}
        addresses.add(core.create_namespaced_service(namespace, body).spec.cluster_ip)
    assert len(addresses) == 2
    assert all(address.startswith("10.96.") for address in addresses)
    body = {"metadata": {"name": "c"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}}
    port = core.create_namespaced_service(namespace, body).spec.ports[0].node_port
    assert 30000 <= port <= 32767


def test_a_service_account_token_opens_what_its_roles_allow(
    cluster, core, rbac, namespace, refusal
):
    core.create_namespaced_service_account(namespace, {"metadata": {"name": "robot"}})
    request = client.AuthenticationV1TokenRequest(
        spec=client.V1TokenRequestSpec(audiences=[], expiration_seconds=3600)
    )
    answer = core.create_namespaced_service_account_token("robot", namespace, request)
    configuration = client.Configuration()
    configuration.host = cluster.api_client().configuration.host
    configuration.ssl_ca_cert = cluster.api_client().configuration.ssl_ca_cert
    configuration.api_key = {"authorization": f"Bearer {answer.status.token}"}
    with client.ApiClient(configuration) as api_client:
        robot = client.CoreV1Api(api_client)
        status = refusal(robot.list_namespaced_pod, namespace)
        assert status["message"] == (
            f'pods is forbidden: User "system:serviceaccount:{namespace}:robot" cannot list '
            f'resource "pods" in API group "" in the namespace "{namespace}"'
        )
        rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
        rbac.create_namespaced_role(namespace, {"metadata": {"name": "reader"}, "rules": rules})
        group = "rbac.authorization.k8s.io"
        binding = {
            "metadata": {"name": "reader"},
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "reader"},
            "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": namespace}],
        }
        rbac.create_namespaced_role_binding(namespace, binding)
        assert _eventually_allowed(robot.list_namespaced_pod, namespace).items == []
        refusal(robot.list_namespaced_pod, "default")


def _eventually_allowed(call, *arguments):
    """The real server's RBAC learns of a new binding a moment after it was written."""
    for _ in range(100):
        try:
            return call(*arguments)
        except ApiException as error:
            assert error.status == 403
    return call(*arguments)


def test_every_kind_fits_the_models_of_the_client(cluster, core, apps, rbac):
    lists = [
        core.list_namespace(),
        core.list_node(),
        core.list_pod_for_all_namespaces(),
        core.list_service_for_all_namespaces(),
        core.list_endpoints_for_all_namespaces(),
        core.list_config_map_for_all_namespaces(),
        core.list_secret_for_all_namespaces(),
        core.list_service_account_for_all_namespaces(),
        core.list_event_for_all_namespaces(),
        apps.list_deployment_for_all_namespaces(),
        apps.list_replica_set_for_all_namespaces(),
        rbac.list_role_for_all_namespaces(),
        rbac.list_role_binding_for_all_namespaces(),
        rbac.list_cluster_role(),
        rbac.list_cluster_role_binding(),
        client.CoordinationV1Api(cluster.api_client()).list_lease_for_all_namespaces(),
    ]
    for found in lists:
        assert int(found.metadata.resource_version) > 0
    assert all(node.status.node_info.kubelet_version for node in lists[1].items)
