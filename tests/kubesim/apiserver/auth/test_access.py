"""Who may do what: authentication and authorization through the server's front door."""

import json

import pytest

from kubesim.apiserver.request import Certificate, Credentials, Request
from kubesim.clock import Clock
from kubesim.cluster import SUPERUSER, Cluster
from kubesim.kubeadm.bootstrap import bootstrap

ADMIN = Certificate("kubernetes-admin", ("kubeadm:cluster-admins",))
RBAC = "/apis/rbac.authorization.k8s.io/v1"
REVIEWS = "/apis/authorization.k8s.io/v1"


class Door:
    """A cluster seen from outside: every request says who asks, or does not."""

    def __init__(self):
        self.clock = Clock(speed=0)
        self.cluster = Cluster(clock=self.clock)

    async def open(self):
        await bootstrap(
            self.cluster.client(*SUPERUSER),
            self.cluster.config,
            address="172.18.0.2",
            cluster_info="",
            ca_pem="",
        )
        self.as_admin = {"certificate": ADMIN}
        return self

    async def ask(self, method, path, body=None, *, token=None, certificate=None, **headers):
        path, _, query = path.partition("?")
        request = Request(
            method,
            path,
            {key: [value] for key, _, value in (p.partition("=") for p in query.split("&")) if key},
            {key.replace("_", "-"): value for key, value in headers.items()},
            b"" if body is None else json.dumps(body).encode(),
            credentials=Credentials(token, certificate),
        )
        response = await self.cluster.server.handle(request)
        try:
            return response.status, json.loads(response.body)
        except ValueError:
            return response.status, response.body.decode()

    async def admin(self, method, path, body=None, **headers):
        status, answer = await self.ask(method, path, body, certificate=ADMIN, **headers)
        assert status < 300, answer
        return answer

    async def token(self, name="robot", namespace="default", **spec):
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}"
        await self.ask(
            "POST", path.rpartition("/")[0], {"metadata": {"name": name}}, certificate=ADMIN
        )
        answer = await self.admin("POST", f"{path}/token", {"spec": spec})
        return answer["status"]["token"]

    async def grant(self, rules, user, namespace="default"):
        """A Role with these rules, bound to a user."""
        name = user.replace(":", "-")
        await self.admin(
            "POST",
            f"{RBAC}/namespaces/{namespace}/roles",
            {"metadata": {"name": name}, "rules": rules},
        )
        binding = {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
        }
        await self.admin("POST", f"{RBAC}/namespaces/{namespace}/rolebindings", binding)


def rule(verbs, resources, names=None):
    made = {"apiGroups": [""], "resources": resources.split(), "verbs": verbs.split()}
    return {**made, "resourceNames": names} if names else made


PODS = "/api/v1/namespaces/default/pods"


async def test_without_credentials_one_is_anonymous_and_sees_only_what_is_public():
    door = await Door().open()
    assert (await door.ask("GET", "/version"))[0] == 200
    assert await door.ask("GET", "/readyz") == (200, "ok")
    status, answer = await door.ask("GET", PODS)
    assert status == 403
    assert answer == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'pods is forbidden: User "system:anonymous" cannot list resource "pods" '
        'in API group "" in the namespace "default"',
        "reason": "Forbidden",
        "details": {"kind": "pods"},
        "code": 403,
    }
    info = await door.ask("GET", "/api/v1/namespaces/kube-public/configmaps/cluster-info")
    assert info[0] == 200


async def test_a_bad_token_is_nobody_not_even_anonymous():
    door = await Door().open()
    status, answer = await door.ask("GET", "/version", token="not.a.token")
    assert (status, answer["message"], answer["reason"]) == (401, "Unauthorized", "Unauthorized")


async def test_a_certificate_names_user_and_groups():
    door = await Door().open()
    certificate = Certificate("jane", ("dev", "ops"))
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    _, answer = await door.ask("POST", path, {}, certificate=certificate)
    user = answer["status"]["userInfo"]
    assert user == {"username": "jane", "groups": ["dev", "ops", "system:authenticated"]}


async def test_a_service_account_token_works_until_it_expires():
    door = await Door().open()
    token = await door.token(expirationSeconds=600)
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    _, answer = await door.ask("POST", path, {}, token=token)
    user = answer["status"]["userInfo"]
    assert user["username"] == "system:serviceaccount:default:robot"
    assert user["groups"] == [
        "system:serviceaccounts",
        "system:serviceaccounts:default",
        "system:authenticated",
    ]
    await door.clock.advance(601)
    assert (await door.ask("POST", path, {}, token=token))[0] == 401


