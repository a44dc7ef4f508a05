"""Values and the schemas that they must keep; the paths that lead to them."""

import pytest

from kubesim.apiserver.apiextensions import jsonpath, objects, values
from kubesim.apiserver.apiextensions.formats import conforms

LETTERS = {"a": {"type": "string"}, "b": {"type": "string"}}


@pytest.mark.parametrize(
    ("value", "schema", "causes"),
    [
        ("ab", {"type": "string", "minLength": 3}, ["x in body should be at least 3 chars long"]),
        ("abcd", {"type": "string", "maxLength": 3}, ["Too long: may not be more than 3 bytes"]),
        ("AB", {"type": "string", "pattern": "^[a-z]+$"}, ["x in body should match '^[a-z]+$'"]),
        (0, {"type": "number", "minimum": 0}, []),
        (
            0,
            {"type": "number", "minimum": 0, "exclusiveMinimum": True},
            ["x in body should be greater than 0"],
        ),
        (0.3, {"type": "number", "multipleOf": 0.5}, ["x in body should be a multiple of 0.5"]),
        (1.0, {"type": "integer"}, []),
        (True, {"type": "integer"}, ['x in body must be of type integer: "boolean"']),
        ([], {"type": "array", "minItems": 1}, ["x in body should have at least 1 items"]),
        ([1, 2], {"type": "array", "maxItems": 1}, ["Too many: 2: must have at most 1 items"]),
        (
            ["a", "a"],
            {"type": "array", "x-kubernetes-list-type": "set"},
            ['Duplicate value: "a"'],
        ),
        ({}, {"type": "object", "minProperties": 1}, ["x in body should have at least 1 propert"]),
        ({}, {"type": "object", "required": ["a"]}, ["Required value"]),
        (
            {"k": 1},
            {"type": "object", "additionalProperties": {"type": "string"}},
            ['x.k in body must be of type string: "integer"'],
        ),
        (1.5, {"x-kubernetes-int-or-string": True}, ["must be of type integer,string"]),
        (None, {"type": "string", "nullable": True}, []),
        (None, {"type": "string"}, ['x in body must be of type string: "null"']),
        (
            "never",
            {"type": "string", "format": "date-time"},
            ["x in body must be of type date-tim"],
        ),
        (
            {"a": "1", "b": "1"},
            {"type": "object", "properties": LETTERS, "oneOf": [{"required": [n]} for n in "ab"]},
            ['"x" must validate one and only one schema (oneOf). Found 2 valid alternatives'],
        ),
        (
            {},
            {"type": "object", "properties": LETTERS, "anyOf": [{"required": [n]} for n in "ab"]},
            ['"x" must validate at least one schema (anyOf)', "Required value"],
        ),
        (
            {"a": "1"},
            {"type": "object", "properties": LETTERS, "allOf": [{"required": [n]} for n in "ab"]},
            ["Required value", '"x" must validate all the schemas (allOf)'],
        ),
        (
            {"a": "1"},
            {"type": "object", "properties": LETTERS, "not": {"required": ["a"]}},
            ['"x" must not validate the schema (not)'],
        ),
    ],
)
def test_what_is_wrong_with_a_value(value, schema, causes):
    found = [cause["message"] for cause in values.check(value, schema, "x")]
    assert len(found) == len(causes), found
    assert all(wanted in told for wanted, told in zip(causes, found, strict=True)), found


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date-time", "2020-01-01T00:00:00Z", "2020-01-01"),
        ("ipv4", "10.0.0.1", "10.0.0"),
        ("ipv6", "::1", "10.0.0.1"),
        ("cidr", "10.0.0.1/8", "10.0.0.1/99"),
        ("uuid", "00000000-0000-4000-8000-000000000000", "x"),
        ("email", "a@b.c", "a"),
        ("byte", "aGk=", "?"),
        ("duration", "1h30m", "soon"),
        ("hostname", "a.example", "-a-"),
    ],
)
def test_formats(name, good, bad):
    assert conforms(good, name)
    assert not conforms(bad, name)


def test_what_is_preserved_and_what_is_dropped():
    schema = {
        "type": "object",
        "properties": {
            "kept": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            "map": {"type": "object", "additionalProperties": {"type": "object"}},
            "list": {"type": "array", "items": {"type": "object"}},
            "pod": {
                "type": "object",
                "x-kubernetes-embedded-resource": True,
                "x-kubernetes-preserve-unknown-fields": True,
            },
        },
    }
    data = {
        "kept": {"any": {"thing": None}},
        "map": {"a": {"gone": 1}},
        "list": [{"gone": 1}],
        "pod": {"kind": "Pod", "metadata": {"name": "x", "odd": 1}, "spec": {}},
        "gone": 1,
    }
    obj, unknown = objects.decode({"metadata": {"name": "x"}} | data, schema)
    assert unknown == ["map.a.gone", "list[0].gone", "pod.metadata.odd", "gone"]
    assert obj == {
        "metadata": {"name": "x"},
        "kept": {"any": {"thing": None}},
        "map": {"a": {}},
        "list": [{}],
        "pod": {"kind": "Pod", "metadata": {"name": "x"}, "spec": {}},
    }


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.replicas", [3]),
        ("spec.replicas", [3]),
        (".spec.missing", []),
        (".spec.list[1]", ["b"]),
        (".spec.list[-1]", ["b"]),
        (".spec.list[*]", ["a", "b"]),
        (".metadata.labels.app\\.kubernetes\\.io/name", ["web"]),
        (".metadata.labels['app.kubernetes.io/name']", ["web"]),
        ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
        (".status.conditions[?(@.type!='Ready')].status", ["False"]),
    ],
)
def test_a_path_leads_to_values(path, found):
    obj = {
        "metadata": {"labels": {"app.kubernetes.io/name": "web"}},
        "spec": {"replicas": 3, "list": ["a", "b"]},
        "status": {
            "conditions": [
                {"type": "Ready", "status": "True"},
                {"type": "Old", "status": "False"},
            ]
        },
    }
    assert jsonpath.find(path, obj) == found


def test_what_is_no_path():
    with pytest.raises(jsonpath.JSONPathError):
        jsonpath.compiled(".spec[")
