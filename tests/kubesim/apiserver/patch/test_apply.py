"""Server-side apply, and who owns which field."""

import pytest

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


def config(**data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data}


async def apply(api, body, manager="one", force=False, subresource=""):
    collection = DEPLOYMENTS if body["kind"] == "Deployment" else CONFIG_MAPS
    target = f"{collection}/{body['metadata']['name']}{subresource}?fieldManager={manager}"
    return await api.patch(f"{target}&force=true" if force else target, body, "apply")


def owners(obj):
    return {
        (entry["manager"], entry["operation"], entry.get("subresource", "")): entry["fieldsV1"]
        for entry in obj["metadata"]["managedFields"]
    }


async def test_applying_creates_and_owns_what_it_declares(api, make_deployment):
    body = make_deployment(replicas=3)
    body["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": 80}]
    status, made = await apply(api, body)
    assert status == 201
    assert owners(made) == {
        ("one", "Apply", ""): {
            "f:spec": {
                "f:replicas": {},
                "f:selector": {},
                "f:template": {
                    "f:metadata": {"f:labels": {"f:app": {}}},
                    "f:spec": {
                        "f:containers": {
                            'k:{"name":"main"}': {
                                ".": {},
                                "f:image": {},
                                "f:name": {},
                                "f:ports": {
                                    'k:{"containerPort":80,"protocol":"TCP"}': {
                                        ".": {},
                                        "f:containerPort": {},
                                    }
                                },
                            }
                        }
                    },
                },
            }
        }
    }
    status, again = await apply(api, body)
    assert (status, again) == (200, made)


async def test_what_is_no_longer_declared_goes_away(api):
    await apply(api, config(a="1", b="2"))
    _status, answer = await apply(api, config(a="1"))
    assert answer["data"] == {"a": "1"}


async def test_what_others_own_stays(api):
    await apply(api, config(a="1", b="2"))
    _, answer = await apply(api, config(b="2", c="3"), manager="two")
    assert answer["data"] == {"a": "1", "b": "2", "c": "3"}
    _, answer = await apply(api, config(a="1"))
    assert answer["data"] == {"a": "1", "b": "2", "c": "3"}
    _status, answer = await apply(api, config(c="3"), manager="two")
    assert answer["data"] == {"a": "1", "c": "3"}


