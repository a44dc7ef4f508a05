"""Create, read, update: what the server keeps, adds and refuses."""

import asyncio
import json

from kubesim.apiserver import errors
from kubesim.apiserver.server import APIServer
from kubesim.clientgo.client import Client
from kubesim.clock import Clock
from kubesim.etcd.sqlite import SqliteBackend
from kubesim.etcd.store import Etcd

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


async def test_a_new_object_gets_what_only_the_server_gives(api):
    status, made = await api.post(CONFIG_MAPS, {"metadata": {"name": "a"}, "data": {"k": "v"}})
    assert status == 201
    assert (made["kind"], made["apiVersion"]) == ("ConfigMap", "v1")
    metadata = made["metadata"]
    assert metadata["namespace"] == "default"
    assert metadata["uid"]
    assert metadata["resourceVersion"].isdecimal()
    assert metadata["creationTimestamp"] == api.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    assert await api.get(f"{CONFIG_MAPS}/a") == (200, made)


async def test_answers_are_compact_json_with_kind_first_and_a_newline(api):
    response = await api.respond("POST", CONFIG_MAPS, {"metadata": {"name": "a"}})
    assert response.headers["content-type"] == "application/json"
    assert response.body.startswith(
        b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a",'
    )
    assert response.body.endswith(b"}\n")
    missing = await api.respond("GET", f"{CONFIG_MAPS}/nix")
    assert missing.body == (
        b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",'
        b'"message":"configmaps \\"nix\\" not found","reason":"NotFound",'
        b'"details":{"name":"nix","kind":"configmaps"},"code":404}\n'
    )


async def test_names_can_be_generated(api):
    names = {
        (await api.make(CONFIG_MAPS, {"metadata": {"generateName": "web-"}}))["metadata"]["name"]
        for _ in range(3)
    }
    assert len(names) == 3
    assert all(name.startswith("web-") and len(name) == 9 for name in names)


async def test_a_name_is_taken_once(api):
    await api.make(DEPLOYMENTS, _deployment())
    status, answer = await api.post(DEPLOYMENTS, _deployment())
    assert (status, answer["reason"]) == (409, "AlreadyExists")
    assert answer["message"] == 'deployments.apps "web" already exists'
    assert answer["details"] == {"name": "web", "group": "apps", "kind": "deployments"}


async def test_paths_that_lead_nowhere(api):
    status, answer = await api.get("/apis/resource.k8s.io/v1/namespaces/default/resourceclaims")
    assert (status, answer["reason"]) == (404, "NotFound")
    assert "resourceclaims" in answer["message"]
    assert "kind" in answer["message"]
    assert (await api.post(f"{CONFIG_MAPS}/a", {}))[0] == 405
    assert (await api.put(CONFIG_MAPS, {}))[0] == 405
    assert (await api.get(f"{CONFIG_MAPS}/a/status"))[0] == 404
    assert (await api.get("/nowhere"))[1]["paths"]
    response = await api.respond("GET", "/apis/nowhere.example/v1/things")
    assert (response.status, response.body) == (404, b"404 page not found\n")
    status, answer = await api.get("/apis/apps/v1beta1/deployments")
    assert answer["message"] == "the server could not find the requested resource"


async def test_bodies_that_cannot_be_read(api):
    status, answer = await api.post(CONFIG_MAPS, b"{")
    assert (status, answer["reason"]) == (400, "BadRequest")
    status, answer = await api.post(CONFIG_MAPS, [])
    assert answer["message"].startswith("the object provided is unrecognized")
    status, answer = await api.post(CONFIG_MAPS, b"x", content_type="text/plain")
    assert (status, answer["reason"]) == (415, "UnsupportedMediaType")
    wrong_version = {"apiVersion": "apps/v1", "metadata": {"name": "a"}}
    status, answer = await api.post(CONFIG_MAPS, wrong_version)
    assert answer["message"].startswith(
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: '
        'no kind "ConfigMap" is registered for version "apps/v1" in scheme'
    )
    status, answer = await api.post(CONFIG_MAPS, {"kind": "Secret", "metadata": {"name": "a"}})
    assert (status, "Secret" in answer["message"]) == (400, True)


async def test_yaml_bodies_are_read(api):
    body = b"metadata: {name: a}\ndata: {x: 'y'}\n"
    status, made = await api.post(CONFIG_MAPS, body, content_type="application/yaml")
    assert (status, made["data"]) == (201, {"x": "y"})


