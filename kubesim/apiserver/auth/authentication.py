"""Who is asking? Client certificates, service account tokens, impersonation, or nobody.

Behaviour follows https://kubernetes.io/docs/reference/access-authn-authz/authentication/.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from urllib.parse import unquote

from kubesim.apimachinery import rand
from kubesim.apimachinery.objects import timestamp
from kubesim.apiserver import errors
from kubesim.apiserver.auth.authorization import Authorizer, forbidden
from kubesim.apiserver.registry.lookup import Lookup
from kubesim.apiserver.request import Request, RequestInfo, UserInfo
from kubesim.clock import Clock

ISSUER = "https://kubernetes.default.svc.cluster.local"
LEGACY_ISSUER = "kubernetes/serviceaccount"  # of the tokens in Secrets
ANONYMOUS = UserInfo("system:anonymous", groups=("system:unauthenticated",))
AUTHENTICATION = "authentication.k8s.io"
AUTHENTICATED = "system:authenticated"
DEFAULT_TOKEN_SECONDS = 3600
MIN_TOKEN_SECONDS = 600
MAX_TOKEN_SECONDS = 1 << 32

Object = dict[str, Any]


class Authenticator(Protocol):
    """Turns what the transport saw into a user."""

    async def authenticate(self, request: Request) -> UserInfo:
        """The user of a request; raises StatusError 401 for credentials that do not hold."""


class Signer(Protocol):
    """Signs and verifies tokens; the real one is pki.TokenKey."""

    def sign(self, claims: dict[str, Any]) -> str:
        """The token for these claims."""

    def verify(self, token: str) -> dict[str, Any] | None:
        """The claims of a token with a good signature, else None."""


@dataclass(frozen=True)
class Verified:
    """A token that holds: whose it is and for which of the asked audiences."""

    user: UserInfo
    audiences: tuple[str, ...]


class RequestAuthenticator:
    """Certificate first, then bearer token, then anonymous, as the real server's union."""

    def __init__(self, tokens: "ServiceAccountTokens") -> None:
        self._tokens = tokens

    async def authenticate(self, request: Request) -> UserInfo:
        """The user of a request; raises StatusError 401 for a bad token."""
        credentials = request.credentials
        certificate = credentials.certificate
        if certificate is not None and certificate.common_name:
            groups = (*certificate.organizations, AUTHENTICATED)
            return UserInfo(certificate.common_name, groups=groups)
        if credentials.token is None:
            return ANONYMOUS
        verified = await self._tokens.verify(credentials.token, (ISSUER,))
        if verified is None:
            raise errors.unauthorized()
        return verified.user


class Impersonator:
    """Lets a user who may act as somebody else (`kubectl --as`)."""

    def __init__(self, authenticator: Authenticator, authorizer: Authorizer) -> None:
        self._authenticator = authenticator
        self._authorizer = authorizer

    async def authenticate(self, request: Request) -> UserInfo:
        """The user acted for; raises StatusError 401, or 403 when impersonation is not allowed."""
        user = await self._authenticator.authenticate(request)
        name = request.headers.get("impersonate-user", "")
        groups = _values(request, "impersonate-group")
        if not name:
            if groups:
                raise errors.bad_request("requested group impersonation without a user")
            return user
        account = _service_account(name)
        if account:
            await self._require(user, "serviceaccounts", account[1], account[0])
            groups = groups or _account_groups(account[0])
        else:
            await self._require(user, "users", name)
        for group in _values(request, "impersonate-group"):
            await self._require(user, "groups", group)
        uid = request.headers.get("impersonate-uid", "")
        if uid:
            await self._require(user, "uids", uid, group=AUTHENTICATION)
        extra = _extra(request)
        for key, values in extra.items():
            for value in values:
                info = f"userextras/{key}"
                await self._require(user, info, value, group=AUTHENTICATION)
        if name != ANONYMOUS.name and AUTHENTICATED not in groups:
            groups = (*groups, AUTHENTICATED)
        return UserInfo(name, uid=uid, groups=groups, extra=extra)

    async def _require(
        self, user: UserInfo, resource: str, name: str, namespace: str = "", *, group: str = ""
    ) -> None:
        plural, _, subresource = resource.partition("/")
        info = RequestInfo(
            "impersonate",
            "",
            group=group,
            resource=plural,
            subresource=subresource,
            name=name,
            namespace=namespace,
        )
        allowed, reason = await self._authorizer.authorize(user, info)
        if not allowed:
            raise forbidden(user, info, reason)


