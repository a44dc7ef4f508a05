"""The checks of the Pod Security Standards, with the reasons and details of the real ones.

k8s.io/pod-security-admission/policy; https://kubernetes.io/docs/concepts/security/pod-security-standards/.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from kubesim.apimachinery.objects import Object

ALLOWED_CAPABILITIES = frozenset(
    [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ]
)
SAFE_SYSCTLS = frozenset(
    [
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
    ]
)
RESTRICTED_VOLUMES = frozenset(
    [
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    ]
)
SECCOMP = ("RuntimeDefault", "Localhost")


@dataclass(frozen=True)
class Violation:
    """What a Pod does that its namespace does not allow."""

    reason: str
    detail: str


Check = Callable[[Object], Violation | None]


def violations(level: str, pod: Object) -> list[Violation]:
    """Return what a Pod violates of a level, in the order of the real checks' names."""
    spec = pod["spec"]
    checks = {"privileged": {}, "baseline": BASELINE, "restricted": BASELINE | RESTRICTED}[level]
    found = [check(spec) for _, check in sorted(checks.items())]
    return [violation for violation in found if violation]


def _containers(spec: Object) -> Iterator[Object]:
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(kind) or ()


def _context(holder: Object) -> Object:
    context: Object = holder.get("securityContext") or {}
    return context


def _named(containers: Iterable[Object]) -> str:
    """The containers as a message names them."""
    names = [f'"{each["name"]}"' for each in containers]
    return f"container{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _quoted(values: Iterable[str]) -> str:
    return ", ".join(f'"{value}"' for value in dict.fromkeys(values))


def _plural(word: str, values: Iterable[object]) -> str:
    return word + ("s" if len(set(values)) > 1 else "")


# Baseline


