"""Validation of Pods: their spec, and which of its fields may change (pkg/apis/core/validation)."""

import json
from collections.abc import Iterator
from typing import Any

from kubesim.apiserver.patch.fields import Cause, forbidden, invalid, not_supported
from kubesim.apiserver.validation import names
from kubesim.apiserver.validation.affinity import affinity, spread
from kubesim.apiserver.validation.containers import containers
from kubesim.apiserver.validation.metadata import annotations, each, labels
from kubesim.apiserver.validation.podnetwork import conditions, dns_config, host_aliases
from kubesim.apiserver.validation.security import pod_context
from kubesim.apiserver.validation.volumes import volumes

Object = dict[str, Any]
RESTART_POLICIES = ("Always", "OnFailure", "Never")
DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
PREEMPTION = ("PreemptLowerPriority", "Never")
SECONDS_LIMIT = 2**31 - 1
FROZEN = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def pod(obj: Object) -> Iterator[Cause]:
    """Check a Pod's spec."""
    yield from pod_spec(obj["spec"], "spec")


def pod_create(obj: Object) -> Iterator[Cause]:
    """Check what only a new Pod must not have (ValidatePodCreate)."""
    if obj["spec"].get("ephemeralContainers"):
        yield forbidden("spec.ephemeralContainers", "cannot be set on create")


def pod_template_spec(template: Object, path: str) -> Iterator[Cause]:
    """Check the template of a Pod; the paths leave metadata out, as the real ones do."""
    yield from template_metadata(template, path)
    yield from pod_spec(template["spec"], f"{path}.spec")
    if template["spec"].get("ephemeralContainers"):
        why = "ephemeral containers not allowed in pod template"
        yield forbidden(f"{path}.spec.ephemeralContainers", why)


def template_metadata(template: Object, path: str) -> Iterator[Cause]:
    """Check the labels and annotations that Pods get."""
    meta = template["metadata"]
    yield from labels(meta.get("labels", {}), f"{path}.labels")
    yield from annotations(meta.get("annotations", {}), f"{path}.annotations")


def pod_spec(spec: Object, path: str) -> Iterator[Cause]:
    """Check a Pod's spec, wherever it stands."""
    usable, causes = volumes(spec.get("volumes", ()), f"{path}.volumes")
    yield from causes
    yield from containers(spec, path, usable)
    if spec["restartPolicy"] not in RESTART_POLICIES:
        yield not_supported(f"{path}.restartPolicy", spec["restartPolicy"], RESTART_POLICIES)
    if spec["dnsPolicy"] not in DNS_POLICIES:
        yield not_supported(f"{path}.dnsPolicy", spec["dnsPolicy"], DNS_POLICIES)
    yield from labels(spec.get("nodeSelector", {}), f"{path}.nodeSelector")
    yield from _names(spec, path)
    deadline = spec.get("activeDeadlineSeconds", 1)
    if not 1 <= deadline <= SECONDS_LIMIT:
        why = f"must be between 1 and {SECONDS_LIMIT}, inclusive"
        yield invalid(f"{path}.activeDeadlineSeconds", deadline, why)
    for index, toleration in enumerate(spec.get("tolerations", ())):
        yield from _toleration(toleration, f"{path}.tolerations[{index}]")
    yield from spread(
        spec.get("topologySpreadConstraints", ()), f"{path}.topologySpreadConstraints"
    )
    yield from affinity(spec.get("affinity", {}), f"{path}.affinity")
    yield from pod_context(spec, path)
    yield from dns_config(spec, path)
    yield from host_aliases(spec.get("hostAliases", ()), f"{path}.hostAliases")
    yield from conditions(spec.get("readinessGates", ()), f"{path}.readinessGates")
    if spec.get("preemptionPolicy", PREEMPTION[0]) not in PREEMPTION:
        yield not_supported(f"{path}.preemptionPolicy", spec["preemptionPolicy"], PREEMPTION)


def _names(spec: Object, path: str) -> Iterator[Cause]:
    for field, check in (
        ("serviceAccountName", names.dns_subdomain),
        ("nodeName", names.dns_subdomain),
        ("hostname", names.dns_label),
        ("subdomain", names.dns_label),
        ("schedulerName", names.dns_subdomain),
        ("runtimeClassName", names.dns_subdomain),
        ("priorityClassName", names.dns_subdomain),
    ):
        if spec.get(field):
            yield from each(f"{path}.{field}", spec[field], check(spec[field]))


