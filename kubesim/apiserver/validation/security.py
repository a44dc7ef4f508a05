"""Validation of security contexts (pkg/apis/core/validation)."""

import re
from collections.abc import Iterator
from typing import Any

from kubesim.apiserver.patch.fields import Cause, duplicate, invalid, not_supported, required

Object = dict[str, Any]
MOST = 2**31 - 1
RANGE = f"must be between 0 and {MOST}, inclusive"
SYSCTL = r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
PROFILE_TYPES = ("Localhost", "RuntimeDefault", "Unconfined")
CHANGE_POLICIES = ("Always", "OnRootMismatch")
GROUP_POLICIES = ("Merge", "Strict")
PROC_MOUNTS = ("Default", "Unmasked")


def pod_context(spec: Object, path: str) -> Iterator[Cause]:
    """Check what holds for all of a Pod's containers."""
    context, at = spec.get("securityContext", {}), f"{path}.securityContext"
    yield from _ids(context, ("fsGroup", "runAsUser", "runAsGroup"), at)
    for index, group in enumerate(context.get("supplementalGroups", ())):
        yield from _id(group, f"{at}.supplementalGroups[{index}]")
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        why = "ShareProcessNamespace and HostPID cannot both be enabled"
        yield invalid(f"{path}.shareProcessNamespace", True, why)
    yield from _sysctls(context.get("sysctls", ()), f"{at}.sysctls")
    for field, known in (
        ("fsGroupChangePolicy", CHANGE_POLICIES),
        ("supplementalGroupsPolicy", GROUP_POLICIES),
    ):
        if context.get(field, known[0]) not in known:
            yield not_supported(f"{at}.{field}", context[field], known)
    yield from _profiles(context, at)


def container_context(context: Object, path: str) -> Iterator[Cause]:
    """Check a container's own security context."""
    yield from _ids(context, ("runAsUser", "runAsGroup"), path)
    mount = context.get("procMount", "Default")
    if mount not in PROC_MOUNTS:
        yield not_supported(f"{path}.procMount", mount, PROC_MOUNTS)
    yield from _profiles(context, path)
    if context.get("allowPrivilegeEscalation") is False:
        if context.get("privileged"):
            why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            yield invalid(path, context, why)
        if "CAP_SYS_ADMIN" in context.get("capabilities", {}).get("add", ()):
            why = (
                "cannot set `allowPrivilegeEscalation` to false "
                "and `capabilities.Add` CAP_SYS_ADMIN"
            )
            yield invalid(path, context, why)


def _ids(context: Object, fields: tuple[str, ...], path: str) -> Iterator[Cause]:
    for field in fields:
        if field in context:
            yield from _id(context[field], f"{path}.{field}")


def _id(value: int, path: str) -> Iterator[Cause]:
    if not 0 <= value <= MOST:
        yield invalid(path, value, RANGE)


def _sysctls(sysctls: Any, path: str) -> Iterator[Cause]:
    seen = set()
    for index, sysctl in enumerate(sysctls):
        at, name = f"{path}[{index}].name", sysctl.get("name", "")
        if not name:
            yield required(at)
        elif len(name) > 253 or not re.fullmatch(SYSCTL, name):
            yield invalid(at, name, f"must have at most 253 characters and match regex {SYSCTL}")
        elif name in seen:
            yield duplicate(at, name)
        seen.add(name)


def _profiles(context: Object, path: str) -> Iterator[Cause]:
    """Check the profiles of seccomp and AppArmor, whose rules are alike."""
    for field, system in (("seccompProfile", "seccomp"), ("appArmorProfile", "AppArmor")):
        profile, at = context.get(field), f"{path}.{field}"
        if profile is None:
            continue
        kind, file = profile.get("type", ""), profile.get("localhostProfile")
        if kind == "Localhost":
            if not file:
                why = f"must be set when {system} type is Localhost"
                yield required(f"{at}.localhostProfile", why)
            elif file.startswith("/"):
                yield invalid(f"{at}.localhostProfile", file, "must be a relative path")
            elif ".." in file.split("/"):
                yield invalid(f"{at}.localhostProfile", file, "must not contain '..'")
        elif file is not None:
            why = f"can only be set when {system} type is Localhost"
            yield invalid(f"{at}.localhostProfile", profile, why)
        if not kind:
            yield required(f"{at}.type", f"type is required when {field} is set")
        elif kind not in PROFILE_TYPES:
            yield not_supported(f"{at}.type", kind, PROFILE_TYPES)
