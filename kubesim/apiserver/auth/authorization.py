"""May they? Role-based access control, and the review resources that ask the same question.

RBAC is as in https://kubernetes.io/docs/reference/access-authn-authz/rbac/: rules only allow, a
request is allowed when any rule of any role bound to the user allows it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from kubesim.apiserver import errors
from kubesim.apiserver.errors import StatusError
from kubesim.apiserver.registry.lookup import Lookup
from kubesim.apiserver.request import RequestInfo, UserInfo

GROUP = "rbac.authorization.k8s.io"
SUPERUSERS = "system:masters"
RESOURCES = ("clusterrolebindings", "rolebindings", "clusterroles", "roles")

Object = dict[str, Any]
Rule = dict[str, list[str]]


class Authorizer(Protocol):
    """Decides about one request."""

    async def authorize(self, user: UserInfo, info: RequestInfo) -> tuple[bool, str]:
        """Whether it is allowed, and why (or an empty string)."""


class Union:
    """Asks one authorizer after the other; the first that allows wins."""

    def __init__(self, *authorizers: Authorizer) -> None:
        self._authorizers = authorizers

    async def authorize(self, user: UserInfo, info: RequestInfo) -> tuple[bool, str]:
        """Allowed when one allows; the reasons of the others are joined."""
        reasons = []
        for authorizer in self._authorizers:
            allowed, reason = await authorizer.authorize(user, info)
            if allowed:
                return True, reason
            reasons.append(reason)
        return False, ", ".join(filter(None, reasons))


@dataclass(frozen=True)
class Grant:
    """One rule that applies to a user, with the binding that gave it."""

    rule: Rule
    binding: str
    role: str
    subject: str

    @property
    def reason(self) -> str:
        """The sentence that SubjectAccessReview and the audit log show."""
        return f"RBAC: allowed by {self.binding} of {self.role} to {self.subject}"


class RBAC:
    """The RBAC authorizer over the server's own view of roles and bindings."""

    def __init__(self, objects: Lookup) -> None:
        self._objects = objects
        self._known: dict[tuple[str, tuple[str, ...], str], list[Grant]] = {}
        self._feeds = [objects.feed(f"{resource}.{GROUP}") for resource in RESOURCES]

    async def authorize(self, user: UserInfo, info: RequestInfo) -> tuple[bool, str]:
        """Whether any rule bound to the user allows the request, and which."""
        return self.allowed(user, info)

    def allowed(self, user: UserInfo, info: RequestInfo) -> tuple[bool, str]:
        """The same, for callers that cannot wait."""
        if SUPERUSERS in user.groups:
            return True, ""
        for grant in self._grants(user, info.namespace):
            if allows(grant.rule, info):
                return True, grant.reason
        return False, ""

    def rules(self, user: UserInfo, namespace: str) -> list[Rule]:
        """Every rule that applies to a user in a namespace."""
        if SUPERUSERS in user.groups:
            return [
                {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
                {"verbs": ["*"], "nonResourceURLs": ["*"]},
            ]
        return [grant.rule for grant in self._grants(user, namespace)]

    def role_rules(self, reference: Object, namespace: str) -> list[Rule]:
        """The rules of the role that a roleRef names; none when it does not exist."""
        if reference["kind"] == "ClusterRole":
            role = self._objects.get(f"clusterroles.{GROUP}", reference["name"])
        else:
            role = self._objects.get(f"roles.{GROUP}", reference["name"], namespace)
        return list((role or {}).get("rules") or [])

    def _grants(self, user: UserInfo, namespace: str) -> list[Grant]:
        """What a user may, found out once as long as no role and no binding changes."""
        if any(changed for feed in self._feeds for changed in feed.take()):
            self._known.clear()
        key = (user.name, user.groups, namespace)
        if key not in self._known:
            bound = [*self._bound(user, "clusterrolebindings", "")]
            if namespace:
                bound += self._bound(user, "rolebindings", namespace)
            self._known[key] = bound
        return self._known[key]

    def _bound(self, user: UserInfo, resource: str, namespace: str) -> Iterator[Grant]:
        for binding in self._objects.list(f"{resource}.{GROUP}", namespace):
            subject = _matching_subject(binding, user, namespace)
            if subject is None:
                continue
            name = binding["metadata"]["name"]
            reference = binding["roleRef"]
            shown = f'{binding["kind"]} "{name}{"/" + namespace if namespace else ""}"'
            role = f'{reference["kind"]} "{reference["name"]}"'
            for rule in self.role_rules(reference, namespace):
                yield Grant(rule, shown, role, subject)


def allows(rule: Rule, wanted: RequestInfo) -> bool:
    """Whether one rule allows one request."""
    if not _matches(rule.get("verbs"), wanted.verb):
        return False
    if not wanted.is_resource:
        return any(_path_matches(url, wanted.path) for url in rule.get("nonResourceURLs") or ())
    names = rule.get("resourceNames") or ()
    return (
        _matches(rule.get("apiGroups"), wanted.group)
        and _resource_matches(rule.get("resources") or (), wanted)
        and (not names or wanted.name in names)
    )


def forbidden(user: UserInfo, info: RequestInfo, reason: str = "") -> StatusError:
    """The 403 that the real server answers, to the letter."""
    because = f": {reason}" if reason else ""
    sentence = f'User "{user.name}" cannot {info.verb}'
    if not info.is_resource:
        return errors.forbidden("", "", f'{sentence} path "{info.path}"{because}')
    scope = f'in the namespace "{info.namespace}"' if info.namespace else "at the cluster scope"
    what = f'resource "{_resource_path(info)}" in API group "{info.group}" {scope}'
    return errors.forbidden(info.full_resource, info.name, f"{sentence} {what}{because}")


def uncovered(held: Iterable[Rule], granted: Iterable[Rule]) -> list[Rule]:
    """The parts of `granted` that the rules held do not cover; empty when nothing is gained.

    As k8s.io/component-helpers/auth/rbac/validation.Covers: rules are broken down to one verb, one
    group, one resource and one name each.
    """
    owned = list(held)
    missing: list[Rule] = []
    for part in (part for rule in granted for part in _break_down(rule)):
        if not any(_covers(rule, part) for rule in owned):
            missing.append(part)
    return missing


def describe_rule(rule: Rule) -> str:
    """A rule as the real server prints it in messages: {APIGroups:[""], Resources:["pods"], …}."""
    names = (
        ("apiGroups", "APIGroups"),
        ("resources", "Resources"),
        ("resourceNames", "ResourceNames"),
        ("nonResourceURLs", "NonResourceURLs"),
        ("verbs", "Verbs"),
    )
    parts = []
    for key, shown in names:
        if values := rule.get(key):
            quoted = " ".join(f'"{value}"' for value in values)
            parts.append(f"{shown}:[{quoted}]")
    return "{" + ", ".join(parts) + "}"


def _resource_path(info: RequestInfo) -> str:
    """The resource with its subresource, as rules name it."""
    return f"{info.resource}/{info.subresource}" if info.subresource else info.resource


def _matches(values: Sequence[str] | None, wanted: str) -> bool:
    return bool(values) and ("*" in values or wanted in values)  # type: ignore[operator]


def _resource_matches(resources: Sequence[str], wanted: RequestInfo) -> bool:
    if "*" in resources or _resource_path(wanted) in resources:
        return True
    return bool(wanted.subresource) and f"*/{wanted.subresource}" in resources


def _path_matches(pattern: str, path: str) -> bool:
    if pattern in ("*", path):
        return True
    return pattern.endswith("*") and path.startswith(pattern[:-1])


def _matching_subject(binding: Object, user: UserInfo, namespace: str) -> str | None:
    """How the message names the first subject of a binding that the user is."""
    for subject in binding.get("subjects") or ():
        kind, name = subject["kind"], subject["name"]
        if kind == "User" and name == user.name:
            return f'User "{name}"'
        if kind == "Group" and name in user.groups:
            return f'Group "{name}"'
        if kind == "ServiceAccount":
            home = subject.get("namespace") or namespace
            if user.name == f"system:serviceaccount:{home}:{name}":
                return f'ServiceAccount "{name}/{home}"'
    return None


def _break_down(rule: Rule) -> Iterator[Rule]:
    for verb in rule.get("verbs") or ():
        for url in rule.get("nonResourceURLs") or ():
            yield {"verbs": [verb], "nonResourceURLs": [url]}
        for group in rule.get("apiGroups") or ():
            for resource in rule.get("resources") or ():
                part = {"verbs": [verb], "apiGroups": [group], "resources": [resource]}
                names = rule.get("resourceNames") or ()
                yield from ({**part, "resourceNames": [name]} for name in names)
                if not names:
                    yield part


def _covers(owner: Rule, part: Rule) -> bool:
    if not _matches(owner.get("verbs"), part["verbs"][0]):
        return False
    if "nonResourceURLs" in part:
        url = part["nonResourceURLs"][0]
        return any(_path_matches(pattern, url) for pattern in owner.get("nonResourceURLs") or ())
    resource, _, subresource = part["resources"][0].partition("/")
    name = part.get("resourceNames", [""])[0]
    verb, group = part["verbs"][0], part["apiGroups"][0]
    wanted = RequestInfo(
        verb, "", group=group, resource=resource, subresource=subresource, name=name
    )
    return allows(owner, wanted)
