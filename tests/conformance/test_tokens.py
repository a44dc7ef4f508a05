"""Tokens of service accounts: asked for, bound, kept in Secrets; and acting as somebody else."""

import base64
import json

import pytest
from kubernetes import client

from kubelab import waiting

ISSUER = "https://kubernetes.default.svc.cluster.local"


@pytest.fixture
def bot(core, namespace):
    return core.create_namespaced_service_account(namespace, {"metadata": {"name": "bot"}})


@pytest.fixture
def request_token(core, namespace, bot):
    def create(**spec):
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        return core.create_namespaced_service_account_token("bot", namespace, body)

    return create


def no_token(core, namespace):
    listed = core.list_namespaced_secret(namespace, field_selector="metadata.name=token")
    return not listed.items


def claims(token):
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def test_a_token_says_for_whom_and_how_long_it_is(request_token, namespace, bot):
    found = claims(request_token(expirationSeconds=1200).status.token)
    assert found["iss"] == ISSUER
    assert found["aud"] == [ISSUER]
    assert found["sub"] == f"system:serviceaccount:{namespace}:bot"
    assert found["exp"] - found["iat"] == 1200
    told = found["kubernetes.io"]
    assert told["namespace"] == namespace
    assert told["serviceaccount"] == {"name": "bot", "uid": bot.metadata.uid}


def test_a_token_is_for_the_audiences_that_are_asked_for(request_token):
    assert claims(request_token(audiences=["a", "b"]).status.token)["aud"] == ["a", "b"]


def test_a_token_lets_its_holder_in(request_token, with_token, namespace, refusal):
    holder = with_token(request_token().status.token)
    status = refusal(holder.list_namespaced_pod, namespace)
    assert status["code"] == 403
    assert f'User "system:serviceaccount:{namespace}:bot" cannot list' in status["message"]


def test_a_token_for_others_does_not_let_in(request_token, with_token, namespace, refusal):
    holder = with_token(request_token(audiences=["others"]).status.token)
    assert refusal(holder.list_namespaced_pod, namespace)["code"] == 401


def test_a_token_of_less_than_ten_minutes_is_refused(request_token, refusal):
    status = refusal(request_token, expirationSeconds=60)
    assert status["details"]["causes"] == [
        {
            "reason": "FieldValueInvalid",
            "message": "Invalid value: 60: may not specify a duration less than 10 minutes",
            "field": "spec.expirationSeconds",
        }
    ]


def test_a_token_cannot_be_bound_to_what_is_not_there(request_token, refusal):
    pod = {"kind": "Pod", "apiVersion": "v1", "name": "nope"}
    assert refusal(request_token, boundObjectRef=pod)["message"] == 'pods "nope" not found'


def test_a_bound_token_dies_with_its_secret(core, request_token, with_token, namespace, refusal):
    core.create_namespaced_secret(namespace, {"metadata": {"name": "anchor"}})
    bound = {"kind": "Secret", "apiVersion": "v1", "name": "anchor"}
    holder = with_token(request_token(boundObjectRef=bound).status.token)
    assert refusal(holder.list_namespaced_pod, namespace)["code"] == 403
    core.delete_namespaced_secret("anchor", namespace)
    waiting.until(lambda: refusal(holder.list_namespaced_pod, namespace)["code"] == 401)


@pytest.fixture
def token_secret(core, namespace):
    def make(name, account):
        annotations = {"kubernetes.io/service-account.name": account} if account else {}
        body = {
            "metadata": {"name": name, "annotations": annotations},
            "type": "kubernetes.io/service-account-token",
        }
        return core.create_namespaced_secret(namespace, body)

    return make


def test_a_secret_gets_the_token_of_its_account(core, token_secret, namespace, bot):
    token_secret("token", "bot")
    data = waiting.until(lambda: core.read_namespaced_secret("token", namespace).data)
    assert set(data) == {"ca.crt", "namespace", "token"}
    assert base64.b64decode(data["namespace"]).decode() == namespace
    found = claims(base64.b64decode(data["token"]).decode())
    assert found["iss"] == "kubernetes/serviceaccount"
    assert found["kubernetes.io/serviceaccount/service-account.uid"] == bot.metadata.uid
    assert "exp" not in found


def test_a_token_secret_must_name_its_account(token_secret, refusal):
    cause = refusal(token_secret, "token", "")["details"]["causes"][0]
    assert cause["field"] == "metadata.annotations[kubernetes.io/service-account.name]"
    assert cause["message"] == "Required value"


def test_a_token_secret_goes_with_its_account(core, token_secret, namespace, bot, refusal):
    token_secret("token", "bot")
    waiting.until(lambda: core.read_namespaced_secret("token", namespace).data)
    core.delete_namespaced_service_account("bot", namespace)
    waiting.until(lambda: no_token(core, namespace))


def test_a_token_secret_for_nobody_is_deleted(core, token_secret, namespace):
    token_secret("token", "nobody")
    waiting.until(lambda: no_token(core, namespace))


def test_kubectl_creates_a_token(kubectl, bot):
    token = kubectl("create", "token", "bot", "--duration=20m", "--audience=a").strip()
    assert (claims(token)["aud"], claims(token)["exp"] - claims(token)["iat"]) == (["a"], 1200)
    told = kubectl("create", "token", "nobody", fails=True)
    assert told == 'error: failed to create token: serviceaccounts "nobody" not found\n'


def test_a_token_review_says_whose_a_token_is(cluster, request_token, namespace, bot):
    reviews = client.AuthenticationV1Api(cluster.api_client())
    body = {"spec": {"token": request_token().status.token}}
    status = reviews.create_token_review(body).status
    assert (status.authenticated, status.audiences) == (True, [ISSUER])
    assert status.user.username == f"system:serviceaccount:{namespace}:bot"
    assert status.user.uid == bot.metadata.uid
    assert f"system:serviceaccounts:{namespace}" in status.user.groups


@pytest.mark.since("1.28", "https://kubernetes.io/docs/reference/kubernetes-api/")
def test_kubectl_says_who_one_is(kubectl):
    rows = dict(row.split(maxsplit=1) for row in kubectl("auth", "whoami").splitlines()[1:3])
    assert rows["Username"] == "kubernetes-admin"
    assert "system:authenticated" in rows["Groups"]
    told = kubectl("auth", "whoami", "--as=eve", "--as-group=ops", "--as-uid=7", "-o", "json")
    assert json.loads(told)["status"]["userInfo"] == {
        "username": "eve",
        "uid": "7",
        "groups": ["ops", "system:authenticated"],
    }
