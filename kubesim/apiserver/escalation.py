"""Nobody can give away what they do not have.

Creating or changing a role needs all the permissions in it, or the verb `escalate`; a binding needs
those of the role that it names, or `bind`:
https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping
"""

from kubesim.api.resources import Resource
from kubesim.apiserver import errors
from kubesim.apiserver.authorization import GROUP, RBAC, Rule, describe_rule, uncovered
from kubesim.apiserver.request import RequestInfo, UserInfo
from kubesim.apiserver.storage import Object

ROLES = ("roles", "clusterroles")


def check_escalation(
    rbac: RBAC, user: UserInfo, resource: Resource, obj: Object, old: Object | None
) -> None:
    """Refuse a role or binding that grants what its author lacks. Raises StatusError 403."""
    if resource.group != GROUP or (old and _grants(old) == _grants(obj)):
        return
    metadata = obj["metadata"]
    namespace = metadata.get("namespace", "")
    if resource.plural in ROLES:
        verb, kind, name = "escalate", resource.plural, metadata["name"]
        granted: list[Rule] = obj.get("rules") or []
    else:
        reference = obj["roleRef"]
        kind = "clusterroles" if reference["kind"] == "ClusterRole" else "roles"
        verb, name = "bind", reference["name"]
        granted = rbac.role_rules(reference, namespace)
    missing = uncovered(rbac.rules(user, namespace), granted)
    asked = RequestInfo(verb, "", GROUP, resource=kind, namespace=namespace, name=name)
    if missing and not rbac.allowed(user, asked)[0]:
        raise errors.forbidden(resource.full_name, metadata["name"], _sentence(user, missing))


def _grants(obj: Object) -> tuple[object, ...]:
    return tuple(obj.get(field) for field in ("rules", "aggregationRule", "roleRef", "subjects"))


def _sentence(user: UserInfo, missing: list[Rule]) -> str:
    groups = " ".join(f'"{group}"' for group in user.groups)
    rules = "\n".join(describe_rule(rule) for rule in missing)
    return (
        f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions '
        f"not currently held:\n{rules}"
    )