async def test_a_token_dies_with_its_service_account_even_if_the_name_comes_back():
    door = await Door().open()
    token = await door.token()
    account = "/api/v1/namespaces/default/serviceaccounts/robot"
    await door.admin("DELETE", account)
    assert (await door.ask("GET", "/version", token=token))[0] == 401
    await door.token()  # makes the account again
    assert (await door.ask("GET", "/version", token=token))[0] == 401


async def test_a_token_for_another_audience_is_not_for_the_api_server():
    door = await Door().open()
    token = await door.token(audiences=["vault"])
    assert (await door.ask("GET", "/version", token=token))[0] == 401
    path = "/apis/authentication.k8s.io/v1/tokenreviews"
    review = await door.admin("POST", path, {"spec": {"token": token, "audiences": ["vault"]}})
    assert review["status"]["authenticated"] is True
    assert review["status"]["audiences"] == ["vault"]
    review = await door.admin("POST", path, {"spec": {"token": token}})
    assert "authenticated" not in review["status"]


async def test_a_token_lives_ten_minutes_at_least():
    door = await Door().open()
    await door.token()
    path = "/api/v1/namespaces/default/serviceaccounts/robot/token"
    status, answer = await door.ask(
        "POST", path, {"spec": {"expirationSeconds": 5}}, certificate=ADMIN
    )
    assert status == 422
    assert answer["details"]["causes"][0]["field"] == "spec.expirationSeconds"
    assert "may not specify a duration less than 10 minutes" in answer["message"]


async def test_a_role_allows_what_it_says_and_nothing_else():
    door = await Door().open()
    jane = {"certificate": Certificate("jane")}
    await door.grant([rule("get list", "pods"), rule("get", "configmaps", ["one"])], "jane")
    assert (await door.ask("GET", PODS, **jane))[0] == 200
    assert (await door.ask("GET", "/api/v1/namespaces/kube-system/pods", **jane))[0] == 403
    assert (await door.ask("GET", "/api/v1/pods", **jane))[0] == 403
    assert (await door.ask("DELETE", f"{PODS}/web", **jane))[0] == 403
    configmaps = "/api/v1/namespaces/default/configmaps"
    assert (await door.ask("GET", f"{configmaps}/one", **jane))[0] == 404
    status, answer = await door.ask("GET", f"{configmaps}/two", **jane)
    assert status == 403
    assert answer["message"] == (
        'configmaps "two" is forbidden: User "jane" cannot get resource "configmaps" '
        'in API group "" in the namespace "default"'
    )
    assert (await door.ask("GET", f"{PODS}/web/log", **jane))[0] == 403


async def test_a_rule_for_a_subresource_is_its_own():
    door = await Door().open()
    await door.grant([rule("get", "pods/log")], "jane")
    jane = {"certificate": Certificate("jane")}
    assert (await door.ask("GET", f"{PODS}/web/log", **jane))[0] == 404
    assert (await door.ask("GET", f"{PODS}/web", **jane))[0] == 403


async def test_a_role_that_is_taken_away_is_gone_at_once():
    door = await Door().open()
    jane = {"certificate": Certificate("jane")}
    await door.grant([rule("list", "pods")], "jane")
    assert (await door.ask("GET", PODS, **jane))[0] == 200
    await door.admin("DELETE", f"{RBAC}/namespaces/default/rolebindings/jane")
    assert (await door.ask("GET", PODS, **jane))[0] == 403


@pytest.mark.parametrize(
    ("role", "verb", "resource", "group", "allowed"),
    [
        ("view", "list", "pods", "", True),
        ("view", "get", "secrets", "", False),
        ("view", "create", "pods", "", False),
        ("edit", "create", "deployments", "apps", True),
        ("edit", "get", "secrets", "", True),
        ("edit", "create", "roles", "rbac.authorization.k8s.io", False),
        ("admin", "create", "roles", "rbac.authorization.k8s.io", True),
        ("admin", "list", "pods", "", True),
        ("admin", "create", "nodes", "", False),
    ],
)
async def test_the_default_roles_allow_what_the_real_ones_do(role, verb, resource, group, allowed):
    door = await Door().open()
    binding = {
        "metadata": {"name": "jane"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}],
    }
    await door.admin("POST", f"{RBAC}/namespaces/default/rolebindings", binding)
    asked = {"verb": verb, "resource": resource, "group": group, "namespace": "default"}
    review = await door.admin(
        "POST",
        f"{REVIEWS}/subjectaccessreviews",
        {"spec": {"user": "jane", "resourceAttributes": asked}},
    )
    assert review["status"]["allowed"] is allowed


