"""What objects count for in a ResourceQuota (pkg/quota/v1/evaluator/core)."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from kubesim.apimachinery.objects import Object, pod_is_finished
from kubesim.apimachinery.resourcelist import Amounts, pod_amounts
from kubesim.apimachinery.volumes import class_of, requested

COMPUTE = ("cpu", "memory", "ephemeral-storage")
COUNTED = (  # may be limited by their own name, too
    *("configmaps", "persistentvolumeclaims", "pods", "replicationcontrollers"),
    *("resourcequotas", "secrets", "services"),
)
ONE = Decimal(1)


def usage(resource: str, obj: Object) -> Amounts:
    """Return what an object of resource "plural[.group]" counts for, by the names of quotas."""
    total: Amounts = {f"count/{resource}": ONE}
    if resource == "pods":
        return total | ({} if pod_is_finished(obj) else _pod(obj))
    if resource in COUNTED:
        total[resource] = ONE
    if resource == "services":
        return total | _service(obj)
    if resource == "persistentvolumeclaims":
        return total | _claim(obj)
    return total


def _pod(pod: Object) -> Amounts:
    requests, limits = (pod_amounts(pod["spec"], kind) for kind in ("requests", "limits"))
    total: Amounts = {"pods": ONE}
    for name, amount in requests.items():
        total[f"requests.{name}"] = amount
        if name in COMPUTE:
            total[name] = amount
    return total | {f"limits.{name}": limits[name] for name in COMPUTE if name in limits}


def _service(service: Object) -> Amounts:
    spec = service["spec"]
    kind = spec.get("type", "ClusterIP")
    ports = len(spec.get("ports") or ())
    exposed = kind == "NodePort" or (
        kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts", True)
    )
    return {
        "services.nodeports": Decimal(ports if exposed else 0),
        "services.loadbalancers": Decimal(kind == "LoadBalancer"),
    }


def _claim(claim: Object) -> Amounts:
    storage = requested(claim)
    total = {"requests.storage": storage}
    if name := class_of(claim):
        prefix = f"{name}.storageclass.storage.k8s.io"
        total[f"{prefix}/requests.storage"] = storage
        total[f"{prefix}/persistentvolumeclaims"] = ONE
    return total


def counts(quota: Object, resource: str, obj: Object) -> bool:
    """Whether a quota's scopes take an object in."""
    spec = quota["spec"]
    scopes = [{"scopeName": name, "operator": "Exists"} for name in spec.get("scopes") or ()]
    scopes += (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    return all(resource == "pods" and _in_scope(scope, obj) for scope in scopes)


def _in_scope(scope: Object, pod: Object) -> bool:
    spec = pod["spec"]
    match scope["scopeName"]:
        case "Terminating":
            return "activeDeadlineSeconds" in spec
        case "NotTerminating":
            return "activeDeadlineSeconds" not in spec
        case "BestEffort":
            return not any(_has_resources(each) for each in _all_containers(spec))
        case "NotBestEffort":
            return any(_has_resources(each) for each in _all_containers(spec))
        case "PriorityClass":
            return _class_matches(scope, spec.get("priorityClassName", ""))
    return "affinity" in spec  # CrossNamespacePodAffinity, roughly: it has any


def _all_containers(spec: Object) -> Iterable[Object]:
    return (*(spec.get("initContainers") or ()), *spec["containers"])


def _has_resources(container: Object) -> bool:
    resources = container.get("resources") or {}
    return bool(resources.get("requests") or resources.get("limits"))


def _class_matches(scope: Object, name: str) -> bool:
    listed = name in (scope.get("values") or ())
    return {
        "In": listed,
        "NotIn": not listed,
        "Exists": bool(name),
        "DoesNotExist": not name,
    }[scope["operator"]]


def limited(quota: Object, resource: str) -> set[str]:
    """Return the names that a quota limits and that objects of this resource count for."""
    hard: Mapping[str, str] = quota["spec"].get("hard") or {}
    return {name for name in hard if _concerns(name, resource)}


def _concerns(name: str, resource: str) -> bool:
    if name == f"count/{resource}" or (name == resource and resource in COUNTED):
        return True
    if resource == "services":
        return name in ("services.nodeports", "services.loadbalancers")
    if resource == "persistentvolumeclaims":
        return name == "requests.storage" or ".storageclass.storage.k8s.io/" in name
    if resource == "pods":
        return name in COMPUTE or (
            name.startswith(("requests.", "limits.", "hugepages-")) and name != "requests.storage"
        )
    return False