async def test_a_wrong_type_is_told_with_its_place(api):
    wrong = _deployment() | {"spec": {"replicas": "three"}}
    status, answer = await api.post(DEPLOYMENTS, wrong)
    assert status == 400
    assert answer["message"] == (
        'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal '
        "string into Go struct field DeploymentSpec.spec.replicas of type int32"
    )


async def test_unknown_fields_are_ignored_told_or_refused(api):
    body = {"metadata": {"name": "a"}, "dataa": {"x": "y"}}
    status, answer = await api.post(f"{CONFIG_MAPS}?fieldValidation=Strict", body)
    assert status == 400
    assert answer["message"] == (
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: '
        'strict decoding error: unknown field "dataa"'
    )
    response = await api.respond("POST", CONFIG_MAPS, body)
    assert response.status == 201
    assert response.headers["warning"] == '299 - "unknown field \\"dataa\\""'
    assert "dataa" not in json.loads(response.body)
    quiet = await api.respond("PUT", f"{CONFIG_MAPS}/a?fieldValidation=Ignore", body)
    assert (quiet.status, "warning" in quiet.headers) == (200, False)


async def test_values_are_stored_in_one_spelling(api, make_pod):
    limits = {"cpu": 1, "memory": "1024Mi", "ephemeral-storage": "1500M", "example.com/x": "0.5k"}
    container = {
        "name": "c",
        "image": "i",
        "resources": {"limits": limits, "requests": {"cpu": 0.1}},
    }
    made = await api.make(PODS, make_pod(containers=[container | {"stdin": False, "args": []}]))
    stored = made["spec"]["containers"][0]
    assert stored["resources"]["limits"] == {
        "cpu": "1",
        "memory": "1Gi",
        "ephemeral-storage": "1500M",
        "example.com/x": "500",
    }
    assert stored["resources"]["requests"]["cpu"] == "100m"
    assert not {"stdin", "args"} & stored.keys()
    lease = {"metadata": {"name": "a"}, "spec": {"renewTime": "2026-11-23T08:00:00.5+02:00"}}
    made = await api.make(LEASES, lease)
    assert made["spec"]["renewTime"] == "2026-11-23T06:00:00.500000Z"


async def test_quantities_times_and_bytes_must_be_what_they_claim(api, make_pod):
    resources = {"limits": {"cpu": "much"}}
    body = make_pod(containers=[{"name": "c", "image": "i", "resources": resources}])
    status, answer = await api.post(PODS, body)
    assert (status, "quantities must match the regular expression" in answer["message"]) == (
        400,
        True,
    )
    status, answer = await api.post(LEASES, {"spec": {"renewTime": "noon"}})
    assert (status, 'parsing time "noon"' in answer["message"]) == (400, True)
    secrets = "/api/v1/namespaces/default/secrets"
    status, answer = await api.post(secrets, {"metadata": {"name": "s"}, "data": {"a": "!"}})
    assert (status, "illegal base64 data" in answer["message"]) == (400, True)


