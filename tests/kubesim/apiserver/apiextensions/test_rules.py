"""Rules in CEL: about values, about changes, and what is wrong with rules."""

import pytest

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
GADGETS = "/apis/ext.example.com/v1/namespaces/default/gadgets"


def gadget(**spec):
    return {"metadata": {"name": "one"}, "spec": spec}


def with_rules(definition, *rules):
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    spec = schema["properties"]["spec"]
    spec["x-kubernetes-validations"] = list(rules)
    spec["properties"]["items"] = {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "items": {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string"}, "size": {"type": "integer"}},
            "x-kubernetes-validations": [{"rule": "self.size >= oldSelf.size"}],
        },
    }
    return definition


def causes(answer):
    return [(c["field"], c["message"]) for c in answer["details"]["causes"]]


async def test_a_rule_is_checked(with_definitions, make_definition):
    limits = {"rule": "self.replicas <= 5", "message": "too many"}
    plain = {"rule": "self.color != 'green' || self.replicas > 1"}
    async with with_definitions(with_rules(make_definition(), limits, plain)) as api:
        status, answer = await api.post(GADGETS, gadget(replicas=6))
        assert status == 422
        assert causes(answer) == [("spec", 'Invalid value: "object": too many')]
        _, answer = await api.post(GADGETS, gadget(color="green"))
        told = "failed rule: self.color != 'green' || self.replicas > 1"
        assert causes(answer) == [("spec", f'Invalid value: "object": {told}')]
        await api.make(GADGETS, gadget(color="green", replicas=2))


async def test_a_rule_makes_its_message_names_its_field_and_its_reason(
    with_definitions, make_definition
):
    rule = {
        "rule": "self.replicas <= 5",
        "messageExpression": "'%d is more than 5'.format([self.replicas])",
        "fieldPath": ".replicas",
        "reason": "FieldValueForbidden",
    }
    async with with_definitions(with_rules(make_definition(), rule)) as api:
        _, answer = await api.post(GADGETS, gadget(replicas=7))
        assert answer["details"]["causes"] == [
            {
                "reason": "FieldValueForbidden",
                "message": "Forbidden: 7 is more than 5",
                "field": "spec.replicas",
            }
        ]


async def test_a_rule_about_a_change_is_checked_when_something_changes(
    with_definitions, make_definition
):
    rule = {"rule": "self.color == oldSelf.color", "message": "color is immutable"}
    async with with_definitions(with_rules(make_definition(), rule)) as api:
        await api.make(GADGETS, gadget(color="red", items=[{"name": "a", "size": 2}]))
        status, answer = await api.patch(f"{GADGETS}/one", {"spec": {"color": "green"}})
        assert status == 422
        assert causes(answer) == [("spec", 'Invalid value: "object": color is immutable')]
        items = [{"name": "b", "size": 0}, {"name": "a", "size": 1}]
        _, answer = await api.patch(f"{GADGETS}/one", {"spec": {"items": items}})
        assert [field for field, _ in causes(answer)] == ["spec.items[1]"]
        status, _ = await api.patch(f"{GADGETS}/one", {"spec": {"replicas": 3}})
        assert status == 200


async def test_a_rule_about_a_change_may_cope_with_a_beginning(with_definitions, make_definition):
    text = "self.replicas >= oldSelf.value().replicas"
    rule = {
        "rule": f"oldSelf.hasValue() ? {text} : self.replicas < 3",
        "optionalOldSelf": True,
    }
    async with with_definitions(with_rules(make_definition(), rule)) as api:
        assert (await api.post(GADGETS, gadget(replicas=3)))[0] == 422
        await api.make(GADGETS, gadget(replicas=2))
        assert (await api.patch(f"{GADGETS}/one", {"spec": {"replicas": 4}}))[0] == 200
        assert (await api.patch(f"{GADGETS}/one", {"spec": {"replicas": 3}}))[0] == 422


async def test_times_and_durations_are_compared_as_such(with_definitions, make_definition):
    rule = {"rule": "self.start + self.length <= self.end"}
    defined = with_rules(make_definition(), rule)
    schema = defined["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    formats = {"start": "date-time", "end": "date-time", "length": "duration"}
    schema["properties"]["spec"]["properties"] |= {
        name: {"type": "string", "format": form} for name, form in formats.items()
    }
    async with with_definitions(defined) as api:
        noon, one = "2020-01-01T12:00:00Z", "2020-01-01T14:00:00+01:00"
        assert (await api.post(GADGETS, gadget(start=noon, end=one, length="61m")))[0] == 422
        await api.make(GADGETS, gadget(start=noon, end=one, length="1h"))


async def test_rules_wait_until_the_types_are_right(with_definitions, make_definition):
    rule = {"rule": "self.replicas <= 5"}
    async with with_definitions(with_rules(make_definition(), rule)) as api:
        _, answer = await api.post(GADGETS, gadget(replicas="many"))
        assert any("some validation rules were not checked" in told for _, told in causes(answer))


async def test_a_rule_without_a_value_breaks(with_definitions, make_definition):
    rule = {"rule": "self.maybe.startsWith('x')"}
    async with with_definitions(with_rules(make_definition(), rule)) as api:
        _, answer = await api.post(GADGETS, gadget())
        assert "no such key: maybe evaluating rule" in causes(answer)[0][1]


@pytest.mark.parametrize(
    ("rule", "field", "message"),
    [
        ({"rule": " "}, "rule", "rule is not specified"),
        ({"rule": "self.nope > 1"}, "rule", "undefined field 'nope'"),
        ({"rule": "other > 1"}, "rule", "undeclared reference to 'other'"),
        (
            {"rule": "self.replicas >"},
            "rule",
            "compilation failed: ERROR: <input>:1:16: Syntax err",
        ),
        ({"rule": "true", "messageExpression": "x"}, "messageExpression", "undeclared reference"),
        ({"rule": "true", "message": " "}, "message", "message must be non-empty if specified"),
        ({"rule": "true", "fieldPath": ".nope"}, "fieldPath", "does not refer to a valid field"),
    ],
)
async def test_what_is_wrong_with_a_rule(api, make_definition, rule, field, message):
    status, answer = await api.post(DEFINITIONS, with_rules(make_definition(), rule))
    assert status == 422
    path = "spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations[0]"
    assert [where for where, _ in causes(answer)] == [f"{path}.{field}"]
    assert message in causes(answer)[0][1]
