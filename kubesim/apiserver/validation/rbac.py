"""Validation of Roles and their bindings (pkg/apis/rbac/validation)."""

from collections.abc import Iterator
from typing import Any

from kubesim.apiserver.patch.fields import Cause, invalid, not_supported, required

Object = dict[str, Any]
GROUP = "rbac.authorization.k8s.io"
SUBJECTS = ("ServiceAccount", "User", "Group")


def role(obj: Object) -> Iterator[Cause]:
    """Check a Role's rules."""
    yield from _rules(obj, namespaced=True)


def cluster_role(obj: Object) -> Iterator[Cause]:
    """Check a ClusterRole's rules."""
    yield from _rules(obj, namespaced=False)


def _rules(obj: Object, *, namespaced: bool) -> Iterator[Cause]:
    for index, rule in enumerate(obj.get("rules", ())):
        path = f"rules[{index}]"
        if not rule.get("verbs"):
            yield required(f"{path}.verbs", "verbs must contain at least one value")
        urls = rule.get("nonResourceURLs")
        if urls and namespaced:
            why = "namespaced rules cannot apply to non-resource URLs"
            yield invalid(f"{path}.nonResourceURLs", urls, why)
        elif urls and (rule.get("apiGroups") or rule.get("resources")):
            why = "rules cannot apply to both regular resources and non-resource URLs"
            yield invalid(f"{path}.nonResourceURLs", urls, why)
        elif not urls:
            yield from _resources(rule, path)


def _resources(rule: Object, path: str) -> Iterator[Cause]:
    if not rule.get("apiGroups"):
        yield required(f"{path}.apiGroups", "resource rules must supply at least one api group")
    if not rule.get("resources"):
        yield required(f"{path}.resources", "resource rules must supply at least one resource")


def role_binding(obj: Object) -> Iterator[Cause]:
    """Check a RoleBinding: it may bind a Role or a ClusterRole."""
    yield from _binding(obj, ("Role", "ClusterRole"))


def cluster_role_binding(obj: Object) -> Iterator[Cause]:
    """Check a ClusterRoleBinding."""
    yield from _binding(obj, ("ClusterRole",))


def _binding(obj: Object, kinds: tuple[str, ...]) -> Iterator[Cause]:
    reference = obj.get("roleRef", {})
    if reference.get("apiGroup") != GROUP:
        yield not_supported("roleRef.apiGroup", reference.get("apiGroup", ""), (GROUP,))
    if reference.get("kind") not in kinds:
        yield not_supported("roleRef.kind", reference.get("kind", ""), kinds)
    if not reference.get("name"):
        yield required("roleRef.name")
    for index, subject in enumerate(obj.get("subjects", ())):
        yield from _subject(subject, f"subjects[{index}]", cluster=len(kinds) == 1)


def _subject(subject: Object, path: str, *, cluster: bool) -> Iterator[Cause]:
    kind = subject.get("kind", "")
    if not subject.get("name"):
        yield required(f"{path}.name")
    if kind not in SUBJECTS:
        yield not_supported(f"{path}.kind", kind, SUBJECTS)
        return
    group = "" if kind == "ServiceAccount" else GROUP
    if subject.get("apiGroup", "") != group:
        yield not_supported(f"{path}.apiGroup", subject.get("apiGroup", ""), (group,))
    if kind == "ServiceAccount" and cluster and not subject.get("namespace"):
        yield required(f"{path}.namespace")


def binding_update(new: Object, old: Object) -> Iterator[Cause]:
    """Check that a binding keeps its role; another role is another binding."""
    if new["roleRef"] != old["roleRef"]:
        yield invalid("roleRef", new["roleRef"], "cannot change roleRef")
