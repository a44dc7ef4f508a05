"""The images of kube-system: each holds one program, the component that it is named for."""

from collections.abc import Callable, Mapping
from datetime import datetime

from kubesim.kubeadm import versions
from kubesim.runtime.catalog.family import Image
from kubesim.runtime.filesystem import Binary, Tree
from kubesim.runtime.process import Program

SIZES = {  # bytes, of what a registry sends
    "etcd": 65_098_496,
    "kube-apiserver": 27_063_296,
    "kube-controller-manager": 22_819_840,
    "kube-scheduler": 17_384_448,
    "kube-proxy": 25_963_520,
    "coredns": 22_384_640,
    "kindnetd": 44_375_501,
}
DIRECTORIES = {"kube-proxy": "usr/local/bin", "kindnetd": "bin", "coredns": ""}
PATH = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


def component_images(version: str, programs: Mapping[str, Mapping[str, Program]]) -> list[Image]:
    """Return the images of a release of Kubernetes.

    programs: per component the program of its own name, and what else its image brings.
    """
    return [_image(name, version, programs[name]) for name in programs]


def _image(component: str, version: str, programs: Mapping[str, Program]) -> Image:
    directory = DIRECTORIES.get(component, "usr/local/bin")

    def build(now: Callable[[], datetime]) -> Tree:
        tree = Tree(now)
        for path in ("dev", "etc", "proc", "tmp", "var"):
            tree.directory(path)
        for name in programs:
            binary = Binary(0o755, now(), bytearray(b"\x7fELF"), name)
            tree.add(f"{directory}/{name}", binary)
        return tree

    kindnet = component == "kindnetd"
    reference = versions.KINDNETD if kindnet else versions.component_image(component, version)
    entry = (f"/{directory}/{component}".replace("//", "/"),)
    return Image(reference, SIZES[component], programs, build, entrypoint=entry, environment=PATH)
