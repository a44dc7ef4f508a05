"""A container's file system: a tree in memory, with other trees mounted into it."""

import copy
import errno
import os
import posixpath
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from kubesim.runtime import capabilities

MAX_FILE_SIZE = 32 * 1024 * 1024
MAX_LINKS = 40


def failure(code: int, path: str) -> OSError:
    """Return the OSError of `code` (an errno) for `path`, worded as strerror(3) does."""
    return OSError(code, os.strerror(code), path)


@dataclass
class Node:
    """What files, directories and links have in common."""

    mode: int
    modified: datetime
    uid: int = field(default=0, kw_only=True)
    gid: int = field(default=0, kw_only=True)


READ, WRITE, SEARCH = 4, 2, 1
SETGID, STICKY = 0o2000, 0o1000


@dataclass(frozen=True)
class Credentials:
    """Who a process is, and so what files it may touch; user 0 may touch all."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    capabilities: int = capabilities.DEFAULT

    def may(self, node: Node, wanted: int) -> bool:
        """Tell whether a node's mode allows READ, WRITE or SEARCH."""
        if not self.uid:
            return True
        if node.uid == self.uid:
            return bool(node.mode >> 6 & wanted)
        if node.gid == self.gid or node.gid in self.groups:
            return bool(node.mode >> 3 & wanted)
        return bool(node.mode & wanted)


ROOT = Credentials()


@dataclass
class File(Node):
    """A regular file."""

    data: bytearray = field(default_factory=bytearray)


@dataclass
class Binary(File):
    """An executable: `program` names what it runs."""

    program: str = ""


@dataclass
class Directory(Node):
    """A directory: names and what they stand for."""

    entries: MutableMapping[str, Node] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        """Copy what is in a copied directory when somebody looks: in most nobody ever does."""
        if name != "entries" or "_original" not in self.__dict__:
            raise AttributeError(name)
        original, moment = self.__dict__.pop("_original")
        self.entries = {each: copied(node, moment) for each, node in original.items()}
        return self.entries


@dataclass
class Link(Node):
    """A symbolic link."""

    target: str = ""


@dataclass
class Device(Node):
    """A character device; `kind` tells the process what opening it means ("null", "stdout", …)."""

    kind: str = "null"


@dataclass(frozen=True)
class Mount:
    """A tree (or single file) that covers a path."""

    node: Node
    read_only: bool = False