class ServiceAccountTokens:
    """Issues and verifies bound service account tokens (TokenRequest and TokenReview)."""

    def __init__(self, signer: Signer, objects: Lookup, clock: Clock) -> None:
        self._signer = signer
        self._objects = objects
        self._clock = clock

    async def verify(self, token: str, audiences: Sequence[str]) -> Verified | None:
        """Whose token it is, if it is signed, in date, for us, and its account still exists."""
        claims = self._signer.verify(token)
        if claims is not None and claims.get("iss") == LEGACY_ISSUER:
            return self._verify_legacy(token, claims, audiences)
        if claims is None or claims.get("iss") != ISSUER or not self._in_date(claims):
            return None
        accepted = tuple(a for a in claims.get("aud", ()) if a in audiences)
        bound = claims.get("kubernetes.io", {})
        if not accepted or not await self._alive(bound):
            return None
        return Verified(_token_user(claims, bound), accepted)

    def _verify_legacy(
        self, token: str, claims: dict[str, Any], audiences: Sequence[str]
    ) -> Verified | None:
        """Whose token it is, if its Secret still holds it and the account is there."""
        namespace, name, uid, secret_name = (
            claims.get(f"kubernetes.io/serviceaccount/{field}", "")
            for field in ("namespace", "service-account.name", "service-account.uid", "secret.name")
        )
        secret = self._objects.get("secrets", secret_name, namespace)
        held = (secret or {}).get("data", {}).get("token", "")
        account = self._objects.get("serviceaccounts", name, namespace)
        if base64.b64decode(held).decode() != token or ISSUER not in audiences:
            return None
        if account is None or account["metadata"]["uid"] != uid:
            return None
        groups = (*_account_groups(namespace), AUTHENTICATED)
        return Verified(UserInfo(claims["sub"], uid=uid, groups=groups), (ISSUER,))

    async def request(self, account: Object, body: Object) -> Object:
        """Answer a TokenRequest for a service account: the same object with its status filled.

        Raises StatusError 422 for an expiry under ten minutes, 404 or 409 for a wrong bound object.
        """
        spec = dict(body.get("spec") or {})
        audiences = spec.get("audiences") or [ISSUER]
        seconds = spec.get("expirationSeconds") or DEFAULT_TOKEN_SECONDS
        _check_expiry(seconds)
        bound = await self._bound_object(account, spec.get("boundObjectRef"))
        now = self._clock.now()
        expires = now + timedelta(seconds=seconds)
        claims = _claims(account, bound, audiences, now, expires)
        token = self._signer.sign({**claims, "jti": rand.uid(self._clock.random)})
        metadata = account["metadata"]
        return {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "creationTimestamp": timestamp(now),
            },
            "spec": {
                "audiences": audiences,
                "expirationSeconds": seconds,
                "boundObjectRef": spec.get("boundObjectRef"),
            },
            "status": {"token": token, "expirationTimestamp": timestamp(expires)},
        }

    async def review(self, body: Object) -> Object:
        """Answer a TokenReview: whose token `spec.token` is."""
        spec = body.get("spec") or {}
        if not spec.get("token"):
            raise errors.bad_request("token is required for TokenReview in authentication")
        audiences = spec.get("audiences") or [ISSUER]
        verified = await self.verify(spec["token"], audiences)
        status: Object = {"user": {}, "error": "[invalid bearer token]"}
        if verified:
            status = {
                "authenticated": True,
                "user": user_object(verified.user),
                "audiences": list(verified.audiences),
            }
        return {**_review(body, "TokenReview"), "spec": spec, "status": status}

    def _in_date(self, claims: dict[str, Any]) -> bool:
        now = self._clock.now().timestamp()
        return bool(claims.get("nbf", 0) <= now < claims.get("exp", 0))

    async def _alive(self, bound: Object) -> bool:
        """Whether the account, and the object that the token is bound to, still exist."""
        namespace = bound.get("namespace", "")
        references = [("serviceaccounts", "serviceaccount"), ("pods", "pod"), ("secrets", "secret")]
        for resource, key in references:
            wanted = bound.get(key)
            if wanted is None:
                continue
            found = self._objects.get(resource, wanted["name"], namespace)
            if found is None or found["metadata"]["uid"] != wanted["uid"]:
                return False
        return True

    async def _bound_object(self, account: Object, reference: Object | None) -> Object | None:
        if not reference:
            return None
        resource = {"Pod": "pods", "Secret": "secrets"}.get(reference.get("kind", ""))
        if resource is None:
            raise errors.bad_request(
                f'cannot bind token to object of type "{reference.get("kind", "")}"'
            )
        name = reference.get("name", "")
        found = self._objects.get(resource, name, account["metadata"]["namespace"])
        if found is None:
            raise errors.not_found(resource, name)
        if reference.get("uid") not in (None, "", found["metadata"]["uid"]):
            raise errors.conflict(
                resource, name, "the UID in the bound object reference does not match the object's"
            )
        identity = {"name": name, "uid": found["metadata"]["uid"]}
        return {reference["kind"].lower(): identity}


