"""An image, a family of images that differ in their tags, and which tags there are."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from kubesim.runtime.filesystem import Binary, Device, Tree
from kubesim.runtime.process import Program
from kubesim.runtime.signals import LINUX

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
VERSION = re.compile(r"v?(\d+(?:\.\d+){0,2})")
VARIANTS = frozenset(
    [
        "alpine",
        "slim",
        "bookworm",
        "bullseye",
        "trixie",
        "bitnami",
        "perl",
        "glibc",
        "musl",
        "uclibc",
        "otel",
        "jammy",
        "noble",
    ]
)
Version = tuple[int, ...]
# The registries of the Kubernetes project: today's and those that older manifests name.
KUBERNETES = (
    "registry.k8s.io",
    "k8s.gcr.io",
    "gcr.io/google_containers",
    "gcr.io/google-containers",
)


@dataclass(frozen=True)
class Image:
    """What a container is made from."""

    reference: str
    size: int  # bytes, compressed, as a registry tells
    programs: Mapping[str, Program]
    build: Callable[[Callable[[], datetime]], Tree]
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=lambda: {"PATH": PATH})
    directory: str = "/"
    stop_signal: int = LINUX["TERM"]
    user: str = ""  # "" is root; a number or a name of the image's /etc/passwd

    @property
    def digest(self) -> str:
        """The image's content address."""
        return "sha256:" + hashlib.sha256(self.reference.encode()).hexdigest()

    @property
    def id(self) -> str:
        """What containerStatuses[].imageID shows."""
        return f"{self.reference.rpartition(':')[0]}@{self.digest}"


@dataclass(frozen=True)
class Family:
    """Images of one name. `make(reference, tag)` makes the image of a tag that exists."""

    names: tuple[str, ...]
    make: Callable[[str, str], Image]
    oldest: Version
    newest: Version
    words: tuple[str, ...] = ("latest",)

    def has(self, tag: str) -> bool:
        """Whether there is such a tag: a version in the family's range or a word, and variants."""
        first, *variants = tag.split("-")
        if not all(re.sub(r"[\d.]+$", "", variant) in VARIANTS for variant in variants):
            return False
        match = VERSION.fullmatch(first)
        if not match:
            return first in (*self.words, *VARIANTS)
        version = tuple(int(part) for part in match[1].split("."))
        return self.oldest[: len(version)] <= version[:2] and version[:2] <= self.newest


def names(places: tuple[str, ...], name: str) -> tuple[str, ...]:
    """Return the references of an image that several registries have."""
    return tuple(f"{place}/{name}" for place in places)


def version_of(tag: str, default: str) -> str:
    """Return the version that a tag names, the default for "latest" and the like."""
    match = VERSION.match(tag)
    return match[1] if match else default


def base_tree(now: Callable[[], datetime]) -> Tree:
    """Return what every image has: devices, users, empty directories."""
    tree = Tree(now)
    for path in ("bin", "dev/pts", "dev/shm", "etc", "proc", "root", "sys", "usr/bin", "var"):
        tree.directory(path)
    tree.directory("tmp", 0o1777)
    for kind in ("null", "zero", "random", "urandom", "tty", "stdin", "stdout", "stderr"):
        tree.add(f"dev/{kind}", Device(0o666, now(), kind))
    tree.write(
        "etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody::/bin/false\n"
    )
    tree.write("etc/group", "root:x:0:\nnobody:x:65534:\n")
    return tree


def install(tree: Tree, directory: str, names: Mapping[str, Program]) -> None:
    """Put programs into a directory."""
    for name in names:
        tree.add(f"{directory}/{name}", Binary(0o755, tree.now(), bytearray(b"\x7fELF"), name))
