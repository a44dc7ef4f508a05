"""ValidatingAdmissionPolicies, which a server of 1.30 or newer has."""

import secrets
from contextlib import suppress

import pytest
from kubernetes import client

from kubelab import waiting

SOURCE = "https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/"
pytestmark = pytest.mark.since("1.30", SOURCE)


@pytest.fixture
def policies(cluster):
    return client.AdmissionregistrationV1Api(cluster.api_client())


@pytest.fixture
def enforce(policies, core, namespace):
    """Makes a policy about ConfigMaps and binds it to the test's namespace; returns its name."""
    made = []

    def create(*validations, actions=("Deny",), binding=None, **spec):
        name = f"conformance-{secrets.token_hex(4)}"
        rule = {
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "operations": ["CREATE", "UPDATE"],
            "resources": ["configmaps"],
        }
        body = {"matchConstraints": {"resourceRules": [rule]}, "validations": list(validations)}
        meta = {"metadata": {"name": name}}
        policies.create_validating_admission_policy(meta | {"spec": body | spec})
        made.append(name)
        here = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
        bound = {
            "policyName": name,
            "validationActions": list(actions),
            "matchResources": {"namespaceSelector": here},
        }
        policies.create_validating_admission_policy_binding(
            meta | {"spec": bound | (binding or {})}
        )
        return name

    yield create
    for name in made:
        with suppress(client.ApiException):
            policies.delete_validating_admission_policy_binding(name)
        policies.delete_validating_admission_policy(name)


def config_map(name="one", **data):
    return {"metadata": {"name": name}, "data": data}


@pytest.fixture
def refused(core, namespace):
    """Creates until it is refused, as a policy takes a moment; returns the error."""

    def create(**data):
        def attempt():
            try:
                core.create_namespaced_config_map(namespace, config_map(**data), dry_run="All")
            except client.ApiException as error:
                return error
            return None

        return waiting.until(attempt)

    return create


def test_a_write_that_breaks_a_rule_is_denied(core, namespace, enforce, refused, refusal):
    name = enforce({"expression": "object.data.size == 'small'"})
    assert refused(size="large").status == 422
    large = config_map(size="large")
    status = refusal(core.create_namespaced_config_map, namespace, large)
    assert status["reason"] == "Invalid"
    assert status["message"] == (
        f"configmaps \"one\" is forbidden: ValidatingAdmissionPolicy '{name}' with binding "
        f"'{name}' denied request: failed expression: object.data.size == 'small'"
    )
    core.create_namespaced_config_map(namespace, config_map(size="small"))


def test_a_rule_has_a_message_and_a_reason(enforce, refused):
    enforce(
        {
            "expression": "object.data.size == 'small'",
            "messageExpression": "'not ' + object.data.size",
            "reason": "Forbidden",
        }
    )
    error = refused(size="large")
    assert error.status == 403
    assert "denied request: not large" in error.body


def test_variables_and_the_old_object_can_be_read(core, namespace, enforce, refused, refusal):
    variables = [{"name": "size", "expression": "object.data.size"}]
    rule = "oldObject == null ? variables.size != 'huge' : variables.size == oldObject.data.size"
    enforce({"expression": rule}, variables=variables)
    assert refused(size="huge").status == 422
    core.create_namespaced_config_map(namespace, config_map(size="small"))
    change = {"data": {"size": "large"}}
    assert refusal(core.patch_namespaced_config_map, "one", namespace, change)["code"] == 422


def test_who_asks_can_be_read(enforce, refused):
    enforce({"expression": "request.userInfo.username != 'kubernetes-admin'"})
    assert refused().status == 422


def test_an_expression_that_fails_denies(enforce, refused):
    enforce({"expression": "object.data.missing == 'x'"})
    assert "resulted in error: no such key: missing" in refused(size="small").body


def test_parameters_are_read_from_another_object(core, namespace, enforce, refused):
    core.create_namespaced_config_map(namespace, config_map("allowed", size="small"))
    reference = {
        "name": "allowed",
        "namespace": namespace,
        "parameterNotFoundAction": "Deny",
    }
    enforce(
        {"expression": "object.data.size == params.data.size"},
        paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
        binding={"paramRef": reference},
    )
    assert "failed expression" in refused(size="large").body
    core.create_namespaced_config_map(namespace, config_map(size="small"))


def test_a_binding_may_only_warn(core, namespace, enforce):
    name = enforce({"expression": "false"}, actions=["Warn"])

    def warned():
        create = core.create_namespaced_config_map_with_http_info
        return create(namespace, config_map(), dry_run="All")[2].get("warning")

    told = f"Validation failed for ValidatingAdmissionPolicy '{name}' with binding '{name}'"
    assert told in waiting.until(warned)


def test_an_expression_must_compile(enforce, refusal):
    status = refusal(enforce, {"expression": "nobody > 1"})
    cause = status["details"]["causes"][0]
    assert cause["field"] == "spec.validations[0].expression"
    assert "undeclared reference to 'nobody'" in cause["message"]


def test_deny_and_warn_exclude_each_other(enforce, refusal):
    status = refusal(enforce, {"expression": "true"}, actions=["Deny", "Warn"])
    assert status["details"]["causes"][0]["field"] == "spec.validationActions"


def test_kubectl_lists_policies(kubectl, enforce):
    name = enforce({"expression": "true"}, {"expression": "1 < 2"})
    row = kubectl("get", "validatingadmissionpolicy", name, "--no-headers").split()
    assert row[:3] == [name, "2", "<unset>"]
