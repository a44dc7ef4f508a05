"""PodSecurity: the labels pod-security.kubernetes.io/* of a namespace, applied to its Pods.

As k8s.io/pod-security-admission: `enforce` refuses Pods, `warn` warns of them and of the templates
of workloads; `audit` would only annotate the audit log. The checks are in podsecurity_checks.
"""

import re
from collections.abc import Iterator, Mapping

from kubesim.api import resources
from kubesim.api.podtemplates import TEMPLATES
from kubesim.apimachinery.objects import Object
from kubesim.apiserver import errors
from kubesim.apiserver.admission.podsecurity_checks import violations
from kubesim.apiserver.patch import fields
from kubesim.apiserver.registry.context import Context
from kubesim.apiserver.registry.storage import Storage

NAMESPACES = resources.named("namespaces")
PODS = resources.named("pods")
PREFIX = "pod-security.kubernetes.io/"
LEVELS = ("privileged", "baseline", "restricted")
MODES = ("enforce", "audit", "warn")
VERSION = re.compile(r"latest|v1\.(0|[1-9][0-9]*)")
MAX_WARNED = 10
LABEL_ERRORS = "must be one of privileged, baseline, restricted"
VERSION_ERRORS = 'must be "latest" or "v1.x"'


class PodSecurity:
    """The plugin."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def check(self, context: Context, new: Object | None, old: Object | None) -> None:
        """Refuse or warn of what a namespace's labels do not allow. Raises 403 and 422."""
        if new is None or context.subresource in ("status", "resize"):
            return
        if context.resource is NAMESPACES:
            self._check_namespace(context, new, old)
        elif context.resource is PODS and not (old and _same_for_security(new, old)):
            self._check_pod(context, new)
        elif context.resource.full_name in TEMPLATES:
            self._warn_of_template(context, new)

    def _check_namespace(self, context: Context, new: Object, old: Object | None) -> None:
        faults = list(_label_faults(_labels(new)))
        if faults and not (old and _policy(old) == _policy(new)):
            raise errors.invalid("Namespace", new["metadata"]["name"], faults)
        level = _policy(new).get("enforce", ("privileged", "latest"))
        if old is None or level[0] == "privileged" or _policy(old).get("enforce") == level:
            return
        self._warn_of_existing(context, new["metadata"]["name"], *level)

    def _warn_of_existing(self, context: Context, name: str, level: str, version: str) -> None:
        found: dict[str, list[str]] = {}
        for stored in self._storage.list(PODS, name):
            broken = [violation.reason for violation in violations(level, stored.object)]
            if broken:
                found.setdefault(", ".join(broken), []).append(stored.object["metadata"]["name"])
        if not found:
            return
        about = f'existing pods in namespace "{name}" violate the new PodSecurity enforce level'
        context.warnings.append(f'{about} "{level}:{version}"')
        for reasons, pods in list(found.items())[:MAX_WARNED]:
            first, rest = min(pods), len(pods) - 1
            others = f" (and {rest} other pod{'s' if rest > 1 else ''})" if rest else ""
            context.warnings.append(f"{first}{others}: {reasons}")

    def _check_pod(self, context: Context, pod: Object) -> None:
        policy = self._policy_of(context.namespace)
        level, version = policy.get("enforce", ("privileged", "latest"))
        broken = violations(level, pod)
        if broken:
            told = ", ".join(f"{each.reason} ({each.detail})" for each in broken)
            why = f'violates PodSecurity "{level}:{version}": {told}'
            raise errors.forbidden("pods", pod["metadata"].get("name", ""), why)
        self._warn(context, policy, pod)

    def _warn_of_template(self, context: Context, workload: Object) -> None:
        template: Object = workload
        for name in TEMPLATES[context.resource.full_name]:
            template = template.get(name) or {}
        if template.get("spec"):
            self._warn(context, self._policy_of(context.namespace), template)

    def _warn(self, context: Context, policy: dict[str, tuple[str, str]], pod: Object) -> None:
        level, version = policy.get("warn", ("privileged", "latest"))
        broken = violations(level, pod)
        if broken:
            told = ", ".join(f"{each.reason} ({each.detail})" for each in broken)
            context.warnings.append(f'would violate PodSecurity "{level}:{version}": {told}')

    def _policy_of(self, namespace: str) -> dict[str, tuple[str, str]]:
        stored = self._storage.get(NAMESPACES, "", namespace)
        return _policy(stored.object) if stored else {}


def _labels(namespace: Object) -> Mapping[str, str]:
    labels: Mapping[str, str] = namespace["metadata"].get("labels") or {}
    return labels


def _policy(namespace: Object) -> dict[str, tuple[str, str]]:
    """Level and version by mode; an invalid level counts as the strictest."""
    labels = _labels(namespace)
    found = {}
    for mode in MODES:
        level = labels.get(PREFIX + mode)
        if level is not None:
            version = labels.get(f"{PREFIX}{mode}-version", "latest")
            found[mode] = (level if level in LEVELS else "restricted", version)
    return found


def _label_faults(labels: Mapping[str, str]) -> Iterator[fields.Cause]:
    for mode in MODES:
        for key, good, hint in (
            (PREFIX + mode, LEVELS.__contains__, LABEL_ERRORS),
            (f"{PREFIX}{mode}-version", VERSION.fullmatch, VERSION_ERRORS),
        ):
            if key in labels and not good(labels[key]):
                yield fields.invalid(f"metadata.labels[{key}]", labels[key], hint)


def _same_for_security(new: Object, old: Object) -> bool:
    """Whether an update changes nothing that a policy looks at."""
    return bool(new["spec"] == old["spec"])
