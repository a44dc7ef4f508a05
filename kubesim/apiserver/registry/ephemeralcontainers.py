"""The subresource of a Pod that adds ephemeral containers to it, as `kubectl debug` does."""

from collections.abc import Iterator
from typing import Any

from kubesim.apiserver import errors
from kubesim.apiserver.patch.fields import Cause, duplicate, forbidden, not_found
from kubesim.apiserver.validation.containers import ephemeral_container

Object = dict[str, Any]

AT = "spec.ephemeralContainers"
NOT_FOR_THEM = (
    "ports",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
    "resources",
    "resizePolicy",
)


def with_ephemeral_containers(new: Object, old: Object) -> Object:
    """Return the old Pod with the new one's ephemeral containers. Raises 422.

    They may be added, never changed or removed (ValidatePodEphemeralContainersUpdate).
    """
    wanted = new["spec"].get("ephemeralContainers") or []
    causes = [*_changes(wanted, old["spec"].get("ephemeralContainers") or []), *_check(old, wanted)]
    if causes:
        raise errors.invalid("Pod", old["metadata"]["name"], causes)
    metadata = old["metadata"]
    kept = {"managedFields", "resourceVersion"} & new["metadata"].keys()
    metadata = metadata | {field: new["metadata"][field] for field in kept}
    if wanted != (old["spec"].get("ephemeralContainers") or []):
        metadata["generation"] = metadata.get("generation", 1) + 1
    return old | {"metadata": metadata, "spec": old["spec"] | {"ephemeralContainers": wanted}}


def _changes(wanted: list[Object], there: list[Object]) -> Iterator[Cause]:
    given = {container["name"]: container for container in wanted}
    for container in there:
        name = container["name"]
        if name not in given:
            yield forbidden(AT, f'existing ephemeral containers "{name}" may not be removed\n')
        elif given[name] != container:
            yield forbidden(AT, f'existing ephemeral containers "{name}" may not be changed\n')


def _check(pod: Object, wanted: list[Object]) -> Iterator[Cause]:
    regular = {container["name"] for container in pod["spec"]["containers"]}
    taken = regular | {each["name"] for each in pod["spec"].get("initContainers") or []}
    for index, container in enumerate(wanted):
        path = f"{AT}[{index}]"
        if container["name"] in taken:
            yield duplicate(f"{path}.name", container["name"])
        taken = taken | {container["name"]}
        target = container.get("targetContainerName")
        if target and target not in regular:
            yield not_found(f"{path}.targetContainerName", target)
        for field in NOT_FOR_THEM:
            if container.get(field):
                yield forbidden(f"{path}.{field}", "cannot be set for an Ephemeral Container")
        yield from ephemeral_container(container, path, pod["spec"])
