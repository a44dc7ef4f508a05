"""A node's own disk: what outlives its Pods, and its kubelet.

Host paths lie here, and so do empty directories and the volumes of the local-path provisioner,
each at the path that it has on a real node.
"""

import errno
from collections.abc import Callable
from datetime import datetime

from kubesim.runtime.filesystem import Device, Directory, File, Node, Tree, failure
from kubesim.storage import image

PODS = "/var/lib/kubelet/pods"
VOLUMES = "/var/local-path-provisioner"
DIRECTORIES = (
    *("/boot", "/dev", "/etc/kubernetes", "/home", "/mnt", "/opt", "/proc", "/root", "/run"),
    *("/srv", "/sys", "/usr/bin", "/usr/local", "/var/cache", "/var/log/pods", PODS, VOLUMES),
)
WANTED: dict[str, tuple[tuple[type[Node], ...], str]] = {
    "Directory": ((Directory,), "a directory"),
    "DirectoryOrCreate": ((Directory,), "a directory"),
    "File": ((File,), "a file"),
    "FileOrCreate": ((File,), "a file"),
    "Socket": ((), "a socket file"),
    "CharDevice": ((Device,), "a character device"),
    "BlockDevice": ((), "a block device"),
}


class HostPathError(Exception):
    """There is something else at a host path than its type says; the message is the kubelet's."""


class NodeDisk:
    """The files of one node."""

    def __init__(self, hostname: str, now: Callable[[], datetime]) -> None:
        self._now = now
        self.tree = Tree(now)
        for path in DIRECTORIES:
            self.tree.directory(path)
        self.tree.directory("/tmp", 0o1777)  # noqa: S108 - simulated
        self.tree.write("/etc/hostname", f"{hostname}\n")

    def dump(self) -> image.Data:
        """Return the whole disk as data."""
        return image.dump(self.tree.root)

    def restore(self, data: image.Data) -> None:
        """Put back what `dump` returned. Raises KeyError, TypeError and ValueError."""
        root = image.load(data)
        if not isinstance(root, Directory):
            raise TypeError("a disk begins with a directory")
        self.tree.root = root

    def find(self, path: str) -> Node | None:
        """Return what is at a path, or None."""
        current: Node | None = self.tree.root
        for name in filter(None, path.split("/")):
            current = current.entries.get(name) if isinstance(current, Directory) else None
        return current

    def host_path(self, path: str, kind: str) -> Node:
        """Return what a hostPath volume shows. Raises HostPathError.

        Types that end in OrCreate make what is missing; without a type, the container runtime
        makes a directory.
        """
        found = self.find(path)
        if found is None and kind in ("", "DirectoryOrCreate"):
            found = self._directory(path)
        elif found is None and kind == "FileOrCreate":
            found = self._file(path)
        if kind:
            wanted, what = WANTED[kind]
            if not isinstance(found, wanted):
                raise HostPathError(f"hostPath type check failed: {path} is not {what}")
        assert found is not None
        return found

    def _directory(self, path: str) -> Directory:
        try:
            return self.tree.directory(path)
        except OSError:
            raise HostPathError(f"mkdir {path}: not a directory") from None

    def _file(self, path: str) -> File:
        """Return a new file; its directory must be there."""
        parent, _, name = path.rstrip("/").rpartition("/")
        holder = self.find(parent)
        if not isinstance(holder, Directory):
            raise HostPathError(f"open {path}: no such file or directory")
        made = holder.entries[name] = File(0o644, self._now())
        return made

    def directory(self, path: str, mode: int = 0o755) -> Directory:
        """Return the directory at a path, made if it is absent, with that mode at its end."""
        found = self.find(path)
        if found is None:
            found = self.tree.directory(path)
            found.mode = mode
        if not isinstance(found, Directory):
            raise failure(errno.ENOTDIR, path)
        return found

    def remove(self, path: str) -> None:
        """Remove what is at a path, with everything below it."""
        parent, _, name = path.rstrip("/").rpartition("/")
        holder = self.find(parent)
        if isinstance(holder, Directory):
            holder.entries.pop(name, None)


def usage(node: Node) -> int:
    """Return how many bytes the files below a directory have."""
    if isinstance(node, Directory):
        return sum(usage(each) for each in node.entries.values())
    return len(node.data) if isinstance(node, File) else 0
