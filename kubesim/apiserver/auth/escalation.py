"""Nobody can give away what they do not have.

Creating or changing a role needs all the permissions in it, or the verb `escalate`; a binding needs
those of the role that it names, or `bind`:
https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping
"""

from kubesim.apiserver import errors
from kubesim.apiserver.auth.authorization import (
    GROUP,
    RBAC,
    SUPERUSERS,
    Rule,
    describe_rule,
    uncovered,
)
from kubesim.apiserver.registry.context import Context
from kubesim.apiserver.registry.storage import Object
from kubesim.apiserver.request import RequestInfo, UserInfo

ROLES = ("roles", "clusterroles")


class Escalation:
    """Asked before every write; refuses roles and bindings that grant what their author lacks."""

    def __init__(self, rbac: RBAC) -> None:
        self._rbac = rbac

    def __call__(self, context: Context, new: Object | None, old: Object | None) -> None:
        """Raises StatusError 403."""
        resource, user = context.resource, context.user
        if resource.group != GROUP or new is None or SUPERUSERS in user.groups:
            return
        if old and _grants(old) == _grants(new):
            return
        if resource.plural in ROLES:
            verb, kind, name = "escalate", resource.plural, new["metadata"]["name"]
            granted: list[Rule] = new.get("rules") or []
        else:
            reference = new["roleRef"]
            kind = "clusterroles" if reference["kind"] == "ClusterRole" else "roles"
            verb, name = "bind", reference["name"]
            granted = self._rbac.role_rules(reference, context.namespace)
        missing = uncovered(self._rbac.rules(user, context.namespace), granted)
        asked = RequestInfo(verb, "", GROUP, resource=kind, namespace=context.namespace, name=name)
        if missing and not self._rbac.allowed(user, asked)[0]:
            name = new["metadata"]["name"]
            raise errors.forbidden(resource.full_name, name, _sentence(user, missing))


def _grants(obj: Object) -> tuple[object, ...]:
    return tuple(obj.get(field) for field in ("rules", "aggregationRule", "roleRef", "subjects"))


def _sentence(user: UserInfo, missing: list[Rule]) -> str:
    groups = " ".join(f'"{group}"' for group in user.groups)
    rules = "\n".join(describe_rule(rule) for rule in missing)
    return (
        f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions '
        f"not currently held:\n{rules}"
    )