async def test_an_access_review_gives_its_reason():
    door = await Door().open()
    await door.grant([rule("list", "pods")], "jane")
    asked = {"verb": "list", "resource": "pods", "namespace": "default"}
    _, review = await door.ask(
        "POST",
        f"{REVIEWS}/selfsubjectaccessreviews",
        {"spec": {"resourceAttributes": asked}},
        certificate=Certificate("jane"),
    )
    assert review["status"] == {
        "allowed": True,
        "reason": 'RBAC: allowed by RoleBinding "jane/default" of Role "jane" to User "jane"',
    }


async def test_a_rules_review_lists_what_one_may():
    door = await Door().open()
    await door.grant([rule("list", "pods")], "jane")
    _, review = await door.ask(
        "POST",
        f"{REVIEWS}/selfsubjectrulesreviews",
        {"spec": {"namespace": "default"}},
        certificate=Certificate("jane"),
    )
    assert rule("list", "pods") in review["status"]["resourceRules"]
    paths = {url for r in review["status"]["nonResourceRules"] for url in r["nonResourceURLs"]}
    assert "/version" in paths


@pytest.mark.parametrize("spec", [{}, {"user": "jane"}, {"resourceAttributes": {"verb": "get"}}])
async def test_an_incomplete_review_is_invalid(spec):
    door = await Door().open()
    body = {"kind": "SubjectAccessReview", "spec": spec}
    status, answer = await door.ask(
        "POST", f"{REVIEWS}/subjectaccessreviews", body, certificate=ADMIN
    )
    assert (status, answer["reason"]) == (422, "Invalid")


async def test_acting_as_somebody_else_needs_permission():
    door = await Door().open()
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    answer = await door.admin("POST", path, {}, impersonate_user="jane", impersonate_group="dev")
    assert answer["status"]["userInfo"] == {
        "username": "jane",
        "groups": ["dev", "system:authenticated"],
    }
    account = "system:serviceaccount:default:robot"
    answer = await door.admin("POST", path, {}, impersonate_user=account)
    assert "system:serviceaccounts:default" in answer["status"]["userInfo"]["groups"]
    status, answer = await door.ask(
        "POST", path, {}, certificate=Certificate("jane"), impersonate_user="kubernetes-admin"
    )
    assert status == 403
    assert answer["message"] == (
        'users "kubernetes-admin" is forbidden: User "jane" cannot impersonate resource "users" '
        'in API group "" at the cluster scope'
    )


async def test_a_kubelet_reads_the_secrets_of_its_own_pods_only():
    door = await Door().open()
    await door.token("default")  # makes the account that Pods need
    secrets = "/api/v1/namespaces/default/secrets"
    for name in ("mine", "other"):
        await door.admin("POST", secrets, {"metadata": {"name": name}})
    spec = {
        "nodeName": "n1",
        "containers": [{"name": "c", "image": "busybox:1.36"}],
        "volumes": [{"name": "v", "secret": {"secretName": "mine"}}],
    }
    await door.admin("POST", PODS, {"metadata": {"name": "web"}, "spec": spec})
    kubelet = {"certificate": Certificate("system:node:n1", ("system:nodes",))}
    assert (await door.ask("GET", f"{secrets}/mine", **kubelet))[0] == 200
    status, answer = await door.ask("GET", f"{secrets}/other", **kubelet)
    assert status == 403
    assert "no relationship found between node 'n1' and this object" in answer["message"]
    elsewhere = {"certificate": Certificate("system:node:n2", ("system:nodes",))}
    assert (await door.ask("GET", f"{secrets}/mine", **elsewhere))[0] == 403
    assert (await door.ask("GET", secrets, **kubelet))[0] == 403
    assert (await door.ask("POST", secrets, {"metadata": {"name": "x"}}, **kubelet))[0] == 403


