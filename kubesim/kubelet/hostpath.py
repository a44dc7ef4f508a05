"""hostPath volumes: a piece of the node's own disk (pkg/volume/hostpath)."""

from datetime import datetime

from kubesim.apimachinery.objects import Object
from kubesim.runtime.filesystem import Directory, File, Node

# What must be there for a type, whether it is made, and its name in the kubelet's complaint.
WANTED: dict[str, tuple[type[Node], bool, str]] = {
    "": (Directory, True, "directory"),
    "DirectoryOrCreate": (Directory, True, "directory"),
    "Directory": (Directory, False, "directory"),
    "FileOrCreate": (File, True, "file"),
    "File": (File, False, "file"),
}


class HostPathError(Exception):
    """The node's disk is not as the volume says; the message is the kubelet's."""


def host_path(disk: Directory, source: Object, now: datetime) -> Node:
    """Return what a hostPath source names on a node's disk. Raises HostPathError."""
    kind = source.get("type") or ""
    if kind not in WANTED:
        raise HostPathError(f"hostPath type check failed: {source['path']} is not a {kind.lower()}")
    wanted, make, called = WANTED[kind]
    *parents, name = [""] + [part for part in source["path"].split("/") if part]
    place = disk
    for parent in filter(None, parents):
        below = place.entries.get(parent)
        if below is None and make:
            below = place.entries[parent] = Directory(0o755, now)
        if not isinstance(below, Directory):
            raise HostPathError(f"hostPath type check failed: {source['path']} is not a {called}")
        place = below
    found: Node | None = place.entries.get(name) if name else place
    if found is None and make:
        made = Directory(0o755, now) if wanted is Directory else File(0o644, now)
        found = place.entries[name] = made
    if found is None or (kind and not isinstance(found, wanted)):
        raise HostPathError(f"hostPath type check failed: {source['path']} is not a {called}")
    return found
