"""Volumes of a Pod: directory trees made from their sources and kept up to date."""

import posixpath
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from kubesim.apimachinery.objects import Object
from kubesim.kubelet import sources
from kubesim.kubelet.sources import MissingSourceError, Sources
from kubesim.runtime.filesystem import Directory, File, Link, Node

Files = dict[str, tuple[bytes, int]]  # path: content and mode
DEFAULT_MODE = 0o644
REFRESH = 60.0  # seconds; the kubelet's sync period
SUPPORTED = ("configMap", "secret", "downwardAPI", "projected")
UPDATED = ("configMap", "secret", "downwardAPI", "serviceAccountToken")


class VolumeRefusedError(Exception):
    """The volume is of a kind that is not simulated."""


class MountError(Exception):
    """A volume is not ready; the message is the kubelet's whole sentence."""


def refusal(kind: str) -> str:
    """Return what to say of a kind of volume that is not simulated."""
    return f"{kind} volumes are not simulated by the embedded cluster; use the kind engine"


class PodVolume(Protocol):
    """What a Pod's containers need of a volume, wherever its data comes from."""

    name: str

    @property
    def root(self) -> Node:
        """Its data; there once it has been filled."""

    @property
    def read_only(self) -> bool:
        """Whether containers may not write to it."""

    @property
    def changes(self) -> bool:
        """Whether what it is made from may change while the Pod runs."""

    async def fill(self, pod: Object) -> None:
        """Find or make the data, or bring it up to date."""


class Volume:
    """A volume of files made from objects: its tree, and how to fill it again."""

    read_only = True

    def __init__(
        self, spec: Object, pod: Object, reader: Sources, now: Callable[[], datetime]
    ) -> None:
        self.name = spec["name"]
        self.root = Directory(0o777, now())
        self._spec = spec
        self._pod = pod
        self._reader = reader
        self._now = now
        self._files: Files | None = None
        self._token = b""
        self._token_until = now()

    @property
    def changes(self) -> bool:
        """Whether what it is made from may change while the Pod runs."""
        kinds = [self._spec, *(self._spec.get("projected") or {}).get("sources", [])]
        return any(kind in each for each in kinds for kind in UPDATED)

    async def fill(self, pod: Object) -> None:
        """Make the files or bring them up to date.

        Raises MissingSourceError or VolumeRefusedError.
        """
        self._pod = pod
        kind = next(key for key in self._spec if key != "name")
        if kind not in SUPPORTED:
            raise VolumeRefusedError(refusal(kind))
        source = self._spec[kind]
        mode = source.get("defaultMode", DEFAULT_MODE)
        if kind == "projected":
            files: Files = {}
            for each in source.get("sources") or []:
                part = next(iter(each))
                files |= await self._collect(part, each[part], mode)
        else:
            files = await self._collect(kind, source, mode)
        if files != self._files:
            self._publish(files)

    async def _collect(self, kind: str, source: Object, mode: int) -> Files:
        if kind == "serviceAccountToken":
            return {source["path"]: (await self._fresh_token(source), mode)}
        if kind == "downwardAPI":
            return self._downward(source, mode)
        name = source.get("name") or source["secretName"]
        optional = source.get("optional", False)
        read = self._reader.config_map if kind == "configMap" else self._reader.secret
        return _chosen(await read(name, optional), source, mode, kind)

    async def _fresh_token(self, source: Object) -> bytes:
        """Return the Pod's token, a new one when four fifths of its life are over."""
        if self._now() >= self._token_until:
            self._token, lifetime = await self._reader.token(self._pod, source)
            self._token_until = self._now() + timedelta(seconds=lifetime * 0.8)
        return self._token

    def _downward(self, source: Object, mode: int) -> Files:
        files = {}
        for item in source.get("items") or []:
            if "fieldRef" in item:
                text = sources.field(self._pod, item["fieldRef"]["fieldPath"])
            else:
                text = sources.resource(self._pod, {}, item["resourceFieldRef"])
            files[item["path"]] = (text.encode(), item.get("mode", mode))
        return files

    def _publish(self, files: Files) -> None:
        """Show `files` all at once: a new directory, then ..data is pointed to it."""
        now = self._now()
        name = f"..{now:%Y_%m_%d_%H_%M_%S}.{now.microsecond * 1000:09}"
        fresh = Directory(0o755, now)
        for path, (content, mode) in files.items():
            parent = fresh
            *parents, leaf = path.split("/")
            for each in parents:
                child = parent.entries.setdefault(each, Directory(0o755, now))
                assert isinstance(child, Directory)
                parent = child
            parent.entries[leaf] = File(mode, now, bytearray(content))
        tops = {path.split("/")[0] for path in files}
        entries: dict[str, Node] = {name: fresh, "..data": Link(0o777, now, name)}
        entries |= {top: Link(0o777, now, posixpath.join("..data", top)) for top in tops}
        self.root.entries = entries
        self._files = files


def _chosen(data: dict[str, bytes], source: Object, mode: int, kind: str) -> Files:
    """Return all keys as files, or those that the source's items name."""
    if not source.get("items"):
        return {key: (content, mode) for key, content in data.items()}
    files = {}
    for item in source["items"]:
        if item["key"] in data:
            files[item["path"]] = (data[item["key"]], item.get("mode", mode))
        elif not source.get("optional", False):
            what = kind.lower()
            raise MissingSourceError(f"{what} references non-existent {what} key: {item['key']}")
    return files


def subpath(root: Node, path: str, now: datetime) -> Node:
    """Return what is at `path` in a volume, a new directory if there is nothing."""
    current: Node = root
    for name in filter(None, path.split("/")):
        assert isinstance(current, Directory)
        child = current.entries.get(name)
        while isinstance(child, Link):
            child = _follow(current, child)
        if child is None:
            child = current.entries[name] = Directory(0o755, now)
        current = child
    return current


def _follow(directory: Directory, link: Link) -> Node | None:
    current: Node | None = directory
    for name in link.target.split("/"):
        current = current.entries.get(name) if isinstance(current, Directory) else None
        if isinstance(current, Link):
            current = _follow(directory, current)
    return current