async def test_a_kubelet_writes_about_its_own_node_and_pods_only():
    door = await Door().open()
    await door.token("default")
    spec = {"nodeName": "n1", "containers": [{"name": "c", "image": "busybox:1.36"}]}
    await door.admin("POST", PODS, {"metadata": {"name": "web"}, "spec": spec})
    await door.admin("POST", "/api/v1/nodes", {"metadata": {"name": "n1"}})
    own = {"certificate": Certificate("system:node:n1", ("system:nodes",))}
    other = {"certificate": Certificate("system:node:n2", ("system:nodes",))}
    merge = {"content_type": "application/merge-patch+json"}
    change = {"status": {"phase": "Running"}}
    assert (await door.ask("PATCH", f"{PODS}/web/status", change, **own, **merge))[0] == 200
    status, answer = await door.ask("PATCH", f"{PODS}/web/status", change, **other, **merge)
    assert status == 403
    assert answer["message"] == (
        'pods "web" is forbidden: node "n2" can only update pod status for pods '
        "with spec.nodeName set to itself"
    )
    assert (await door.ask("DELETE", f"{PODS}/web", **other))[0] == 403
    status, answer = await door.ask("PATCH", "/api/v1/nodes/n1/status", {}, **other, **merge)
    assert answer["message"] == (
        'nodes "n1" is forbidden: node "n2" is not allowed to modify node "n1"'
    )
    status, answer = await door.ask("POST", PODS, {"metadata": {"name": "x"}, "spec": spec}, **own)
    assert "can only create mirror pods" in answer["message"]
    assert (await door.ask("DELETE", f"{PODS}/web", **own))[0] in (200, 202)


async def test_the_knobs_of_the_simulation_are_for_administrators():
    door = await Door().open()
    assert (await door.ask("GET", "/kubesim/v1/clock", certificate=Certificate("jane")))[0] == 403
    before = await door.admin("GET", "/kubesim/v1/clock")
    after = await door.admin("POST", "/kubesim/v1/clock/advance", {"seconds": 60})
    assert after["now"] > before["now"]
    assert "not part of Kubernetes" in after["note"]


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("clock/advance", {"seconds": "long"}, "a number"),
        ("clock/advance", {"seconds": -1}, "more than 0"),
        ("clock/advance", [], "JSON object"),
        ("nodes/nope/stop", {}, "there are kubesim-control-plane"),
        ("images", {}, "name:tag"),
        ("nope", {}, "POST clock/advance"),
    ],
)
async def test_a_wrong_turn_of_a_knob_is_explained(path, body, words):
    door = await Door().open()
    status, answer = await door.ask("POST", f"/kubesim/v1/{path}", body, certificate=ADMIN)
    assert status in (400, 404)
    assert words in answer["message"]


async def test_nobody_gives_away_what_they_do_not_have():
    door = await Door().open()
    roles = f"{RBAC}/namespaces/default/roles"
    jane = {"certificate": Certificate("jane")}
    own = {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["create"]}
    await door.grant([own, rule("get", "pods")], "jane")
    weak = {"metadata": {"name": "weak"}, "rules": [rule("get", "pods")]}
    assert (await door.ask("POST", roles, weak, **jane))[0] == 201
    strong = {"metadata": {"name": "strong"}, "rules": [rule("get delete", "pods")]}
    status, answer = await door.ask("POST", roles, strong, **jane)
    assert status == 403
    assert (
        'user "jane" (groups=["system:authenticated"]) is attempting to grant RBAC'
        in (answer["message"])
    )
    assert '{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}' in answer["message"]


async def test_a_role_is_bound_by_who_holds_it_or_may_bind_it():
    door = await Door().open()
    path = f"{RBAC}/namespaces/default/rolebindings"
    jane = {"certificate": Certificate("jane")}
    group = "rbac.authorization.k8s.io"
    bind = {"apiGroups": [group], "resources": ["rolebindings"], "verbs": ["create"]}
    await door.grant([bind], "jane")
    binding = {
        "metadata": {"name": "mine"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "view"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": "jane"}],
    }
    assert (await door.ask("POST", path, binding, **jane))[0] == 403
    role = {"apiGroups": [group], "resources": ["clusterroles"], "verbs": ["bind"]}
    allowed = {"metadata": {"name": "may"}, "rules": [{**role, "resourceNames": ["view"]}]}
    await door.admin("POST", f"{RBAC}/clusterroles", allowed)
    may = {**binding, "metadata": {"name": "may"}}
    may["roleRef"] = {"apiGroup": group, "kind": "ClusterRole", "name": "may"}
    await door.admin("POST", f"{RBAC}/clusterrolebindings", may)
    assert (await door.ask("POST", path, binding, **jane))[0] == 201
