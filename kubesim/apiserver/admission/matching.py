"""Which writes an admission policy is about: rules of resources, and selectors of labels.

As k8s.io/apiserver/pkg/admission/plugin/policy/matching and webhook/predicates/rules.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kubesim.apimachinery import labels
from kubesim.apiserver.registry.context import Context
from kubesim.apiserver.registry.storage import Object


@dataclass(frozen=True)
class Attributes:
    """One write, as policies see it."""

    context: Context
    new: Object | None
    old: Object | None
    namespace: Object | None

    @property
    def operation(self) -> str:
        """CREATE, UPDATE or DELETE."""
        if self.new is None:
            return "DELETE"
        return "UPDATE" if self.old else "CREATE"

    @property
    def name(self) -> str:
        """The object's name."""
        metadata = (self.new or self.old or {}).get("metadata", {})
        return str(metadata.get("name", ""))

    def variables(self) -> dict[str, Any]:
        """What expressions can read."""
        return {
            "object": self.new,
            "oldObject": self.old,
            "request": self._request(),
            "namespaceObject": self.namespace if self.context.resource.namespaced else None,
        }

    def _request(self) -> Object:
        context = self.context
        resource, user = context.resource, context.user
        kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
        named = {
            "group": resource.group,
            "version": resource.version,
            "resource": resource.plural,
        }
        return {
            "kind": kind,
            "resource": named,
            "subResource": context.subresource,
            "requestKind": kind,
            "requestResource": named,
            "requestSubResource": context.subresource,
            "name": self.name,
            "namespace": context.namespace,
            "operation": self.operation,
            "userInfo": {
                "username": user.name,
                "uid": user.uid,
                "groups": list(user.groups),
                "extra": {key: list(values) for key, values in user.extra.items()},
            },
            "dryRun": context.dry_run,
            "options": {},
        }


def matches(constraints: Object, attributes: Attributes) -> bool:
    """Whether a write is what a policy's matchConstraints or a binding's matchResources name."""
    rules = constraints.get("resourceRules")
    if rules and not _any(rules, attributes):
        return False
    if _any(constraints.get("excludeResourceRules") or (), attributes):
        return False
    return _namespace_matches(constraints, attributes) and _object_matches(constraints, attributes)


def _any(rules: Iterable[Object], attributes: Attributes) -> bool:
    return any(_rule_matches(rule, attributes) for rule in rules)


def _rule_matches(rule: Object, attributes: Attributes) -> bool:
    context = attributes.context
    resource = context.resource
    scope = rule.get("scope") or "*"
    names = rule.get("resourceNames")
    return (
        _names(rule.get("apiGroups"), resource.group)
        and _names(rule.get("apiVersions"), resource.version)
        and _names(rule.get("operations"), attributes.operation)
        and scope in ("*", "Namespaced" if resource.namespaced else "Cluster")
        and (not names or attributes.name in names)
        and any(
            _resource_matches(pattern, resource.plural, context.subresource)
            for pattern in rule.get("resources") or ()
        )
    )


def _names(values: list[str] | None, wanted: str) -> bool:
    return bool(values) and ("*" in values or wanted in values)  # type: ignore[operator]


def _resource_matches(pattern: str, plural: str, subresource: str) -> bool:
    """`pods` is the resource itself, `pods/*` with its subresources, `*/scale` one of any."""
    wanted, _, below = pattern.partition("/")
    if pattern == "*/*":
        return True
    return wanted in ("*", plural) and below in ("*", subresource)


def _namespace_matches(constraints: Object, attributes: Attributes) -> bool:
    """Objects without a namespace are matched, whatever the selector of namespaces."""
    selector = constraints.get("namespaceSelector") or {}
    if not selector or attributes.namespace is None:
        return True
    return labels.matches(selector, attributes.namespace["metadata"].get("labels", {}))


def _object_matches(constraints: Object, attributes: Attributes) -> bool:
    selector = constraints.get("objectSelector") or {}
    if not selector:
        return True
    return any(
        labels.matches(selector, obj["metadata"].get("labels", {}))
        for obj in (attributes.new, attributes.old)
        if obj
    )
