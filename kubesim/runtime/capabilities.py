"""What parts of root's power a container's processes have (capabilities(7)), as /proc shows it.

The set is computed as containerd does for a CRI security context; no simulated program needs one.
"""

from collections.abc import Iterable

# In the order of their numbers (include/uapi/linux/capability.h).
NAMES = (
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
)
BITS = {name: 1 << number for number, name in enumerate(NAMES)}
EVERY = sum(BITS.values())
DEFAULT = sum(
    BITS[name]
    for name in (
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "SETGID",
        "SETUID",
        "SETPCAP",
        "NET_BIND_SERVICE",
        "NET_RAW",
        "SYS_CHROOT",
        "MKNOD",
        "AUDIT_WRITE",
        "SETFCAP",
    )
)


def adjusted(added: Iterable[str], dropped: Iterable[str]) -> int:
    """Return the default set changed: "ALL" counts first, unknown names for nothing."""
    adding = {name.upper() for name in added}
    dropping = {name.upper() for name in dropped}
    result = EVERY if "ALL" in adding else DEFAULT
    if "ALL" in dropping:
        result = 0
    for name in adding:
        result |= BITS.get(name, 0)
    for name in dropping:
        result &= ~BITS.get(name, 0)
    return result


def status_lines(uid: int, allowed: int) -> dict[str, str]:
    """Return the lines of /proc/PID/status: a user who is not root may get them, but has none."""
    held = 0 if uid else allowed
    sets = {"CapInh": 0, "CapPrm": held, "CapEff": held, "CapBnd": allowed, "CapAmb": 0}
    return {name: f"{bits:016x}" for name, bits in sets.items()}
