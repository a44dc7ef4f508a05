"""Custom resources: a definition, and the objects of the kind that it defines."""

import json
import secrets
from functools import partial

import pytest
from kubernetes import client, watch

from kubelab import waiting
from tests.conformance.support import causes_of

GROUP = "conformance.example.com"
SPEC = {
    "type": "object",
    "properties": {
        "color": {"type": "string", "enum": ["red", "green"], "default": "red"},
        "replicas": {"type": "integer", "minimum": 1, "maximum": 10, "default": 1},
        "name": {"type": "string", "minLength": 2, "pattern": "^[a-z]+$"},
        "tags": {
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
            "x-kubernetes-list-type": "set",
        },
        "port": {"x-kubernetes-int-or-string": True},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "anything": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "maybe": {"type": "string", "nullable": True},
        "since": {"type": "string", "format": "date-time"},
        "either": {
            "type": "object",
            "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
            "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
        },
    },
}


def definition(plural, **spec):
    status = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    properties = {"spec": SPEC, "status": status}
    schema = {"type": "object", "required": ["spec"], "properties": properties}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "additionalPrinterColumns": [
            {"name": "Size", "type": "integer", "jsonPath": ".spec.replicas"},
            {"name": "Tags", "type": "string", "jsonPath": ".spec.tags", "priority": 1},
            {
                "name": "Ready",
                "type": "string",
                "jsonPath": '.status.conditions[?(@.type=="Ready")].status',
            },
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        ],
    }
    names = {"plural": plural, "kind": plural.capitalize()[:-1], "shortNames": [f"s{plural}"]}
    defaults = {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]}
    made = defaults | spec
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{made['names']['plural']}.{made['group']}"},
        "spec": made,
    }


@pytest.fixture(scope="module")
def extensions(cluster):
    return client.ApiextensionsV1Api(cluster.api_client())


@pytest.fixture(scope="module")
def define(extensions, cluster):
    """Makes a definition, waits until its kind is served; removes all at the end."""
    objects = client.CustomObjectsApi(cluster.api_client())
    made = []

    def make(**spec):
        plural = f"x{secrets.token_hex(4)}s"
        body = definition(plural, **spec)
        extensions.create_custom_resource_definition(body)
        made.append(body["metadata"]["name"])
        for version in body["spec"]["versions"]:
            listing = partial(objects.list_cluster_custom_object, GROUP, version["name"], plural)
            waiting.until(listing)
        return plural

    yield make
    for name in made:
        extensions.delete_custom_resource_definition(name)


@pytest.fixture(scope="module")
def plural(define):
    return define()


@pytest.fixture
def custom(cluster, plural, namespace):
    """The verbs on the module's kind, in the test's namespace."""
    return Custom(client.CustomObjectsApi(cluster.api_client()), plural, namespace)


class Custom:
    def __init__(self, api, plural, namespace):
        self.api, self.place = api, (GROUP, "v1", namespace, plural)
        self.kind = plural.capitalize()[:-1]

    def create(self, name="one", spec=None, **more):
        body = {
            "apiVersion": f"{GROUP}/v1",
            "kind": self.kind,
            "metadata": {"name": name} | more.pop("metadata", {}),
            "spec": spec or {},
        }
        return self.api.create_namespaced_custom_object(*self.place, body | more)

    def get(self, name="one"):
        return self.api.get_namespaced_custom_object(*self.place, name)

    def patch(self, body, name="one"):
        return self.api.patch_namespaced_custom_object(*self.place, name, body)

    def patch_status(self, body, name="one"):
        return self.api.patch_namespaced_custom_object_status(*self.place, name, body)


def test_a_definition_says_when_it_is_accepted_and_established(extensions, plural):
    status = extensions.read_custom_resource_definition(f"{plural}.{GROUP}").status
    assert [(c.type, c.status, c.reason, c.message) for c in status.conditions] == [
        ("NamesAccepted", "True", "NoConflicts", "no conflicts found"),
        (
            "Established",
            "True",
            "InitialNamesAccepted",
            "the initial names have been accepted",
        ),
    ]
    assert status.stored_versions == ["v1"]
    assert status.accepted_names.list_kind == f"{plural.capitalize()[:-1]}List"


