"""Role-based access control: who may, who may not, and who may let others."""

import secrets

import pytest
from kubernetes import client

from kubelab import waiting

GROUP = "rbac.authorization.k8s.io"


@pytest.fixture
def as_user(cluster):
    """The APIs as somebody else sees them."""

    def connect(name):
        api = client.ApiClient(cluster.api_client().configuration)
        api.set_default_header("Impersonate-User", name)
        return api

    return connect


@pytest.fixture
def grant(rbac, namespace):
    """Lets a user do something in the test's namespace."""

    def create(user, *rules, name="granted"):
        rbac.create_namespaced_role(namespace, {"metadata": {"name": name}, "rules": list(rules)})
        reference = {"apiGroup": GROUP, "kind": "Role", "name": name}
        subject = {"apiGroup": GROUP, "kind": "User", "name": user}
        body = {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]}
        rbac.create_namespaced_role_binding(namespace, body)

    return create


@pytest.fixture
def can(cluster, namespace):
    """Whether a user may, by a SubjectAccessReview."""
    reviews = client.AuthorizationV1Api(cluster.api_client())

    def ask(user, verb, resource, **attributes):
        given = {"namespace": namespace, "verb": verb, "resource": resource} | attributes
        body = {"spec": {"user": user, "resourceAttributes": given}}
        return reviews.create_subject_access_review(body).status.allowed

    def eventually(user, verb, resource, **attributes):
        if attributes.pop("soon", False):
            waiting.until(lambda: ask(user, verb, resource, **attributes))
        return ask(user, verb, resource, **attributes)

    return eventually


def rule(verbs, resources, groups=("",), **more):
    return {"apiGroups": list(groups), "resources": resources, "verbs": verbs} | more


def test_nobody_may_anything_at_first(as_user, namespace, refusal):
    pods = client.CoreV1Api(as_user("eve"))
    status = refusal(pods.list_namespaced_pod, namespace)
    assert (status["code"], status["reason"]) == (403, "Forbidden")
    assert status["message"] == (
        'pods is forbidden: User "eve" cannot list resource "pods" in API group "" '
        f'in the namespace "{namespace}"'
    )
    assert status["details"] == {"kind": "pods"}


def test_a_role_allows_its_verbs_in_its_namespace(grant, can, as_user, namespace, refusal):
    grant("eve", rule(["get", "list"], ["pods"]))
    assert can("eve", "list", "pods", soon=True)
    assert client.CoreV1Api(as_user("eve")).list_namespaced_pod(namespace).items == []
    assert not can("eve", "delete", "pods")
    assert not can("eve", "list", "pods", namespace="default")
    assert not can("mallory", "list", "pods")


def test_a_rule_may_name_its_objects(grant, can):
    grant("eve", rule(["get"], ["configmaps"], resourceNames=["mine"]))
    assert can("eve", "get", "configmaps", name="mine", soon=True)
    assert not can("eve", "get", "configmaps", name="yours")
    assert not can("eve", "list", "configmaps")


def test_a_subresource_is_allowed_apart(grant, can):
    grant("eve", rule(["get"], ["pods/log"]))
    assert can("eve", "get", "pods", subresource="log", soon=True)
    assert not can("eve", "get", "pods")


def test_a_group_is_allowed_apart(grant, can):
    grant("eve", rule(["get"], ["deployments"], groups=["apps"]))
    assert can("eve", "get", "deployments", group="apps", soon=True)
    assert not can("eve", "get", "deployments", group="extensions")


def test_a_cluster_role_is_bound_in_one_namespace(rbac, can, namespace):
    reference = {"apiGroup": GROUP, "kind": "ClusterRole", "name": "view"}
    subject = {"apiGroup": GROUP, "kind": "User", "name": "eve"}
    body = {"metadata": {"name": "view"}, "roleRef": reference, "subjects": [subject]}
    rbac.create_namespaced_role_binding(namespace, body)
    assert can("eve", "list", "pods", soon=True)
    assert not can("eve", "list", "secrets")
    assert not can("eve", "list", "pods", namespace="default")


def test_a_service_account_is_a_subject(rbac, core, can, namespace):
    core.create_namespaced_service_account(namespace, {"metadata": {"name": "bot"}})
    reference = {"apiGroup": GROUP, "kind": "ClusterRole", "name": "edit"}
    subject = {"kind": "ServiceAccount", "name": "bot", "namespace": namespace}
    body = {"metadata": {"name": "edit"}, "roleRef": reference, "subjects": [subject]}
    rbac.create_namespaced_role_binding(namespace, body)
    assert can(f"system:serviceaccount:{namespace}:bot", "create", "pods", soon=True)


def test_the_role_of_a_binding_cannot_change(rbac, grant, namespace, refusal):
    grant("eve", rule(["get"], ["pods"]))
    binding = rbac.read_namespaced_role_binding("granted", namespace)
    binding.role_ref.name = "other"
    status = refusal(rbac.replace_namespaced_role_binding, "granted", namespace, binding)
    assert status["code"] == 422
    assert "cannot change roleRef" in status["message"]


