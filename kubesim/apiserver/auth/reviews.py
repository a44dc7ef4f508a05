"""Resources that are questions: they are created, answered, and never stored.

A TokenReview asks who somebody is, an access review whether somebody may do something.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from kubesim.apiserver import errors
from kubesim.apiserver.auth.authentication import ServiceAccountTokens, self_subject_review
from kubesim.apiserver.auth.authorization import RBAC, Authorizer, Rule
from kubesim.apiserver.registry.lookup import Lookup
from kubesim.apiserver.request import RequestInfo, UserInfo
from kubesim.clock import Clock

Object = dict[str, Any]
Handler = Callable[[RequestInfo, UserInfo, Object], Awaitable[Object]]


class Reviews:
    """Answers the review resources and serviceaccounts/token."""

    def __init__(
        self,
        tokens: ServiceAccountTokens,
        authorizer: Authorizer,
        rbac: RBAC,
        objects: Lookup,
        clock: Clock,
    ) -> None:
        self._tokens = tokens
        self._authorizer = authorizer
        self._rbac = rbac
        self._objects = objects
        self._clock = clock

    def handlers(self) -> dict[str, Handler]:
        """The handler of each resource, by "plural.group" or "plural/subresource"."""
        return {
            "tokenreviews.authentication.k8s.io": self._token_review,
            "selfsubjectreviews.authentication.k8s.io": self._self_review,
            "selfsubjectaccessreviews.authorization.k8s.io": self._self_access,
            "subjectaccessreviews.authorization.k8s.io": self._access,
            "localsubjectaccessreviews.authorization.k8s.io": self._local_access,
            "selfsubjectrulesreviews.authorization.k8s.io": self._rules,
            "serviceaccounts/token": self._token_request,
        }

    async def _token_review(self, info: RequestInfo, user: UserInfo, body: Object) -> Object:
        return await self._tokens.review(body)

    async def _token_request(self, info: RequestInfo, user: UserInfo, body: Object) -> Object:
        account = self._objects.get("serviceaccounts", info.name, info.namespace)
        if account is None:
            raise errors.not_found("serviceaccounts", info.name)
        return await self._tokens.request(account, body)

    async def _self_review(self, info: RequestInfo, user: UserInfo, body: Object) -> Object:
        return self_subject_review(user, self._clock.now())

    async def _self_access(self, info: RequestInfo, user: UserInfo, body: Object) -> Object:
        return await self._answer(user, body)

    async def _access(self, info: RequestInfo, user: UserInfo, body: Object) -> Object:
        return await self._answer(_subject(body), body)

    async def _local_access(self, info: RequestInfo, user: UserInfo, body: Object) -> Object:
        asked = (body.get("spec") or {}).get("resourceAttributes") or {}
        if asked.get("namespace") != info.namespace:
            raise errors.bad_request(
                f"spec.resourceAttributes.namespace must match namespace: {info.namespace}"
            )
        return await self._answer(_subject(body), body)

    async def _answer(self, subject: UserInfo, body: Object) -> Object:
        allowed, reason = await self._authorizer.authorize(subject, _question(body))
        status: Object = {"allowed": allowed}
        if reason:
            status["reason"] = reason
        return {**body, "metadata": body.get("metadata") or {}, "status": status}

    async def _rules(self, info: RequestInfo, user: UserInfo, body: Object) -> Object:
        namespace = (body.get("spec") or {}).get("namespace", "")
        if not namespace:
            raise errors.bad_request("no namespace on request")
        rules = self._rbac.rules(user, namespace)
        status = {
            "resourceRules": [
                _without(rule, "nonResourceURLs") for rule in _about(rules, "resources")
            ],
            "nonResourceRules": [
                {"verbs": rule["verbs"], "nonResourceURLs": rule["nonResourceURLs"]}
                for rule in _about(rules, "nonResourceURLs")
            ],
            "incomplete": False,
        }
        return {**body, "metadata": body.get("metadata") or {}, "status": status}


def _about(rules: list[Rule], field: str) -> list[Rule]:
    return [rule for rule in rules if rule.get(field)]


def _without(rule: Rule, field: str) -> Rule:
    return {key: value for key, value in rule.items() if key != field}


def _subject(body: Object) -> UserInfo:
    spec = body.get("spec") or {}
    if not spec.get("user") and not spec.get("groups"):
        cause = {
            "reason": "FieldValueInvalid",
            "message": 'Invalid value: "": at least one of user or group must be specified',
            "field": "spec.user",
        }
        raise errors.invalid(f"{body.get('kind', '')}.authorization.k8s.io", "", [cause])
    return UserInfo(
        spec.get("user", ""), uid=spec.get("uid", ""), groups=tuple(spec.get("groups") or ())
    )


def _question(body: Object) -> RequestInfo:
    """The request that an access review asks about."""
    spec = body.get("spec") or {}
    resource = spec.get("resourceAttributes") or {}
    path = spec.get("nonResourceAttributes") or {}
    if bool(resource) == bool(path):
        cause = {
            "reason": "FieldValueInvalid",
            "message": "Invalid value: exactly one of nonResourceAttributes or resourceAttributes "
            "must be specified",
            "field": "spec.resourceAttributes",
        }
        raise errors.invalid(f"{body.get('kind', '')}.authorization.k8s.io", "", [cause])
    if path:
        return RequestInfo(path.get("verb", ""), path.get("path", ""))
    return RequestInfo(
        resource.get("verb", ""),
        "",
        group=resource.get("group", ""),
        version=resource.get("version", ""),
        resource=resource.get("resource", ""),
        subresource=resource.get("subresource", ""),
        namespace=resource.get("namespace", ""),
        name=resource.get("name", ""),
    )
