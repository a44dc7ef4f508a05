"""Nobody can give away what they do not have.

Creating or changing a role needs all the permissions in it, or the verb `escalate`; a binding needs
those of the role that it names, or `bind`:
https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping
"""

from dataclasses import replace

from kubesim.apiserver import errors
from kubesim.apiserver.authorization import (
    GROUP,
    RBAC,
    Rule,
    describe_rule,
    uncovered,
)
from kubesim.apiserver.request import RequestInfo, UserInfo
from kubesim.apiserver.storage import Object

ROLES = ("roles", "clusterroles")
BINDINGS = ("rolebindings", "clusterrolebindings")


async def check(rbac: RBAC, user: UserInfo, info: RequestInfo, obj: Object) -> None:
    """Refuse a role or binding that grants what its author lacks. Raises StatusError 403."""
    if info.group != GROUP or info.resource not in (*ROLES, *BINDINGS):
        return
    name, namespace = obj["metadata"].get("name", ""), info.namespace
    if info.resource in ROLES:
        asked = replace(info, verb="escalate", name=name)
        granted: list[Rule] = obj.get("rules") or []
    else:
        reference = obj["roleRef"]
        resource = "clusterroles" if reference["kind"] == "ClusterRole" else "roles"
        asked = replace(info, verb="bind", resource=resource, name=reference["name"])
        granted = rbac.role_rules(reference, namespace)
    missing = uncovered(rbac.rules(user, namespace), granted)
    if missing and not (await rbac.authorize(user, asked))[0]:
        raise errors.forbidden(info.full_resource, name, _sentence(user, missing))


def _sentence(user: UserInfo, missing: list[Rule]) -> str:
    groups = " ".join(f'"{group}"' for group in user.groups)
    rules = "\n".join(describe_rule(rule) for rule in missing)
    return (
        f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions '
        f"not currently held:\n{rules}"
    )