def _host_namespaces(spec: Object) -> Violation | None:
    found = [name for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    return (
        Violation("host namespaces", ", ".join(f"{each}=true" for each in found)) if found else None
    )


def _privileged(spec: Object) -> Violation | None:
    bad = [each for each in _containers(spec) if _context(each).get("privileged")]
    if not bad:
        return None
    must = "must not set securityContext.privileged=true"
    return Violation("privileged", f"{_named(bad)} {must}")


def _added_capabilities(spec: Object) -> Violation | None:
    bad, names = [], []
    for each in _containers(spec):
        extra = set(_capabilities(each, "add")) - ALLOWED_CAPABILITIES
        if extra:
            bad.append(each)
            names += sorted(extra)
    if not bad:
        return None
    what = f"must not include {_quoted(sorted(names))} in securityContext.capabilities.add"
    return Violation("non-default capabilities", f"{_named(bad)} {what}")


def _capabilities(container: Object, which: str) -> list[str]:
    capabilities = _context(container).get("capabilities") or {}
    names: list[str] = capabilities.get(which) or []
    return names


def _host_path(spec: Object) -> Violation | None:
    names = [each["name"] for each in spec.get("volumes") or () if "hostPath" in each]
    return (
        Violation("hostPath volumes", f"{_plural('volume', names)} {_quoted(names)}")
        if names
        else None
    )


def _host_ports(spec: Object) -> Violation | None:
    bad, numbers = [], []
    for each in _containers(spec):
        own = [port["hostPort"] for port in each.get("ports") or () if port.get("hostPort")]
        if own:
            bad.append(each)
            numbers += own
    if not bad:
        return None
    told = ", ".join(str(number) for number in sorted(set(numbers)))
    return Violation(
        "hostPort", f"{_named(bad)} {_uses(bad)} {_plural('hostPort', numbers)} {told}"
    )


def _uses(containers: list[Object]) -> str:
    return "use" if len(containers) > 1 else "uses"


def _proc_mount(spec: Object) -> Violation | None:
    bad = [
        each
        for each in _containers(spec)
        if _context(each).get("procMount", "Default") != "Default"
    ]
    if not bad:
        return None
    values = [_context(each)["procMount"] for each in bad]
    must = f"must not set securityContext.procMount to {_quoted(values)}"
    return Violation("procMount", f"{_named(bad)} {must}")


def _unconfined(spec: Object) -> Violation | None:
    setters = []
    if (_context(spec).get("seccompProfile") or {}).get("type") == "Unconfined":
        setters.append("pod")
    bad = [
        each
        for each in _containers(spec)
        if (_context(each).get("seccompProfile") or {}).get("type") == "Unconfined"
    ]
    setters += [_named(bad)] if bad else []
    if not setters:
        return None
    must = 'must not set securityContext.seccompProfile.type to "Unconfined"'
    return Violation("seccompProfile", f"{' and '.join(setters)} {must}")


def _sysctls(spec: Object) -> Violation | None:
    names = [each["name"] for each in _context(spec).get("sysctls") or ()]
    bad = [name for name in names if name not in SAFE_SYSCTLS]
    return Violation("forbidden sysctls", ", ".join(bad)) if bad else None


# Restricted


def _escalation(spec: Object) -> Violation | None:
    bad = [
        each
        for each in _containers(spec)
        if _context(each).get("allowPrivilegeEscalation") is not False
    ]
    if not bad:
        return None
    must = "must set securityContext.allowPrivilegeEscalation=false"
    return Violation("allowPrivilegeEscalation != false", f"{_named(bad)} {must}")


def _dropped_capabilities(spec: Object) -> Violation | None:
    undropped = [each for each in _containers(spec) if "ALL" not in _capabilities(each, "drop")]
    adding, added = [], []
    for each in _containers(spec):
        extra = [name for name in _capabilities(each, "add") if name != "NET_BIND_SERVICE"]
        if extra:
            adding.append(each)
            added += extra
    parts = []
    if undropped:
        parts.append(f'{_named(undropped)} must set securityContext.capabilities.drop=["ALL"]')
    if adding:
        what = f"must not include {_quoted(sorted(added))} in securityContext.capabilities.add"
        parts.append(f"{_named(adding)} {what}")
    return Violation("unrestricted capabilities", "; ".join(parts)) if parts else None


def _volume_types(spec: Object) -> Violation | None:
    names, kinds = [], []
    for volume in spec.get("volumes") or ():
        kind = next((key for key in volume if key != "name"), "emptyDir")
        if kind not in RESTRICTED_VOLUMES:
            names.append(volume["name"])
            kinds.append(kind)
    if not names:
        return None
    uses = "use" if len(names) > 1 else "uses"
    types = f"restricted volume {_plural('type', kinds)} {_quoted(sorted(kinds))}"
    return Violation(
        "restricted volume types", f"{_plural('volume', names)} {_quoted(names)} {uses} {types}"
    )


def _run_as_non_root(spec: Object) -> Violation | None:
    whole = _context(spec).get("runAsNonRoot")
    explicit = [each for each in _containers(spec) if _context(each).get("runAsNonRoot") is False]
    silent = [each for each in _containers(spec) if _context(each).get("runAsNonRoot") is None]
    if explicit:
        detail = f"{_named(explicit)} must not set securityContext.runAsNonRoot=false"
    elif silent and whole is False:
        detail = "pod must not set securityContext.runAsNonRoot=false"
    elif silent and not whole:
        detail = f"pod or {_named(silent)} must set securityContext.runAsNonRoot=true"
    else:
        return None
    return Violation("runAsNonRoot != true", detail)


def _run_as_user(spec: Object) -> Violation | None:
    setters = ["pod"] if _context(spec).get("runAsUser") == 0 else []
    bad = [each for each in _containers(spec) if _context(each).get("runAsUser") == 0]
    setters += [_named(bad)] if bad else []
    if not setters:
        return None
    return Violation("runAsUser=0", f"{' and '.join(setters)} must not set runAsUser=0")


def _seccomp_set(spec: Object) -> Violation | None:
    whole = (_context(spec).get("seccompProfile") or {}).get("type", "")
    silent, wrong = [], []
    for each in _containers(spec):
        own = (_context(each).get("seccompProfile") or {}).get("type", "")
        if own and own not in SECCOMP:
            wrong.append(each)
        elif not own and whole not in SECCOMP:
            silent.append(each)
    kinds = 'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    if wrong:
        must = 'must not set securityContext.seccompProfile.type to "Unconfined"'
        return Violation("seccompProfile", f"{_named(wrong)} {must}")
    if silent:
        return Violation("seccompProfile", f"pod or {_named(silent)} must set {kinds}")
    return None


BASELINE: dict[str, Check] = {
    "capabilities_baseline": _added_capabilities,
    "hostNamespaces": _host_namespaces,
    "hostPathVolumes": _host_path,
    "hostPorts": _host_ports,
    "privileged": _privileged,
    "procMount": _proc_mount,
    "seccompProfile_baseline": _unconfined,
    "sysctls": _sysctls,
}
RESTRICTED: dict[str, Check] = {
    "allowPrivilegeEscalation": _escalation,
    "capabilities_restricted": _dropped_capabilities,
    "restrictedVolumes": _volume_types,
    "runAsNonRoot": _run_as_non_root,
    "runAsUser": _run_as_user,
    "seccompProfile_restricted": _seccomp_set,
}
