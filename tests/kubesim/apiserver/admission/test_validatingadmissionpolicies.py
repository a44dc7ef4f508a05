"""ValidatingAdmissionPolicies: what they match, what they say, and what may be said in them."""

import json

import pytest

from kubesim.apiserver.audit import Audit

GROUP = "/apis/admissionregistration.k8s.io/v1"
POLICIES = f"{GROUP}/validatingadmissionpolicies"
BINDINGS = f"{GROUP}/validatingadmissionpolicybindings"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


def rule(resources="deployments", groups="apps", operations=("CREATE", "UPDATE")):
    return {
        "apiGroups": [groups],
        "apiVersions": ["v1"],
        "operations": list(operations),
        "resources": [resources],
    }


def policy(*validations, rules=None, **spec):
    constraints = {"resourceRules": rules or [rule()]}
    given = {"matchConstraints": constraints, "validations": list(validations)}
    return {"metadata": {"name": "limits"}, "spec": given | spec}


def binding(*actions, **spec):
    given = {"policyName": "limits", "validationActions": list(actions or ["Deny"])}
    return {"metadata": {"name": "everywhere"}, "spec": given | spec}


@pytest.fixture
def enforce(api):
    async def make(*validations, bound=None, **spec):
        await api.make(POLICIES, policy(*validations, **spec))
        await api.make(BINDINGS, bound or binding())

    return make


FEW = {"expression": "object.spec.replicas <= 5"}


async def test_a_write_that_breaks_a_rule_is_denied(api, enforce, make_deployment):
    await enforce(FEW)
    await api.make(DEPLOYMENTS, make_deployment(replicas=5))
    status, answer = await api.patch(f"{DEPLOYMENTS}/web", {"spec": {"replicas": 6}})
    told = (
        "ValidatingAdmissionPolicy 'limits' with binding 'everywhere' denied request: "
        "failed expression: object.spec.replicas <= 5"
    )
    assert (status, answer["reason"]) == (422, "Invalid")
    assert answer["message"] == f'deployments.apps "web" is forbidden: {told}'
    assert answer["details"]["causes"] == [{"message": told}]


async def test_a_rule_has_a_message_and_a_reason(api, enforce, make_deployment):
    spoken = FEW | {
        "messageExpression": "'%d is too many'.format([object.spec.replicas])",
        "reason": "Forbidden",
    }
    await enforce(spoken)
    status, answer = await api.post(DEPLOYMENTS, make_deployment(replicas=6))
    assert (status, answer["reason"]) == (403, "Forbidden")
    assert answer["message"].endswith("denied request: 6 is too many")


async def test_a_binding_may_only_warn(api, enforce, make_deployment):
    await enforce(FEW, bound=binding("Warn"))
    response = await api.respond("POST", DEPLOYMENTS, make_deployment(replicas=6))
    assert response.status == 201
    told = "Validation failed for ValidatingAdmissionPolicy 'limits' with binding 'everywhere'"
    assert told in response.headers["warning"]


async def test_the_audit_log_is_told_what_a_policy_wants_noted(make_api, make_deployment):
    api = make_api(disable_admission=("ServiceAccount",))
    api.server.audit = audit = Audit(api.clock)
    size = {"key": "size", "valueExpression": "string(object.spec.replicas)"}
    await api.make(POLICIES, policy(FEW, auditAnnotations=[size]))
    await api.make(BINDINGS, binding("Audit"))
    await api.make(DEPLOYMENTS, make_deployment(replicas=6))
    annotations = audit.events[-1]["annotations"]
    assert annotations["limits/size"] == "6"
    (failure,) = json.loads(annotations["validation.policy.admission.k8s.io/validation_failure"])
    assert failure == {
        "message": "failed expression: object.spec.replicas <= 5",
        "policy": "limits",
        "binding": "everywhere",
        "expressionIndex": 0,
        "validationActions": ["Audit"],
    }


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("request.operation == 'CREATE'", True),
        ("request.userInfo.username == 'eve'", False),
        ("'system:masters' in request.userInfo.groups", True),
        ("request.resource.resource == 'deployments' && request.kind.kind == 'Deployment'", True),
        ("oldObject == null", True),
        ("namespaceObject.metadata.name == 'default'", True),
        ("variables.few", True),
        ("object.spec.template.spec.containers.all(c, c.image.startsWith('nginx'))", True),
    ],
)
async def test_what_a_rule_can_read(api, enforce, make_deployment, expression, allowed):
    variables = [
        {"name": "replicas", "expression": "object.spec.replicas"},
        {"name": "few", "expression": "variables.replicas < 5"},
    ]
    await enforce({"expression": expression}, variables=variables)
    status, _ = await api.post(DEPLOYMENTS, make_deployment(replicas=1))
    assert status == (201 if allowed else 422)


async def test_an_expression_that_fails_denies_unless_failures_are_ignored(
    api, enforce, make_deployment
):
    await enforce({"expression": "object.spec.nope == 1"})
    status, answer = await api.post(DEPLOYMENTS, make_deployment())
    assert status == 422
    told = "expression 'object.spec.nope == 1' resulted in error: no such key: nope"
    assert answer["message"].endswith(told)
    await api.patch(f"{POLICIES}/limits", {"spec": {"failurePolicy": "Ignore"}})
    assert (await api.post(DEPLOYMENTS, make_deployment()))[0] == 201


