"""What is particular to NetworkPolicies, Ingresses and their classes in a write."""

from typing import Any

from kubesim.apiserver import errors
from kubesim.apiserver.patch import fields
from kubesim.apiserver.registry.context import Context
from kubesim.apiserver.registry.strategy import Strategy

Object = dict[str, Any]
CLASS_ANNOTATION = "kubernetes.io/ingress.class"


class SpecStrategy(Strategy):
    """Objects whose generation counts the changes of their spec."""

    counts_generation = True


class IngressStrategy(SpecStrategy):
    """Ingresses."""

    def initial_status(self, obj: Object) -> Object:
        """Nobody serves it yet."""
        return {"loadBalancer": {}}


STRATEGIES: dict[str, type[Strategy]] = {
    "ingresses.networking.k8s.io": IngressStrategy,
    "ingressclasses.networking.k8s.io": SpecStrategy,
    "networkpolicies.networking.k8s.io": SpecStrategy,
}


def default_network_policy(policy: Object) -> None:
    """A policy is about what comes in, and about what goes out if it has rules for that."""
    spec = policy.setdefault("spec", {})
    spec.setdefault("podSelector", {})
    for rule in (*spec.get("ingress", ()), *spec.get("egress", ())):
        for port in rule.get("ports", ()):
            port.setdefault("protocol", "TCP")
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def default_ingress(ingress: Object) -> None:
    """An Ingress says in its status where it is served."""
    ingress.setdefault("spec", {})
    ingress.setdefault("status", {}).setdefault("loadBalancer", {})


def default_ingress_class(ingress_class: Object) -> None:
    """Parameters are an object of the cluster, unless they say of a namespace."""
    parameters = ingress_class.setdefault("spec", {}).get("parameters")
    if parameters is not None:
        parameters.setdefault("scope", "Cluster")


DEFAULTS = {
    "ingresses.networking.k8s.io": default_ingress,
    "ingressclasses.networking.k8s.io": default_ingress_class,
    "networkpolicies.networking.k8s.io": default_network_policy,
}


def check_class(context: Context, new: Object | None, old: Object | None) -> None:
    """Refuse a new Ingress that names its class in two ways. Raises 422."""
    of_ingress = context.resource.full_name == "ingresses.networking.k8s.io"
    if not of_ingress or new is None or old is not None:
        return
    annotation = new["metadata"].get("annotations", {}).get(CLASS_ANNOTATION)
    if annotation is not None and "ingressClassName" in new["spec"]:
        path = f"metadata.annotations[{CLASS_ANNOTATION}]"
        why = "can not be set when the class field is also set"
        cause = fields.invalid(path, annotation, why)
        raise errors.invalid(context.resource.full_kind, new["metadata"]["name"], [cause])