def test_nobody_gives_away_what_they_do_not_have(grant, can, as_user, namespace, refusal):
    grant("eve", rule(["create"], ["roles"], groups=[GROUP]))
    assert can("eve", "create", "roles", group=GROUP, soon=True)
    mine = client.RbacAuthorizationV1Api(as_user("eve"))
    role = {"metadata": {"name": "more"}, "rules": [rule(["list"], ["secrets"])]}
    status = refusal(mine.create_namespaced_role, namespace, role)
    assert status["code"] == 403
    assert "is attempting to grant RBAC permissions not currently held" in status["message"]
    assert '{APIGroups:[""], Resources:["secrets"], Verbs:["list"]}' in status["message"]


def test_what_one_has_one_may_give_away(grant, can, as_user, namespace):
    both = rule(["create"], ["roles"], groups=[GROUP]), rule(["list"], ["secrets"])
    grant("eve", *both)
    assert can("eve", "list", "secrets", soon=True)
    mine = client.RbacAuthorizationV1Api(as_user("eve"))
    role = {"metadata": {"name": "more"}, "rules": [rule(["list"], ["secrets"])]}
    assert mine.create_namespaced_role(namespace, role).metadata.name == "more"


def test_roles_are_aggregated_by_their_labels(rbac):
    key = f"conformance/{secrets.token_hex(4)}"
    names = [f"conformance-{secrets.token_hex(4)}" for _ in range(2)]
    part = {"metadata": {"name": names[0], "labels": {key: "true"}}}
    rbac.create_cluster_role(part | {"rules": [rule(["get"], ["pods"])]})
    selector = {"clusterRoleSelectors": [{"matchLabels": {key: "true"}}]}
    rbac.create_cluster_role({"metadata": {"name": names[1]}, "aggregationRule": selector})
    try:
        rules = waiting.until(lambda: rbac.read_cluster_role(names[1]).rules)
        assert [(r.verbs, r.resources) for r in rules] == [(["get"], ["pods"])]
    finally:
        for name in names:
            rbac.delete_cluster_role(name)


def test_one_asks_for_oneself(grant, can, as_user, namespace):
    grant("eve", rule(["get"], ["pods"]))
    assert can("eve", "get", "pods", soon=True)
    reviews = client.AuthorizationV1Api(as_user("eve"))
    attributes = {"namespace": namespace, "verb": "get", "resource": "pods"}
    status = reviews.create_self_subject_access_review(
        {"spec": {"resourceAttributes": attributes}}
    ).status
    assert status.allowed
    assert status.reason == (
        f'RBAC: allowed by RoleBinding "granted/{namespace}" of Role "granted" to User "eve"'
    )


def test_one_asks_for_all_ones_rules(grant, can, as_user, namespace):
    grant("eve", rule(["get"], ["pods"]))
    assert can("eve", "get", "pods", soon=True)
    reviews = client.AuthorizationV1Api(as_user("eve"))
    status = reviews.create_self_subject_rules_review({"spec": {"namespace": namespace}}).status
    assert (["get"], ["pods"]) in [(r.verbs, r.resources) for r in status.resource_rules]
    assert status.incomplete is False


def test_paths_are_allowed_to_groups(cluster):
    reviews = client.AuthorizationV1Api(cluster.api_client())

    def may(path, *groups):
        attributes = {"path": path, "verb": "get"}
        spec = {"user": "eve", "groups": list(groups), "nonResourceAttributes": attributes}
        return reviews.create_subject_access_review({"spec": spec}).status.allowed

    assert may("/healthz", "system:authenticated")
    assert may("/version", "system:unauthenticated")
    assert not may("/metrics", "system:authenticated")


def test_acting_as_somebody_else_must_be_allowed(core, cluster, namespace, with_token, refusal):
    core.create_namespaced_service_account(namespace, {"metadata": {"name": "bot"}})
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = core.create_namespaced_service_account_token("bot", namespace, body).status.token
    bot = with_token(token, {"Impersonate-User": "mallory"})
    status = refusal(bot.list_namespaced_pod, namespace)
    assert status["message"] == (
        f'users "mallory" is forbidden: User "system:serviceaccount:{namespace}:bot" cannot '
        'impersonate resource "users" in API group "" at the cluster scope'
    )


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"rules": [rule([], ["pods"])]}, "rules[0].verbs"),
        ({"rules": [rule(["get"], [])]}, "rules[0].resources"),
        ({"rules": [rule(["get"], ["pods"], groups=[])]}, "rules[0].apiGroups"),
        (
            {"rules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}]},
            "rules[0].nonResourceURLs",
        ),
    ],
)
def test_what_a_role_may_not_say(rbac, namespace, refusal, body, field):
    status = refusal(rbac.create_namespaced_role, namespace, {"metadata": {"name": "x"}} | body)
    assert field in {cause["field"] for cause in status["details"]["causes"]}


def test_kubectl_asks_and_lists(kubectl, grant, can):
    grant("eve", rule(["get", "list"], ["pods"]))
    assert can("eve", "get", "pods", soon=True)
    assert kubectl("auth", "can-i", "list", "pods", "--as=eve") == "yes\n"
    assert kubectl("auth", "can-i", "--list", "--as=eve").splitlines()[0].split()[0] == "Resources"
    listed = kubectl("auth", "can-i", "--list", "--as=eve")
    assert any(row.split()[0] == "pods" and "[get list]" in row for row in listed.splitlines())