def test_a_definition_gets_its_missing_names_and_conversion(extensions, plural):
    spec = extensions.read_custom_resource_definition(f"{plural}.{GROUP}").spec
    assert (spec.names.singular, spec.conversion.strategy) == (plural[:-1], "None")


def test_defaults_are_filled_in(custom):
    assert custom.create()["spec"] == {"color": "red", "replicas": 1}


def test_a_new_object_has_the_first_generation_and_no_status(custom):
    made = custom.create(status={"replicas": 3})
    assert made["metadata"]["generation"] == 1
    assert "status" not in made


def test_unknown_fields_are_dropped_unless_they_are_preserved(custom):
    made = custom.create(spec={"odd": 1, "anything": {"odd": {"deep": None}}})
    assert made["spec"] == {
        "color": "red",
        "replicas": 1,
        "anything": {"odd": {"deep": None}},
    }


def test_null_is_absent_unless_it_is_allowed(custom):
    made = custom.create(spec={"color": None, "maybe": None, "name": None})
    assert made["spec"] == {"color": "red", "replicas": 1, "maybe": None}


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        (
            {"replicas": 11},
            "spec.replicas",
            "Invalid value: 11: spec.replicas in body should be less than or equal to 10",
        ),
        (
            {"replicas": 0},
            "spec.replicas",
            "Invalid value: 0: spec.replicas in body should be greater than or equal to 1",
        ),
        (
            {"color": "blue"},
            "spec.color",
            'Unsupported value: "blue": supported values: "red", "green"',
        ),
        (
            {"name": "a"},
            "spec.name",
            'Invalid value: "a": spec.name in body should be at least 2 chars long',
        ),
        (
            {"name": "AB"},
            "spec.name",
            "Invalid value: \"AB\": spec.name in body should match '^[a-z]+$'",
        ),
        (
            {"name": 5},
            "spec.name",
            'Invalid value: "integer": spec.name in body must be of type string: "integer"',
        ),
        (
            {"tags": []},
            "spec.tags",
            "Invalid value: 0: spec.tags in body should have at least 1 items",
        ),
        ({"tags": ["a", "a"]}, "spec.tags[1]", 'Duplicate value: "a"'),
        (
            {"port": 1.5},
            "spec.port",
            'Invalid value: "number": spec.port in body must be of type integer,string: "number"',
        ),
        (
            {"labels": {"a": 1}},
            "spec.labels.a",
            'Invalid value: "integer": spec.labels.a in body must be of type string: "integer"',
        ),
        (
            {"since": "never"},
            "spec.since",
            'Invalid value: "never": spec.since in body must be of type date-time: "never"',
        ),
        (
            {"either": {}},
            "<nil>",
            'Invalid value: "": "spec.either" must validate one and only one schema (oneOf). '
            "Found none valid",
        ),
    ],
)
def test_a_value_that_breaks_the_schema_is_refused(custom, refusal, spec, field, message):
    status = refusal(custom.create, "bad", spec)
    assert status["code"] == 422
    assert status["reason"] == "Invalid"
    assert (field, message) in causes_of(status)


def test_a_required_value_is_required(custom, refusal):
    body = {"apiVersion": f"{GROUP}/v1", "kind": custom.kind, "metadata": {"name": "bad"}}
    status = refusal(custom.api.create_namespaced_custom_object, *custom.place, body)
    assert causes_of(status) == {("spec", "Required value")}


def test_a_patch_is_validated_too(custom, refusal):
    custom.create()
    status = refusal(custom.patch, {"spec": {"replicas": 99}})
    assert [cause["field"] for cause in status["details"]["causes"]] == ["spec.replicas"]


def test_a_change_of_the_spec_is_a_new_generation(custom):
    custom.create()
    assert custom.patch({"metadata": {"labels": {"a": "b"}}})["metadata"]["generation"] == 1
    assert custom.patch({"spec": {"color": "green"}})["metadata"]["generation"] == 2


def test_the_status_subresource_writes_the_status_only(custom):
    custom.create()
    custom.patch_status({"status": {"replicas": 2}, "spec": {"color": "green"}})
    found = custom.get()
    assert (found["status"], found["spec"]["color"]) == ({"replicas": 2}, "red")
    assert found["metadata"]["generation"] == 1
    assert custom.patch({"status": {"replicas": 9}})["status"] == {"replicas": 2}


