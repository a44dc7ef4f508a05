"""CustomResourceDefinitions: what they may say, and how they come and go."""

import json

import pytest

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
GADGETS = "/apis/ext.example.com/v1/namespaces/default/gadgets"
NAME = "gadgets.ext.example.com"


def conditions(definition):
    return {c["type"]: (c["status"], c["reason"]) for c in definition["status"]["conditions"]}


async def refused(api, definition):
    status, answer = await api.post(DEFINITIONS, definition)
    assert status == 422, answer
    return {(cause["field"], cause["message"]) for cause in answer["details"]["causes"]}


async def test_a_definition_is_accepted_established_and_served(with_definitions, make_definition):
    async with with_definitions(make_definition()) as api:
        _, found = await api.get(f"{DEFINITIONS}/{NAME}")
        assert conditions(found) == {
            "NamesAccepted": ("True", "NoConflicts"),
            "Established": ("True", "InitialNamesAccepted"),
        }
        assert found["status"]["acceptedNames"] == {
            "plural": "gadgets",
            "singular": "gadget",
            "kind": "Gadget",
            "listKind": "GadgetList",
            "shortNames": ["gd"],
        }
        assert found["status"]["storedVersions"] == ["v1"]
        assert found["spec"]["conversion"] == {"strategy": "None"}
        _, listed = await api.get("/apis/ext.example.com/v1")
        names = [resource["name"] for resource in listed["resources"]]
        assert names == ["gadgets", "gadgets/status", "gadgets/scale"]
        _, document = await api.get("/openapi/v3/apis/ext.example.com/v1")
        published = document["components"]["schemas"]["com.example.ext.v1.Gadget"]
        assert set(published["properties"]) == {"apiVersion", "kind", "metadata", "spec", "status"}


async def test_names_that_are_taken_are_not_accepted(with_definitions, make_definition):
    rival = {"plural": "rivals", "kind": "Gadget", "shortNames": ["gd"]}
    async with with_definitions(make_definition(), make_definition(names=rival)) as api:
        _, found = await api.get(f"{DEFINITIONS}/rivals.ext.example.com")
        assert conditions(found)["NamesAccepted"] == ("False", "ShortNamesConflict")
        assert conditions(found)["Established"] == ("False", "NotAccepted")
        assert (await api.respond("GET", "/apis/ext.example.com/v1/rivals")).status == 404
        await api.delete(f"{DEFINITIONS}/{NAME}")
        await api.clock.advance(0)
        _, found = await api.get(f"{DEFINITIONS}/rivals.ext.example.com")
        assert conditions(found)["Established"] == ("True", "InitialNamesAccepted")


async def test_a_definition_goes_after_its_objects(with_definitions, make_definition):
    async with with_definitions(make_definition()) as api:
        held = {"name": "held", "finalizers": ["example.com/hold"]}
        await api.make(GADGETS, {"metadata": held, "spec": {}})
        await api.make(GADGETS, {"metadata": {"name": "free"}, "spec": {}})
        status, answer = await api.delete(f"{DEFINITIONS}/{NAME}")
        assert (status, answer["kind"]) == (200, "CustomResourceDefinition")
        await api.clock.advance(0)
        _, found = await api.get(f"{DEFINITIONS}/{NAME}")
        assert conditions(found)["Terminating"] == ("True", "InstanceDeletionInProgress")
        assert (await api.get(f"{GADGETS}/free"))[0] == 404
        status, answer = await api.post(GADGETS, {"metadata": {"name": "late"}, "spec": {}})
        assert status == 405
        assert "not allowed while custom resource definition is terminating" in answer["message"]
        await api.patch(f"{GADGETS}/held", {"metadata": {"finalizers": None}})
        await api.clock.advance(6)
        assert (await api.get(f"{DEFINITIONS}/{NAME}"))[0] == 404
        assert (await api.respond("GET", GADGETS)).status == 404


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"group": "example"}, ("spec.group", "should be a domain with at least one dot")),
        ({"scope": "Galaxy"}, ("spec.scope", 'supported values: "Cluster", "Namespaced"')),
        ({"scope": None}, ("spec.scope", "Required value")),
        ({"versions": []}, ("spec.versions", "exactly one version marked as storage version")),
        ({"group": "x.k8s.io"}, ("metadata.annotations[api-approved.kubernetes.io]", "protected")),
        ({"preserveUnknownFields": True}, ("spec.preserveUnknownFields", "cannot set to true")),
        ({"conversion": {"strategy": "Webhook"}}, ("spec.conversion.strategy", "no webhooks")),
        (
            {"names": {"plural": "gadgets", "kind": "Gad get"}},
            ("spec.names.kind", "may have mixed case, but should otherwise match"),
        ),
        (
            {"names": {"plural": "gadgets", "kind": "Gadget", "listKind": "Gadget"}},
            ("spec.names.listKind", "kind and listKind may not be the same"),
        ),
    ],
)
async def test_what_a_definition_may_not_say(api, make_definition, change, cause):
    found = await refused(api, make_definition(**change))
    assert any(field == cause[0] and cause[1] in message for field, message in found), found