class Tree:
    """A directory tree under construction or shared as a volume: paths are relative to its root."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now
        self.root = Directory(0o755, now())

    def directory(self, path: str, mode: int = 0o755) -> Directory:
        """Return the directory at `path`, made with its parents if absent."""
        current = self.root
        for name in _parts(path):
            child = current.entries.setdefault(name, Directory(mode, self.now()))
            if not isinstance(child, Directory):
                raise failure(errno.ENOTDIR, path)
            current = child
        return current

    def add(self, path: str, node: Node) -> None:
        """Put `node` at `path`, replacing what was there."""
        parent, name = posixpath.split(posixpath.normpath(path))
        self.directory(parent).entries[name] = node

    def write(self, path: str, data: bytes | str, mode: int = 0o644) -> None:
        """Put a file with `data` at `path`."""
        content = data.encode() if isinstance(data, str) else data
        self.add(path, File(mode, self.now(), bytearray(content)))


N = TypeVar("N", bound=Node)


def copied(node: N, moment: datetime) -> N:
    """Return a copy of a node and all below it, which itself must not change any more.

    Every container begins with a copy of its image: a directory is copied when it is looked into.
    """
    twin = object.__new__(type(node))
    twin.__dict__.update(node.__dict__)
    twin.modified = moment
    if isinstance(twin, File):
        twin.data = bytearray(twin.data)
    elif isinstance(twin, Directory):
        original = twin.__dict__.pop("entries", None)
        if original is not None:
            twin.__dict__["_original"] = original, moment
    return twin


class FileSystem:
    """What the processes of one container see below `/`."""

    def __init__(self, root: Directory, now: Callable[[], datetime]) -> None:
        self.root = root
        self.now = now
        self.mounts: dict[str, Mount] = {}
        self.credentials = ROOT

    def seen_by(self, credentials: Credentials) -> "FileSystem":
        """Return the same files as another user may touch them."""
        view = copy.copy(self)
        view.credentials = credentials
        return view

    def check(self, node: Node, wanted: int, path: str) -> None:
        """Raise EACCES if the user may not READ, WRITE or SEARCH a node."""
        if not self.credentials.may(node, wanted):
            raise failure(errno.EACCES, path)

    def check_owner(self, path: str) -> Node:
        """Return what is at `path` for its owner to change; EPERM for others."""
        _, node, read_only = self.resolve(path)
        if node is None:
            raise failure(errno.ENOENT, path)
        if read_only:
            raise failure(errno.EROFS, path)
        if self.credentials.uid not in (0, node.uid):
            raise failure(errno.EPERM, path)
        return node

    def mount(self, path: str, node: Node, read_only: bool = False) -> None:
        """Cover `path` with `node`; the mount point is made if it is absent."""
        path = posixpath.normpath(path)
        parent, name = posixpath.split(path)
        holder = self.make_directories(parent)
        if name not in holder.entries:
            stub = File if isinstance(node, File) else Directory
            holder.entries[name] = stub(node.mode, self.now())
        self.mounts[path] = Mount(node, read_only)

    def make_directories(self, path: str) -> Directory:
        """Return the directory at `path`, made with its parents if absent (mkdir -p)."""
        current = "/"
        for name in _parts(path):
            current = posixpath.join(current, name)
            if not self.exists(current):
                self.make_directory(current)
        node = self.lookup(path or "/")
        if not isinstance(node, Directory):
            raise failure(errno.ENOTDIR, path)
        return node

    def resolve(self, path: str, follow: bool = True) -> tuple[str, Node | None, bool]:
        """Walk `path` (absolute) and return its real path, its node or None, and read-only-ness.

        Raises OSError when a parent is missing or not a directory, or links go in circles.
        """
        real = "/"
        node, read_only = self._mounted("/", self.root, False)
        pending = _parts(path)
        links = 0
        while pending:
            name = pending.pop(0)
            if name == "..":
                real, node, read_only = self.resolve(posixpath.dirname(real))
                continue
            if not isinstance(node, Directory):
                raise failure(errno.ENOENT if node is None else errno.ENOTDIR, path)
            self.check(node, SEARCH, path)
            here, real = real, posixpath.join(real, name)
            node, read_only = self._mounted(real, node.entries.get(name), read_only)
            if isinstance(node, Link) and (pending or follow):
                links += 1
                if links > MAX_LINKS:
                    raise failure(errno.ELOOP, path)
                pending = _parts(posixpath.join(here, node.target)) + pending
                real, (node, read_only) = "/", self._mounted("/", self.root, False)
        return real, node, read_only

    def _mounted(self, path: str, node: Node | None, read_only: bool) -> tuple[Node | None, bool]:
        mount = self.mounts.get(path)
        return (mount.node, mount.read_only) if mount else (node, read_only)

    def lookup(self, path: str, follow: bool = True) -> Node:
        """Return the node at `path`; ENOENT if there is none."""
        _, node, _ = self.resolve(path, follow)
        if node is None:
            raise failure(errno.ENOENT, path)
        return node

    def exists(self, path: str) -> bool:
        """Tell whether `path` leads to something."""
        try:
            return self.resolve(path)[1] is not None
        except OSError:
            return False

    def is_directory(self, path: str) -> bool:
        """Tell whether `path` leads to a directory."""
        try:
            return isinstance(self.resolve(path)[1], Directory)
        except OSError:
            return False

    def _holder(self, path: str) -> tuple[Directory, str]:
        """Return the writable directory that holds the last name of `path`, and that name."""
        parent, name = posixpath.split(path.rstrip("/") or "/")
        _, holder, read_only = self.resolve(parent)
        if holder is None:
            raise failure(errno.ENOENT, path)
        if not isinstance(holder, Directory):
            raise failure(errno.ENOTDIR, path)
        if read_only:
            raise failure(errno.EROFS, path)
        self.check(holder, WRITE, path)
        return holder, name

    def make_directory(self, path: str) -> None:
        """Make one directory; EEXIST if something is there."""
        if self.resolve(path)[1] is not None:
            raise failure(errno.EEXIST, path)
        self._add(path, Directory(0o755, self.now()))

    def make_link(self, target: str, path: str) -> None:
        """Make a symbolic link at `path`."""
        if self.resolve(path, follow=False)[1] is not None:
            raise failure(errno.EEXIST, path)
        self._add(path, Link(0o777, self.now(), target))

    def _add(self, path: str, node: Node) -> None:
        holder, name = self._holder(path)
        node.uid = self.credentials.uid
        node.gid = holder.gid if holder.mode & SETGID else self.credentials.gid
        if isinstance(node, Directory):
            node.mode |= holder.mode & SETGID
        holder.entries[name] = node
        holder.modified = self.now()

    def create(self, path: str) -> File:
        """Return the regular file at `path`, made if absent, checked to be writable."""
        real, node, read_only = self.resolve(path)
        if isinstance(node, Directory):
            raise failure(errno.EISDIR, path)
        if read_only:
            raise failure(errno.EROFS, path)
        if node is None:
            node = File(0o644, self.now())
            self._add(real, node)
        if not isinstance(node, File):
            raise failure(errno.EINVAL, path)
        self.check(node, WRITE, path)
        return node

    def remove(self, path: str) -> None:
        """Remove a file, link or empty directory."""
        real, node, _ = self.resolve(path, follow=False)
        if node is None:
            raise failure(errno.ENOENT, path)
        if real in self.mounts:
            raise failure(errno.EBUSY, path)
        if isinstance(node, Directory) and node.entries:
            raise failure(errno.ENOTEMPTY, path)
        holder, name = self._holder(real)
        if holder.mode & STICKY and self.credentials.uid not in (0, node.uid, holder.uid):
            raise failure(errno.EPERM, path)
        del holder.entries[name]
        holder.modified = self.now()

    def rename(self, source: str, target: str) -> None:
        """Move `source` to `target`, replacing a file there."""
        real, node, _ = self.resolve(source, follow=False)
        if node is None:
            raise failure(errno.ENOENT, source)
        if real in self.mounts:
            raise failure(errno.EBUSY, source)
        old_holder, old_name = self._holder(real)
        holder, name = self._holder(target)
        del old_holder.entries[old_name]
        holder.entries[name] = node

    def listdir(self, path: str) -> list[str]:
        """Return the sorted names in the directory at `path`."""
        node = self.lookup(path)
        if not isinstance(node, Directory):
            raise failure(errno.ENOTDIR, path)
        self.check(node, READ, path)
        return sorted(node.entries)

    def read(self, path: str) -> bytes:
        """Return the content of the regular file at `path`."""
        node = self.lookup(path)
        if isinstance(node, Directory):
            raise failure(errno.EISDIR, path)
        self.check(node, READ, path)
        return bytes(node.data) if isinstance(node, File) else b""

    def write(self, path: str, data: bytes) -> None:
        """Replace the content of the file at `path`."""
        file = self.create(path)
        file.data[:] = data
        file.modified = self.now()

    def walk(self, path: str) -> Iterator[str]:
        """Yield `path` and everything below it, parents first."""
        yield path
        node = self.lookup(path, follow=False)
        if isinstance(node, Directory):
            for name in sorted(node.entries):
                yield from self.walk(posixpath.join(path, name))


def _parts(path: str) -> list[str]:
    return [name for name in path.split("/") if name not in ("", ".")]