async def test_changing_what_another_owns_is_a_conflict_unless_forced(api):
    await apply(api, config(a="1", b="2"))
    status, answer = await apply(api, config(a="9"), manager="two")
    assert (status, answer["reason"]) == (409, "Conflict")
    assert answer["message"] == 'Apply failed with 1 conflict: conflict with "one": .data.a'
    cause = {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.a"}
    assert answer["details"]["causes"] == [cause]
    status, answer = await apply(api, config(a="9", b="9"), manager="two")
    assert answer["message"] == (
        'Apply failed with 2 conflicts: conflicts with "one":\n- .data.a\n- .data.b'
    )
    status, answer = await apply(api, config(a="9"), manager="two", force=True)
    assert (status, answer["data"]) == (200, {"a": "9", "b": "2"})
    assert owners(answer) == {
        ("one", "Apply", ""): {"f:data": {"f:b": {}}},
        ("two", "Apply", ""): {"f:data": {"f:a": {}}},
    }


async def test_a_conflict_with_an_update_names_its_version_and_subresource(api, make_deployment):
    await apply(api, make_deployment(replicas=1))
    await api.patch(f"{DEPLOYMENTS}/web/scale?fieldManager=scaler", {"spec": {"replicas": 5}})
    _, answer = await apply(api, make_deployment(replicas=2))
    assert answer["message"] == (
        'Apply failed with 1 conflict: conflict with "scaler" with subresource "scale" '
        "using apps/v1: .spec.replicas"
    )
    image = make_deployment()
    image["spec"]["template"]["spec"]["containers"][0]["image"] = "nginx:1.27"
    await api.patch(
        f"{DEPLOYMENTS}/web?fieldManager=kubectl-edit", {"spec": image["spec"]}, "strategic"
    )
    _status, answer = await apply(api, make_deployment())
    assert answer["message"] == (
        'Apply failed with 1 conflict: conflict with "kubectl-edit" using apps/v1: '
        '.spec.template.spec.containers[name="main"].image'
    )


async def test_agreeing_is_sharing(api):
    await apply(api, config(a="1"))
    status, answer = await apply(api, config(a="1"), manager="two")
    assert (status, len(owners(answer))) == (200, 2)


async def test_list_items_are_owned_one_by_one(api, make_deployment):
    mine, yours = make_deployment(), make_deployment()
    sidecar = {"name": "side", "image": "busybox:1.36"}
    yours["spec"]["template"]["spec"]["containers"] = [sidecar]
    await apply(api, mine)
    _, answer = await apply(api, yours, manager="two")
    containers = answer["spec"]["template"]["spec"]["containers"]
    assert [container["name"] for container in containers] == ["main", "side"]
    del yours["spec"]["template"]["spec"]
    _status, answer = await apply(api, yours, manager="two")
    containers = answer["spec"]["template"]["spec"]["containers"]
    assert [container["name"] for container in containers] == ["main"]


async def test_a_struct_goes_with_its_defaults_when_it_is_no_longer_declared(api, make_deployment):
    body = make_deployment()
    container = body["spec"]["template"]["spec"]["containers"][0]
    container["livenessProbe"] = {"httpGet": {"port": 80}}
    await apply(api, body)
    del container["livenessProbe"]
    _status, answer = await apply(api, body)
    assert "livenessProbe" not in answer["spec"]["template"]["spec"]["containers"][0]


async def test_declaring_less_metadata_leaves_the_name(api):
    body = config(a="1")
    body["metadata"]["labels"] = {"x": "1"}
    await apply(api, body)
    status, answer = await apply(api, config())
    assert (status, answer["metadata"]["name"]) == (200, "c")
    assert "labels" not in answer["metadata"]
    assert "data" not in answer


async def test_giving_up_a_field_that_nobody_else_owns_restores_its_default(api, make_deployment):
    await apply(api, make_deployment(replicas=3))
    _status, answer = await apply(api, make_deployment())
    assert answer["spec"]["replicas"] == 1


async def test_every_other_write_records_its_owner_too(api, make_deployment):
    _, made = await api.post(f"{DEPLOYMENTS}?fieldManager=creator", make_deployment())
    fields = owners(made)["creator", "Update", ""]
    assert fields["f:spec"]["f:strategy"] == {
        "f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}},
        "f:type": {},
    }
    assert fields["f:spec"]["f:template"]["f:metadata"] == {"f:labels": {".": {}, "f:app": {}}}
    change = {"metadata": {"annotations": {"a": "b"}}, "status": {"replicas": 1}}
    _, answer = await api.patch(f"{DEPLOYMENTS}/web/status", change)
    assert owners(answer)["tester", "Update", "status"] == {
        "f:metadata": {"f:annotations": {".": {}, "f:a": {}}},
        "f:status": {"f:replicas": {}},
    }
    taken = {"spec": {"replicas": 4}, "metadata": {"annotations": {"a": None}}}
    _status, answer = await api.patch(f"{DEPLOYMENTS}/web", taken)
    assert "f:replicas" not in owners(answer)["creator", "Update", ""]["f:spec"]
    assert owners(answer)["tester", "Update", ""] == {"f:spec": {"f:replicas": {}}}
    assert owners(answer)["tester", "Update", "status"] == {"f:status": {"f:replicas": {}}}


async def test_kubectl_moves_from_client_side_to_server_side_apply(api):
    last_applied = '{"kind":"ConfigMap","metadata":{"name":"c"},"data":{"a":"1"}}'
    made = config(a="1", b="1")
    made["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/last-applied-configuration": last_applied
    }
    await api.make(f"{CONFIG_MAPS}?fieldManager=kubectl-client-side-apply", made)
    assert (await apply(api, config(a="2"), manager="someone"))[0] == 409
    status, answer = await apply(api, config(a="2"), manager="kubectl")
    assert (status, answer["data"]) == (200, {"a": "2", "b": "1"})
    assert (await apply(api, config(b="2"), manager="kubectl"))[0] == 409


@pytest.mark.parametrize(
    ("body", "query", "code", "words"),
    [
        (config(a="1"), "", 422, "fieldManager: Required value: is required for apply patch"),
        (
            config(a=1),
            "?fieldManager=x",
            500,
            "create typed patch object (c; /v1, Kind=ConfigMap): .data.a: expected string",
        ),
        (config() | {"dat": {}}, "?fieldManager=x", 500, ".dat: field not declared in schema"),
        (config() | {"kind": "Secret"}, "?fieldManager=x", 400, "Secret"),
        (config() | {"metadata": {"name": "d"}}, "?fieldManager=x", 400, "does not match"),
        (
            config() | {"metadata": {"managedFields": [{"manager": "m", "operation": "Apply"}]}},
            "?fieldManager=x",
            400,
            "metadata.managedFields must be nil",
        ),
        (b"a: [", "?fieldManager=x", 400, "yaml"),
    ],
)
async def test_declarations_that_cannot_be_applied(api, body, query, code, words):
    status, answer = await api.patch(f"{CONFIG_MAPS}/c{query}", body, "apply")
    assert (status, words in answer["message"]) == (code, True), answer


async def test_declarations_may_be_yaml(api):
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: '1'}\n"
    status, answer = await api.patch(f"{CONFIG_MAPS}/c?fieldManager=x", body, "apply")
    assert (status, answer["data"]) == (201, {"a": "1"})