async def test_conditions_leave_writes_out(api, enforce, make_deployment):
    skipping = [{"name": "not-web", "expression": "object.metadata.name != 'web'"}]
    await enforce(FEW, matchConditions=skipping)
    assert (await api.post(DEPLOYMENTS, make_deployment(replicas=9)))[0] == 201
    assert (await api.post(DEPLOYMENTS, make_deployment("other", replicas=9)))[0] == 422


async def test_parameters_come_from_the_object_that_the_binding_names(
    api, enforce, make_deployment
):
    bound = binding(
        paramRef={"name": "max", "namespace": "default", "parameterNotFoundAction": "Deny"}
    )
    kind = {"apiVersion": "v1", "kind": "ConfigMap"}
    expression = "object.spec.replicas <= int(params.data.max)"
    await enforce({"expression": expression}, bound=bound, paramKind=kind)
    status, answer = await api.post(DEPLOYMENTS, make_deployment())
    assert status == 422
    assert "no params found for policy binding" in answer["message"]
    await api.make(CONFIG_MAPS, {"metadata": {"name": "max"}, "data": {"max": "2"}})
    assert (await api.post(DEPLOYMENTS, make_deployment(replicas=3)))[0] == 422
    assert (await api.post(DEPLOYMENTS, make_deployment(replicas=2)))[0] == 201


@pytest.mark.parametrize(
    ("rules", "operation", "matched"),
    [
        ([rule()], "CREATE", True),
        ([rule("*", "*")], "CREATE", True),
        ([rule("pods", "")], "CREATE", False),
        ([rule(operations=["UPDATE"])], "CREATE", False),
        ([rule(operations=["*"])], "DELETE", True),
        ([rule("deployments/scale")], "CREATE", False),
        ([rule("deployments/*")], "CREATE", True),
        ([rule() | {"scope": "Cluster"}], "CREATE", False),
        ([rule() | {"resourceNames": ["other"]}], "CREATE", False),
    ],
)
async def test_which_writes_a_policy_is_about(
    api, enforce, make_deployment, rules, operation, matched
):
    if operation == "DELETE":
        await api.make(DEPLOYMENTS, make_deployment())
    await enforce({"expression": "false"}, rules=rules)
    if operation == "DELETE":
        status, _ = await api.delete(f"{DEPLOYMENTS}/web")
    else:
        status, _ = await api.post(DEPLOYMENTS, make_deployment())
    assert (status == 422) is matched


async def test_selectors_narrow_a_binding(api, enforce, make_deployment):
    selector = {"namespaceSelector": {"matchLabels": {"env": "prod"}}}
    await enforce({"expression": "false"}, bound=binding(matchResources=selector))
    assert (await api.post(DEPLOYMENTS, make_deployment()))[0] == 201
    await api.patch("/api/v1/namespaces/default", {"metadata": {"labels": {"env": "prod"}}})
    assert (await api.post(DEPLOYMENTS, make_deployment("two")))[0] == 422


async def test_nobody_locks_themselves_out(api, enforce):
    everything = [rule("*", "*", operations=["*"])]
    await enforce({"expression": "false"}, rules=everything)
    assert (await api.delete(f"{BINDINGS}/everywhere"))[0] == 200


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        (policy(), "spec.validations", "must be non-empty"),
        (policy({"expression": ""}), "spec.validations[0].expression", "is not specified"),
        (policy({"expression": "foo"}), "spec.validations[0].expression", "undeclared reference"),
        (policy(FEW | {"reason": "Odd"}), "spec.validations[0].reason", "Unsupported value"),
        (policy(FEW, matchConstraints=None), "spec.matchConstraints", "Required value"),
        (policy(FEW, failurePolicy="Odd"), "spec.failurePolicy", "Unsupported value"),
        (
            policy(FEW, auditAnnotations=[{"key": "a", "valueExpression": "nobody"}]),
            "spec.auditAnnotations[0].valueExpression",
            "undeclared reference",
        ),
        (
            policy(FEW, variables=[{"name": "a-b", "expression": "1"}]),
            "spec.variables[0].name",
            "not a valid CEL identifier",
        ),
    ],
)
async def test_what_a_policy_may_not_say(api, body, field, message):
    status, answer = await api.post(POLICIES, body)
    assert status == 422
    found = [(cause["field"], cause["message"]) for cause in answer["details"]["causes"]]
    assert any(where == field and message in told for where, told in found), found


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (binding(policyName=""), "spec.policyName"),
        (binding("Deny", "Warn"), "spec.validationActions"),
        (binding("Odd"), "spec.validationActions[0]"),
        (binding(paramRef={"name": "x"}), "spec.paramRef.parameterNotFoundAction"),
    ],
)
async def test_what_a_binding_may_not_say(api, body, field):
    status, answer = await api.post(BINDINGS, body)
    assert status == 422
    assert field in {cause["field"] for cause in answer["details"]["causes"]}
