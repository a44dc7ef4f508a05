"""The three patches that need no owner: JSON, merge and strategic merge."""

import pytest

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
PODS = "/api/v1/namespaces/default/pods"


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([{"op": "add", "path": "/data/x", "value": "1"}], {"a": "1", "b": "2", "x": "1"}),
        ([{"op": "remove", "path": "/data/a"}], {"b": "2"}),
        ([{"op": "replace", "path": "/data/a", "value": "9"}], {"a": "9", "b": "2"}),
        ([{"op": "move", "from": "/data/a", "path": "/data/c"}], {"b": "2", "c": "1"}),
        ([{"op": "copy", "from": "/data/a", "path": "/data/c"}], {"a": "1", "b": "2", "c": "1"}),
        (
            [
                {"op": "test", "path": "/data/a", "value": "1"},
                {"op": "replace", "path": "/data", "value": {"z": "z"}},
            ],
            {"z": "z"},
        ),
    ],
)
async def test_a_json_patch_does_its_operations_in_order(api, operations, expected):
    await api.make(CONFIG_MAPS, {"metadata": {"name": "c"}, "data": {"a": "1", "b": "2"}})
    status, answer = await api.patch(f"{CONFIG_MAPS}/c", operations, "json")
    assert (status, answer["data"]) == (200, expected)


async def test_json_pointers_escape_slashes(api):
    await api.make(CONFIG_MAPS, {"metadata": {"name": "c", "labels": {"x.io/y": "1"}}})
    operation = {"op": "replace", "path": "/metadata/labels/x.io~1y", "value": "2"}
    status, answer = await api.patch(f"{CONFIG_MAPS}/c", [operation], "json")
    assert (status, answer["metadata"]["labels"]) == (200, {"x.io/y": "2"})


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/data/a", "value": "2"},
        {"op": "remove", "path": "/data/missing"},
        {"op": "replace", "path": "/data/missing", "value": "1"},
        {"op": "add", "path": "/missing/x", "value": "1"},
        {"op": "add", "path": "/metadata/finalizers/7", "value": "1"},
        {"op": "add", "path": "data/x", "value": "1"},
        {"op": "add", "path": "/data/x"},
        {"op": "frob", "path": "/data/x"},
        {"op": "move", "path": "/data/x"},
        "frob",
    ],
)
async def test_a_json_patch_that_does_not_fit_changes_nothing(api, operation):
    body = {"metadata": {"name": "c", "finalizers": ["a.b/c"]}, "data": {"a": "1"}}
    made = await api.make(CONFIG_MAPS, body)
    good = {"op": "add", "path": "/data/good", "value": "1"}
    status, answer = await api.patch(f"{CONFIG_MAPS}/c", [good, operation], "json")
    assert (status, answer["reason"]) == (422, "Invalid")
    assert answer["message"].startswith("the server rejected our request due to an error")
    assert (await api.get(f"{CONFIG_MAPS}/c"))[1] == made


async def test_json_patches_of_lists(api, make_pod):
    tolerations = [{"key": key, "operator": "Exists"} for key in ("a", "b")]
    await api.make(PODS, make_pod(tolerations=tolerations))
    added = {"key": "c", "operator": "Exists"}
    path = "/spec/tolerations/-"
    status, answer = await api.patch(
        f"{PODS}/web", [{"op": "add", "path": path, "value": added}], "json"
    )
    assert (status, answer["spec"]["tolerations"][-1]) == (200, added)


async def test_a_merge_patch_merges_maps_deletes_by_null_and_replaces_lists(api, make_deployment):
    await api.make(DEPLOYMENTS, make_deployment())
    change = {
        "metadata": {"labels": {"x": "1"}},
        "spec": {
            "revisionHistoryLimit": None,
            "template": {"spec": {"containers": [{"name": "other", "image": "busybox:1.36"}]}},
        },
    }
    status, answer = await api.patch(f"{DEPLOYMENTS}/web", change, "merge")
    assert status == 200
    assert answer["metadata"]["labels"] == {"x": "1"}
    assert answer["spec"]["revisionHistoryLimit"] == 10  # the default, filled in anew
    containers = answer["spec"]["template"]["spec"]["containers"]
    assert [container["name"] for container in containers] == ["other"]


async def test_a_strategic_patch_merges_lists_by_their_key(api, make_deployment):
    await api.make(DEPLOYMENTS, make_deployment())
    change = {
        "spec": {"template": {"spec": {"containers": [{"name": "main", "image": "nginx:1.27"}]}}}
    }
    _, answer = await api.patch(f"{DEPLOYMENTS}/web", change, "strategic")
    (container,) = answer["spec"]["template"]["spec"]["containers"]
    assert (container["image"], container["terminationMessagePolicy"]) == ("nginx:1.27", "File")
    sidecar = {"name": "side", "image": "busybox:1.36"}
    change["spec"]["template"]["spec"]["containers"] = [sidecar]
    _status, answer = await api.patch(f"{DEPLOYMENTS}/web", change, "strategic")
    assert names(answer["spec"]["template"]["spec"]["containers"]) == ["side", "main"]


def names(items):
    return [item["name"] for item in items]