TOP = "spec.validation.openAPIV3Schema"


@pytest.mark.parametrize(
    ("schema", "field", "message"),
    [
        ({}, "spec.versions[0].schema.openAPIV3Schema", "schemas are required"),
        ({"type": "string"}, f"{TOP}.type", "must be object at the root"),
        (
            {"type": "object", "properties": {"spec": {}}},
            f"{TOP}.properties[spec].type",
            "must not be empty for specified object fields",
        ),
        (
            {"type": "object", "properties": {"spec": {"type": "array"}}},
            f"{TOP}.properties[spec].items",
            "must be specified",
        ),
        (
            {"type": "object", "properties": {"spec": {"type": "strin"}}},
            f"{TOP}.properties[spec].type",
            'Unsupported value: "strin"',
        ),
        (
            {
                "type": "object",
                "properties": {
                    "spec": {"type": "object", "anyOf": [{"properties": {"a": {"minimum": 1}}}]}
                },
            },
            f"{TOP}.properties[spec].properties[a]",
            "because it is defined in",
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "string"}},
                "oneOf": [{"properties": {"a": {"type": "string"}}}],
            },
            f"{TOP}.oneOf[0].properties[a].type",
            "must be empty to be structural",
        ),
        (
            {
                "type": "object",
                "properties": {"metadata": {"type": "object", "properties": {"labels": {}}}},
            },
            f"{TOP}.properties[metadata]",
            "must not specify anything other than name and generateName",
        ),
        (
            {"type": "object", "properties": {"n": {"type": "integer", "default": "x"}}},
            f"{TOP}.properties[n].default",
            "must be of type integer",
        ),
        (
            {"type": "object", "properties": {"s": {"type": "string", "pattern": "("}}},
            f"{TOP}.properties[s].pattern",
            "must be a valid regular expression",
        ),
        (
            {
                "type": "object",
                "properties": {
                    "l": {
                        "type": "array",
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["a"],
                        "items": {"type": "object", "properties": {"a": {"type": "string"}}},
                    }
                },
            },
            f"{TOP}.properties[l].items.properties[a].default",
            "it must have a default or be a required property",
        ),
    ],
)
async def test_a_schema_must_be_structural(api, make_definition, schema, field, message):
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    found = await refused(api, make_definition(versions=[version]))
    assert any(field == where and message in told for where, told in found), found


async def test_causes_name_the_version_when_versions_differ(api, make_definition):
    good, bad = ({"type": "object"}, {"type": "object", "properties": {"a": {}}})
    versions = [
        {"name": name, "served": True, "storage": stored, "schema": {"openAPIV3Schema": schema}}
        for name, stored, schema in (("v1", True, good), ("v2", False, bad))
    ]
    found = await refused(api, make_definition(versions=versions))
    assert {field for field, _ in found} == {
        "spec.versions[1].schema.openAPIV3Schema.properties[a].type"
    }


async def test_what_is_stored_cannot_be_redefined(with_definitions, make_definition):
    async with with_definitions(make_definition()) as api:
        for change, field in (
            ({"scope": "Cluster"}, "spec.scope"),
            ({"names": {"kind": "Widget"}}, "spec.names.kind"),
        ):
            status, answer = await api.patch(f"{DEFINITIONS}/{NAME}", {"spec": change})
            assert status == 422
            assert answer["details"]["causes"][0]["field"] == field
            assert "field is immutable" in json.dumps(answer)