def test_the_scale_subresource_reads_and_writes_the_paths(custom):
    custom.create(spec={"replicas": 2})
    custom.patch_status({"status": {"replicas": 1, "selector": "a=b"}})
    scale = custom.api.get_namespaced_custom_object_scale(*custom.place, "one")
    assert scale["kind"] == "Scale"
    assert scale["spec"] == {"replicas": 2}
    assert scale["status"] == {"replicas": 1, "selector": "a=b"}
    change = {"spec": {"replicas": 5}}
    custom.api.patch_namespaced_custom_object_scale(*custom.place, "one", change)
    assert custom.get()["spec"]["replicas"] == 5


def test_a_replacement_must_name_the_version_it_replaces(custom, refusal):
    custom.create()
    found = custom.get()
    del found["metadata"]["resourceVersion"]
    replace = custom.api.replace_namespaced_custom_object
    status = refusal(replace, *custom.place, "one", found)
    assert causes_of(status).pop()[0] == "metadata.resourceVersion"


def test_a_strategic_merge_patch_is_not_accepted(kubectl, custom, plural):
    custom.create()
    patch = json.dumps({"spec": {"color": "green"}})
    told = kubectl("patch", plural, "one", "--type=strategic", "-p", patch, fails=True)
    assert "accepted media types include: application/json-patch+json, application/merge-pa" in told


def test_custom_objects_are_watched(custom):
    made = custom.create()
    custom.patch({"spec": {"color": "green"}})
    custom.api.delete_namespaced_custom_object(*custom.place, "one")
    version = str(int(made["metadata"]["resourceVersion"]) - 1)
    events = watch.Watch().stream(
        custom.api.list_namespaced_custom_object,
        *custom.place,
        resource_version=version,
        timeout_seconds=10,
    )
    seen = [next(events)["type"] for _ in range(3)]
    assert seen == ["ADDED", "MODIFIED", "DELETED"]


def test_kubectl_prints_the_columns_of_the_definition(kubectl, custom, plural):
    custom.create(spec={"tags": ["a", "b"]})
    custom.patch_status({"status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    heading, row = kubectl("get", plural).splitlines()
    assert heading.split() == ["NAME", "SIZE", "READY", "AGE"]
    assert row.split()[:3] == ["one", "1", "True"]
    assert '["a","b"]' in kubectl("get", f"s{plural}", "-o", "wide")


def test_kubectl_applies_scales_and_deletes_custom_objects(kubectl, custom, plural):
    kind = custom.kind
    manifest = (
        f"apiVersion: {GROUP}/v1\nkind: {kind}\nmetadata: {{name: one}}\nspec: {{color: red}}\n"
    )
    name = f"{plural[:-1]}.{GROUP}/one"
    assert kubectl("apply", "-f", "-", stdin=manifest) == f"{name} created\n"
    assert kubectl("apply", "-f", "-", stdin=manifest) == f"{name} unchanged\n"
    changed = manifest.replace("red", "green")
    assert kubectl("apply", "-f", "-", stdin=changed) == f"{name} configured\n"
    assert kubectl("scale", plural, "one", "--replicas=4") == f"{name} scaled\n"
    assert custom.get()["spec"] == {"color": "green", "replicas": 4}
    assert kubectl("delete", plural, "one") == f'{plural[:-1]}.{GROUP} "one" deleted\n'


def test_a_finalizer_holds_a_custom_object_back(custom, refusal):
    custom.create(metadata={"finalizers": ["example.com/hold"]})
    custom.api.delete_namespaced_custom_object(*custom.place, "one")
    assert custom.get()["metadata"]["deletionTimestamp"]
    custom.patch({"metadata": {"finalizers": None}})
    assert refusal(custom.get)["code"] == 404


def test_a_namespace_goes_with_its_custom_objects(cluster, core, define):
    plural, name = define(), f"ext-{secrets.token_hex(4)}"
    core.create_namespace({"metadata": {"name": name}})
    custom = Custom(client.CustomObjectsApi(cluster.api_client()), plural, name)
    custom.create()
    core.delete_namespace(name)

    def gone():
        found = custom.api.list_namespaced_custom_object(*custom.place)["items"]
        return not found

    waiting.until(gone)


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        ({"group": "example"}, "spec.group", "should be a domain with at least one dot"),
        ({"scope": "Galaxy"}, "spec.scope", 'supported values: "Cluster", "Namespaced"'),
        ({"group": "x.k8s.io"}, "metadata.annotations[api-approved.kubernetes.io]", "protected"),
        (
            {"preserveUnknownFields": True},
            "spec.preserveUnknownFields",
            "set x-preserve-unknown-fields to true in spec.versions[*].schema instead",
        ),
        (
            {"names": {"plural": "foos", "kind": "Foo", "listKind": "Foo"}},
            "spec.names.listKind",
            "kind and listKind may not be the same",
        ),
        (
            {"names": {"plural": "foos", "kind": "Fo o"}},
            "spec.names.kind",
            "may have mixed case, but should otherwise match",
        ),
    ],
)
def test_what_a_definition_may_not_say(extensions, refusal, spec, field, message):
    body = definition("refused", **spec)
    status = refusal(extensions.create_custom_resource_definition, body)
    assert status["code"] == 422
    assert any(where == field and message in told for where, told in causes_of(status)), status


