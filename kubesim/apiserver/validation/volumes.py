"""Validation of a Pod's volumes and of where containers mount them (pkg/apis/core/validation)."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from kubesim.apimachinery.quantity import parse
from kubesim.apiserver.patch.fields import (
    Cause,
    duplicate,
    forbidden,
    invalid,
    not_found,
    not_supported,
    required,
)
from kubesim.apiserver.validation import names, storage
from kubesim.apiserver.validation.environment import VOLUME_FIELDS, field_reference, resource_field
from kubesim.apiserver.validation.metadata import each

Object = dict[str, Any]
MODE = "must be a number between 0 and 0777 (octal), both inclusive"
PROPAGATION = ("Bidirectional", "HostToContainer", "None")
SHORTEST_TOKEN, LONGEST_TOKEN = 600, 1 << 32
PROJECTED = ("clusterTrustBundle", "configMap", "downwardAPI", "podCertificate", "secret")
PROJECTIONS = (*PROJECTED, "serviceAccountToken")
NEEDED = {  # of the sources that have nothing else to check
    "configMap": ("name",),
    "csi": ("driver",),
    "fc": (),
    "gitRepo": ("repository",),
    "iscsi": ("targetPortal", "iqn"),
    "nfs": ("server", "path"),
    "persistentVolumeClaim": ("claimName",),
    "secret": ("secretName",),
}


def volumes(given: Sequence[Object], path: str) -> tuple[dict[str, Object], list[Cause]]:
    """Check a Pod's volumes; return those that can be mounted, and what is wrong otherwise."""
    usable: dict[str, Object] = {}
    causes: list[Cause] = []
    for index, volume in enumerate(given):
        at = f"{path}[{index}]"
        found = [*_source(volume, at), *_name(volume["name"], at)]
        if volume["name"] in usable:
            found.append(duplicate(f"{at}.name", volume["name"]))
        if not found:
            usable[volume["name"]] = volume
        causes += found
    return usable, causes


def _name(name: str, path: str) -> Iterator[Cause]:
    if name:
        yield from each(f"{path}.name", name, names.dns_label(name))
    else:
        yield required(f"{path}.name")


def _source(volume: Object, path: str) -> Iterator[Cause]:
    kinds = [kind for kind in volume if kind != "name"]
    for extra in kinds[1:]:
        yield forbidden(f"{path}.{extra}", "may not specify more than 1 volume type")
    for kind in kinds[:1]:
        source, at = volume[kind], f"{path}.{kind}"
        for field in NEEDED.get(kind, ()):
            if not source.get(field):
                yield required(f"{at}.{field}")
        check = _CHECKS.get(kind)
        if check:
            yield from check(source, at)


def _empty_dir(source: Object, path: str) -> Iterator[Cause]:
    if "sizeLimit" in source and parse(source["sizeLimit"]) < 0:
        yield forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity")


def _nfs(source: Object, path: str) -> Iterator[Cause]:
    if not source.get("path", "").startswith("/"):
        yield invalid(f"{path}.path", source.get("path", ""), "must be an absolute path")


def _keys(source: Object, path: str) -> Iterator[Cause]:
    """Check a ConfigMap or a Secret as files."""
    yield from _mode(source, "defaultMode", path)
    for index, item in enumerate(source.get("items", ())):
        yield from _key(item, f"{path}.items[{index}]")


def _key(item: Object, path: str) -> Iterator[Cause]:
    for field in ("key", "path"):
        if not item.get(field):
            yield required(f"{path}.{field}")
    yield from _local_path(item.get("path", ""), f"{path}.path")
    yield from _mode(item, "mode", path)


def _local_path(value: str, path: str) -> Iterator[Cause]:
    if value.startswith("/"):
        yield invalid(path, value, "must be a relative path")
    yield from _no_backsteps(value, path)


def _no_backsteps(value: str, path: str) -> Iterator[Cause]:
    if ".." in value.split("/"):
        yield invalid(path, value, "must not contain '..'")


def _mode(source: Object, field: str, path: str) -> Iterator[Cause]:
    value = source.get(field)
    if value is not None and not 0 <= value <= 0o777:
        yield invalid(f"{path}.{field}", value, MODE)


def _downward(source: Object, path: str) -> Iterator[Cause]:
    """Check the Pod's own fields as files; the path of a cause does not say which file."""
    yield from _mode(source, "defaultMode", path)
    for item in source.get("items", ()):
        if not item.get("path"):
            yield required(f"{path}.path")
        yield from _local_path(item.get("path", ""), f"{path}.path")
        if "fieldRef" in item:
            yield from field_reference(item["fieldRef"], f"{path}.fieldRef", VOLUME_FIELDS)
            if "resourceFieldRef" in item:
                why = "fieldRef and resourceFieldRef can not be specified simultaneously"
                yield invalid(path, "resource", why)
        elif "resourceFieldRef" in item:
            at = f"{path}.resourceFieldRef"
            yield from resource_field(item["resourceFieldRef"], at, volume=True)
        else:
            yield required(path, "one of fieldRef and resourceFieldRef is required")
        yield from _mode(item, "mode", path)


def _projected(source: Object, path: str) -> Iterator[Cause]:
    yield from _mode(source, "defaultMode", path)
    seen: set[str] = set()
    for index, projection in enumerate(source.get("sources", ())):
        at = f"{path}.sources[{index}]"
        kinds = [kind for kind in PROJECTIONS if kind in projection]
        for kind in kinds:
            yield from _projection(kind, projection[kind], f"{at}.{kind}", path)
        if len(kinds) > 1:
            yield forbidden(at, "may not specify more than 1 volume type")
        for kind in kinds[:1]:
            yield from _conflicts(projection[kind], seen, path)


