"""Custom resources: pruned, defaulted, validated, scaled, printed, converted."""

import copy
import json

import pytest

from kubesim.apiserver.request import Request, UserInfo

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
GADGETS = "/apis/ext.example.com/v1/namespaces/default/gadgets"
NAME = "gadgets.ext.example.com"


def gadget(name="one", **spec):
    return {"metadata": {"name": name}, "spec": spec}


async def test_defaults_are_filled_in_and_unknown_fields_dropped(with_definitions, make_definition):
    async with with_definitions(make_definition()) as api:
        response = await api.respond("POST", GADGETS, gadget(size=5, maybe=None, replicas=None))
        made = json.loads(response.body)
        assert made["spec"] == {"maybe": None, "replicas": 1, "color": "red"}
        assert made["apiVersion"] == "ext.example.com/v1"
        assert response.headers["warning"] == '299 - "unknown field \\"spec.size\\""'
        status, answer = await api.post(f"{GADGETS}?fieldValidation=Strict", gadget("two", size=5))
        assert status == 400
        assert answer["message"].endswith('strict decoding error: unknown field "spec.size"')


async def test_defaults_that_came_later_are_seen_in_what_was_stored(
    with_definitions, make_definition
):
    async with with_definitions(make_definition()) as api:
        await api.make(GADGETS, gadget())
        changed = make_definition()
        schema = changed["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        added = {"type": "integer", "default": 7}
        schema["properties"]["spec"]["properties"]["late"] = added
        spec = {"spec": changed["spec"]}
        status, answer = await api.patch(f"{DEFINITIONS}/{NAME}", spec)
        assert status == 200, answer
        await api.clock.advance(0)
        _, found = await api.get(f"{GADGETS}/one")
        assert found["spec"]["late"] == 7


async def test_values_are_validated(with_definitions, make_definition):
    async with with_definitions(make_definition()) as api:
        status, answer = await api.post(GADGETS, gadget(replicas=99, color="blue"))
        assert status == 422
        assert answer["message"] == (
            'Gadget.ext.example.com "one" is invalid: '
            "[spec.replicas: Invalid value: 99: spec.replicas in body should be less than or equal "
            'to 10, spec.color: Unsupported value: "blue": supported values: "red", "green"]'
        )
        await api.make(GADGETS, gadget())
        operation = [{"op": "replace", "path": "/spec/replicas", "value": "many"}]
        status, answer = await api.patch(f"{GADGETS}/one", operation, kind="json")
        assert status == 422
        assert [cause["message"] for cause in answer["details"]["causes"]] == [
            'Invalid value: "string": spec.replicas in body must be of type integer: "string"',
            "Invalid value: 0: .spec.replicas accessor error: many is of the type string, "
            "expected int64",
        ]


async def test_a_status_is_written_apart(with_definitions, make_definition):
    async with with_definitions(make_definition()) as api:
        made = await api.make(GADGETS, gadget() | {"status": {"replicas": 3}})
        assert "status" not in made
        change = {"status": {"replicas": 3}, "spec": {"color": "green"}}
        _, found = await api.patch(f"{GADGETS}/one/status", change)
        assert (found["status"], found["spec"]["color"]) == ({"replicas": 3}, "red")
        assert found["metadata"]["generation"] == 1
        _, found = await api.patch(f"{GADGETS}/one", {"status": None, "spec": {"color": "green"}})
        assert (found["status"], found["spec"]["color"]) == ({"replicas": 3}, "green")
        assert found["metadata"]["generation"] == 2


async def test_an_object_is_scaled_by_its_paths(with_definitions, make_definition):
    async with with_definitions(make_definition()) as api:
        await api.make(GADGETS, gadget(replicas=2))
        await api.patch(f"{GADGETS}/one/status", {"status": {"replicas": 1, "selector": "a=b"}})
        _, scale = await api.get(f"{GADGETS}/one/scale")
        assert (scale["spec"], scale["status"]) == (
            {"replicas": 2},
            {"replicas": 1, "selector": "a=b"},
        )
        _, scale = await api.put(f"{GADGETS}/one/scale", scale | {"spec": {"replicas": 5}})
        assert scale["spec"] == {"replicas": 5}
        _, found = await api.get(f"{GADGETS}/one")
        assert (found["spec"]["replicas"], found["metadata"]["generation"]) == (5, 2)


async def test_a_table_has_the_columns_of_the_definition(with_definitions, make_definition):
    async with with_definitions(make_definition()) as api:
        await api.make(GADGETS, gadget(tags=["a", "b"]))
        accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
        request = Request("GET", GADGETS, {}, {"accept": accept}, user=UserInfo("admin"))
        response = await api.server.handle(request)
        table = json.loads(response.body)
        columns = [(c["name"], c["priority"]) for c in table["columnDefinitions"]]
        assert columns == [("Name", 0), ("Size", 0), ("Tags", 1), ("Age", 0)]
        assert table["rows"][0]["cells"] == ["one", 1, '["a","b"]', "0s"]


async def test_versions_are_read_in_the_form_that_is_asked_for(with_definitions, make_definition):
    defined = make_definition()
    newer = copy.deepcopy(defined["spec"]["versions"][0]) | {"name": "v2", "storage": False}
    schema = newer["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    schema["extra"] = {"type": "string", "default": "yes"}
    defined["spec"]["versions"][0] |= {"deprecated": True}
    defined["spec"]["versions"].append(newer)
    async with with_definitions(defined) as api:
        await api.make(GADGETS, gadget())
        _, found = await api.get(GADGETS.replace("/v1/", "/v2/") + "/one")
        assert (found["apiVersion"], found["spec"]["extra"]) == ("ext.example.com/v2", "yes")
        response = await api.respond("GET", f"{GADGETS}/one")
        assert "extra" not in json.loads(response.body)["spec"]
        told = "ext.example.com/v1 Gadget is deprecated; use ext.example.com/v2 Gadget"
        assert told in response.headers["warning"]
        _, group = await api.get("/apis/ext.example.com")
        assert group["preferredVersion"]["version"] == "v2"


async def test_a_strategic_patch_is_not_spoken(with_definitions, make_definition):
    async with with_definitions(make_definition()) as api:
        await api.make(GADGETS, gadget())
        status, answer = await api.patch(f"{GADGETS}/one", {"spec": {}}, kind="strategic")
        assert status == 415
        assert "strategic" not in answer["message"]


async def test_an_update_must_name_the_version_it_replaces(with_definitions, make_definition):
    async with with_definitions(make_definition()) as api:
        await api.make(GADGETS, gadget())
        status, answer = await api.put(f"{GADGETS}/one", gadget())
        assert status == 422
        assert answer["details"]["causes"][0]["field"] == "metadata.resourceVersion"


async def test_applying_owns_the_items_of_a_list_with_keys(with_definitions, make_definition):
    defined = make_definition()
    schema = defined["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    schema["properties"]["ports"] = {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "items": {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string"}, "port": {"type": "integer"}},
        },
    }
    async with with_definitions(defined) as api:
        for manager, name in (("a", "http"), ("b", "dns")):
            head = {"apiVersion": "ext.example.com/v1", "kind": "Gadget"}
            declared = head | gadget(ports=[{"name": name, "port": 1}])
            path = f"{GADGETS}/one?fieldManager={manager}"
            status, found = await api.patch(path, declared, kind="apply")
            assert status in (200, 201), found
        assert [port["name"] for port in found["spec"]["ports"]] == ["http", "dns"]


@pytest.mark.parametrize(("label", "count"), [("spec.color=red", 1), ("spec.color=green", 0)])
async def test_objects_are_selected_by_the_fields_that_are_selectable(
    with_definitions, make_definition, label, count
):
    defined = make_definition()
    defined["spec"]["versions"][0]["selectableFields"] = [{"jsonPath": ".spec.color"}]
    async with with_definitions(defined) as api:
        await api.make(GADGETS, gadget())
        _, found = await api.get(f"{GADGETS}?fieldSelector={label}")
        assert len(found["items"]) == count