@pytest.mark.parametrize(
    ("schema", "field", "message"),
    [
        ({"type": "string"}, "type", "must be object at the root"),
        (
            {"type": "object", "properties": {"spec": {}}},
            "properties[spec].type",
            "must not be empty for specified object fields",
        ),
        (
            {"type": "object", "properties": {"spec": {"type": "array"}}},
            "properties[spec].items",
            "must be specified",
        ),
        (
            {"type": "object", "properties": {"spec": {"type": "strin"}}},
            "properties[spec].type",
            'Unsupported value: "strin"',
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "string"}},
                "oneOf": [{"properties": {"a": {"type": "string"}}}],
            },
            "oneOf[0].properties[a].type",
            "must be empty to be structural",
        ),
        (
            {
                "type": "object",
                "properties": {"spec": {"type": "object", "anyOf": [{"required": ["a"]}]}},
                "x-kubernetes-preserve-unknown-fields": True,
                "additionalProperties": {"type": "string"},
            },
            "additionalProperties",
            "must not be used at the root",
        ),
    ],
)
def test_a_schema_must_be_structural(extensions, refusal, schema, field, message):
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    body = definition("refused", versions=[version])
    status = refusal(extensions.create_custom_resource_definition, body)
    path = f"spec.validation.openAPIV3Schema.{field}"
    assert any(where == path and message in told for where, told in causes_of(status)), status


def test_scope_and_kind_cannot_change(extensions, plural, refusal):
    patch = extensions.patch_custom_resource_definition
    for change, field in (
        ({"scope": "Cluster"}, "spec.scope"),
        ({"names": {"kind": "Other"}}, "spec.names.kind"),
    ):
        status = refusal(patch, f"{plural}.{GROUP}", {"spec": change})
        assert (field, "field is immutable") in {
            (where, told.rpartition(": ")[2]) for where, told in causes_of(status)
        }


def test_two_kinds_of_a_group_cannot_share_a_name(extensions, plural):
    rival = f"r{secrets.token_hex(4)}s"
    names = {"plural": rival, "kind": plural.capitalize()[:-1]}
    body = definition(rival, names=names)
    extensions.create_custom_resource_definition(body)
    name = body["metadata"]["name"]

    def conditions():
        found = extensions.read_custom_resource_definition(name).status.conditions
        return {c.type: (c.status, c.reason) for c in found or ()}

    try:
        waiting.until(lambda: "Established" in conditions())
        assert conditions()["NamesAccepted"] == ("False", "ListKindConflict")
        assert conditions()["Established"] == ("False", "NotAccepted")
    finally:
        extensions.delete_custom_resource_definition(name)


def test_every_version_reads_the_same_objects(cluster, define, namespace):
    first = definition("x")["spec"]["versions"][0]
    plural = define(versions=[first, first | {"name": "v2", "storage": False}])
    objects = client.CustomObjectsApi(cluster.api_client())
    custom = Custom(objects, plural, namespace)
    custom.create()
    found = objects.get_namespaced_custom_object(GROUP, "v2", namespace, plural, "one")
    assert (found["apiVersion"], found["spec"]) == (f"{GROUP}/v2", {"color": "red", "replicas": 1})


