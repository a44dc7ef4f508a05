"""The defaults and strategies of ValidatingAdmissionPolicies and their bindings."""

from collections.abc import Callable
from typing import Any

from kubesim.apiserver.registry.strategy import Strategy

Object = dict[str, Any]
GROUP = "admissionregistration.k8s.io"


def _default_policy(policy: Object) -> None:
    spec = policy.setdefault("spec", {})
    spec.setdefault("failurePolicy", "Fail")
    if "matchConstraints" in spec:
        _default_match(spec["matchConstraints"])


def _default_binding(binding: Object) -> None:
    if "matchResources" in binding.get("spec", {}):
        _default_match(binding["spec"]["matchResources"])


def _default_match(constraints: Object) -> None:
    constraints.setdefault("matchPolicy", "Equivalent")
    constraints.setdefault("namespaceSelector", {})
    constraints.setdefault("objectSelector", {})
    for field in ("resourceRules", "excludeResourceRules"):
        for rule in constraints.get(field) or ():
            rule.setdefault("scope", "*")


class PolicyStrategy(Strategy):
    """Policies and bindings count the changes of their spec."""

    counts_generation = True


DEFAULTS: dict[str, Callable[[Object], None]] = {
    f"validatingadmissionpolicies.{GROUP}": _default_policy,
    f"validatingadmissionpolicybindings.{GROUP}": _default_binding,
}
STRATEGIES: dict[str, type[Strategy]] = {
    f"validatingadmissionpolicies.{GROUP}": PolicyStrategy,
    f"validatingadmissionpolicybindings.{GROUP}": PolicyStrategy,
}