async def strategic(api, make_deployment, spec):
    """Patch the Pod template of a Deployment; return the template's spec."""
    containers = [
        {
            "name": name,
            "image": "i",
            "ports": [{"containerPort": 80}, {"containerPort": 81}],
            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
        }
        for name in ("one", "two", "three")
    ]
    made = make_deployment()
    made["spec"]["template"]["spec"] = {"containers": containers, "volumes": [{"name": "v"}]}
    await api.make(DEPLOYMENTS, made)
    status, answer = await api.patch(
        f"{DEPLOYMENTS}/web", {"spec": {"template": {"spec": spec}}}, "strategic"
    )
    assert status == 200, answer
    return answer["spec"]["template"]["spec"]


async def test_patch_delete_takes_an_item_out(api, make_deployment):
    spec = await strategic(
        api,
        make_deployment,
        {
            "containers": [
                {"name": "two", "$patch": "delete"},
                {"name": "one", "env": [{"name": "A", "$patch": "delete"}]},
            ]
        },
    )
    assert names(spec["containers"]) == ["one", "three"]
    assert names(spec["containers"][0]["env"]) == ["B"]


async def test_patch_replace_replaces_a_list_an_item_or_a_map(api, make_deployment):
    only = {"name": "only", "image": "i"}
    spec = await strategic(
        api,
        make_deployment,
        {
            "containers": [only, {"$patch": "replace"}],
            "securityContext": {"$patch": "replace", "runAsUser": 7},
        },
    )
    assert names(spec["containers"]) == ["only"]
    assert spec["securityContext"] == {"runAsUser": 7}


async def test_set_element_order_sorts_and_keeps_the_unnamed(api, make_deployment):
    spec = await strategic(
        api,
        make_deployment,
        {
            "$setElementOrder/containers": [{"name": "three"}, {"name": "new"}, {"name": "one"}],
            "containers": [{"name": "new", "image": "i"}],
        },
    )
    assert names(spec["containers"]) == ["two", "three", "new", "one"]


async def test_retain_keys_drops_the_rest(api, make_deployment):
    await api.make(DEPLOYMENTS, make_deployment())
    change = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    status, answer = await api.patch(f"{DEPLOYMENTS}/web", change, "strategic")
    assert (status, answer["spec"]["strategy"]) == (200, {"type": "Recreate"})


async def test_delete_from_primitive_list(api):
    await api.make(CONFIG_MAPS, {"metadata": {"name": "c", "finalizers": ["a.b/1", "a.b/2"]}})
    change = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a.b/1"]}}
    status, answer = await api.patch(f"{CONFIG_MAPS}/c", change, "strategic")
    assert (status, answer["metadata"]["finalizers"]) == (200, ["a.b/2"])
    change = {"metadata": {"finalizers": ["a.b/3"]}}
    status, answer = await api.patch(f"{CONFIG_MAPS}/c", change, "strategic")
    assert sorted(answer["metadata"]["finalizers"]) == ["a.b/2", "a.b/3"]


async def test_service_ports_merge_by_port(api):
    services = "/api/v1/namespaces/default/services"
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 81}]
    await api.make(services, {"metadata": {"name": "s"}, "spec": {"ports": ports}})
    change = {"spec": {"ports": [{"port": 81, "targetPort": 8081}]}}
    _status, answer = await api.patch(f"{services}/s", change, "strategic")
    assert [(p["name"], p["targetPort"]) for p in answer["spec"]["ports"]] == [
        ("a", 80),
        ("b", 8081),
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"spec": {"$patch": "frob"}},
        {"spec": {"strategy": {"$retainKeys": "type"}}},
    ],
)
async def test_strategic_patches_that_make_no_sense(api, make_deployment, change):
    await api.make(DEPLOYMENTS, make_deployment())
    status, answer = await api.patch(f"{DEPLOYMENTS}/web", change, "strategic")
    assert (status, answer["reason"]) == (400, "BadRequest")


async def test_a_patch_can_insist_on_a_version(api):
    made = await api.make(CONFIG_MAPS, {"metadata": {"name": "c"}})
    change = {"metadata": {"resourceVersion": "1"}, "data": {"a": "1"}}
    assert (await api.patch(f"{CONFIG_MAPS}/c", change))[0] == 409
    change["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"]
    assert (await api.patch(f"{CONFIG_MAPS}/c", change))[0] == 200


async def test_patches_that_cannot_be_read(api):
    await api.make(CONFIG_MAPS, {"metadata": {"name": "c"}})
    status, answer = await api.ask("PATCH", f"{CONFIG_MAPS}/c", {}, "application/json")
    assert (status, answer["message"]) == (415, "415: Unsupported Media Type")
    assert (await api.patch(f"{CONFIG_MAPS}/c", b"{"))[0] == 400
    assert (await api.patch(f"{CONFIG_MAPS}/c", []))[0] == 400
    assert (await api.patch(f"{CONFIG_MAPS}/nix", {}))[0] == 404
    status, answer = await api.patch(f"{CONFIG_MAPS}/c", {"metadata": {"uid": "another"}})
    assert (status, "metadata.uid" in answer["message"]) == (422, True)