def test_kubectl_waits_for_a_definition_and_lists_its_kind(kubectl, plural):
    told = kubectl("wait", "--for=condition=established", f"crd/{plural}.{GROUP}")
    assert told == f"customresourcedefinition.apiextensions.k8s.io/{plural}.{GROUP} condition met\n"
    listed = kubectl("api-resources", f"--api-group={GROUP}", "--no-headers")
    rows = {row.split()[0]: row.split()[1:] for row in listed.splitlines()}
    assert rows[plural] == [f"s{plural}", f"{GROUP}/v1", "true", plural.capitalize()[:-1]]


def test_a_definition_goes_after_its_objects(extensions, cluster, define, namespace, refusal):
    plural = define()
    custom = Custom(client.CustomObjectsApi(cluster.api_client()), plural, namespace)
    custom.create("held", metadata={"finalizers": ["example.com/hold"]})
    custom.create("free")
    name = f"{plural}.{GROUP}"
    extensions.delete_custom_resource_definition(name)

    def terminating():
        found = extensions.read_custom_resource_definition(name).status.conditions
        return next((c for c in found if c.type == "Terminating"), None)

    try:
        waiting.until(lambda: terminating().reason == "InstanceDeletionInProgress")
        waiting.until(lambda: refusal_code(custom.get, "free") == 404)
        assert refusal(custom.create, "late")["code"] == 405
    finally:
        custom.patch({"metadata": {"finalizers": None}}, "held")
    waiting.until(lambda: refusal_code(extensions.read_custom_resource_definition, name) == 404)
    extensions.create_custom_resource_definition(definition(plural))  # the name is free again


def refusal_code(call, *arguments):
    try:
        call(*arguments)
    except client.ApiException as error:
        return error.status
    return 0


RULES = "https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules"


@pytest.mark.since("1.25", RULES)
def test_rules_in_cel_are_checked(cluster, define, namespace, refusal):
    version = definition("x")["spec"]["versions"][0]
    schema = json.loads(json.dumps(version["schema"]))
    schema["openAPIV3Schema"]["properties"]["spec"]["x-kubernetes-validations"] = [
        {"rule": "self.replicas <= 5", "message": "at most five"},
        {"rule": "self.color == oldSelf.color"},
    ]
    plural = define(versions=[version | {"schema": schema}])
    custom = Custom(client.CustomObjectsApi(cluster.api_client()), plural, namespace)
    status = refusal(custom.create, spec={"replicas": 6})
    assert causes_of(status) == {("spec", 'Invalid value: "object": at most five')}
    custom.create(spec={"color": "red"})
    status = refusal(custom.patch, {"spec": {"color": "green"}})
    told = 'Invalid value: "object": failed rule: self.color == oldSelf.color'
    assert causes_of(status) == {("spec", told)}


@pytest.mark.since("1.25", RULES)
def test_a_rule_must_compile(extensions, refusal):
    version = definition("x")["spec"]["versions"][0]
    schema = json.loads(json.dumps(version["schema"]))
    rules = [{"rule": "self.nope > 1"}]
    schema["openAPIV3Schema"]["properties"]["spec"]["x-kubernetes-validations"] = rules
    body = definition("refused", versions=[version | {"schema": schema}])
    status = refusal(extensions.create_custom_resource_definition, body)
    ((field, message),) = causes_of(status)
    assert field.endswith("x-kubernetes-validations[0].rule")
    assert "compilation failed: ERROR: <input>:1:5: undefined field 'nope'" in message


@pytest.mark.since(
    "1.31", "https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/"
)
def test_objects_are_selected_by_selectable_fields(cluster, define, namespace):
    version = definition("x")["spec"]["versions"][0]
    plural = define(versions=[version | {"selectableFields": [{"jsonPath": ".spec.color"}]}])
    custom = Custom(client.CustomObjectsApi(cluster.api_client()), plural, namespace)
    custom.create("one")
    custom.create("two", {"color": "green"})
    found = custom.api.list_namespaced_custom_object(*custom.place, field_selector="spec.color=red")
    assert [item["metadata"]["name"] for item in found["items"]] == ["one"]