async def test_an_update_needs_the_version_it_is_based_on(api):
    first = await api.make(CONFIG_MAPS, {"metadata": {"name": "a"}})
    status, second = await api.put(f"{CONFIG_MAPS}/a", first | {"data": {"x": "1"}})
    assert status == 200
    assert int(second["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])
    status, answer = await api.put(f"{CONFIG_MAPS}/a", first | {"data": {"x": "2"}})
    assert (status, answer["reason"]) == (409, "Conflict")
    assert answer["message"] == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    status, third = await api.put(f"{CONFIG_MAPS}/a", {"metadata": {"name": "a"}})
    assert (status, "data" in third) == (200, False)
    assert third["metadata"]["uid"] == first["metadata"]["uid"]


async def test_an_update_that_changes_nothing_is_no_event(api):
    made = await api.make(CONFIG_MAPS, {"metadata": {"name": "a"}})
    before = api.store.revision
    assert await api.put(f"{CONFIG_MAPS}/a", made) == (200, made)
    assert api.store.revision == before


async def test_an_update_is_for_the_very_object_of_the_path(api):
    made = await api.make(CONFIG_MAPS, {"metadata": {"name": "a"}})
    status, answer = await api.put(f"{CONFIG_MAPS}/b", made)
    assert (status, answer["message"]) == (
        400,
        "the name of the object (a) does not match the name on the URL (b)",
    )
    other = {"metadata": {"name": "a", "namespace": "kube-system"}}
    assert (await api.put(f"{CONFIG_MAPS}/a", other))[0] == 400
    assert (await api.put(f"{CONFIG_MAPS}/b", {"metadata": {"name": "b"}}))[0] == 404
    impostor = {"metadata": {"name": "a", "uid": "another"}}
    assert (await api.put(f"{CONFIG_MAPS}/a", impostor))[0] == 409


async def test_a_lease_is_created_by_put_and_never_overwritten_blindly(api):
    status, made = await api.put(f"{LEASES}/a", {"metadata": {"name": "a"}})
    assert status == 201
    status, answer = await api.put(f"{LEASES}/a", {"metadata": {"name": "a"}})
    assert status == 422
    assert "metadata.resourceVersion" in answer["message"]
    assert (await api.put(f"{LEASES}/a", made))[0] == 200


async def test_a_dry_run_answers_and_stores_nothing(api):
    before = api.store.revision
    status, made = await api.post(f"{CONFIG_MAPS}?dryRun=All", {"metadata": {"name": "a"}})
    assert (status, made["metadata"]["name"]) == (201, "a")
    assert api.store.revision == before
    assert (await api.get(f"{CONFIG_MAPS}/a"))[0] == 404
    await api.make(CONFIG_MAPS, {"metadata": {"name": "a"}})
    assert (await api.patch(f"{CONFIG_MAPS}/a?dryRun=All", {"data": {"x": "y"}}))[0] == 200
    assert (await api.delete(f"{CONFIG_MAPS}/a?dryRun=All"))[0] == 200
    assert (await api.delete(f"{CONFIG_MAPS}/a", {"dryRun": ["All"]}))[0] == 200
    assert "data" not in (await api.get(f"{CONFIG_MAPS}/a"))[1]
    assert (await api.post(f"{CONFIG_MAPS}?dryRun=Some", {}))[0] == 422


async def test_the_status_is_a_controllers_and_the_spec_the_users(api):
    made = await api.make(DEPLOYMENTS, _deployment() | {"status": {"replicas": 9}})
    assert made["status"] == {}
    _, updated = await api.put(
        f"{DEPLOYMENTS}/web/status",
        made | {"status": {"replicas": 2}, "spec": made["spec"] | {"replicas": 7}},
    )
    assert (updated["status"], updated["spec"]["replicas"]) == ({"replicas": 2}, 1)
    changed = updated | {"status": {}, "spec": updated["spec"] | {"replicas": 7}}
    _status, updated = await api.put(f"{DEPLOYMENTS}/web", changed)
    assert (updated["status"], updated["spec"]["replicas"]) == ({"replicas": 2}, 7)


async def test_the_generation_counts_changes_of_the_spec(api):
    made = await api.make(DEPLOYMENTS, _deployment())
    assert made["metadata"]["generation"] == 1

    async def generation(patch, subresource=""):
        target = f"{DEPLOYMENTS}/web{subresource}"
        assert (await api.patch(target, patch))[0] == 200
        return (await api.get(f"{DEPLOYMENTS}/web"))[1]["metadata"]["generation"]

    assert await generation({"metadata": {"labels": {"a": "b"}}}) == 1
    assert await generation({"status": {"replicas": 1}}, "/status") == 1
    assert await generation({"spec": {"replicas": 2}}) == 2
    assert await generation({"spec": {"replicas": 3}}, "/scale") == 3


async def test_scale_is_a_view_of_the_replicas(api):
    await api.make(DEPLOYMENTS, _deployment())
    status, scale = await api.get(f"{DEPLOYMENTS}/web/scale")
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert (scale["spec"], scale["status"]) == (
        {"replicas": 1},
        {"replicas": 0, "selector": "app=web"},
    )
    status, scale = await api.put(f"{DEPLOYMENTS}/web/scale", scale | {"spec": {"replicas": 4}})
    assert (status, scale["spec"]) == (200, {"replicas": 4})
    assert (await api.get(f"{DEPLOYMENTS}/web"))[1]["spec"]["replicas"] == 4
    status, answer = await api.patch(f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": -1}})
    assert (status, "must be greater than or equal to 0" in answer["message"]) == (422, True)


async def test_a_binding_gives_a_pod_its_node_once(api, make_pod):
    await api.make(PODS, make_pod())
    binding = {"metadata": {"name": "web"}, "target": {"kind": "Node", "name": "node-1"}}
    status, answer = await api.post(f"{PODS}/web/binding", binding)
    assert (status, answer["status"]) == (201, "Success")
    bound = (await api.get(f"{PODS}/web"))[1]
    assert bound["spec"]["nodeName"] == "node-1"
    assert [(c["type"], c["status"]) for c in bound["status"]["conditions"]] == [
        ("PodScheduled", "True")
    ]
    status, answer = await api.post(f"{PODS}/web/binding", binding)
    assert (status, answer["message"]) == (
        409,
        'Operation cannot be fulfilled on pods/binding "web": '
        'pod web is already assigned to node "node-1"',
    )
    gone = {"metadata": {"name": "nix"}, "target": {"name": "n"}}
    assert (await api.post(f"{PODS}/nix/binding", gone))[0] == 404
    status, answer = await api.post(f"{PODS}/web/binding", {"target": {"name": "n"}})
    told = "name in URL does not match name in Binding object"
    assert (status, answer["message"]) == (400, told)


async def test_a_binding_can_be_posted_on_its_own(api, make_pod):
    await api.make(PODS, make_pod())
    bindings = PODS.replace("pods", "bindings")
    target = {"kind": "Node", "name": "node-1"}
    status, answer = await api.post(bindings, {"metadata": {}, "target": target})
    assert (status, answer["message"]) == (400, "Name parameter required.")
    status, answer = await api.post(bindings, {"metadata": {"name": "web"}, "target": target})
    assert (status, answer["status"]) == (201, "Success")
    assert (await api.get(f"{PODS}/web"))[1]["spec"]["nodeName"] == "node-1"


async def test_other_parts_can_refuse_a_write(api):
    seen = []

    def validator(context, new, old):
        seen.append((context.user.name, context.subresource, bool(new), bool(old)))
        if new and new.get("data") == {"no": "no"}:
            raise errors.forbidden("configmaps", "a", "not that")

    api.server.validators.append(validator)
    await api.make(CONFIG_MAPS, {"metadata": {"name": "a"}})
    assert (await api.patch(f"{CONFIG_MAPS}/a", {"data": {"no": "no"}}))[0] == 403
    assert (await api.delete(f"{CONFIG_MAPS}/a"))[0] == 200
    assert seen == [
        ("admin", "", True, False),
        ("admin", "", True, True),
        ("admin", "", False, True),
    ]


async def test_a_failing_part_becomes_a_500_and_not_an_exception(api):
    def broken(context, new, old):
        raise RuntimeError("boom")

    api.server.validators.append(broken)
    status, answer = await api.post(CONFIG_MAPS, {"metadata": {"name": "a"}})
    assert (status, answer["reason"]) == (500, "InternalError")
    assert "boom" in answer["message"]


async def test_events_are_forgotten_after_an_hour(api):
    expiring = asyncio.create_task(api.store.run())
    events = "/api/v1/namespaces/default/events"
    about = {"kind": "Pod", "namespace": "default", "name": "web"}
    await api.make(events, {"metadata": {"name": "e"}, "involvedObject": about})
    await api.clock.advance(3590)
    assert (await api.get(f"{events}/e"))[0] == 200
    await api.clock.advance(120)
    assert (await api.get(f"{events}/e"))[0] == 404
    expiring.cancel()


def _deployment():
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": "nginx"}]},
    }
    selector = {"matchLabels": {"app": "web"}}
    return {"metadata": {"name": "web"}, "spec": {"selector": selector, "template": template}}


async def test_namespaced_objects_are_written_in_a_namespace(api, make_pod):
    assert (await api.post("/api/v1/pods", make_pod()))[0] == 405
    assert (await api.delete("/api/v1/pods"))[0] == 405
    status, answer = await api.post("/api/v1/namespaces/nix/pods", make_pod())
    assert (status, answer["message"]) == (404, 'namespaces "nix" not found')
    assert (await api.get("/api/v1/namespaces/default/nodes"))[0] == 404


async def test_an_object_from_elsewhere_is_created_without_its_version(api):
    body = {"metadata": {"name": "a", "resourceVersion": "12"}}
    status, answer = await api.post(CONFIG_MAPS, body)
    assert (status, answer["message"]) == (
        500,
        "resourceVersion should not be set on objects to be created",
    )


async def test_a_cluster_goes_on_where_it_was_when_its_file_is_opened_again(tmp_path):
    clock = Clock(speed=0)
    store = Etcd(SqliteBackend(tmp_path / "etcd.db"), clock)
    client = Client(APIServer(store, clock), "tester")
    made = await client.create("configmaps", {"metadata": {"name": "a"}}, "default")
    store.close()
    store = Etcd(SqliteBackend(tmp_path / "etcd.db"), clock)
    client = Client(APIServer(store, clock), "tester")
    assert await client.get("configmaps", "a", "default") == made
    since = str(int(made["metadata"]["resourceVersion"]) - 1)
    assert await anext(client.watch("configmaps", resource_version=since)) == ("ADDED", made)
    store.close()