def _projection(kind: str, source: Object, path: str, volume: str) -> Iterator[Cause]:
    if kind in ("configMap", "secret"):
        if not source.get("name"):
            yield required(f"{path}.name")
        yield from _keys(source, path)
    elif kind == "downwardAPI":
        yield from _downward(source, path)
    elif kind == "serviceAccountToken":
        seconds = source.get("expirationSeconds", SHORTEST_TOKEN)
        if seconds < SHORTEST_TOKEN:
            why = "may not specify a duration less than 10 minutes"
            yield invalid(f"{path}.expirationSeconds", seconds, why)
        if seconds > LONGEST_TOKEN:
            why = "may not specify a duration larger than 2^32 seconds"
            yield invalid(f"{path}.expirationSeconds", seconds, why)
        if not source.get("path"):
            yield required(f"{volume}.path")


def _conflicts(source: Object, seen: set[str], path: str) -> Iterator[Cause]:
    """Two sources cannot make the same file."""
    files = [item.get("path", "") for item in source.get("items", ())] or [source.get("path", "")]
    for file in filter(None, files):
        if file in seen:
            yield invalid(path, source.get("name", file), "conflicting duplicate paths")
        seen.add(file)


def _ephemeral(source: Object, path: str) -> Iterator[Cause]:
    at = f"{path}.volumeClaimTemplate"
    if "volumeClaimTemplate" not in source:
        yield required(at)
        return
    yield from storage.claim_spec(source["volumeClaimTemplate"]["spec"], f"{at}.spec")


_CHECKS: dict[str, Callable[[Object, str], Iterator[Cause]]] = {
    "configMap": _keys,
    "downwardAPI": _downward,
    "emptyDir": _empty_dir,
    "ephemeral": _ephemeral,
    "hostPath": storage.host_path,
    "nfs": _nfs,
    "projected": _projected,
    "secret": _keys,
}


def mounts(container: Object, path: str, usable: dict[str, Object]) -> Iterator[Cause]:
    """Check where a container mounts volumes, and which it has as devices."""
    devices = container.get("volumeDevices", ())
    by_name = {device.get("name", "") for device in devices}
    by_path = {device.get("devicePath", "") for device in devices}
    privileged = container.get("securityContext", {}).get("privileged", False)
    seen = set()
    for index, mount in enumerate(container.get("volumeMounts", ())):
        at = f"{path}.volumeMounts[{index}]"
        name, target = mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            yield required(f"{at}.name")
        if name not in usable:
            yield not_found(f"{at}.name", name)
        if not target:
            yield required(f"{at}.mountPath")
        if target in seen:
            yield invalid(f"{at}.mountPath", target, "must be unique")
        seen.add(target)
        if name in by_name:
            yield invalid(f"{at}.name", name, "must not already exist in volumeDevices")
        if target in by_path:
            why = "must not already exist as a path in volumeDevices"
            yield invalid(f"{at}.mountPath", target, why)
        yield from _below(mount, at)
        yield from _propagation(mount, privileged, f"{path}.volumeMounts.mountPropagation")
    yield from _devices(container, path, usable)


def _below(mount: Object, path: str) -> Iterator[Cause]:
    """Check which part of a volume is mounted; the path of a cause does not say which mount."""
    below, expression = mount.get("subPath", ""), mount.get("subPathExpr", "")
    listed = path.rpartition("[")[0]
    if below:
        yield from _local_path(below, f"{listed}.subPath")
    if expression and below:
        why = "subPathExpr and subPath are mutually exclusive"
        yield invalid(f"{path}.subPathExpr", expression, why)
    elif expression:
        yield from _local_path(expression, f"{listed}.subPathExpr")


def _propagation(mount: Object, privileged: bool, path: str) -> Iterator[Cause]:
    mode = mount.get("mountPropagation")
    if mode is None:
        return
    if mode not in PROPAGATION:
        yield not_supported(path, mode, PROPAGATION)
    elif mode == "Bidirectional" and not privileged:
        why = "Bidirectional mount propagation is available only to privileged containers"
        yield forbidden(path, why)


def _devices(container: Object, path: str, usable: dict[str, Object]) -> Iterator[Cause]:
    mounted = {mount.get("name", "") for mount in container.get("volumeMounts", ())}
    places = {m.get("name", ""): m.get("mountPath", "") for m in container.get("volumeMounts", ())}
    seen: set[str] = set()
    for index, device in enumerate(container.get("volumeDevices", ())):
        at = f"{path}.volumeDevices[{index}]"
        name, target = device.get("name", ""), device.get("devicePath", "")
        if not name:
            yield required(f"{at}.name")
        if name in seen:
            yield invalid(f"{at}.name", name, "must be unique")
        if name not in usable:
            yield not_found(f"{at}.name", name)
        elif not {"persistentVolumeClaim", "ephemeral"} & set(usable[name]):
            why = (
                "can only use volume source type of PersistentVolumeClaim or Ephemeral "
                "for block mode"
            )
            yield invalid(f"{at}.name", name, why)
        if not target:
            yield required(f"{at}.devicePath")
        if ".." in target.split("/"):
            yield invalid(f"{at}.devicePath", target, "can not contain backsteps ('..')")
        if name in mounted:
            yield invalid(f"{at}.name", name, "must not already exist in volumeMounts")
        if target in places.values():
            why = "must not already exist as a path in volumeMounts"
            yield invalid(f"{at}.devicePath", target, why)
        seen.add(name)