def _toleration(toleration: Object, path: str) -> Iterator[Cause]:
    key, operator = toleration.get("key", ""), toleration.get("operator", "Equal")
    effect = toleration.get("effect", "NoSchedule")
    if key:
        yield from each(f"{path}.key", key, names.qualified_name(key))
    elif operator != "Exists":
        why = (
            "operator must be Exists when `key` is empty, "
            'which means "match all values and all keys"'
        )
        yield invalid(f"{path}.operator", toleration.get("operator", ""), why)
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        why = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        yield invalid(f"{path}.effect", toleration.get("effect", ""), why)
    if operator not in ("Equal", "Exists"):
        yield not_supported(f"{path}.operator", operator, ("Equal", "Exists"))
    elif operator == "Exists" and toleration.get("value"):
        why = "value must be empty when `operator` is 'Exists'"
        yield invalid(f"{path}.operator", toleration, why)
    elif operator == "Equal":
        value = toleration.get("value", "")
        yield from each(f"{path}.operator", value, names.label_value(value))
    if effect not in EFFECTS:
        yield not_supported(f"{path}.effect", effect, EFFECTS)


def pod_update(new: Object, old: Object) -> Iterator[Cause]:
    """Check a change of a Pod's spec: little of it may change once it is there."""
    before, after = old["spec"], new["spec"]
    for field in ("containers", "initContainers"):
        if len(after.get(field, ())) != len(before.get(field, ())):
            yield forbidden(f"spec.{field}", "pod updates may not add or remove containers")
            return
    yield from _deadline_update(after, before)
    yield from _gates_update(after.get("schedulingGates", []), before.get("schedulingGates", []))
    yield from _toleration_update(after.get("tolerations", []), before.get("tolerations", []))
    changes = list(_differences(_fixed(after), _fixed(before), "spec"))
    if changes:
        yield forbidden("spec", "\n".join([FROZEN, *changes]))


def _fixed(spec: Object) -> Object:
    """Return the part of a spec that may not change."""
    changing = ("tolerations", "activeDeadlineSeconds", "schedulingGates")
    fixed = {field: value for field, value in spec.items() if field not in changing}
    for field in ("containers", "initContainers"):
        if field in fixed:
            fixed[field] = [container | {"image": ""} for container in fixed[field]]
    if fixed.get("terminationGracePeriodSeconds", 0) in (-1, 1):
        del fixed["terminationGracePeriodSeconds"]
    return fixed


def _deadline_update(new: Object, old: Object) -> Iterator[Cause]:
    path, before = "spec.activeDeadlineSeconds", old.get("activeDeadlineSeconds")
    after = new.get("activeDeadlineSeconds")
    if before is not None and after is None:
        why = "must not update from a positive integer to nil value"
        yield invalid(path, after, why)
    elif before is not None and after > before:
        yield invalid(path, after, "must be less than or equal to previous value")


def _gates_update(new: list[Any], old: list[Any]) -> Iterator[Cause]:
    added = [gate for gate in new if gate not in old]
    if added:
        why = f"only deletion is allowed, but found new scheduling gate '{added[0].get('name')}'"
        yield forbidden("spec.schedulingGates", why)


def _toleration_update(new: list[Any], old: list[Any]) -> Iterator[Cause]:
    known = [{**toleration, "tolerationSeconds": 0} for toleration in new]
    if any({**toleration, "tolerationSeconds": 0} not in known for toleration in old):
        why = "existing toleration can not be modified except its tolerationSeconds"
        yield forbidden("spec.tolerations", why)


def _differences(new: Any, old: Any, path: str) -> Iterator[str]:
    """Yield what differs, a line each way, so that the message says what to take back."""
    if isinstance(new, dict) and isinstance(old, dict):
        for key in sorted(new.keys() | old.keys()):
            yield from _differences(new.get(key), old.get(key), f"{path}.{key}")
    elif isinstance(new, list) and isinstance(old, list) and len(new) == len(old):
        for index, pair in enumerate(zip(new, old, strict=True)):
            yield from _differences(*pair, f"{path}[{index}]")
    elif new != old:
        yield f"- {path}: {json.dumps(old)}"
        yield f"+ {path}: {json.dumps(new)}"
