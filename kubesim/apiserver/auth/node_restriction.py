"""A kubelet writes about its own node and the Pods on it, and about nothing else.

The admission plugin NodeRestriction:
https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction
"""

from kubesim.apimachinery.objects import CONFIG_MIRROR, pod_is_mirror
from kubesim.apiserver import errors
from kubesim.apiserver.auth.node_authorizer import node_of
from kubesim.apiserver.registry.context import Context
from kubesim.apiserver.registry.storage import Object


def restrict_nodes(context: Context, new: Object | None, old: Object | None) -> None:
    """Asked before every write. Raises StatusError 403."""
    node = node_of(context.user)
    obj = new or old
    if node is None or obj is None:
        return
    name = obj["metadata"]["name"]
    problem = None
    if context.resource.plural == "nodes" and name != node:
        problem = f'node "{node}" is not allowed to modify node "{name}"'
    elif context.resource.plural == "pods":
        problem = _about_pod(node, context, new, old)
    if problem:
        raise errors.forbidden(context.resource.full_name, name, problem)


def _about_pod(node: str, context: Context, new: Object | None, old: Object | None) -> str | None:
    if old is None:
        if new is not None and pod_is_mirror(new):
            return None
        why = f'pod does not have "{CONFIG_MIRROR}" annotation'
        return f'{why}, node "{node}" can only create mirror pods'
    if old["spec"].get("nodeName") == node:
        return None
    action = "update pod status for" if context.subresource == "status" else "delete"
    return f'node "{node}" can only {action} pods with spec.nodeName set to itself'
