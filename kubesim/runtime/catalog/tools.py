"""curl, Python and redis."""

from collections.abc import Callable, Mapping
from datetime import datetime

from kubesim.runtime.catalog.distributions import alpine_tree, debian_tree
from kubesim.runtime.catalog.family import PATH, Family, Image, install, version_of
from kubesim.runtime.filesystem import Tree
from kubesim.runtime.process import Program
from kubesim.runtime.programs.curl import curl
from kubesim.runtime.programs.python import python
from kubesim.runtime.programs.redis.client import redis_cli
from kubesim.runtime.programs.redis.entrypoint import entrypoint
from kubesim.runtime.programs.redis.server import redis_server
from kubesim.runtime.programs.registry import BUSYBOX, DEBIAN

Now = Callable[[], datetime]
DEBIAN_RELEASE = 'PRETTY_NAME="Debian GNU/Linux 12"\nID=debian\n'
REDIS_PATCHES = {"6": "6.2.19", "7": "7.4.5", "8": "8.2.1", "latest": "8.2.1"}


def _curl_image(reference: str, _tag: str) -> Image:
    programs = {**BUSYBOX, "curl": curl}
    return Image(
        reference,
        8_900_000,
        programs,
        lambda now: alpine_tree(now, programs),
        entrypoint=("curl",),
        user="100",
    )


def _python_image(reference: str, tag: str) -> Image:
    programs = {**(BUSYBOX if "alpine" in tag else DEBIAN), "python": python, "python3": python}
    return Image(
        reference,
        45_000_000 if "slim" in tag or "alpine" in tag else 365_000_000,
        programs,
        lambda now: _python_tree(now, programs, "alpine" in tag),
        command=("python3",),
        environment={"PATH": PATH, "PYTHON_VERSION": _python_version(tag)},
    )


def _python_version(tag: str) -> str:
    version = version_of(tag, "3.13.7")
    return version if version.count(".") == 2 else f"{version if '.' in version else '3.13'}.7"


def _python_tree(now: Now, programs: Mapping[str, Program], alpine: bool) -> Tree:
    tree = alpine_tree(now, programs) if alpine else debian_tree(now, programs, DEBIAN_RELEASE)
    install(tree, "usr/local/bin", {"python": python, "python3": python})
    return tree


def _redis_image(reference: str, tag: str) -> Image:
    servers = {
        "redis-server": redis_server,
        "redis-cli": redis_cli,
        "docker-entrypoint.sh": entrypoint,
    }
    programs = {**(BUSYBOX if "alpine" in tag else DEBIAN), **servers}
    version = version_of(tag, "latest")

    def build(now: Now) -> Tree:
        tree = (
            alpine_tree(now, programs)
            if "alpine" in tag
            else debian_tree(now, programs, DEBIAN_RELEASE)
        )
        install(tree, "usr/local/bin", servers)
        tree.directory("data")
        return tree

    return Image(
        reference,
        45_000_000,
        programs,
        build,
        entrypoint=("docker-entrypoint.sh",),
        command=("redis-server",),
        environment={"PATH": PATH, "REDIS_VERSION": REDIS_PATCHES.get(version, version)},
        directory="/data",
    )


FAMILIES = (
    Family(("docker.io/curlimages/curl",), _curl_image, (7, 60), (8, 17)),
    Family(("docker.io/library/python",), _python_image, (3, 6), (3, 14)),
    Family(("docker.io/library/redis",), _redis_image, (3, 0), (8, 4)),
)
