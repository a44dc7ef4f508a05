"""What a client is warned of when it writes: allowed, but not what it may have meant.

The rules and sentences are those of pkg/api/pod/warnings.go, and of each kind's WarningsOnCreate.
"""

from collections.abc import Iterator
from typing import Any

from kubesim.api.podtemplates import TEMPLATES
from kubesim.api.resources import Resource
from kubesim.apimachinery.quantity import parse
from kubesim.apiserver.validation import names
from kubesim.apiserver.validation.affinity import PREFERRED, REQUIRED

Object = dict[str, Any]
PODS = {"pods": (), **TEMPLATES}  # where each kind has a Pod, or the template of some
NAMES_PODS = {
    "pods": "the Pod's hostname",
    "deployments.apps": "Pod names and hostnames",
    "replicasets.apps": "Pod names and hostnames",
    "statefulsets.apps": "Pod names and hostnames",
    "jobs.batch": "Pod names and hostnames",
}
OLD_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": (
        'deprecated since v1.17; use "topology.kubernetes.io/region" instead'
    ),
    "failure-domain.beta.kubernetes.io/zone": (
        'deprecated since v1.17; use "topology.kubernetes.io/zone" instead'
    ),
    "beta.kubernetes.io/instance-type": (
        'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead'
    ),
}
OLD_VOLUMES = {
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "gitRepo": "deprecated in v1.11",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
}
NOBODY = "a null labelSelector results in matching no pod"
CONTAINERS = ("initContainers", "containers", "ephemeralContainers")


def of(resource: Resource, new: Object, old: Object | None) -> list[str]:
    """Return the warnings for a new object, or for a change of its spec."""
    place = PODS.get(resource.full_name)
    if place is None or (old and old.get("spec") == new.get("spec")):
        return []
    template = new
    for step in place:
        template = template[step]
    told = [] if old else list(_name(resource, new["metadata"].get("name", "")))
    path = ".".join([*place, "spec"])
    return list(dict.fromkeys([*told, *_pod(template["spec"], path)]))


def _name(resource: Resource, name: str) -> Iterator[str]:
    meant = NAMES_PODS.get(resource.full_name)
    problems = list(names.dns_label(name)) if meant else []
    if problems:
        yield (
            f"metadata.name: this is used in {meant}, which can result in surprising behavior; "
            f"a DNS label is recommended: [{' '.join(problems)}]"
        )


def _pod(spec: Object, path: str) -> Iterator[str]:
    yield from _scheduling(spec, path)
    for index, volume in enumerate(spec.get("volumes", ())):
        for kind in volume.keys() & OLD_VOLUMES.keys():
            yield f"{path}.volumes[{index}].{kind}: {OLD_VOLUMES[kind]}"
    yield from _named_twice(spec, path)
    for field in CONTAINERS:
        for index, container in enumerate(spec.get(field, ())):
            at = f"{path}.{field}[{index}]"
            yield from _environment(container.get("env", ()), f"{at}.env")
            yield from _memory(container.get("resources", {}), f"{at}.resources")
    yield from _ports(spec, path)
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        yield (
            f"{path}.terminationGracePeriodSeconds: must be >= 0; "
            "negative values are invalid and will be treated as 1"
        )


def _scheduling(spec: Object, path: str) -> Iterator[str]:
    for key in spec.get("nodeSelector", {}):
        if key in OLD_LABELS:
            yield f"{path}.nodeSelector[{key}]: {OLD_LABELS[key]}"
    for index, constraint in enumerate(spec.get("topologySpreadConstraints", ())):
        at = f"{path}.topologySpreadConstraints[{index}]"
        if constraint.get("topologyKey") in OLD_LABELS:
            key = constraint["topologyKey"]
            yield f"{at}.topologyKey: {key} is {OLD_LABELS[key]}"
        if "labelSelector" not in constraint:
            yield f"{at}.labelSelector: {NOBODY}"
    for kind in ("podAffinity", "podAntiAffinity"):
        terms = spec.get("affinity", {}).get(kind, {})
        for index, term in enumerate(terms.get(REQUIRED, ())):
            if "labelSelector" not in term:
                yield f"{path}.affinity.{kind}.{REQUIRED}[{index}].labelSelector: {NOBODY}"
        for index, weighted in enumerate(terms.get(PREFERRED, ())):
            if "labelSelector" not in weighted.get("podAffinityTerm", {}):
                at = f"{path}.affinity.{kind}.{PREFERRED}[{index}].podAffinityTerm"
                yield f"{at}.labelSelector: {NOBODY}"


def _named_twice(spec: Object, path: str) -> Iterator[str]:
    """Warn of what is there twice, or without a name, where only the last one counts."""
    seen: set[str] = set()
    for index, reference in enumerate(spec.get("imagePullSecrets", ())):
        name = reference.get("name", "")
        if not name:
            yield f'{path}.imagePullSecrets[{index}].name: invalid empty name ""'
        elif name in seen:
            yield f'{path}.imagePullSecrets[{index}].name: duplicate name "{name}"'
        seen.add(name)
    addresses: dict[str, int] = {}
    for index, alias in enumerate(spec.get("hostAliases", ())):
        address = alias.get("ip", "")
        if address in addresses:
            yield f'{path}.hostAliases[{index}].ip: duplicate ip "{address}"'
        addresses[address] = index


def _environment(variables: Any, path: str) -> Iterator[str]:
    seen: set[str] = set()
    for index, variable in enumerate(variables):
        name = variable.get("name", "")
        value, reference = variable.get("value", ""), f"$({name})"
        if name in seen and (reference not in value or value == reference):
            yield (
                f'{path}[{index}]: hides previous definition of "{name}", '
                "which may be dropped when using apply"
            )
        seen.add(name)


def _memory(resources: Object, path: str) -> Iterator[str]:
    for field in ("limits", "requests"):
        for name, amount in resources.get(field, {}).items():
            if name in ("memory", "ephemeral-storage") and parse(amount) % 1:
                yield (
                    f'{path}.{field}[{name}]: fractional byte value "{amount}" is invalid, '
                    "must be an integer"
                )


def _ports(spec: Object, path: str) -> Iterator[str]:
    """Warn of two ports that cannot both be listened on."""
    known: dict[tuple[Any, Any], list[tuple[str, Object]]] = {}
    for field in CONTAINERS:
        for number, container in enumerate(spec.get(field, ())):
            for index, port in enumerate(container.get("ports", ())):
                at = f"{path}.{field}[{number}].ports[{index}]"
                key = port.get("containerPort"), port.get("protocol", "TCP")
                for before, other in known.setdefault(key, []):
                    clash = _clash(port, other)
                    if clash:
                        yield f"{at}: {clash} port definition with {before}"
                known[key].append((at, port))


def _clash(port: Object, other: Object) -> str:
    """Return how two definitions of the same port of a Pod get into each other's way."""
    ours, theirs = ((each.get("hostIP", ""), each.get("hostPort", 0)) for each in (port, other))
    if ours == theirs:
        return "duplicate"
    if not ours[1] or not theirs[1]:
        return "overlapping"
    if ours[1] == theirs[1] and bool(ours[0]) != bool(theirs[0]):
        return "dangerously ambiguous"
    return ""
