"""busybox and the distributions: images to run a shell in."""

from collections.abc import Callable, Mapping
from datetime import datetime

from kubesim.runtime.catalog.family import KUBERNETES, Family, Image, base_tree, install, names
from kubesim.runtime.filesystem import Binary, Tree
from kubesim.runtime.process import Program
from kubesim.runtime.programs.packages import apk, apt
from kubesim.runtime.programs.registry import BUSYBOX, DEBIAN

Now = Callable[[], datetime]
DEBIAN_DIRECTORIES = ("boot", "home", "lib", "lib64", "media", "mnt", "opt", "run", "sbin", "srv")
ALPINE = {**BUSYBOX, "apk": apk}
APT = {**DEBIAN, "apt": apt, "apt-get": apt}
UBUNTU = {**APT, "ps": BUSYBOX["ps"], "free": BUSYBOX["free"], "top": BUSYBOX["top"]}
DEBIAN_CODENAMES = ("bullseye", "bookworm", "trixie", "stable", "testing", "latest")
UBUNTU_CODENAMES = ("focal", "jammy", "noble", "latest", "rolling")


def busybox(reference: str, _tag: str) -> Image:
    """The image that is nothing but busybox."""
    return Image(reference, 2_217_000, BUSYBOX, _busybox_tree, command=("sh",))


def _busybox_tree(now: Now) -> Tree:
    tree = base_tree(now)
    install(tree, "bin", BUSYBOX)
    tree.add("usr/bin/env", Binary(0o755, now(), bytearray(b"\x7fELF"), "env"))
    for path in ("home", "lib", "lib64", "var/spool/mail", "var/www"):
        tree.directory(path)
    return tree


def alpine(reference: str, tag: str) -> Image:
    """Alpine: busybox, and a package manager that has nothing to fetch from."""
    return Image(
        reference,
        3_800_000,
        ALPINE,
        lambda now: alpine_tree(now, ALPINE, tag),
        command=("/bin/sh",),
    )


def alpine_tree(now: Now, programs: Mapping[str, Program], tag: str = "3.22") -> Tree:
    """Return Alpine's files, with programs."""
    tree = base_tree(now)
    install(tree, "bin", programs)
    for path in ("home", "lib", "media", "mnt", "opt", "run", "sbin", "srv", "usr/sbin"):
        tree.directory(path)
    release = tag if tag[:1].isdigit() else "3.22"
    tree.write("etc/alpine-release", release + "\n")
    tree.write("etc/os-release", f'NAME="Alpine Linux"\nID=alpine\nVERSION_ID={release}\n')
    return tree


def debian(reference: str, tag: str) -> Image:
    """Debian without its network tools, as its base image is."""
    return Image(
        reference,
        48_500_000,
        APT,
        lambda now: debian_tree(now, APT, f'PRETTY_NAME="Debian GNU/Linux {tag}"\nID=debian\n'),
        command=("bash",),
    )


def ubuntu(reference: str, tag: str) -> Image:
    """Ubuntu without network tools, as its base image is."""
    return Image(
        reference,
        29_700_000,
        UBUNTU,
        lambda now: debian_tree(now, UBUNTU, f'PRETTY_NAME="Ubuntu {tag}"\nID=ubuntu\n'),
        command=("/bin/bash",),
    )


def debian_tree(now: Now, programs: Mapping[str, Program], release: str) -> Tree:
    """Return Debian's files, with programs; `release` is what /etc/os-release says."""
    tree = base_tree(now)
    for path in DEBIAN_DIRECTORIES:
        tree.directory(path)
    install(tree, "usr/bin", programs)
    install(tree, "bin", {name: programs[name] for name in ("sh", "bash")})
    tree.write("etc/os-release", release)
    tree.write("etc/debian_version", "12.11\n")
    return tree


FAMILIES = (
    Family(
        ("docker.io/library/busybox", *names(KUBERNETES, "busybox")),
        busybox,
        (1, 20),
        (1, 37),
        ("latest", "stable"),
    ),
    Family(("docker.io/library/alpine",), alpine, (3, 10), (3, 23), ("latest", "edge")),
    Family(("docker.io/library/debian",), debian, (10,), (13, 9), DEBIAN_CODENAMES),
    Family(("docker.io/library/ubuntu",), ubuntu, (18, 4), (26, 4), UBUNTU_CODENAMES),
)
