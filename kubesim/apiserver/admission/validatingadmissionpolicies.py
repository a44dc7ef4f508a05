"""ValidatingAdmissionPolicies: rules in CEL that an administrator sets for other people's writes.

As k8s.io/apiserver/pkg/admission/plugin/policy/validating; see
https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/. A policy says
what must hold, a binding where, with which parameters, and what happens when it does not.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kubesim.api import resources
from kubesim.api.served import Resources
from kubesim.apimachinery import labels
from kubesim.apiserver import errors
from kubesim.apiserver.admission.matching import Attributes, matches
from kubesim.apiserver.cel import CELError, compiled
from kubesim.apiserver.registry.context import Context
from kubesim.apiserver.registry.storage import Object, Storage, dump
from kubesim.apiserver.validation.admissionpolicies import VARIABLES

GROUP = "admissionregistration.k8s.io"
POLICIES = resources.named(f"validatingadmissionpolicies.{GROUP}")
BINDINGS = resources.named(f"validatingadmissionpolicybindings.{GROUP}")
NAMESPACES = resources.named("namespaces")
FAILURE = "validation.policy.admission.k8s.io/validation_failure"
CODES = {"Unauthorized": 401, "Forbidden": 403, "RequestEntityTooLarge": 413, "Invalid": 422}
NO_PARAMS = "no params found for policy binding with `Deny` parameterNotFoundAction"


@dataclass(frozen=True)
class Decision:
    """What a policy has against a write."""

    message: str
    reason: str = "Invalid"
    index: int = 0  # of the validation that failed


class ValidatingAdmissionPolicies:
    """Asked before every write."""

    def __init__(self, storage: Storage, served: Resources) -> None:
        self._storage = storage
        self._served = served

    def __call__(self, context: Context, new: Object | None, old: Object | None) -> None:
        """Refuse a write that a policy denies; warn of one that it only warns of."""
        if context.resource.group == GROUP:
            return  # nobody can lock themselves out
        bindings = [b.object for b in self._storage.list(BINDINGS)]
        if not bindings:
            return
        attributes = self._attributes(context, new, old)
        for binding in bindings:
            policy = self._storage.get(POLICIES, "", binding["spec"]["policyName"])
            if policy:
                self._enforce(policy.object, binding, attributes, context)

    def _attributes(self, context: Context, new: Object | None, old: Object | None) -> Attributes:
        namespace = None
        if context.namespace:
            stored = self._storage.get(NAMESPACES, "", context.namespace)
            namespace = stored.object if stored else None
        elif context.resource is NAMESPACES:
            namespace = new or old
        return Attributes(context, new, old, namespace)

    def _enforce(
        self, policy: Object, binding: Object, attributes: Attributes, context: Context
    ) -> None:
        constraints = policy["spec"].get("matchConstraints") or {}
        if not matches(constraints, attributes):
            return
        narrower = binding["spec"].get("matchResources")
        if narrower and not matches(narrower, attributes):
            return
        name, bound = policy["metadata"]["name"], binding["metadata"]["name"]
        actions = binding["spec"].get("validationActions") or ()
        failures: list[Object] = []
        for decision in self._judge(policy, binding, attributes):
            if "Audit" in actions:
                failures.append(
                    {
                        "message": decision.message,
                        "policy": name,
                        "binding": bound,
                        "expressionIndex": decision.index,
                        "validationActions": actions,
                    }
                )
                context.annotations[FAILURE] = dump(failures).decode()
            if "Deny" in actions:
                told = f"ValidatingAdmissionPolicy '{name}' with binding '{bound}' denied request"
                raise _denied(context, attributes, f"{told}: {decision.message}", decision.reason)
            if "Warn" in actions:
                told = f"Validation failed for ValidatingAdmissionPolicy '{name}' with binding"
                context.warnings.append(f"{told} '{bound}': {decision.message}")

    def _judge(self, policy: Object, binding: Object, attributes: Attributes) -> Iterator[Decision]:
        """Yield what the policy has against a write, once for each object of parameters."""
        fails = policy["spec"].get("failurePolicy", "Fail") == "Fail"
        try:
            found = self._params(policy, binding, attributes)
        except CELError as error:
            if fails:
                yield Decision(f"failed to configure binding: {error}")
            return
        for params in found:
            yield from _evaluate(policy, attributes, params, fails=fails)

    def _params(self, policy: Object, binding: Object, attributes: Attributes) -> list[Any]:
        """The parameters that a binding names; a policy without a kind of them has none."""
        kind, reference = policy["spec"].get("paramKind"), binding["spec"].get("paramRef")
        if not kind or not reference:
            return [None]
        resource = self._resource_of(kind)
        namespace = ""
        if resource.namespaced:
            namespace = reference.get("namespace") or attributes.context.namespace
        if reference.get("name"):
            stored = self._storage.get(resource, namespace, reference["name"])
            found = [stored.object] if stored else []
        else:
            selector = reference.get("selector") or {}
            found = [
                each.object
                for each in self._storage.list(resource)
                if each.object["metadata"].get("namespace", "") in ("", namespace)
                and labels.matches(selector, each.object["metadata"].get("labels", {}))
            ]
        if not found and reference.get("parameterNotFoundAction") == "Deny":
            raise CELError(NO_PARAMS)
        return found

    def _resource_of(self, kind: Object) -> resources.Resource:
        group, _, version = kind["apiVersion"].rpartition("/")
        for resource in self._served:
            if (resource.group, resource.version, resource.kind) == (group, version, kind["kind"]):
                return resource
        told = f"failed to find resource referenced by paramKind: '{kind['apiVersion']}"
        raise CELError(f"{told}, Kind={kind['kind']}'")


class _Lazy(Mapping[str, Any]):
    """The policy's variables: each is evaluated when it is first read, and once."""

    def __init__(self, declared: list[Object], evaluate: Callable[[str], Any]) -> None:
        self._expressions = {each["name"]: each["expression"] for each in declared}
        self._values: dict[str, Any] = {}
        self._evaluate = evaluate

    def __getitem__(self, name: str) -> Any:
        if name not in self._values:
            self._values[name] = self._evaluate(self._expressions[name])
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._expressions)

    def __len__(self) -> int:
        return len(self._expressions)