def self_subject_review(user: UserInfo, now: datetime) -> Object:
    """Answer a SelfSubjectReview (`kubectl auth whoami`)."""
    return {
        "kind": "SelfSubjectReview",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"creationTimestamp": timestamp(now)},
        "status": {"userInfo": user_object(user)},
    }


def user_object(user: UserInfo) -> Object:
    """A user in the wire form of authentication.k8s.io/v1 UserInfo."""
    fields: Object = {"username": user.name, "uid": user.uid, "groups": list(user.groups)}
    fields["extra"] = {key: list(values) for key, values in dict(user.extra or {}).items()}
    return {key: value for key, value in fields.items() if value}


def _token_user(claims: dict[str, Any], bound: Object) -> UserInfo:
    namespace, account = bound["namespace"], bound["serviceaccount"]
    extra = {"authentication.kubernetes.io/credential-id": (f"JTI={claims['jti']}",)}
    if pod := bound.get("pod"):
        extra["authentication.kubernetes.io/pod-name"] = (pod["name"],)
        extra["authentication.kubernetes.io/pod-uid"] = (pod["uid"],)
    name = f"system:serviceaccount:{namespace}:{account['name']}"
    groups = (*_account_groups(namespace), AUTHENTICATED)
    return UserInfo(name, uid=account["uid"], groups=groups, extra=extra)


def _claims(
    account: Object, bound: Object | None, audiences: list[str], now: datetime, expires: datetime
) -> dict[str, Any]:
    metadata = account["metadata"]
    return {
        "aud": audiences,
        "exp": int(expires.timestamp()),
        "iat": int(now.timestamp()),
        "iss": ISSUER,
        "kubernetes.io": {
            "namespace": metadata["namespace"],
            "serviceaccount": {"name": metadata["name"], "uid": metadata["uid"]},
            **(bound or {}),
        },
        "nbf": int(now.timestamp()),
        "sub": f"system:serviceaccount:{metadata['namespace']}:{metadata['name']}",
    }


def _check_expiry(seconds: object) -> None:
    if not isinstance(seconds, int):
        raise errors.bad_request("spec.expirationSeconds must be an integer")
    problem = None
    if seconds < MIN_TOKEN_SECONDS:
        problem = "may not specify a duration less than 10 minutes"
    elif seconds > MAX_TOKEN_SECONDS:
        problem = "may not specify a duration larger than 2^32 seconds"
    if problem:
        cause = {
            "reason": "FieldValueInvalid",
            "message": f"Invalid value: {seconds}: {problem}",
            "field": "spec.expirationSeconds",
        }
        raise errors.invalid("TokenRequest.authentication.k8s.io", "", [cause])


def _account_groups(namespace: str) -> tuple[str, ...]:
    return ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")


def _service_account(user: str) -> tuple[str, str] | None:
    """(namespace, name) of a service account's user name."""
    parts = user.split(":")
    if len(parts) == 4 and parts[:2] == ["system", "serviceaccount"]:
        return parts[2], parts[3]
    return None


def _values(request: Request, header: str) -> tuple[str, ...]:
    """All values of a header that may be repeated; the transport joins them with commas."""
    text = request.headers.get(header, "")
    return tuple(value.strip() for value in text.split(",") if value.strip())


def _extra(request: Request) -> dict[str, tuple[str, ...]]:
    """What the headers Impersonate-Extra-KEY say; a key may be percent-encoded."""
    prefix = "impersonate-extra-"
    return {
        unquote(header.removeprefix(prefix)): _values(request, header)
        for header in request.headers
        if header.startswith(prefix)
    }


def _review(body: Object, kind: str) -> Object:
    metadata = body.get("metadata") or {}
    return {"kind": kind, "apiVersion": "authentication.k8s.io/v1", "metadata": metadata}
