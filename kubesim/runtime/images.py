"""Images: the few that this world knows, by reference, as containerd names them."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from kubesim.runtime.filesystem import Binary, Device, Link, Tree
from kubesim.runtime.process import Program
from kubesim.runtime.programs.nginx import CONFIG
from kubesim.runtime.programs.registry import BUSYBOX, DEBIAN
from kubesim.runtime.signals import LINUX

LIBRARY = "docker.io/library/"
PRELOADED = ("busybox:1.36", "nginx:1.26", "nginx:1.27")
NGINX_VERSIONS = {"1.26": "1.26.3", "1.27": "1.27.5"}
REFERENCE = re.compile(
    r"(?P<name>[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?::\d+)?(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)

PAGE = """<!DOCTYPE html>
<html>
<head>
<title>Welcome to nginx!</title>
<style>
html { color-scheme: light dark; }
body { width: 35em; margin: 0 auto;
font-family: Tahoma, Verdana, Arial, sans-serif; }
</style>
</head>
<body>
<h1>Welcome to nginx!</h1>
<p>If you see this page, the nginx web server is successfully installed and
working. Further configuration is required.</p>

<p>For online documentation and support please refer to
<a href="http://nginx.org/">nginx.org</a>.<br/>
Commercial support is available at
<a href="http://nginx.com/">nginx.com</a>.</p>

<p><em>Thank you for using nginx.</em></p>
</body>
</html>
"""
SERVER_BLOCK = """server {
    listen       80;
    server_name  localhost;

    location / {
        root   /usr/share/nginx/html;
        index  index.html index.htm;
    }

    error_page   500 502 503 504  /50x.html;
    location = /50x.html {
        root   /usr/share/nginx/html;
    }
}
"""


class InvalidImageName(ValueError):  # noqa: N818 - the kubelet's name for it
    """The reference can't be one; the message is the kubelet's."""


class ImageNotFound(Exception):  # noqa: N818 - the runtime's name for it
    """No registry has this image; the message is containerd's."""


class ImageRefused(ValueError):  # noqa: N818 - as the other two
    """There is no program that could run in a container of this image."""


@dataclass(frozen=True)
class Image:
    """What a container is made from."""

    reference: str
    size: int
    programs: Mapping[str, Program]
    build: Callable[[Callable[[], datetime]], Tree]
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: int = LINUX["TERM"]

    @property
    def digest(self) -> str:
        """The image's content address."""
        return "sha256:" + hashlib.sha256(self.reference.encode()).hexdigest()

    @property
    def id(self) -> str:
        """What containerStatuses[].imageID shows."""
        return f"{self.reference.rpartition(':')[0]}@{self.digest}"


def normalize(reference: str) -> str:
    """Return a reference with registry and tag: docker.io/library/nginx:latest for nginx.

    Raises InvalidImageName.
    """
    match = REFERENCE.fullmatch(reference)
    if not match:
        why = "invalid reference format"
        if re.search(r"[A-Z]", reference.partition(":")[0]):
            name = reference.partition(":")[0]
            name = name if "/" in name else f"library/{name}"
            why += f": repository name ({name}) must be lowercase"
        raise InvalidImageName(
            f'Failed to apply default image tag "{reference}": '
            f'couldn\'t parse image name "{reference}": {why}'
        )
    name, tag, digest = match["name"], match["tag"], match["digest"]
    first, slash, _ = name.partition("/")
    if not slash:
        name = f"docker.io/library/{name}"
    elif "." not in first and ":" not in first and first != "localhost":
        name = f"docker.io/{name}"
    if tag or not digest:
        return f"{name}:{tag or 'latest'}"
    return f"{name}@{digest}"