def _evaluate(
    policy: Object, attributes: Attributes, params: Any, *, fails: bool
) -> Iterator[Decision]:
    spec = policy["spec"]
    values = attributes.variables() | {"params": params}

    def value(expression: str) -> Any:
        return compiled(expression, VARIABLES).evaluate(values)

    values["variables"] = _Lazy(spec.get("variables") or [], value)
    try:
        if not all(value(each["expression"]) for each in spec.get("matchConditions") or ()):
            return
    except CELError as error:
        if fails:
            yield Decision(f"matchConditions resulted in error: {error}")
        return
    _annotate(policy, attributes, value)
    for index, validation in enumerate(spec.get("validations") or ()):
        expression = validation["expression"].strip()
        try:
            holds = value(expression)
        except CELError as error:
            if fails:
                told = f"expression '{expression}' resulted in error: {error}"
                yield Decision(told, index=index)
            continue
        if holds is not True:
            told = _message(validation, expression, value)
            yield Decision(told, validation.get("reason") or "Invalid", index)


def _annotate(policy: Object, attributes: Attributes, value: Callable[[str], Any]) -> None:
    """Note for the audit log what the policy wants noted; an expression without a text is left."""
    for annotation in policy["spec"].get("auditAnnotations") or ():
        try:
            text = value(annotation["valueExpression"])
        except CELError:
            continue
        if isinstance(text, str):
            key = f"{policy['metadata']['name']}/{annotation['key']}"
            attributes.context.annotations[key] = text


def _message(validation: Object, expression: str, value: Callable[[str], Any]) -> str:
    if validation.get("messageExpression"):
        try:
            made = value(validation["messageExpression"])
        except CELError:
            made = ""
        if isinstance(made, str) and made.strip() and "\n" not in made:
            return made.strip()
    return str(validation.get("message") or f"failed expression: {expression}").strip()


def _denied(
    context: Context, attributes: Attributes, message: str, reason: str
) -> errors.StatusError:
    error = errors.forbidden(context.resource.full_name, attributes.name, message)
    details = (error.details or {}) | {"causes": [{"message": message}]}
    code = CODES.get(reason, 422)
    return errors.StatusError(code, error.message, reason=reason, details=details)