class ImageStore:
    """The images that nodes can have."""

    def __init__(self) -> None:
        self._images: dict[str, Image] = {}
        for reference in PRELOADED:
            self.load(reference)

    def load(self, reference: str) -> Image:
        """Make an image available on all nodes; ImageRefused if no program runs in it."""
        full = normalize(reference)
        image = _busybox(full) or _nginx(full)
        if image is None:
            raise ImageRefused(
                f"image {reference} can't be loaded: the embedded cluster has programs only for "
                "busybox and nginx 1.26 and 1.27; use the kind engine for other images"
            )
        self._images[full] = image
        return image

    def add(self, image: Image) -> None:
        """Make an image of the cluster's own available on all nodes."""
        self._images[image.reference] = image

    def find(self, reference: str) -> Image:
        """Return the image of that name or digest; InvalidImageName, ImageNotFound."""
        full = normalize(reference)
        name, at, digest = full.partition("@")
        for image in self._images.values():
            if image.reference == full:
                return image
            if at and image.digest == digest and image.reference.startswith(name + ":"):
                return image
        raise ImageNotFound(
            f'failed to pull and unpack image "{full}": failed to resolve reference "{full}": '
            f"{full}: not found (the embedded cluster has {self._listing()}; "
            "the kind engine pulls from registries)"
        )

    def all(self) -> list[Image]:
        """Return every image."""
        return list(self._images.values())

    def _listing(self) -> str:
        return ", ".join(
            image.reference.removeprefix(LIBRARY)
            for image in self._images.values()
            if image.reference.startswith(LIBRARY)
        )


def _busybox(reference: str) -> Image | None:
    name = reference.rpartition(":")[0]
    if name != "docker.io/library/busybox" or "@" in reference:
        return None
    return Image(
        reference,
        2_217_000,
        BUSYBOX,
        _busybox_tree,
        command=("sh",),
        environment={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
    )


def _nginx(reference: str) -> Image | None:
    name, _, tag = reference.rpartition(":")
    series = re.match(r"\d+\.\d+(?=$|[.-])", tag)
    version = NGINX_VERSIONS.get(series.group()) if series else None
    if name != "docker.io/library/nginx" or version is None:
        return None
    return Image(
        reference,
        72_400_000,
        DEBIAN,
        _nginx_tree,
        command=("nginx", "-g", "daemon off;"),
        environment={
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "NGINX_VERSION": version,
        },
        stop_signal=LINUX["QUIT"],
    )


def _base_tree(now: Callable[[], datetime]) -> Tree:
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


def _install(tree: Tree, directory: str, names: Mapping[str, Program]) -> None:
    for name in names:
        tree.add(f"{directory}/{name}", Binary(0o755, tree.now(), bytearray(b"\x7fELF"), name))


def _busybox_tree(now: Callable[[], datetime]) -> Tree:
    tree = _base_tree(now)
    _install(tree, "bin", BUSYBOX)
    tree.add("usr/bin/env", Binary(0o755, now(), bytearray(b"\x7fELF"), "env"))
    for path in ("home", "lib", "var/spool/mail", "var/www"):
        tree.directory(path)
    return tree


def _nginx_tree(now: Callable[[], datetime]) -> Tree:
    tree = _base_tree(now)
    for path in ("home", "lib", "opt", "run", "srv", "sbin", "var/cache/nginx", "var/log/nginx"):
        tree.directory(path)
    _install(tree, "usr/bin", {name: run for name, run in DEBIAN.items() if name != "nginx"})
    _install(tree, "bin", {"sh": DEBIAN["sh"], "bash": DEBIAN["bash"]})
    _install(tree, "usr/sbin", {"nginx": DEBIAN["nginx"]})
    tree.write(CONFIG, SERVER_BLOCK)
    tree.write("usr/share/nginx/html/index.html", PAGE)
    tree.write("usr/share/nginx/html/50x.html", "<h1>An error occurred.</h1>\n")
    tree.add("var/log/nginx/access.log", Link(0o777, now(), "/dev/stdout"))
    tree.add("var/log/nginx/error.log", Link(0o777, now(), "/dev/stderr"))
    return tree
